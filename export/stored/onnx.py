"""Reads the weights of an .onnx file, or of a folder of them, a method each."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compress.quantize import QuantizedModel
from edgewright.export import onnx_integers, onnx_recurrent
from edgewright.export.onnx_unsigned import MIDDLE, SUFFIXES, ZERO
from edgewright.export.stored import Contents, Held, fewest_axes


def read(path: Path, model: QuantizedModel, names: Collection[str]) -> Contents:
    files = {file.stem: file for file in sorted(path.glob("*.onnx"))} if path.is_dir() else {"forward": path}
    protos = {method: onnx.load(file) for method, file in files.items()}
    weights = {
        name: [held for method, proto in protos.items() for held in _of_method(method, proto, name)] for name in names
    }
    return Contents(tuple(protos), weights)


def _of_method(method: str, proto: onnx.ModelProto, name: str) -> Iterator[Held]:
    found = {tensor.name: tensor for tensor in proto.graph.initializer}
    grid = onnx_integers.stored(proto, name)
    if grid is not None:
        values = grid.integers.astype(np.int16) - _zeros(found, name, grid.integers.ndim)
        yield Held(method, "int4" if grid.bits == 4 else "int8", values, fewest_axes(grid.scales))
    floats = _floats(found, name)
    if floats is not None:
        yield Held(method, "float32", floats)


def _zeros(found: dict[str, onnx.TensorProto], name: str, axes: int) -> np.ndarray:
    """What the zero points of a weight are beside those that its integers were read with: all 0 in a file of ours."""
    forward = name.replace("_reverse.weight", ".weight")
    if f"{forward}.gate_zeros" in found:
        zeros = numpy_helper.to_array(found[f"{forward}.gate_zeros"])[int(forward != name)]
        zeros = onnx_recurrent.reordered(zeros)
    elif f"{name}.zeros" in found:
        zeros = numpy_helper.to_array(found[f"{name}.zeros"])
    elif ZERO in found and any(f"{name}{suffix}" in found for suffix in SUFFIXES):
        zeros = numpy_helper.to_array(found[ZERO]).reshape(1)
    else:
        return np.zeros((), np.int16)
    middle = MIDDLE if zeros.dtype == np.uint8 else 0
    return zeros.astype(np.int16).reshape(-1, *[1] * (axes - 1)) - middle


def _floats(found: dict[str, onnx.TensorProto], name: str) -> np.ndarray | None:
    """The weight as a float constant, if it is one."""
    if name in found:
        return numpy_helper.to_array(found[name])
    if f"{name}.transposed" in found:
        return numpy_helper.to_array(found[f"{name}.transposed"]).T
    forward = name.replace("_reverse.weight", ".weight")
    if f"{forward}.rows" in found:  # (directions, 4 H, D)
        return onnx_recurrent.reordered(numpy_helper.to_array(found[f"{forward}.rows"])[int(forward != name)])
    return None
