"""Reads the weights of a .tflite file: constants that are called as the parameters are, in each signature."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgewright.compress.quantize import QuantizedModel
from edgewright.export import litert_file, nibbles
from edgewright.export.litert_embeddings import NIBBLES, SCALES
from edgewright.export.stored import Contents, Held, Kind, fewest_axes, from_taps, shape_of

KINDS: dict[int, Kind] = {
    schema.TensorType.INT8: "int8",
    schema.TensorType.INT4: "int4",
    schema.TensorType.FLOAT16: "float16",
    schema.TensorType.FLOAT32: "float32",
}
FLOATS: dict[Kind, Any] = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True)
class _Constant:
    """raw: values as they are stored; zeros: what is to be subtracted, for all or a row."""

    kind: Kind
    raw: np.ndarray
    zeros: np.ndarray
    scales: np.ndarray | None

    @property
    def values(self) -> np.ndarray:
        if not self.zeros.any():
            return self.raw
        return self.raw - self.zeros.astype(np.int16).reshape(-1, *[1] * (self.raw.ndim - 1))


def read(path: Path, model: QuantizedModel, names: Collection[str]) -> Contents:
    file = litert_file.read(path)
    weights: dict[str, list[Held]] = {name: [] for name in names}
    by_function = {
        definition.signatureKey.decode(): _constants(file, file.subgraphs[definition.subgraphIndex])
        for definition in file.signatureDefs
    }
    for function, constants in by_function.items():
        for name in names:
            weights[name] += _held(function, name, constants, shape_of(model, name))
    # weights of the same content share a buffer, which is called as one of them
    for name in [name for name, held in weights.items() if not held and name in model.weights]:
        grid = model.weights[name]
        for function, constants in by_function.items():
            for constant in (one for several in constants.values() for one in several):
                if constant.kind == f"int{grid.bits}" and constant.raw.size == grid.integers.size:
                    values = from_taps(constant.values, grid.integers.shape)
                    if np.array_equal(values, grid.integers):
                        weights[name].append(Held(function, constant.kind, values, constant.scales))
    return Contents(tuple(by_function), weights)


def _held(function: str, name: str, constants: dict[str, list[_Constant]], shape: tuple[int, ...]) -> list[Held]:
    """The weight of that name; see litert_embeddings.py for those that come in parts."""
    beside = constants.get(f"{name}{SCALES}")
    if beside is not None:
        scales = fewest_axes(beside[0].raw)
        if packed := constants.get(f"{name}{NIBBLES}"):
            return [Held(function, "int4", nibbles.unpacked(packed[0].raw), scales)]
        return [Held(function, one.kind, one.values, scales) for one in constants.get(name, [])[:1]]
    return [Held(function, one.kind, from_taps(one.values, shape), one.scales) for one in constants.get(name, [])]


def _constants(file: Any, graph: Any) -> dict[str, list[_Constant]]:
    """By name; a table twice where the rows that a GATHER takes out of it have a scale of their own."""
    found: dict[str, list[_Constant]] = {}
    for tensor in graph.tensors:
        if tensor.type in KINDS and file.buffers[tensor.buffer].data is not None and tensor.shape is not None:
            found.setdefault(tensor.name.decode(), []).append(_constant(file, graph, tensor, tensor))
    for operator in graph.operators:
        if litert_file.operator_name(file, operator) == "GATHER":
            table, rows = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
            if table.type == schema.TensorType.INT8 and file.buffers[table.buffer].data is not None:
                # what is looked up is scaled by its own quantization
                found.setdefault(table.name.decode(), []).append(_constant(file, graph, table, rows))
    return found


def _constant(file: Any, graph: Any, tensor: Any, scaled_as: Any) -> _Constant:
    kind = KINDS[tensor.type]
    raw: np.ndarray = np.frombuffer(bytes(file.buffers[tensor.buffer].data), FLOATS.get(kind, np.int8))
    if kind == "int4":  # two's complement, the first of a pair in the low half
        raw = np.stack([raw << 4 >> 4, raw >> 4], axis=1).reshape(-1)[: int(np.prod(tensor.shape))]
    raw = raw.reshape([int(size) for size in tensor.shape])
    quantization = scaled_as.quantization
    if kind in FLOATS or quantization is None:
        return _Constant(kind, raw, np.zeros(1), None)
    zeros = np.zeros(1) if quantization.zeroPoint is None else np.asarray(quantization.zeroPoint)
    if quantization.details is not None:  # of blocks: a tensor (rows, blocks)
        stored = graph.tensors[quantization.details.scales]
        content = bytes(file.buffers[stored.buffer].data)
        blocks: np.ndarray = np.frombuffer(content, FLOATS[KINDS[stored.type]])
        return _Constant(kind, raw, zeros, fewest_axes(blocks.reshape([int(size) for size in stored.shape])))
    scales = quantization.scale
    return _Constant(kind, raw, zeros, None if scales is None else fewest_axes(np.asarray(scales, np.float32)))
