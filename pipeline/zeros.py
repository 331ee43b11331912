"""What the files of a run do with weights that are zero: store them like any other number, or leave them out."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from edgewright.benchmarks.record import StepResult, surely_more
from edgewright.compress.numerics import DENSE, Numerics, weight_bits
from edgewright.compress.quantize import QUANTIZED, Precision, layers
from edgewright.compress.sparsify import share_of_zeros
from edgewright.export.artifact import Artifact
from edgewright.pipeline import cells, compression
from edgewright.pipeline.recipe import Recipe
from edgewright.pipeline.stages import Plan

Pruned = Mapping[tuple[str, str], tuple[StepResult, StepResult]]  # by cell what was before pruning, and after it


@dataclass(frozen=True)
class Zeros:
    """The zeros of a recipe's last model, and its files.

    share: of all weights, 0 where the recipe makes no zeros. alone: nothing else was pruned, so that what pruning did
    is what zeros do. dense_bytes: by cell what all weights take in its types, without scales and tables.
    """

    share: float
    alone: bool
    artifacts: tuple[Artifact, ...]
    dense_bytes: Mapping[tuple[str, str], int]


def zeros_of(recipe: Recipe, plan: Plan) -> Zeros | None:
    """None where the recipe neither makes zeros nor has a cell that would leave them out."""
    config = compression.prune_config(recipe)
    sparse = config is not None and config.sparsity > 0
    if not sparse and not any(numerics in DENSE for _, numerics in plan.exports):
        return None
    model, precision = plan.learnt().model(), cells.precision_of(recipe)
    return Zeros(
        share_of_zeros(model) if sparse else 0.0,
        alone=sparse and config is not None and not (config.structured or config.changes_words),
        artifacts=tuple(
            cells.read_artifact(plan.graph.folder(stage), target).artifact
            for (target, _), stage in plan.exports.items()
        ),
        dense_bytes={cell: dense_bytes(model, cell[1], precision) for cell in plan.exports},
    )


def dense_bytes(model: nn.Module, numerics: Numerics, precision: Precision) -> int:
    """What the weights of the layers that have a grid take in a file that stores all of them."""
    forms = layers(model, numerics, precision)
    bits = {  # by parameter: two layers may share one
        layer.weight: forms[name].bits if name in forms else weight_bits(numerics)
        for name, layer in model.named_modules()
        if isinstance(layer, QUANTIZED)
    }
    return sum(weight.numel() * of_one for weight, of_one in bits.items()) // 8


def lines_of(found: Zeros, pruned: Pruned) -> list[str]:
    """For each target what its files do with the zeros, a line each."""
    lines = []
    for target in dict.fromkeys(artifact.target for artifact in found.artifacts):
        own = {artifact.numerics: artifact for artifact in found.artifacts if artifact.target == target}
        full = [
            _with_zeros(artifact, found.dense_bytes[target, numerics], pruned if found.alone else {})
            for numerics, artifact in own.items()
            if numerics not in DENSE and sum(artifact.weight_bytes.values()) >= found.dense_bytes[target, numerics]
        ]
        if found.share and full:
            advice = (
                f"; {' and '.join(DENSE)} would leave them out" if target == "coreml" and not DENSE.keys() & own else ""
            )
            lines.append(
                f"{target} stores the zeros ({found.share:.1%} of the weights) like any other number: "
                f"{'; '.join(full)}{advice}."
            )
        lines += [_sparse(artifact, own.get(DENSE[n])) for n, artifact in own.items() if n in DENSE]
    return lines


def _with_zeros(artifact: Artifact, weights: int, pruned: Pruned) -> str:
    """A file that stores all weights: beside that of the step before, or beside the bytes of its weights."""
    pair = pruned.get((artifact.target, artifact.numerics))
    if pair is None:
        held = sum(artifact.weight_bytes.values())
        return f"{artifact.numerics} holds {held:,} bytes of constants, and its weights with all zeros are {weights:,}"
    before, result = pair
    sizes = f"{artifact.numerics} has {result.size_bytes:,} bytes, before pruning {before.size_bytes:,}"
    if before.p50_ms is None or result.p50_ms is None:
        return sizes
    how = "takes" if surely_more(before.p50_ms, result.p50_ms) else "is no faster:"
    return f"{sizes}, and {how} {result.p50_ms.value:.4f} ms, before {before.p50_ms.value:.4f} ms"


def _sparse(artifact: Artifact, dense: Artifact | None) -> str:
    """A file of sparse numerics, beside the one that stores the same numbers with their zeros."""
    name = f"{artifact.target} {artifact.numerics}"
    size = f"{artifact.size_bytes:,} bytes"
    beside = f"{size}, {dense.numerics} {dense.size_bytes:,}" if dense is not None else size
    if not artifact.sparse:
        return f"{name} leaves out no zeros, as no weight has so many that a bit for each of its values pays: {beside}."
    left_out, of, saved = (f"{artifact.sparse[figure]:,}" for figure in ("zeros", "weights", "saved_bytes"))
    return (
        f"{name} leaves out {left_out} zeros of {of} values, which saves {saved} bytes: {beside}. Whether Apple's "
        "runtime is slower or faster with it was not measured."
    )
