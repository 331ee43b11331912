"""The stages that make a trained classifier smaller and keep its answers: distil, prune, train on the grid.

Each takes the model of the stage before and leaves model.safetensors and history.json in its folder, as training does.
Where a recipe distils, the later stages learn from the teachers' answers too: what pruning or four bits cost is won
back from the teacher, not from the labels alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgewright.compress import vocabulary
from edgewright.compress.distill import DistillConfig, distill
from edgewright.compress.hidden import watch_attention
from edgewright.compress.prune import PruneConfig, prune, smaller
from edgewright.compress.qat import QatConfig, to_grid
from edgewright.compress.quantize import layers
from edgewright.compress.sparsify import sparsify
from edgewright.data import tokenizer as tokenizers
from edgewright.data.dataset import batch_count, encode
from edgewright.data.files import read_json, write_json
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer
from edgewright.errors import MissingExtraError, UsageError
from edgewright.models import MODELS, checkpoint, pretrained
from edgewright.pipeline import examples, teach
from edgewright.pipeline.cells import precision_of
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import QuantizeTable, Recipe, refuse_unknown, validated
from edgewright.pipeline.tables import (
    build_model,
    build_tokenizer,
    family_of,
    pretrained_folder,
    settings,
    tokenizer_table,
    train_config,
)
from edgewright.train.labels import train
from edgewright.train.loop import Trained
from edgewright.train.objectives import Tags


@dataclass(frozen=True)
class Before:
    """The folders that a stage works from.

    model: the stage before's; None for a student with fresh weights. answers: one folder a teacher, in the recipe's
    order. similar: where the words are that transfer texts exchange.
    """

    data: Path
    tokenizer: Path
    model: Path | None
    answers: tuple[Path, ...] = ()
    similar: Path | None = None


# (model, what differs from the recipe's [distill] or [train] table, the folder for what can be resumed)
Learn = Callable[[nn.Module, dict[str, Any], Path], Trained]


def steps(recipe: Recipe) -> list[str]:
    """The steps behind training that the recipe has, in order."""
    return [name for name in MAKE if getattr(recipe, name)]


def check(recipe: Recipe, task: Task) -> None:
    """Everything about the recipe's steps behind training that can be wrong, before any work is done.

    Raises:
        UsageError: naming the file and the place.
    """
    for name in steps(recipe):
        if task.kind not in KINDS[name]:
            kinds = " or ".join(KINDS[name])
            raise UsageError(f"{recipe.path}: [{name}]: is for tasks of kind {kinds}, not '{task.kind}'; remove it")
    if recipe.quantize != QuantizeTable() and task.kind not in KINDS["qat"]:
        raise UsageError(f"{recipe.path}: [quantize]: is not read for tasks of kind '{task.kind}'; remove it")
    config = distill_config(recipe)
    qat_config(recipe)
    if config is not None or recipe.quantize != QuantizeTable():
        _check_layers(recipe, config)
    if recipe.prune:
        _check_prune(recipe)


def _check_layers(recipe: Recipe, config: DistillConfig | None) -> None:
    """That the model has the layers which [quantize] and [distill] name, and the teachers what the student matches."""
    family = MODELS[family_of(recipe)]
    with torch.device("meta"):  # no memory, no time
        model = family.module(validated(family.config, settings(recipe), recipe.path, "model"))
    try:
        layers(model, "dynamic_wi4_afp32", precision_of(recipe))
    except UsageError as error:
        raise UsageError(f"{recipe.path}: [quantize]: {error}") from error
    if config is None:
        return
    taught_by = [one.name for one in config.teachers if one.name != teach.TFIDF]
    if (config.hidden or config.attention) and not taught_by:
        raise UsageError(
            f"{recipe.path}: [distill]: hidden and attention are matched with a teacher that is a recipe; name one"
        )
    if config.attention:
        try:
            watch_attention(model, {})
        except UsageError as error:
            raise UsageError(f"{recipe.path}: {error}") from error


def distill_config(recipe: Recipe, seed: int = 0) -> DistillConfig | None:
    """Raises UsageError: an unknown key or a wrong value in [distill]. None where the recipe does not distil."""
    if not recipe.distill:
        return None
    given = {"metric": recipe.task_with_gates().primary_metric, **recipe.distill}
    given["teachers"] = [{"name": one} if isinstance(one, str) else one for one in given.get("teachers", ())]
    refuse_unknown(given, DistillConfig, recipe.path, "[distill]")
    return replace(validated(DistillConfig, given, recipe.path, "distill"), seed=seed)


def qat_config(recipe: Recipe) -> QatConfig | None:
    """Raises UsageError: an unknown key or a wrong value in [qat]. None where the recipe does not train on the grid."""
    if not recipe.qat:
        return None
    refuse_unknown(recipe.qat, QatConfig, recipe.path, "[qat]")
    config: QatConfig = validated(QatConfig, recipe.qat, recipe.path, "qat")
    return config


def prune_config(recipe: Recipe) -> PruneConfig | None:
    """Raises UsageError: an unknown key or a wrong value in [prune]. None where the recipe does not prune."""
    if not recipe.prune:
        return None
    refuse_unknown(recipe.prune, PruneConfig, recipe.path, "[prune]")
    config: PruneConfig = validated(PruneConfig, recipe.prune, recipe.path, "prune")
    return config


def changes_words(recipe: Recipe, name: str) -> bool:
    """Whether the models of a step have another tokenizer than those before: its tokenizer.json lies beside each."""
    config = prune_config(recipe)
    return name == "prune" and config is not None and config.changes_words


def _check_prune(recipe: Recipe) -> None:
    config = prune_config(recipe)
    assert config is not None
    place = f"{recipe.path}: prune"
    family, table = family_of(recipe), tokenizer_table(recipe)
    if config.structured and find_spec("torch_pruning") is None:
        raise MissingExtraError(
            f"{place}: channels, heads and width need torch_pruning: pip install 'edgewright[prune]'"
        )
    if config.sparsity and recipe.qat:
        raise UsageError(f"{place}.sparsity: training on the grid of [qat] would fill the zeros again; remove one")
    if config.buckets is not None and table.kind != "hashed_ngrams":
        raise UsageError(f"{place}.buckets: a {table.kind} tokenizer has none; it has min_uses")
    if config.min_uses and table.kind == "hashed_ngrams":
        raise UsageError(f"{place}.min_uses: hashed n-grams have no pieces to leave out; they have buckets")
    folder = pretrained_folder(recipe)
    given = MODELS[family].config(**settings(recipe)) if folder is None else pretrained.config(folder)
    try:
        smaller(given, family, config)
        if config.buckets is not None:
            words = build_tokenizer(recipe, ())
            assert isinstance(words, HashedNgrams)
            vocabulary.fold(words, config.buckets)
    except ValueError as error:
        raise UsageError(f"{place}.{error}") from error


def make_distilled(
    recipe: Recipe, task: Task, seed: int, before: Before, to: Path, kept: Path, reporter: Reporter
) -> None:
    """A student that learnt from the teachers' answers, from fresh weights or from those of the stage before."""
    words = _words(before)
    if before.model is None:
        model = build_model(recipe, words, len(_labels(before)), seed)
    else:
        model = checkpoint.load_model(before.model / "model.safetensors")
    learn = learner(recipe, task, seed, before, words, reporter, f"distill, seed {seed}")
    _write(model, recipe, learn(model, {}, kept), to)


