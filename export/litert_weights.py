"""The weights of a TFLite file beside those of the model: which buffer holds which, and whether it is the grid's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from edgewright.compress.quantize import GridWeight, QuantizedModel
from edgewright.errors import ExportError
from edgewright.export import litert_embeddings, litert_file
from edgewright.export.convolutions import as_stored


def layers(file: Any, model: QuantizedModel, used: frozenset[str]) -> dict[int, str]:
    """The parameter that each buffer holds, for the weights of all used layers that have one.

    Parameters that belong to no such layer (a table of positions, of which each length takes a part) have no grid and
    no fixed form in a file.

    Raises:
        ExportError: a weight is missing in the form that the numerics name.
    """
    found = litert_file.constants(file)
    named: dict[int, str] = {}
    for path, layer in model.module.named_modules():
        name = f"{path}.weight".removeprefix(".")
        if not isinstance(layer, nn.Embedding | nn.Linear | nn.Conv1d) or name not in used:
            continue
        grid = model.weights.get(name)
        if isinstance(layer, nn.Embedding) and grid is not None and litert_embeddings.by_itself(grid):
            named |= _tables(found, name, grid)
            continue
        values = layer.weight.detach().numpy() if grid is None else grid.integers
        values = values.astype(np.float16) if model.numerics == "fp16" else values
        values = as_stored(values)  # a Conv1d's as taps * columns, be it a convolution (OHWI) or a product in the file
        scales = np.empty(0) if grid is None else grid.scales.reshape(-1)
        kind = str(values.dtype) if grid is None else f"int{grid.bits}"
        for constant in found:
            if _equal(constant, kind, values, scales):
                named[constant.buffer] = name
                break
        else:
            raise ExportError(f"litert: {name} is not stored as the {kind} values that {model.numerics} names")
    return named


def _tables(found: Sequence[litert_file.Constant], name: str, grid: GridWeight) -> dict[int, str]:
    """The buffers of an embedding that litert_embeddings.py wrote, with their names."""
    named = {}
    for part, values in litert_embeddings.constants(name, grid).items():
        same = [constant for constant in found if constant.kind == str(values.dtype)]
        same = [constant for constant in same if np.array_equal(constant.values, values)]
        if not same:
            raise ExportError(f"litert: {part} is not stored as the {grid.bits} bits and scales that the grid names")
        named[same[0].buffer] = part
    return named


def _equal(constant: litert_file.Constant, kind: str, values: np.ndarray, scales: np.ndarray) -> bool:
    if constant.kind != kind or constant.values.size != values.size:
        return False
    if not np.array_equal(constant.values.reshape(values.shape), values):
        return False
    if constant.scales.size != scales.size:
        return False
    zero = ~values.reshape(max(1, scales.size), -1).any(axis=1)  # a row of zeros has no scale to agree on
    return bool(np.all((constant.scales.reshape(-1) == scales) | zero)) if scales.size else True
