"""Embeddings of the grid in an ONNX graph: rows of integers are gathered, and where the model sums them, summed first.

GatherBlockQuantized has blocks of 4 bits, but with a sum behind it takes twice as long as the nodes here: 61 µs and
not 34 for 16 positions of 16 rows of 64 numbers (ONNX Runtime 1.31).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgewright.compress.quantize import GridWeight
from edgewright.export import nibbles
from edgewright.export.onnx_graph import Rewriter, attributes

ONES = "_ones"  # end of the names of constants that only add up
HALVES = ".halves"  # end of the name of a table with two integers in a byte
LEAST = 8  # added to an integer of 4 bits, so that none is negative
POSITIVE = 17 * LEAST  # the same to both in a byte


class Rows(NamedTuple):
    """Names of tensors: what was gathered for ids (...)."""

    integers: str  # (..., D)
    zero: str  # what 0 is among them; "" for 0
    scales: str  # (): of the table, or (...)
    by_row: bool


def rows(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight, result: str) -> Rows:
    """Write the rows that the ids of a Gather name to `result`, as integers, and their scales."""
    name, ids = node.input
    scales, by_row = graph.constant(f"{name}.scales", grid.scales), grid.scales.ndim == 1
    if by_row:
        scales = graph.add("Gather", [scales, ids], f"{result}.scales", axis=0)
    if grid.bits == 8:
        graph.add("Gather", [graph.constant(f"{name}.integers", grid.integers), ids], result, axis=0)
        return Rows(result, "", scales, by_row)
    stored = (nibbles.packed(grid.integers).astype(np.int16) + POSITIVE).astype(np.uint8)
    found = graph.add("Gather", [graph.constant(f"{name}{HALVES}", stored), ids], f"{result}.bytes", axis=0)
    first = graph.add("BitwiseAnd", [found, graph.constant("low_half", np.uint8(15))], f"{result}.first")
    four = graph.constant("half", np.uint8(4))
    second = graph.add("BitShift", [found, four], f"{result}.second", direction="RIGHT")
    graph.add("Concat", [first, second], result, axis=-1)
    return Rows(result, graph.constant("least_integer", np.uint8(LEAST)), scales, by_row)


def embedding(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    """Write a Gather of floats as one of integers, then Cast and Mul.

    Not DequantizeLinear: ONNX Runtime moves it behind a following Transpose with a QuantizeLinear to uint8 before
    it, which cuts off the negative values.
    """
    result = node.output[0]
    found = rows(graph, node, grid, f"{result}.rows")
    scales = found.scales
    if found.by_row:
        scales = graph.add("Unsqueeze", [scales, graph.constant("last", np.array([-1], np.int64))], f"{result}.scales")
    graph.add("Mul", [_floats(graph, found), scales], result)


def sums_rows(graph: Rewriter, node: onnx.NodeProto) -> bool:
    """Whether a node sums rows (…, K, D) over K, which is known, to (…, D)."""
    shape = graph.shapes.get(node.input[0], ())
    axes = graph.array(node.input[1]).tolist() if len(node.input) > 1 and node.input[1] in graph.values else []
    axis_before_last = axes in ([-2], [len(shape) - 2])
    return axis_before_last and attributes(node).get("keepdims", 1) == 0 and isinstance(shape[-2], int)


def summed(graph: Rewriter, node: onnx.NodeProto, found: Rows) -> None:
    """Write a sum of an embedding's rows: as their product with ones, on the integers, and then scaled.

    A third of the time of making floats of them and adding those (ONNX Runtime 1.31), with the same result. Where each
    row has its own scale, as the product of the scales with floats.
    """
    result = node.output[0]
    if found.by_row:
        axis = graph.constant("axis_before_last", np.array([-2], np.int64))
        scales = graph.add("Unsqueeze", [found.scales, axis], f"{result}.scales")  # (…, 1, K)
        total = graph.add("MatMul", [scales, _floats(graph, found)], f"{result}.total")
        graph.add("Squeeze", [total, axis], result)
        return
    count = graph.shapes[node.input[0]][-2]
    ones = graph.constant(f"{count}{ONES}", np.ones(count, np.uint8))
    operands = [ones, found.integers, *(["", found.zero] if found.zero else [])]
    total = graph.add("MatMulInteger", operands, f"{result}.integers")
    floats = graph.add("Cast", [total], f"{result}.unscaled", to=TensorProto.FLOAT)
    graph.add("Mul", [floats, found.scales], result)


def stored(found: Mapping[str, onnx.TensorProto], name: str) -> GridWeight | None:
    """The integers and scales of a table with two integers in a byte, if `found` (constants by name) has it."""
    if f"{name}{HALVES}" not in found:
        return None
    halves = numpy_helper.to_array(found[f"{name}{HALVES}"]).astype(np.int16) - POSITIVE
    return GridWeight(nibbles.unpacked(halves), numpy_helper.to_array(found[f"{name}.scales"]), 4)


def _floats(graph: Rewriter, found: Rows) -> str:
    """The integers as floats."""
    floats = graph.add("Cast", [found.integers], f"{found.integers}.float", to=TensorProto.FLOAT)
    if not found.zero:
        return floats
    least = graph.constant("least", np.float32(LEAST))
    return graph.add("Sub", [floats, least], f"{found.integers}.signed")