def make_pruned(
    recipe: Recipe, task: Task, seed: int, before: Before, to: Path, kept: Path, reporter: Reporter
) -> None:
    """A smaller model; and tokenizer.json, where it is not that of the stage before."""
    assert before.model is not None
    config = prune_config(recipe)
    assert config is not None
    words, family = _words(before), family_of(recipe)
    model = checkpoint.load_model(before.model / "model.safetensors")
    training = examples.load(recipe, task, "train", _labels(before))
    if config.changes_words:
        model, words = _with_fewer_rows(model, family, words, config, training.texts)
        tokenizers.save(words, to / "tokenizer.json")
    if config.structured:
        rows = examples.dataset(training, words, recipe.export.lengths[-1], task.kind)
        model = prune(model, family, config, rows, seed)
    learn = learner(recipe, task, seed, before, words, reporter, f"prune, seed {seed}")
    changes = {"epochs": config.epochs, "learning_rate": config.learning_rate, "warmup": config.warmup}
    if config.sparsity:
        steps = config.epochs * _steps(recipe, len(training.in_scope().texts))
        trained = sparsify(model, config, steps, lambda model, _: learn(model, changes, kept))
    else:
        trained = learn(model, changes, kept)
    _write(model, recipe, trained, to)


def _with_fewer_rows(
    model: nn.Module, family: str, words: Tokenizer, config: PruneConfig, texts: Sequence[str]
) -> tuple[nn.Module, Tokenizer]:
    counts = vocabulary.uses(words, texts)
    if isinstance(words, HashedNgrams):
        assert config.buckets is not None
        words, rows = vocabulary.fold(words, config.buckets)
    else:
        words, rows = vocabulary.without_rare(words, counts, config.min_uses)
    return vocabulary.with_rows(model, family, rows, counts), words


