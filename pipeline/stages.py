"""The graph of a recipe: which stages there are, what each depends on, and which code and libraries count."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgewright.compress.numerics import INT8, SUPPORT, Numerics, Target
from edgewright.data.tasks import Task
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.chain import Chain, Step, chain, evaluated, lengths
from edgewright.pipeline.graph import Graph, Stage, folder_of
from edgewright.pipeline.makers import LABELS, MAKERS
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, QuantizeTable, Recipe
from edgewright.pipeline.timing import Made
from edgewright.train.processes import rank

LIBRARIES: dict[Target, tuple[str, ...]] = {
    "executorch": ("torch", "executorch", "torchao"),
    "litert": ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert"),
    "coreml": ("torch", "coremltools"),
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
}
_CHECKS = ("benchmarks.accuracy", "benchmarks.parity", "benchmarks.sequence_parity", "benchmarks.state_parity")
_TIMING = tuple(
    f"edgewright.benchmarks.{name}"
    for name in (
        *("latency", "worker", "once", "reference_workload", "validity", "intervals"),
        *("load_time", "memory", "empty_graph", "peers.tfidf"),
    )
)


@dataclass(frozen=True)
class Branch:
    """What is made from the models of one step: a file for each cell, and the proof that it gives the answers."""

    step: Step
    exports: dict[tuple[Target, Numerics], Stage]
    checks: dict[tuple[Target, Numerics], Stage]


@dataclass(frozen=True)
class Plan:
    """The stages of a run by what they are for.

    branches: with --ablate one for each step, with the cells that ship by default; the last one is the run's own.
    """

    graph: Graph
    data: Stage
    tokenizer: Stage
    reference: Stage
    exports: dict[tuple[Target, Numerics], Stage]
    checks: dict[tuple[Target, Numerics], Stage]
    baselines: Stage
    timings: Stage
    branches: dict[str, Branch]
    teachers: dict[str, Learnt]  # of the recipes that taught it, by their names
    ablation: Stage | None = None  # the timings of all branches, taken in turn
    ablated: frozenset[tuple[Target, Numerics]] = frozenset()  # the cells that each branch has

    def learnt(self) -> Learnt:
        folder = self.graph.folder
        return Learnt(folder(self.data), folder(self.tokenizer), folder(self.reference))

    def learnt_by(self, step: str) -> Learnt:
        """What the models of an earlier step are; there with --ablate."""
        made, folder = self.branches[step].step, self.graph.folder
        return Learnt(folder(self.data), folder(made.words), folder(made.reference))


def build(
    recipe: Recipe, task: Task, effort: Effort, build_folder: Path, reporter: Reporter, ablate: bool = False
) -> Plan:
    """All stages of the recipe at this effort; nothing is made yet.

    ablate: also export, verify and time the models of every step before the last.
    """
    made = chain(recipe, task, effort, build_folder, reporter)
    maker = _Maker(recipe, task, effort, build_folder, reporter, made)
    wanted = [cell for cell in recipe.export.cells() if SUPPORT[cell[1], cell[0]].supported]
    branches = {made.last.name: maker.branch(made.last, wanted, "")}
    baselines = maker.baselines()
    own = branches[made.last.name]
    timings = maker.timings("timings", [own], baselines)
    ablation = None
    ablated = _ablated(recipe, wanted)
    if ablate:
        earlier = {step.name: maker.branch(step, ablated, step.name) for step in made.steps[:-1]}
        branches = earlier | branches
        shown = [*earlier.values(), Branch(own.step, {cell: own.exports[cell] for cell in ablated}, own.checks)]
        ablation = maker.timings("ablation", shown, baselines)
    targets = [made.last.reference, *own.exports.values(), *own.checks.values(), baselines, timings]
    for branch in branches.values():
        targets += [branch.step.reference, *branch.checks.values()]
    graph = Graph(build_folder, ordered([*targets, *([ablation] if ablation else [])]), follower=rank() > 0)
    last = made.last
    return Plan(
        graph,
        made.data,
        last.words,
        last.reference,
        own.exports,
        own.checks,
        baselines,
        timings,
        branches,
        {name: Learnt(graph.folder(made.data), *map(graph.folder, pair)) for name, pair in made.teachers.items()},
        ablation,
        frozenset(ablated),
    )


def _ablated(recipe: Recipe, wanted: Sequence[tuple[Target, Numerics]]) -> list[tuple[Target, Numerics]]:
    """The cells of --ablate: of each target fp32, and what ships, or int8, or else all."""
    chosen = []
    for target in recipe.export.targets:
        asked = [numerics for one, numerics in wanted if one == target]
        small = recipe.export.ship.get(target, INT8[target])
        kept = [numerics for numerics in asked if numerics in ("fp32", small)] if small in asked else asked
        chosen += [(target, numerics) for numerics in kept]
    return chosen


def ordered(wanted: Sequence[Stage]) -> list[Stage]:
    """These stages and all that they need, each after those that it needs."""
    found: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.title not in found:
            for before in stage.after:
                visit(before)
            found[stage.title] = stage

    for stage in wanted:
        visit(stage)
    return list(found.values())


@dataclass(frozen=True)
class _Maker:
    """What all stages behind the models have in common."""

    recipe: Recipe
    task: Task
    effort: Effort
    build: Path
    reporter: Reporter
    chain: Chain

    def folder(self, stage: Stage) -> Path:
        return folder_of(self.build, stage)

    def branch(self, step: Step, cells: Sequence[tuple[Target, Numerics]], suffix: str) -> Branch:
        """suffix: tells the stages of an earlier step from the run's own."""
        exports = {cell: self._export(*cell, step, suffix) for cell in cells}
        return Branch(step, exports, {cell: self._check(*cell, step, made, suffix) for cell, made in exports.items()})

    def _export(self, target: Target, numerics: Numerics, step: Step, suffix: str) -> Stage:
        recipe, task, made_by = self.recipe, self.task, MAKERS[self.task.kind]
        learnt = self._learnt(step)
        return Stage(
            _named(f"export-{target}-{numerics}", suffix),
            lambda to, _: made_by.artifact(recipe, task, target, numerics, learnt, to),
            after=(self.chain.data, step.words, step.reference),
            settings={"name": recipe.name, "description": recipe.description}
            | lengths(recipe)
            | ({"calibration": recipe.export.calibration_rows} if numerics.startswith("static") else {})
            | ({"quantize": asdict(recipe.quantize)} if recipe.quantize != QuantizeTable() else {}),
            code=(
                "edgewright.export",
                "edgewright.compress.quantize",
                "edgewright.pipeline.cells",
                *(module for module in made_by.code if made_by is not LABELS),
                "edgewright.runtimes",
            ),
            libraries=LIBRARIES[target],
        )

    def _check(self, target: Target, numerics: Numerics, step: Step, made: Stage, suffix: str) -> Stage:
        recipe, task, effort, learnt = self.recipe, self.task, self.effort, self._learnt(step)
        return Stage(
            _named(f"verify-{target}-{numerics}", suffix),
            lambda to, _: MAKERS[task.kind].verify(
                recipe, task, effort, target, numerics, learnt, self.folder(made), to, self.reporter
            ),
            after=(self.chain.data, step.words, step.reference, made),
            settings=evaluated(recipe, task, effort),
            code=tuple(f"edgewright.{name}" for name in (*_CHECKS, "train.metrics")),
        )

    def baselines(self) -> Stage:
        recipe, task, effort, learnt = self.recipe, self.task, self.effort, self._learnt(self.chain.last)
        return Stage(
            "baselines",
            lambda to, _: MAKERS[task.kind].baselines(recipe, task, effort, learnt, to, self.reporter),
            after=(self.chain.data, self.chain.last.reference),
            settings=evaluated(recipe, task, effort),
            code=("edgewright.benchmarks.peers.tfidf",),
            libraries=("scikit-learn",),
        )

    def timings(self, name: str, branches: Sequence[Branch], baselines: Stage) -> Stage:
        """name: "timings" of the run's own cells, or "ablation" of the cells of several steps."""
        recipe, task, effort, learnt = self.recipe, self.task, self.effort, self._learnt(self.chain.last)
        made = [
            Made(target, numerics, self.folder(stage), branch.step.name if len(branches) > 1 else "")
            for branch in branches
            for (target, numerics), stage in branch.exports.items()
        ]
        exports = [stage for branch in branches for stage in branch.exports.values()]
        step = self.chain.last
        return Stage(
            name,
            lambda to, _: MAKERS[task.kind].timings(
                recipe, task, effort, learnt, made, self.folder(baselines), to, self.reporter
            ),
            after=(self.chain.data, step.words, step.reference, *exports, baselines),
            settings={"timing": effort},
            code=(*_TIMING, "edgewright.runtimes"),
        )

    def _learnt(self, step: Step) -> Learnt:
        return Learnt(self.folder(self.chain.data), self.folder(step.words), self.folder(step.reference))


def _named(name: str, suffix: str) -> str:
    return f"{name}-{suffix}" if suffix else name
