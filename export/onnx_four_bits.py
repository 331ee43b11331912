"""Weights of four bits: MatMulNBits for linear layers, and constants that ONNX Runtime unpacks when it loads a file.

Both hold the same bytes: (outputs, blocks, BLOCK / 2) uint8, the first of a pair in the low half, 8 added to each.
"""

import numpy as np
import onnx
from onnx import TensorProto

from edgewright.compress.quantize import BLOCK, GridWeight
from edgewright.export.onnx_graph import MICROSOFT, Rewriter

ACCURACY_LEVEL = 4  # MatMulNBits computes with int8 activations
LEAST = 8  # added to an integer, so that none is negative


def linear(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    """Write a traced linear layer as MatMulNBits."""
    source, name, bias = node.input
    outputs, inputs = grid.integers.shape
    graph.add(
        "MatMulNBits",
        [
            source,
            graph.constant(f"{name}.nibbles", _packed(grid)),
            graph.constant(f"{name}.scales", grid.scales.reshape(-1)),
            "",
            "",
            bias,
        ],
        node.output[0],
        name=node.name,
        domain=MICROSOFT,
        K=inputs,
        N=outputs,
        bits=4,
        block_size=BLOCK,
        accuracy_level=ACCURACY_LEVEL,
    )


def floats(graph: Rewriter, name: str, grid: GridWeight) -> str:
    """Nodes that give a weight (outputs, inputs) as floats, from its integers of four or eight bits.

    They read constants only, so ONNX Runtime computes them once, when it loads the file. DequantizeLinear would stay:
    ONNX Runtime keeps it for its fusions.
    """
    if grid.bits == 8:
        integers = graph.constant(f"{name}.integers", grid.integers)
        values = graph.add("Cast", [integers], f"{name}.values", to=TensorProto.FLOAT)
        scales = graph.constant(f"{name}.scales", grid.scales)
        column = graph.constant("column_axis", np.array([1], np.int64))
        return graph.add("Mul", [values, graph.add("Unsqueeze", [scales, column], f"{name}.column")], f"{name}.float")
    packed = graph.constant(f"{name}.nibbles", _packed(grid))
    low = graph.add("BitwiseAnd", [packed, graph.constant("low_half", np.uint8(15))], f"{name}.low")
    high = graph.add("BitShift", [packed, graph.constant("half", np.uint8(4))], f"{name}.high", direction="RIGHT")
    pair = graph.constant("pair_axis", np.array([3], np.int64))
    halves = [graph.add("Unsqueeze", [half, pair], f"{half}.half") for half in (low, high)]
    pairs = graph.add("Concat", halves, f"{name}.pairs", axis=3)
    values = graph.add("Cast", [pairs], f"{name}.positive", to=TensorProto.FLOAT)
    values = graph.add("Sub", [values, graph.constant("least", np.float32(LEAST))], f"{name}.values")
    blocks = graph.constant("blocks", np.array([0, 0, BLOCK], np.int64))
    values = graph.add("Reshape", [values, blocks], f"{name}.blocks")
    scales = graph.constant(f"{name}.scales", grid.scales[:, :, None])
    values = graph.add("Mul", [values, scales], f"{name}.scaled")
    return graph.add("Reshape", [values, graph.constant("rows", np.array([0, -1], np.int64))], f"{name}.float")


def unpacked(packed: np.ndarray, scales: np.ndarray) -> GridWeight:
    """The grid that these constants hold."""
    pairs = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.int8) - LEAST
    return GridWeight(pairs.reshape(len(packed), -1), scales.reshape(packed.shape[:2]), 4)


def _packed(grid: GridWeight) -> np.ndarray:
    outputs, inputs = grid.integers.shape
    pairs = (grid.integers + LEAST).astype(np.uint8).reshape(outputs, inputs // BLOCK, BLOCK // 2, 2)
    return pairs[..., 0] | pairs[..., 1] << 4
