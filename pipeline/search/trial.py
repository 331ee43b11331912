"""What one trial makes and measures, as stages of the cached graph.

    data, tokenizer ─┬─ draft: fresh weights ── its files ── timing          before training
                     └─ train (distil, …) ── weights ── files ── check       on validation

A latency and, but for a few bytes, a size do not depend on the weights: both are taken from the draft, so that a
candidate that breaks the budget is not trained. The training stages are those of `edgewright run`, and are shared with
it. Stages are made under a lock, since several processes may need one.
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks.job_files import write_texts
from edgewright.benchmarks.latency import Job, measure
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.prune import smaller
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, sha256, write_atomically, write_json
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer
from edgewright.export import bundle as bundles
from edgewright.models import MODELS, checkpoint
from edgewright.pipeline import cells, compression, examples, learn, makers
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.chain import chain, lengths
from edgewright.pipeline.graph import Graph, Stage, folder_of
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.stages import LIBRARIES, ordered
from edgewright.pipeline.tables import build_model, family_of
from edgewright.pipeline.timing import NOT_TIMED, timed_texts
from edgewright.runtimes.answers import answers_of
from edgewright.runtimes.opening import open_predictor
from edgewright.runtimes.pytorch import PyTorchRunner

CODE = "edgewright.pipeline.search.trial"
ONLY_IN_TRAINING = "dropout"  # settings of a model with this in their name change neither its size nor its time
SCORES = ("accuracy", "macro_f1", "span_f1")
Cell = tuple[Target, Numerics]


@dataclass(frozen=True)
class Files:
    """The stages of what is exported from one set of weights."""

    weights: Stage
    exports: dict[Cell, Stage]


@dataclass(frozen=True)
class Trial:
    """The stages of one point. timing: of the draft, or of the trained files where only these have the real sizes."""

    recipe: Recipe
    task: Task
    effort: Effort
    build: Path
    shared: tuple[Stage, ...]  # that do not depend on the point: the data, and the teachers' answers
    data: Stage
    words: Stage
    model: Stage
    draft: Files
    trained: Files
    timing: Stage

    def folder(self, stage: Stage) -> Path:
        return folder_of(self.build, stage)


def read(path: Path, effort: Effort, build: Path) -> Trial:
    """The trial of a plain recipe.

    Raises:
        UsageError: what is wrong with the recipe.
    """
    return plan(recipes.read(path).for_effort(effort), effort, build)


def plan(recipe: Recipe, effort: Effort, build: Path) -> Trial:
    """Raises UsageError: what is wrong with the recipe."""
    task = recipe.task_with_gates()
    examples.require_labels(task.kind, "search")
    makers.MAKERS[task.kind].check(recipe)
    made = chain(recipe, task, effort, build, Reporter(quiet=True))
    words, model = made.last.words, made.last.models[recipe.seeds[0]]
    structure = {key: value for key, value in recipe.model.items() if ONLY_IN_TRAINING not in key}

    def files(weights: Stage) -> Files:
        learnt = _learnt(build, made.data, words, weights)
        return Files(weights, {cell: _export_stage(recipe, task, cell, learnt, weights) for cell in cells_of(recipe)})

    draft = files(
        Stage(
            "search-draft",
            lambda to, _: _write_weights(recipe, task, build, made.data, words, None, to),
            after=(made.data, words),
            settings={"model": structure, "prune": recipe.prune, **lengths(recipe)},
            code=("edgewright.models", "edgewright.compress.prune", CODE),
            libraries=("torch",),
        )
    )
    trained = files(
        Stage(
            "search-weights",
            lambda to, _: _write_weights(recipe, task, build, made.data, words, model, to),
            after=(made.data, words, model),
            settings=lengths(recipe),
            code=("edgewright.models", CODE),
            libraries=("torch",),
        )
    )
    timed = draft if is_drafted(recipe) else trained
    timing = Stage(
        "search-timing",
        lambda to, _: _write_timing(recipe, task, effort, build, made.data, timed, to),
        after=(made.data, *timed.exports.values()),
        settings={"timing": effort},
        code=("edgewright.benchmarks.latency", "edgewright.benchmarks.worker", "edgewright.runtimes"),
    )
    shared = [stage for stage in ordered([model]) if stage.name == "data" or stage.name.startswith("teach-")]
    return Trial(recipe, task, effort, build, tuple(shared), made.data, words, model, draft, trained, timing)


def cells_of(recipe: Recipe) -> list[Cell]:
    """The cells of a point: one for each of its targets."""
    return recipe.export.cells()


def make_shared(trial: Trial, say: Callable[[str], None]) -> None:
    """The data, and the answers of the teachers, which are trained for it where they are not there."""
    graph = Graph(trial.build, ordered(trial.shared))
    graph.run(progress=lambda step: None if step.cached else say(f"make  {step.stage.title}  ({step.reason})"))


def sizes(trial: Trial, drafted: bool) -> dict[Target, dict[str, Any]]:
    """Export the draft, or the trained model: for each target numerics, size_bytes and shipped_bytes."""
    files = trial.draft if drafted else trial.trained
    _make(trial, list(files.exports.values()))
    learnt = _learnt(trial.build, trial.data, trial.words, files.weights)
    words = bundles.tokenizer_bytes(learnt.tokenizer / "tokenizer.json")
    found = {}
    for (target, numerics), stage in files.exports.items():
        size = read_json(trial.folder(stage) / "artifact.json")["size_bytes"]
        shipped = bundles.shipped_bytes(size, words, learnt.labels())
        found[target] = {"numerics": numerics, "size_bytes": size, "shipped_bytes": shipped}
    return found


def is_timed(trial: Trial) -> bool:
    """Whether its times are there: a candidate of the same structure was timed before."""
    return trial.folder(trial.timing).is_dir()


def times(trial: Trial) -> dict[Target, dict[str, Any]]:
    """For each target that can be timed here the interval of its text -> label p50, in milliseconds, and whether the
    machine was quiet. The exported files must be there; nothing else should run."""
    _make(trial, [trial.timing], locked=False)
    return dict(read_json(trial.folder(trial.timing) / "timing.json"))


def train(trial: Trial) -> dict[str, Any]:
    """Train, export and check on validation.

    "weights": SHA-256 of the checkpoint; "epochs"; "float": the score of training itself; "sizes", as above; and
    "scores": for each target the figures of its file.
    """
    _make(trial, [trial.model])
    history = read_json(trial.folder(trial.model) / "history.json")
    return {
        "weights": sha256(trial.folder(trial.model) / "model.safetensors"),
        "epochs": len(history["epochs"]),
        "float": history["best_score"],
        "sizes": sizes(trial, drafted=False),
        "scores": scores(trial, "validation"),
    }


def scores(trial: Trial, split: str) -> dict[Target, dict[str, float | None]]:
    """For each target accuracy, macro_f1 and span_f1 of its trained file on a split, through its runtime."""
    checks = {cell: _check_stage(trial, cell, split) for cell in trial.trained.exports}
    _make(trial, list(checks.values()))
    return {target: read_json(trial.folder(stage) / "check.json") for (target, _), stage in checks.items()}


def is_drafted(recipe: Recipe) -> bool:
    """Whether a draft says how large and how fast the model will be: only what pruning leaves of a vocabulary is not
    known before training."""
    config = compression.prune_config(recipe)
    return config is None or not config.changes_words


def _fresh(recipe: Recipe, tokenizer: Tokenizer, classes: int) -> Any:
    """A model with the sizes that training and pruning will leave, and random weights."""
    model: Any = build_model(recipe, tokenizer, classes, recipe.seeds[0])
    config = compression.prune_config(recipe)
    if config is None or not config.structured:
        return model.eval()
    family = family_of(recipe)
    return MODELS[family].module(smaller(model.config, family, config)).eval()


def _learnt(build: Path, data: Stage, words: Stage, weights: Stage) -> Learnt:
    return Learnt(folder_of(build, data), folder_of(build, words), folder_of(build, weights))


def _export_stage(recipe: Recipe, task: Task, cell: Cell, learnt: Learnt, weights: Stage) -> Stage:
    target, numerics = cell
    return Stage(
        f"{weights.name}-{target}-{numerics}",
        lambda to, _: cells.make_artifact(recipe, task, target, numerics, learnt, to),
        after=(*weights.after, weights),
        settings={"name": recipe.name, "description": recipe.description, **lengths(recipe)}
        | {"quantize": asdict(recipe.quantize)}
        | ({"calibration": recipe.export.calibration_rows} if numerics.startswith("static") else {}),
        code=("edgewright.export", "edgewright.compress.quantize", "edgewright.pipeline.cells", "edgewright.runtimes"),
        libraries=LIBRARIES[target],
    )


def _check_stage(trial: Trial, cell: Cell, split: str) -> Stage:
    made = trial.trained.exports[cell]
    return Stage(
        f"search-{split}-{cell[0]}-{cell[1]}",
        lambda to, _: _write_check(trial, cell, split, trial.folder(made), to),
        after=(trial.data, made),
        settings={"split": split, "rows": "some" if trial.effort == "rapid" else "all"},
        code=("edgewright.benchmarks.accuracy", "edgewright.train.metrics", CODE),
    )


def _write_weights(
    recipe: Recipe, task: Task, build: Path, data: Stage, words: Stage, model: Stage | None, to: Path
) -> None:
    """A folder as the reference of a run, but without the answers on the test split: an artifact can be made from it.

    model: the stage that trained it; None is a model with fresh weights.
    """
    labels = read_json(folder_of(build, data) / "data.json")["labels"]
    tokenizer = tokenizers.load(folder_of(build, words) / "tokenizer.json")
    seed = recipe.seeds[0]
    if model is None:
        net = _fresh(recipe, tokenizer, len(labels))
    else:
        net = checkpoint.load_model(folder_of(build, model) / "model.safetensors")
    runner = PyTorchRunner(net)
    golden = [answers_of(text, tokenizer, recipe.export.lengths, runner) for text in learn.golden_texts()]
    checkpoint.save_model(net, family_of(recipe), to / "model.safetensors")
    write_atomically(to / "logits.npz", lambda path: np.savez(path, golden=np.concatenate(golden)))
    figures = {"seed": seed, "temperature": 1.0, "threshold": None}
    decoding = learn.decoding_json(net, labels) if task.kind == "tags" else None
    write_json(to / "reference.json", {**figures, "decoding": decoding})


def _write_timing(recipe: Recipe, task: Task, effort: Effort, build: Path, data: Stage, files: Files, to: Path) -> None:
    """timing.json. The texts are of validation: the test split is for the chosen model."""
    labels = read_json(folder_of(build, data) / "data.json")["labels"]
    rows = examples.load(recipe, task, "validation", labels, effort)
    said = write_texts(timed_texts(rows.texts), to / "texts.json")
    jobs = [
        Job(target, target, folder_of(build, stage) / "bundle", texts=said, numerics=numerics)
        for (target, numerics), stage in files.exports.items()
        if target not in NOT_TIMED
    ]
    taken = measure(jobs, effort) if jobs else {}
    said.unlink()  # texts of a data set stay out of what is kept
    found = {name: series["text_to_label"].series for name, series in taken.items()}
    write_json(
        to / "timing.json",
        {name: {"p50_ms": asdict(one.p50_ms), "quiet": one.timing.quiet} for name, one in found.items()},
    )


def _write_check(trial: Trial, cell: Cell, split: str, made: Path, to: Path) -> None:
    """check.json: the figures of the file on the rows that belong to a class."""
    recipe, task = trial.recipe, trial.task
    learnt = _learnt(trial.build, trial.data, trial.words, trial.trained.weights)
    rows = examples.load(recipe, task, split, learnt.labels(), trial.effort)
    rows = rows.in_scope() if task.kind != "tags" else rows
    predictor = open_predictor(made / "bundle", *cell)
    answers = learn.all_answers(
        rows.texts, predictor.tokenizer, recipe.export.lengths, predictor.runner, Reporter(quiet=True), split
    )
    scored = cells.score(task, learnt, answers, rows)
    write_json(to / "check.json", {name: scored[name] for name in SCORES})


def _make(trial: Trial, wanted: Sequence[Stage], locked: bool = True) -> None:
    """Make what is missing of these stages and of those before them."""
    stages = ordered(wanted)
    graph = Graph(trial.build, stages)
    for stage in stages:
        if trial.folder(stage).is_dir():
            continue
        with _alone(trial.build, stage) if locked else nullcontext():
            graph.run(only={stage.title})


@contextmanager
def _alone(build: Path, stage: Stage) -> Iterator[None]:
    """While this process makes a stage, no other one of this machine does; it then finds the result."""
    folder = build / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{stage.name}-{stage.key}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
