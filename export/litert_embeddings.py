"""Embeddings of the grid in a TFLite file: rows of integers are gathered, and XNNPACK makes floats of what was found.

EMBEDDING_LOOKUP multiplies one value at a time, 1 ns each: 16 positions of 16 features of width 32 took 16 of 25 µs.
GATHER copies whole rows, and XNNPACK takes what follows.

Integers of 8 bits and one scale a table: DEQUANTIZE. A scale a row: the scales are gathered too, from
"embedding.weight.scales" (rows, 1), as the quantization of a tensor would cost 12 bytes a row in each signature.
Integers of 4 bits: "embedding.weight.nibbles", two in a byte (nibbles.py); each byte is dequantized to 1/16 of it, its
floor is the second integer, and what is left the first.
"""

import copy
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgewright.compress.quantize import GridWeight
from edgewright.export import litert_file, nibbles

NIBBLES, SCALES = ".nibbles", ".scales"  # ends of the names of constants


def look_up_integers(model: schema.ModelT, tables: Mapping[bytes, GridWeight]) -> None:
    """Exchange each EMBEDDING_LOOKUP of a table of the grid.

    tables: the grid of a table that the quantizer left float, by its float values. Those that it made int8 have one
        scale a table.
    """
    for graph in model.subgraphs:
        rewritten = []
        for operator in graph.operators:
            if litert_file.operator_name(model, operator) == "EMBEDDING_LOOKUP":
                (ids, table), (result,) = operator.inputs, operator.outputs
                writer = _Lookup(model, graph, int(ids), int(result))
                held = graph.tensors[table]
                if held.type == schema.TensorType.INT8:
                    rewritten += writer.of_integers(int(table))
                    continue
                data = model.buffers[held.buffer].data
                grid = None if data is None else tables.get(bytes(data))  # None: float16 that is made float32
                if grid is not None:
                    rewritten += writer.of_grid(int(table), grid)
                    continue
            rewritten.append(operator)
        graph.operators = rewritten


def by_itself(grid: GridWeight) -> bool:
    """Whether an embedding of this grid is written here from the start: the quantizer has no fast form for it."""
    return grid.bits == 4 or grid.scales.ndim == 1


def constants(name: str, grid: GridWeight) -> dict[str, np.ndarray]:
    """What a file holds of an embedding that is written `by_itself`, by the names of the constants."""
    stored = {f"{name}{SCALES}": grid.scales.reshape(-1, 1)}
    if grid.bits == 4:
        return {f"{name}{NIBBLES}": nibbles.packed(grid.integers), **stored}
    return {name: grid.integers, **stored}


class _Lookup:
    """Makes the operators that put the rows of the ids where a lookup put them."""

    def __init__(self, model: schema.ModelT, graph: schema.SubGraphT, ids: int, result: int) -> None:
        self.model = model
        self.graph = graph
        self.ids = ids
        self.result = result
        self.shape = tuple(int(size) for size in graph.tensors[result].shape)  # (..., D)
        self.operators: list[schema.OperatorT] = []

    def of_integers(self, table: int) -> list[schema.OperatorT]:
        """From a table of int8 with a scale."""
        self._add("DEQUANTIZE", [self._gather(table, self.shape)], self.result, schema.DequantizeOptionsT(), version=2)
        return self.operators

    def of_grid(self, table: int, grid: GridWeight) -> list[schema.OperatorT]:
        """From a float table, in the place of which comes what `constants` names."""
        scales = self._constant(grid.scales.reshape(-1, 1))
        if grid.scales.size > 1:
            scales = self._gather(scales, (*self.shape[:-1], 1))
        if grid.bits == 4:
            self._replace(table, nibbles.packed(grid.integers), 1 / 16, -nibbles.SHIFT)
            values = self._halves(table)
        else:
            self._replace(table, grid.integers, 1.0, 0)
            values = self._dequantized(table, self.shape)
        self._add("MUL", [values, scales], self.result, schema.MulOptionsT())
        return self.operators

    def _halves(self, table: int) -> int:
        """Both integers of the bytes (..., D / 2), as floats (..., D)."""
        half = (*self.shape[:-1], self.shape[-1] // 2)
        bytes_ = self._dequantized(table, half)  # (byte + SHIFT) / 16
        second = self._float("FLOOR", [bytes_], half)
        left = self._float("SUB", [bytes_, second], half, schema.SubOptionsT())
        left = self._float("MUL", [left, self._constant(16)], half, schema.MulOptionsT())
        first = self._float("SUB", [left, self._constant(nibbles.SHIFT)], half, schema.SubOptionsT())
        joining = schema.ConcatenationOptionsT()
        joining.axis = len(half) - 1
        return self._float("CONCATENATION", [first, second], self.shape, joining)

    def _dequantized(self, table: int, shape: tuple[int, ...]) -> int:
        rows = self._gather(table, shape)
        return self._float("DEQUANTIZE", [rows], shape, schema.DequantizeOptionsT(), version=2)

    def _gather(self, table: int, shape: tuple[int, ...]) -> int:
        """The rows of a table, in its own type."""
        held = self.graph.tensors[table]
        rows = litert_file.new_tensor(self.graph, held.type, shape)
        self.graph.tensors[rows].quantization = copy.copy(held.quantization)
        options = schema.GatherOptionsT()
        options.axis = 0
        self._add("GATHER", [table, self.ids], rows, options, version=2)
        return rows

    def _float(
        self, name: str, inputs: list[int], shape: tuple[int, ...], options: object = None, version: int = 1
    ) -> int:
        """The float tensor that a new operator writes."""
        output = litert_file.new_tensor(self.graph, schema.TensorType.FLOAT32, shape)
        self._add(name, inputs, output, options, version)
        return output

    def _add(self, name: str, inputs: list[int], output: int, options: object = None, version: int = 1) -> None:
        self.operators.append(litert_file.new_operator(self.model, name, inputs, [output], options, version))

    def _replace(self, table: int, integers: np.ndarray, scale: float, zero: int) -> None:
        """Make a constant one of int8: value = (integer - zero) scale."""
        tensor = self.graph.tensors[table]
        tensor.type, tensor.shape = schema.TensorType.INT8, np.array(integers.shape, np.int32)
        tensor.buffer = litert_file.new_buffer(self.model, integers)
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = np.array([scale], np.float32), np.array([zero], np.int64)
        tensor.quantization = quantization

    def _constant(self, values: float | np.ndarray) -> int:
        values = np.asarray(values, np.float32)
        tensor = litert_file.new_tensor(self.graph, schema.TensorType.FLOAT32, values.shape)
        self.graph.tensors[tensor].buffer = litert_file.new_buffer(self.model, values)
        return tensor
