"""Reads the weights of a .mlpackage: constants that are called as the parameters are."""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from edgewright.compress.quantize import QuantizedModel
from edgewright.export.stored import Contents, Held, fewest_axes, shape_of
from edgewright.runtimes.mil.loading import dense, scaled_integers, stored_constants
from edgewright.runtimes.mil.weights import Stored


def read(path: Path, model: QuantizedModel, names: Collection[str]) -> Contents:
    constants = list(stored_constants(path))
    weights: dict[str, list[Held]] = {}
    for name in names:
        stored = re.sub(r"\W", "_", name)  # as export/coreml_weights.py calls it
        floats = re.compile(f"model_{stored}(_\\w+)?")  # as coremltools does; the type's name may be appended
        weights[name] = [
            _held(kind, tensors)
            for constant, kind, tensors in constants
            if (constant == stored and kind != "const")
            or (kind == "const" and floats.fullmatch(constant) and _fits(tensors["val"], shape_of(model, name)))
        ]
    return Contents((), weights)


def _held(kind: str, tensors: dict[str, Stored]) -> Held:
    if kind in ("const", "constexpr_sparse_to_dense"):
        values = tensors["val"].values if kind == "const" else dense(tensors)
        return Held("", "float16" if values.dtype == np.float16 else "float32", values)
    found = scaled_integers(kind, tensors)
    if found is None:
        return Held("", "palette", np.empty(0))
    bits, values = found[0], found[1].astype(np.int16)
    scales = fewest_axes(tensors["scale"].values)
    zeros = tensors.get("zero_point") or tensors.get("offset")
    if zeros is not None and zeros.values.any():
        shifts = zeros.values.astype(np.int16)
        if shifts.ndim == 1:  # of constexpr_affine_dequantize, one a row
            shifts = shifts.reshape(-1, *[1] * (values.ndim - 1))
        elif shifts.ndim > 1:  # of blocks
            shifts = np.repeat(shifts, values.shape[1] // shifts.shape[1], axis=1)
        values = values - shifts
    return Held("", "int4" if bits == 4 else "int8", values, scales)


def _fits(stored: Stored, shape: tuple[int, ...]) -> bool:
    return bool(np.issubdtype(stored.element.numpy, np.floating)) and stored.values.shape == shape