def _steps(recipe: Recipe, rows: int) -> int:
    """How many steps an epoch of `learner` has."""
    config = distill_config(recipe)
    if config is None:
        return batch_count(rows, train_config(recipe, 0).batch_size)
    return batch_count(rows + min(config.transfer.count, round(config.mix * rows)), config.batch_size)


def make_on_grid(
    recipe: Recipe, task: Task, seed: int, before: Before, to: Path, kept: Path, reporter: Reporter
) -> None:
    """A model whose weights lie on the grid of the recipe's [qat] table."""
    assert before.model is not None
    config = qat_config(recipe)
    assert config is not None
    model = checkpoint.load_model(before.model / "model.safetensors")
    learn = learner(recipe, task, seed, before, _words(before), reporter, f"qat, seed {seed}")
    trained = to_grid(model, config, precision_of(recipe), lambda model, changes: learn(model, changes, kept))
    _write(model, recipe, trained, to)


def learner(
    recipe: Recipe, task: Task, seed: int, before: Before, words: Tokenizer, reporter: Reporter, title: str
) -> Learn:
    """How this recipe's models learn: from its teachers' answers where it has teachers, else from the labels."""
    labels = _labels(before)
    longest = recipe.export.lengths[-1]
    validation = examples.dataset(examples.load(recipe, task, "validation", labels), words, longest, task.kind)
    config = distill_config(recipe, seed)

    def learn(model: nn.Module, changes: dict[str, Any], kept: Path) -> Trained:
        if config is None:
            return _learn_labels(model, changes, kept)
        chosen = replace(config, **changes)
        training, transfer = teach.texts_to_teach(recipe, task, chosen, labels, before.similar)
        answers = teach.read_answers(before.answers, chosen, [*training.texts, *transfer])
        taught = examples.dataset(training, words, longest, task.kind)
        ids = encode(transfer, [0] * len(transfer), words, longest).ids
        with reporter.bar(title, chosen.epochs) as bar:
            return distill(
                model, taught, ids, answers, validation, chosen, kept, lambda done, _, note: bar.update(done, note)
            )

    def _learn_labels(model: nn.Module, changes: dict[str, Any], kept: Path) -> Trained:
        chosen = replace(train_config(recipe, seed), **changes)
        training = examples.dataset(examples.load(recipe, task, "train", labels), words, longest, task.kind)
        objective = Tags(tuple(labels), chosen.label_smoothing) if task.kind == "tags" else None
        with reporter.bar(title, chosen.epochs) as bar:
            return train(
                model, training, validation, chosen, kept, lambda done, _, note: bar.update(done, note), objective
            )

    return learn


def _words(before: Before) -> Tokenizer:
    return tokenizers.load(before.tokenizer / "tokenizer.json")


def _labels(before: Before) -> Sequence[str]:
    return list(read_json(before.data / "data.json")["labels"])


def _write(model: nn.Module, recipe: Recipe, trained: Trained, folder: Path) -> None:
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "history.json",
        {
            "best_epoch": trained.best.epoch,
            "best_score": trained.best.score,
            "epochs": [[epoch.epoch, epoch.loss, epoch.score] for epoch in trained.history],
        },
    )


ORDER = ("train", "distill", "prune", "qat")
# The steps behind training in their order, the kinds of task that each is for, the modules that decide their results
KINDS = {"distill": ("single_label",), "prune": ("single_label", "tags"), "qat": ("single_label", "tags")}
MAKE = {"distill": make_distilled, "prune": make_pruned, "qat": make_on_grid}
CODE = {
    "distill": ("edgewright.pipeline.compression",),
    "prune": (
        *(f"edgewright.compress.{module}" for module in ("coupled", "prune", "sparsify", "vocabulary")),
        "edgewright.pipeline.compression",
    ),
    "qat": ("edgewright.compress.qat", "edgewright.compress.quantize", "edgewright.pipeline.compression"),
}
