"""One quantized model in several files: whether they store the same integers, and on which test rows labels differ."""

import numpy as np

from edgewright.benchmarks import agreement, weights
from edgewright.benchmarks.record import OneModel
from edgewright.benchmarks.weight_cells import EQUAL
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.quantize import quantize
from edgewright.data.tasks import Task
from edgewright.export.artifact import SUFFIX
from edgewright.pipeline import examples
from edgewright.pipeline.cells import precision_of
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.stages import Plan

# The numerics of one grid. Static ones choose activation ranges by calibration, each target in its own way.
GRIDS: dict[int, tuple[Numerics, ...]] = {
    8: ("dynamic_wi8_afp32", "weight_only_wi8_afp16", "sparse_wi8_afp16"),
    4: ("dynamic_wi4_afp32", "weight_only_wi4_afp16"),
}


def compare(recipe: Recipe, task: Task, effort: Effort, plan: Plan) -> tuple[OneModel, ...]:
    """For 8 and for 4 bits what the files of all targets have in common; none for a grid that one target has alone."""
    if task.kind not in ("single_label", "tags"):
        return ()
    found = []
    for bits, numerics in GRIDS.items():
        cells = [cell for cell in plan.exports if cell[1] in numerics]
        if len({target for target, _ in cells}) > 1:
            found.append(_compare(bits, cells, recipe, task, effort, plan))
    return tuple(found)


def _compare(
    bits: int, cells: list[tuple[Target, Numerics]], recipe: Recipe, task: Task, effort: Effort, plan: Plan
) -> OneModel:
    learnt = plan.learnt()
    module = learnt.model()
    opened = {
        f"{target} {numerics}": (
            target,
            quantize(module, numerics, precision_of(recipe)),
            plan.graph.folder(plan.exports[target, numerics]) / f"{target}-{numerics}{SUFFIX[target]}",
        )
        for target, numerics in cells
    }
    layers = weights.compare_files(module, module.methods(recipe.export.lengths), opened)
    every = [(layer.name, cell) for layer in layers for cell in layer.cells.values()]
    test = examples.load(recipe, task, "test", learnt.labels(), effort)
    logits = {}
    for (target, numerics), name in zip(cells, opened, strict=True):
        with np.load(plan.graph.folder(plan.checks[target, numerics]) / "logits.npz", allow_pickle=False) as arrays:
            logits[name] = arrays["test"]
    return OneModel(
        bits=bits,
        files=tuple(opened),
        weights=len(layers),
        integers=sum(int(np.prod(layer.shape)) for layer in layers),
        differing_integers=sum(max(cell.differing for cell in layer.cells.values()) for layer in layers),
        unequal=tuple(dict.fromkeys(name for name, cell in every if cell.state not in EQUAL or cell.same is False)),
        agreement=agreement.agree(logits, [test.numbers[owner] for owner in test.owners], learnt.labels()),
    )
