"""The stages before export: the data's card, the tokenizer, training for each seed, and the float reference.

Each function fills one stage's folder; `pipeline/stages.py` says what depends on what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.data import dataset, leaks, sources, tasks
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_atomically, write_json
from edgewright.data.rows import Row
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer
from edgewright.models import checkpoint
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.tables import build_model, build_tokenizer, family_of, train_config
from edgewright.runtimes import Runner
from edgewright.runtimes.predictor import logits_of
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.train import metrics
from edgewright.train.temperature import fit_temperature
from edgewright.train.trainer import train

RAPID_ROWS = 500  # the effort rapid evaluates at most so many rows of a split, evenly spread over it


@dataclass(frozen=True)
class Labelled:
    """Texts with class numbers; REJECT for rows of the reject label, which come last.

    numbers: where each row stands in its split or file, from 0: how a record names a row without its text.
    """

    texts: list[str]
    labels: np.ndarray
    numbers: list[int]


def load(recipe: Recipe, task: Task, split: str, labels: Sequence[str] | None) -> tasks.LabelledRows:
    """One split of the recipe's data, checked against the labels; None: the training rows decide them."""
    return tasks.split_labels(_rows(recipe, task, split), task, labels)


def evaluation_rows(recipe: Recipe, task: Task, split: str, labels: Sequence[str], effort: Effort) -> Labelled:
    """The rows on which figures are taken, rows of the reject label after the others."""
    return labelled(_rows(recipe, task, split), task, labels, effort)


def labelled(rows: Sequence[Row], task: Task, labels: Sequence[str], effort: Effort) -> Labelled:
    """Rows with their class numbers; at effort rapid at most RAPID_ROWS of them."""
    place = {id(row): number for number, row in enumerate(rows)}
    found = tasks.split_labels(rows, task, labels)
    ordered = (*found.rows, *found.rejected)
    classes = np.array([*found.classes, *[metrics.REJECT] * len(found.rejected)], dtype=np.int64)
    chosen = range(len(ordered))
    if effort == "rapid" and len(ordered) > RAPID_ROWS:
        chosen = np.linspace(0, len(ordered) - 1, RAPID_ROWS).round().astype(int).tolist()
    return Labelled([_text(ordered[i]) for i in chosen], classes[chosen], [place[id(ordered[i])] for i in chosen])


def test_only_rows(name: str, task: Task, labels: Sequence[str]) -> Labelled:
    """The rows of a set that is never trained or tuned on, for a task of the same labels."""
    source = sources.find(name)
    rows = sources.rows(source, "test", kind=task.kind)
    return labelled(rows, task, labels, "normal")


def golden_texts() -> list[str]:
    """The texts of golden.jsonl: written for this project, in English and French, plus the edge texts."""
    lines = (resources.files("edgewright.pipeline") / "golden_texts.txt").read_text(encoding="utf-8").splitlines()
    return [*lines, *EDGE_TEXTS.values()]


def make_data(recipe: Recipe, task: Task, folder: Path) -> None:
    """data.json: labels, counts, fingerprint, and near-duplicates between splits."""
    training = load(recipe, task, "train", None)
    splits = {"train": training} | {
        split: load(recipe, task, split, training.labels) for split in ("validation", "test")
    }
    texts = {split: [_text(row) for row in rows.rows] for split, rows in splits.items()}
    found = leaks.find_leaks(texts)
    source = sources.find(task.source)
    write_json(
        folder / "data.json",
        {
            "labels": list(training.labels),
            "rows": {split: len(rows.rows) for split, rows in splits.items()},
            "rejected": {split: len(rows.rejected) for split, rows in splits.items()},
            "fingerprint": sources.fingerprint(source, recipe.data.count, recipe.data.seed),
            "leaks": len(found),
        },
    )


def make_tokenizer(recipe: Recipe, task: Task, folder: Path) -> None:
    """tokenizer.json; a vocabulary is learnt from the training texts only."""
    training = load(recipe, task, "train", None)
    tokenizers.save(build_tokenizer(recipe, (_text(row) for row in training.rows)), folder / "tokenizer.json")


