"""The graph of a recipe: which stages there are, what each depends on, and which code and libraries count."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgewright.benchmarks.record import Baseline
from edgewright.benchmarks.reports.run_report import Details
from edgewright.compress.numerics import SUPPORT, Numerics, Target
from edgewright.data import sources
from edgewright.data.tasks import Task
from edgewright.export.bundle import Content
from edgewright.pipeline import (
    cells,
    examples,
    learn,
    replies,
    reply_tables,
    reply_timing,
    sequence_tables,
    sequence_timing,
    sequences,
    tables,
    timing,
)
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.details import label_details
from edgewright.pipeline.graph import Graph, Stage, folder_of
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.reply_details import reply_details
from edgewright.pipeline.timing import Made
from edgewright.train.processes import rank

LIBRARIES: dict[Target, tuple[str, ...]] = {
    "executorch": ("torch", "executorch", "torchao"),
    "litert": ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert"),
    "coreml": ("torch", "coremltools"),
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
}
_DATA = ("edgewright.data",)
_PREDICT = ("edgewright.runtimes", "edgewright.data")
_CHECKS = ("benchmarks.accuracy", "benchmarks.parity", "benchmarks.sequence_parity", "benchmarks.state_parity")
_TIMING = tuple(
    f"edgewright.benchmarks.{name}"
    for name in (
        *("latency", "worker", "once", "reference_workload", "validity", "intervals"),
        *("load_time", "memory", "empty_graph", "peers.tfidf"),
    )
)


@dataclass(frozen=True)
class Makers:
    """What makes the results for a kind of task; each takes what the function for labels takes.

    The first eight fill the folders of the stages. pytorch: the float model's figures, as a baseline. content: the
    bundle of the shipped cells. details: what the page shows beyond the record. check: refuses a wrong recipe.
    """

    data: Callable[..., None]
    tokenizer: Callable[..., None]
    model: Callable[..., None]
    reference: Callable[..., None]
    artifact: Callable[..., None]
    verify: Callable[..., None]
    baselines: Callable[..., None]
    timings: Callable[..., None]
    pytorch: Callable[..., Baseline]
    content: Callable[..., Content]
    details: Callable[..., Details]
    check: Callable[[Recipe], None]
    code: tuple[str, ...]  # the modules that these are in, those of cells apart


LABELS = Makers(
    learn.make_data,
    learn.make_tokenizer,
    learn.make_model,
    learn.make_reference,
    cells.make_artifact,
    cells.verify,
    timing.make_baselines,
    timing.make_timings,
    timing.pytorch_baseline,
    cells.bundle_content,
    label_details,
    tables.check,
    ("edgewright.pipeline.learn",),
)
SEQUENCES = Makers(
    sequences.make_data,
    sequences.make_tokenizer,
    sequences.make_model,
    sequences.make_reference,
    sequences.make_artifact,
    sequences.verify,
    sequence_timing.make_baselines,
    sequence_timing.make_timings,
    sequence_timing.pytorch_baseline,
    sequences.bundle_content,
    sequences.details,
    sequence_tables.check,
    ("edgewright.pipeline.sequences", "edgewright.pipeline.sequence_data", "edgewright.pipeline.sequence_tables"),
)
REPLIES = Makers(
    replies.make_data,
    replies.make_tokenizer,
    replies.make_model,
    replies.make_reference,
    replies.make_artifact,
    replies.verify,
    reply_timing.make_baselines,
    reply_timing.make_timings,
    reply_timing.pytorch_baseline,
    replies.bundle_content,
    reply_details,
    reply_tables.check,
    (
        *("edgewright.pipeline.replies", "edgewright.pipeline.reply_data", "edgewright.pipeline.reply_figures"),
        "edgewright.benchmarks.reply_parity",
    ),
)
MAKERS: dict[str, Makers] = {
    "single_label": LABELS,
    "tags": LABELS,
    "sequence": SEQUENCES,
    "generation": REPLIES,
}


@dataclass(frozen=True)
class Plan:
    """The stages of a run by what they are for."""

    graph: Graph
    data: Stage
    tokenizer: Stage
    reference: Stage
    exports: dict[tuple[Target, Numerics], Stage]
    checks: dict[tuple[Target, Numerics], Stage]
    baselines: Stage
    timings: Stage

    def learnt(self) -> Learnt:
        folder = self.graph.folder
        return Learnt(folder(self.data), folder(self.tokenizer), folder(self.reference))


def build(recipe: Recipe, task: Task, effort: Effort, build_folder: Path, reporter: Reporter) -> Plan:
    """All stages of the recipe at this effort; nothing is made yet."""
    made_by = MAKERS[task.kind]
    rows = {
        "task": _task_settings(task),
        "count": recipe.data.count,
        "seed": recipe.data.seed,
        "fingerprint": sources.fingerprint(sources.find(task.source), recipe.data.count, recipe.data.seed),
    }
    evaluated = {
        "rows": f"at most {examples.RAPID_ROWS}" if effort == "rapid" else "all",
        "also": {name: sources.fingerprint(sources.find(name)) for name in recipe.also_evaluate},
    } | ({"prompts": recipe.export.prompts} if task.kind == "generation" else {})
    lengths = {"lengths": list(recipe.export.lengths)}

    def folder(stage: Stage) -> Path:
        return folder_of(build_folder, stage)

    data = Stage("data", lambda to, _: made_by.data(recipe, task, to), settings=rows, code=_DATA)
    tokenizer = Stage(
        "tokenizer",
        lambda to, _: made_by.tokenizer(recipe, task, to),
        after=(data,),
        settings={"tokenizer": recipe.tokenizer, **lengths, **tables.pretrained_files(recipe)},
        code=_DATA,
        libraries=("tokenizers",),
    )

    def train_stage(seed: int) -> Stage:
        return Stage(
            f"train-seed{seed}",
            lambda to, kept: made_by.model(recipe, task, seed, folder(data), folder(tokenizer), to, kept, reporter),
            after=(data, tokenizer),
            settings={"model": recipe.model, "train": recipe.train, "seed": seed, **lengths}
            | tables.pretrained_files(recipe),
            code=("edgewright.models", "edgewright.train", "edgewright.data.dataset"),
            libraries=("torch", "numpy"),
            joint=True,
        )

    trained = {seed: train_stage(seed) for seed in recipe.seeds}
    reference = Stage(
        "reference",
        lambda to, _: made_by.reference(
            recipe,
            task,
            effort,
            folder(data),
            folder(tokenizer),
            {seed: folder(stage) for seed, stage in trained.items()},
            to,
            reporter,
        ),
        after=(data, tokenizer, *trained.values()),
        settings=evaluated | lengths,
        code=(*made_by.code, "edgewright.train", *_PREDICT),
        libraries=("torch",),
    )
    learnt = Learnt(folder(data), folder(tokenizer), folder(reference))
    base = (data, tokenizer, reference)

    def export_stage(target: Target, numerics: Numerics) -> Stage:
        return Stage(
            f"export-{target}-{numerics}",
            lambda to, _: made_by.artifact(recipe, task, target, numerics, learnt, to),
            after=base,
            settings={"name": recipe.name, "description": recipe.description}
            | lengths
            | ({"calibration": recipe.export.calibration_rows} if numerics.startswith("static") else {}),
            code=(
                "edgewright.export",
                "edgewright.compress.quantize",
                "edgewright.pipeline.cells",
                *(module for module in made_by.code if made_by is not LABELS),
                "edgewright.runtimes",
            ),
            libraries=LIBRARIES[target],
        )

    def check_stage(target: Target, numerics: Numerics, made: Stage) -> Stage:
        return Stage(
            f"verify-{target}-{numerics}",
            lambda to, _: made_by.verify(recipe, task, effort, target, numerics, learnt, folder(made), to, reporter),
            after=(*base, made),
            settings=evaluated,
            code=tuple(f"edgewright.{name}" for name in (*_CHECKS, "train.metrics")),
        )

    wanted = [cell for cell in recipe.export.cells() if SUPPORT[cell[1], cell[0]].supported]
    exports = {cell: export_stage(*cell) for cell in wanted}
    checks = {cell: check_stage(*cell, made) for cell, made in exports.items()}
    baselines = Stage(
        "baselines",
        lambda to, _: made_by.baselines(recipe, task, effort, learnt, to, reporter),
        after=(data, reference),
        settings=evaluated,
        code=("edgewright.benchmarks.peers.tfidf",),
        libraries=("scikit-learn",),
    )
    timings = Stage(
        "timings",
        lambda to, _: made_by.timings(
            recipe,
            task,
            effort,
            learnt,
            [Made(target, numerics, folder(stage)) for (target, numerics), stage in exports.items()],
            folder(baselines),
            to,
            reporter,
        ),
        after=(*base, *exports.values(), baselines),
        settings={"timing": effort},
        code=(*_TIMING, "edgewright.runtimes"),
    )
    order = [data, tokenizer, *trained.values(), reference, *exports.values(), *checks.values(), baselines, timings]
    graph = Graph(build_folder, order, follower=rank() > 0)
    return Plan(graph, data, tokenizer, reference, exports, checks, baselines, timings)


def _task_settings(task: Task) -> dict[str, Any]:
    """The task without its bounds: a gate decides nothing that is cached."""
    settings = asdict(task)
    settings.pop("targets")
    return settings
