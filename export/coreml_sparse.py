"""Sparse weights of a package: the values that are not 0, and a bit for each weight that says which those are.

The zeros are those of the model. coremltools' own prune_weights (9.0) looks for them anew, by a percentile that it
takes in float16: of a weight with more than 65,504 values it prunes none, and stores a mask all the same.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compress.numerics import DENSE, weight_bits
from edgewright.compress.quantize import QuantizedModel
from edgewright.export.coreml_tools import Builder, np_uint1_dtype
from edgewright.runtimes.mil.loading import mask_of, stored_constants

# What a mask costs beside its bits: its record in weight.bin, 64 bytes and 32 on average to the next multiple of 64,
# and what it adds to the program, measured: 346 bytes for integers, which two operators take (84 for floats).
_MASK_BYTES = 64 + 32 + 346


def is_sparse(name: str, model: QuantizedModel) -> bool:
    """Whether the weight `name` is stored without its zeros: where the numerics say so and it takes fewer bytes."""
    if model.numerics not in DENSE:
        return False
    grid = model.weights.get(name)
    values = as_float16(name, model) if grid is None else grid.integers
    zeros = values.size - np.count_nonzero(values)
    saved_bits = zeros * weight_bits(model.numerics) - values.size
    return bool(zeros < values.size and saved_bits > 8 * _MASK_BYTES)  # the format has no tensor without values


def as_float16(name: str, model: QuantizedModel) -> np.ndarray:
    """The weight `name` as a float16 package has it."""
    return np.asarray(model.module.get_parameter(name).detach().numpy().astype(np.float16))


def sparse_floats(values: np.ndarray, ios_18: bool, where: dict[str, Any]) -> Any:
    """The constant of float16 `values`; where: its name and place."""
    kept = values != 0
    if ios_18:
        mask = {"mask": kept.astype(np_uint1_dtype)}
    else:
        mask = {"mask": np.packbits(kept, bitorder="little"), "shape": np.array(values.shape, np.uint32)}
    return Builder.constexpr_sparse_to_dense(nonzero_data=values[kept], **mask, **where)


def sparse_integers(integers: np.ndarray, scales: np.ndarray, where: dict[str, Any]) -> Any:
    """The constant scales * integers (iOS 18); scales: float16, with as many axes as the integers."""
    kept = integers != 0
    scaled = where | {"name": f"{where['name']}_nonzero"}
    mask, nonzero = Builder.constexpr_sparse_blockwise_shift_scale(
        data_mask=kept.astype(np_uint1_dtype), nonzero_data=integers[kept], scale=scales, **scaled
    )
    return Builder.constexpr_sparse_to_dense(nonzero_data=nonzero, mask=mask, **where)


def storage(package: Path) -> dict[str, int]:
    """What Artifact.sparse says of a package; weights that several functions share are counted once."""
    found: dict[int | None, tuple[int, int, int]] = {}
    for _, kind, tensors in stored_constants(package):
        if not kind.startswith("constexpr_sparse_"):
            continue
        nonzero, mask = tensors["nonzero_data"], mask_of(tensors)
        weights = int(tensors["shape"].values.prod()) if "shape" in tensors else mask.values.size
        dense_bytes = (weights * nonzero.element.bits + 7) // 8
        saved = dense_bytes - nonzero.size_bytes - mask.size_bytes
        found[nonzero.offset] = (weights, weights - nonzero.values.size, saved)
    if not found:
        return {}
    totals = (sum(figures) for figures in zip(*found.values(), strict=True))
    return dict(zip(("weights", "zeros", "saved_bytes"), totals, strict=True))