def make_model(
    recipe: Recipe, task: Task, seed: int, data: Path, tokenizer: Path, folder: Path, kept: Path, reporter: Reporter
) -> None:
    """model.safetensors of the best epoch, and history.json. `kept` holds the state of an interrupted training."""
    labels = read_json(data / "data.json")["labels"]
    words = tokenizers.load(tokenizer / "tokenizer.json")
    longest = recipe.export.lengths[-1]
    training, validation = (
        dataset.encode([_text(row) for row in rows.rows], rows.classes, words, longest)
        for rows in (load(recipe, task, split, labels) for split in ("train", "validation"))
    )
    model = build_model(recipe, words, len(labels), seed)
    config = train_config(recipe, seed)
    with reporter.bar(f"train, seed {seed}", config.epochs) as bar:
        trained = train(model, training, validation, config, kept, lambda done, _, note: bar.update(done, note))
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "history.json",
        {
            "metric": config.metric,
            "best_epoch": trained.best.epoch,
            "best_score": trained.best.score,
            "epochs": [[epoch.epoch, epoch.loss, epoch.score] for epoch in trained.history],
        },
    )


def make_reference(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    data: Path,
    tokenizer: Path,
    models: dict[int, Path],
    folder: Path,
    reporter: Reporter,
) -> None:
    """The seed with the best validation score: its weights, its logits, its temperature and its threshold.

    logits.npz holds the arrays "test", "golden" and one for each test-only set; reference.json the rest.
    """
    labels = read_json(data / "data.json")["labels"]
    words = tokenizers.load(tokenizer / "tokenizer.json")
    scores = {seed: read_json(path / "history.json")["best_score"] for seed, path in models.items()}
    chosen = max(scores, key=lambda seed: scores[seed])
    model = checkpoint.load_model(models[chosen] / "model.safetensors")
    runner = PyTorchRunner(model)

    validation = evaluation_rows(recipe, task, "validation", labels, "normal")
    logits = all_logits(validation.texts, words, recipe.export.lengths, runner, reporter, "reference, validation")
    known = validation.labels != metrics.REJECT
    temperature = fit_temperature(logits[known], validation.labels[known])
    probabilities = metrics.softmax(logits, temperature)
    threshold = None
    if not known.all():
        best = probabilities.argmax(axis=1)
        threshold = metrics.choose_threshold(probabilities.max(axis=1), best, validation.labels)

    arrays: dict[str, Any] = {
        name: all_logits(texts, words, recipe.export.lengths, runner, reporter, f"reference, {name}")
        for name, texts in evaluated_texts(recipe, task, labels, effort).items()
    }
    test = evaluation_rows(recipe, task, "test", labels, effort)
    seeds = {
        seed: _seed_accuracy(checkpoint.load_model(path / "model.safetensors"), words, recipe, test)
        for seed, path in models.items()
    }
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_atomically(folder / "logits.npz", lambda path: np.savez(path, **arrays))
    write_json(
        folder / "reference.json",
        {
            "seed": chosen,
            "validation": scores,
            "test": seeds,
            "temperature": temperature,
            "threshold": threshold,
        },
    )


def evaluated_texts(recipe: Recipe, task: Task, labels: Sequence[str], effort: Effort) -> dict[str, list[str]]:
    """The texts of every array in logits.npz, by its name."""
    texts = {"test": evaluation_rows(recipe, task, "test", labels, effort).texts, "golden": golden_texts()}
    return texts | {name: test_only_rows(name, task, labels).texts for name in recipe.also_evaluate}


def all_logits(
    texts: Sequence[str],
    words: Tokenizer,
    lengths: Sequence[int],
    runner: Runner,
    reporter: Reporter,
    title: str,
) -> np.ndarray:
    """(N, C) float32, one text at a time, as a device would do it."""
    outputs = []
    with reporter.bar(title, len(texts)) as bar:
        for number, text in enumerate(texts, start=1):
            outputs.append(logits_of(text, words, lengths, runner))
            if number % 100 == 0 or number == len(texts):
                bar.update(number)
    return np.stack(outputs)


def _seed_accuracy(model: Any, words: Tokenizer, recipe: Recipe, test: Labelled) -> float:
    known = test.labels != metrics.REJECT
    runner = PyTorchRunner(model)
    texts = [text for text, keep in zip(test.texts, known, strict=True) if keep]
    logits = [logits_of(text, words, recipe.export.lengths, runner) for text in texts]
    return metrics.accuracy(np.stack(logits).argmax(axis=1), test.labels[known])


def _rows(recipe: Recipe, task: Task, split: str) -> list[Row]:
    return tasks.rows(task, split, recipe.data.count, recipe.data.seed)


def _text(row: Row) -> str:
    assert row.text is not None, "a row of a classification task has a text"
    return row.text
