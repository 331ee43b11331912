"""An LSTM layer as ONNX's operator LSTM, or with int8 weights as ONNX Runtime's DynamicQuantizeLSTM.

The operator reads (T, B, D) and gives (T, directions, B, H), 0 at padding; the backward direction starts at the last
real position, as in models/lstm.py. Its gates stand in the order input, output, forget, cell. Sources:
onnx.ai/onnx/operators/onnx__LSTM.html; docs/ContribOperators.md of ONNX Runtime (com.microsoft.DynamicQuantizeLSTM).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgewright.compress.quantize import GridWeight
from edgewright.export import onnx_four_bits
from edgewright.export.onnx_graph import MICROSOFT, Rewriter, attributes
from edgewright.export.onnx_unsigned import MIDDLE, restored, shifted

GATES = (0, 2, 1, 3)  # blocks of input, forget, output, cell (models/lstm.py) in ONNX's order; its own inverse
PER_DIRECTION = 4  # inputs of a traced node: weight and bias of each part


def float_layer(graph: Rewriter, node: onnx.NodeProto) -> None:
    """Write the traced node as LSTM."""
    weights = []
    for names in _weights(node):
        rows = np.stack([reordered(graph.array(name)) for name in names])  # (directions, 4 H, D)
        weights.append(graph.constant(f"{names[0]}.rows", rows))
    _layer(graph, node, "LSTM", "", weights, [])


def integer_layer(graph: Rewriter, node: onnx.NodeProto, weights: Mapping[str, GridWeight]) -> None:
    """Write the traced node as DynamicQuantizeLSTM, with the grid's integers and a scale for each row."""
    columns, quantization = [], []
    for names in _weights(node):
        grids = [weights[name] for name in names]
        integers = np.stack([reordered(grid.integers).T for grid in grids])  # (directions, D, 4 H)
        scales = np.stack([reordered(grid.scales) for grid in grids])  # (directions, 4 H)
        columns.append(graph.constant(f"{names[0]}.gates", shifted(integers)))
        quantization.append(graph.constant(f"{names[0]}.gate_scales", scales))
        quantization.append(graph.constant(f"{names[0]}.gate_zeros", np.full(scales.shape, MIDDLE, np.uint8)))
    _layer(graph, node, "DynamicQuantizeLSTM", MICROSOFT, columns, ["", "", "", *quantization])


def unpacked_layer(graph: Rewriter, node: onnx.NodeProto, weights: Mapping[str, GridWeight]) -> None:
    """Write the traced node as LSTM whose float weights are unpacked from the grid's integers of four bits."""
    hidden = attributes(node)["hidden_size"]
    rows = graph.constant(f"gates_of_{hidden}", reordered(np.arange(4 * hidden)))
    axis = graph.constant("direction", np.array([0], np.int64))
    tensors = []
    for names in _weights(node):
        parts = []
        for name in names:
            ordered = graph.add("Gather", [onnx_four_bits.floats(graph, name, weights[name]), rows], f"{name}.ordered")
            parts.append(graph.add("Unsqueeze", [ordered, axis], f"{name}.direction"))
        tensors.append(graph.add("Concat", parts, f"{names[0]}.rows", axis=0))
    _layer(graph, node, "LSTM", "", tensors, [])


def stored(found: Mapping[str, TensorProto], name: str) -> GridWeight | None:
    """The integers and scales of a parameter of an LSTM layer, if `found` (constants by name) has it."""
    forward = name.replace("_reverse.weight", ".weight")
    if f"{forward}.gates" not in found:
        return None
    direction = int(forward != name)
    integers = restored(numpy_helper.to_array(found[f"{forward}.gates"])[direction])
    scales = numpy_helper.to_array(found[f"{forward}.gate_scales"])[direction]
    return GridWeight(reordered(integers.T), reordered(scales), 8)


def parameters(node: onnx.NodeProto) -> list[str]:
    """The names of all weights of a traced node."""
    return [name for names in _weights(node) for name in names]


def reordered(values: np.ndarray) -> np.ndarray:
    """Rows of gates in ONNX's order from ours, and the other way round."""
    parts = np.split(values, 4)
    return np.concatenate([parts[gate] for gate in GATES])


def _weights(node: onnx.NodeProto) -> tuple[list[str], list[str]]:
    """The names of the weights on the input, and of those on the state: one a direction."""
    return list(node.input[2::PER_DIRECTION]), list(node.input[4::PER_DIRECTION])


def _layer(
    graph: Rewriter,
    node: onnx.NodeProto,
    operator: str,
    domain: str,
    weights: Sequence[str],
    quantization: Sequence[str],
) -> None:
    source, count, result = node.input[0], node.input[1], node.output[0]
    layer = node.input[2].removesuffix(".input.weight")
    biases = [
        np.concatenate([reordered(graph.array(name)) for name in node.input[start : start + PER_DIRECTION][1::2]])
        for start in range(2, len(node.input), PER_DIRECTION)
    ]
    both = len(biases) == 2
    steps = graph.add("Transpose", [source], f"{result}.steps", perm=[1, 0, 2])
    operands = [steps, *weights, graph.constant(f"{layer}.biases", np.stack(biases)), count, *quantization]
    while not operands[-1]:  # no count, and nothing behind it
        operands.pop()
    outputs = graph.add(
        operator,
        operands,
        f"{result}.outputs",
        name=node.name,
        domain=domain,
        hidden_size=attributes(node)["hidden_size"],
        direction="bidirectional" if both else "forward",
    )
    if both:
        outputs = graph.add("Transpose", [outputs], f"{result}.directions", perm=[2, 0, 1, 3])
        graph.add("Reshape", [outputs, graph.constant("both_directions", np.array([0, 0, -1], np.int64))], result)
    else:
        axis = graph.constant("direction_axis", np.array([1], np.int64))
        graph.add("Transpose", [graph.add("Squeeze", [outputs, axis], f"{result}.direction")], result, perm=[1, 0, 2])
