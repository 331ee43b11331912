"""Rewrites a float ONNX graph so that it stores the grid's integers and computes with them.

ONNX Runtime's own quantizer would pick other integers: an asymmetric uint8 embedding, one scale for a whole
convolution, and -8..7 for four bits. Standard operators only, except MatMulNBits for four bits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewright.compress.quantize import BLOCK, GridWeight
from edgewright.errors import ExportError

Ranges = Mapping[str, tuple[float, float]]  # least and greatest value of an activation, by tensor name
MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators
ACCURACY_LEVEL = 4  # MatMulNBits computes with int8 activations
END = np.iinfo(np.int64).max


def to_dynamic(model: onnx.ModelProto, weights: Mapping[str, GridWeight]) -> None:
    """Integer weights; activations are quantized at each call, one scale a tensor.

    Linear layers of four bits become MatMulNBits. A convolution becomes a matrix product over its taps, because
    ConvInteger takes three to four times as long as the float convolution (ONNX Runtime 1.31).
    """
    graph = _Rewriter(model, weights)
    for node in graph.take_nodes():
        grid = graph.grid_of(node)
        if grid is None:
            graph.keep(node)
        elif node.op_type == "Gather":
            _embedding(graph, node, grid)
        elif node.op_type == "Conv":
            _taps(graph, node, grid)
        elif grid.bits == 4:
            _four_bits(graph, node, grid)
        else:
            _quantized_product(graph, node, grid)
    graph.finish()


def to_static(model: onnx.ModelProto, weights: Mapping[str, GridWeight], ranges: Ranges) -> None:
    """Integer weights; activations around convolutions and linear layers have int8 ranges fixed beforehand.

    The QDQ form: ONNX Runtime fuses it to QLinearConv and QGemm. A result that is no output of the graph is
    quantized too, after its ReLU, since the fusion of a convolution needs that.
    """
    graph = _Rewriter(model, weights)
    outputs = {output.name for output in model.graph.output}
    ends = activations(model, weights)
    quantized = {result for _, result in ends if result not in outputs}
    for node in graph.take_nodes():
        grid = graph.grid_of(node)
        if grid is not None and node.op_type == "Gather":
            _embedding(graph, node, grid)
        elif grid is not None:
            _dequantized_operands(graph, node, grid, ranges)
        else:
            graph.keep(node)
        if node.output[0] in quantized:
            _around_result(graph, node.output[0], ranges)
    graph.finish()


def activations(model: onnx.ModelProto, weights: Mapping[str, GridWeight]) -> list[tuple[str, str]]:
    """Input and result (after its ReLU) of each convolution and linear layer: what needs a range."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    pairs = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in weights:
            result = node.output[0]
            following = readers.get(result, [])
            if len(following) == 1 and following[0].op_type == "Relu":
                result = following[0].output[0]
            pairs.append((node.input[0], result))
    return pairs


def stored(model: onnx.ModelProto, name: str) -> GridWeight | None:
    """The integers and scales that the file holds for a parameter, in the parameter's own layout; None if float."""
    found = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name.startswith(name + ".")}
    if f"{name}.integers" in found:
        return _grid(found, name, numpy_helper.to_array(found[f"{name}.integers"]), 8)
    if f"{name}.columns" in found:  # (inputs, outputs)
        return _grid(found, name, numpy_helper.to_array(found[f"{name}.columns"]).T, 8)
    if f"{name}.taps" in found:  # (taps x inputs, outputs)
        taps = numpy_helper.to_array(found[f"{name}.taps"])
        kernel = next(node for node in model.graph.node if node.name == f"{name}.windows")
        return _grid(found, name, taps.reshape(len(kernel.input), -1, taps.shape[1]).transpose(2, 1, 0), 8)
    if f"{name}.nibbles" in found:  # (outputs, blocks, bytes), the first of a pair in the low half, 8 added
        packed = numpy_helper.to_array(found[f"{name}.nibbles"])
        pairs = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.int8) - 8
        scales = numpy_helper.to_array(found[f"{name}.scales"])
        return GridWeight(pairs.reshape(len(packed), -1), scales.reshape(packed.shape[:2]), 4)
    return None


def _grid(found: Mapping[str, TensorProto], name: str, integers: np.ndarray, bits: int) -> GridWeight:
    return GridWeight(integers, numpy_helper.to_array(found[f"{name}.scales"]), bits)


class _Rewriter:
    """A graph that is being written anew, node by node."""

    def __init__(self, model: onnx.ModelProto, weights: Mapping[str, GridWeight]) -> None:
        self.model = model
        self.weights = weights
        self.values = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []

    def take_nodes(self) -> Sequence[onnx.NodeProto]:
        return list(self.model.graph.node)

    def keep(self, node: onnx.NodeProto) -> None:
        self.nodes.append(node)

    def grid_of(self, node: onnx.NodeProto) -> GridWeight | None:
        """The grid of the node's weight, where the node is one of those that this file rewrites."""
        place = {"Gather": 0, "Conv": 1, "Gemm": 1}.get(node.op_type)
        return None if place is None else self.weights.get(node.input[place])

    def constant(self, name: str, value: Any) -> str:
        self.values[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        return name

    def array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.values[name])

    def add(self, operator: str, inputs: Sequence[str], outputs: str | Sequence[str], **attributes: Any) -> str:
        """Append a node named like its first output, and give that output's name."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        name = attributes.pop("name", names[0])
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names[0]

    def finish(self) -> None:
        """Put the nodes in place, and leave out the constants that no node reads any more."""
        graph = self.model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        graph.initializer.extend(tensor for name, tensor in self.values.items() if name in used)


def _embedding(graph: _Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    """Gather int8 rows, then Cast and Mul.

    Not DequantizeLinear: ONNX Runtime moves it behind a following Transpose with a QuantizeLinear to uint8 before
    it, which cuts off the negative values.
    """
    name, ids = node.input
    result = node.output[0]
    table = graph.constant(f"{name}.integers", grid.integers)
    scale = graph.constant(f"{name}.scales", grid.scales)
    rows = graph.add("Gather", [table, ids], f"{result}.rows", axis=0)
    graph.add("Mul", [graph.add("Cast", [rows], f"{result}.float", to=TensorProto.FLOAT), scale], result)


def _quantized_product(graph: _Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    source, name, bias = node.input
    columns = graph.constant(f"{name}.columns", grid.integers.T)
    values, scale, zero = _quantized_at_run_time(graph, source, name)
    _product(graph, (values, scale, zero), columns, (name, grid), bias, node.output[0])


def _quantized_at_run_time(graph: _Rewriter, source: str, name: str) -> tuple[str, str, str]:
    outputs = [f"{name}.input.{part}" for part in ("integers", "scale", "zero")]
    graph.add("DynamicQuantizeLinear", [source], outputs)
    return outputs[0], outputs[1], outputs[2]


def _product(
    graph: _Rewriter, source: tuple[str, str, str], columns: str, weight: tuple[str, GridWeight], bias: str, result: str
) -> None:
    """source @ columns + bias, in the order of operators that ONNX Runtime fuses to one kernel."""
    (values, scale, zero), (name, grid) = source, weight
    integers = graph.add("MatMulInteger", [values, columns, zero], f"{name}.product")
    scales = graph.add("Mul", [scale, graph.constant(f"{name}.scales", grid.scales)], f"{name}.scale")
    product = graph.add("Cast", [integers], f"{name}.product.float", to=TensorProto.FLOAT)
    graph.add("Add", [graph.add("Mul", [product, scales], f"{name}.scaled"), bias], result)


def _taps(graph: _Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    """A Conv1d over (B, D, T) as a product: windows (B, T, taps x D) times (taps x D, H).

    The input is quantized before the windows are cut, so that each value is quantized once.
    """
    source, name, bias = node.input
    outputs, _, kernel = grid.integers.shape
    before, after = _padding(node, name)
    taps = graph.constant(f"{name}.taps", grid.integers.transpose(2, 1, 0).reshape(-1, outputs))
    last = graph.add("Transpose", [source], f"{name}.last", perm=[0, 2, 1])
    values, scale, zero = _quantized_at_run_time(graph, last, name)
    pads = graph.constant(f"{name}.pads", np.array([0, before, 0, 0, after, 0], np.int64))
    padded = graph.add("Pad", [values, pads, zero], f"{name}.padded")
    axis = graph.constant("time_axis", np.array([1], np.int64))
    windows = []
    for tap in range(kernel):
        begin = graph.constant(f"from_{tap}", np.array([tap], np.int64))
        behind = kernel - 1 - tap
        end = graph.constant(f"to_{-behind if behind else 'end'}", np.array([-behind if behind else END], np.int64))
        windows.append(graph.add("Slice", [padded, begin, end, axis], f"{name}.tap_{tap}"))
    window = graph.add("Concat", windows, f"{name}.windows", axis=2)
    product = f"{name}.result"
    _product(graph, (window, scale, zero), taps, (name, grid), bias, product)
    graph.add("Transpose", [product], node.output[0], perm=[0, 2, 1])


def _padding(node: onnx.NodeProto, name: str) -> tuple[int, int]:
    """Zeros before and after."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = {"group": 1, "strides": [1], "dilations": [1], "auto_pad": b"NOTSET"}
    others = [key for key, value in plain.items() if attributes.get(key, value) != value]
    if others:
        layer = name.removesuffix(".weight")
        raise ExportError(
            f"onnx: Conv in layer '{layer}' with {', '.join(others)} has no int8 form here; keep it plain"
        )
    before, after = attributes.get("pads", [0, 0])
    return int(before), int(after)


def _four_bits(graph: _Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    source, name, bias = node.input
    outputs, inputs = grid.integers.shape
    pairs = (grid.integers.astype(np.int16) + 8).astype(np.uint8).reshape(outputs, inputs // BLOCK, BLOCK // 2, 2)
    packed = graph.constant(f"{name}.nibbles", pairs[..., 0] | pairs[..., 1] << 4)
    scales = graph.constant(f"{name}.scales", grid.scales.reshape(-1))
    graph.add(
        "MatMulNBits",
        [source, packed, scales, "", "", bias],
        node.output[0],
        name=node.name,
        domain=MICROSOFT,
        K=inputs,
        N=outputs,
        bits=4,
        block_size=BLOCK,
        accuracy_level=ACCURACY_LEVEL,
    )
    if all(entry.domain != MICROSOFT for entry in graph.model.opset_import):
        graph.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def _dequantized_operands(graph: _Rewriter, node: onnx.NodeProto, grid: GridWeight, ranges: Ranges) -> None:
    """The node between DequantizeLinear of its input, its weight and its bias (int32, as the kernels take it)."""
    source, name, bias = node.input
    scale, zero = _int8_scale(*ranges[source])
    input_scale = graph.constant(f"{name}.input.scale", scale)
    input_zero = graph.constant(f"{name}.input.zero", zero)
    values = graph.add("QuantizeLinear", [source, input_scale, input_zero], f"{name}.input.integers")
    values = graph.add("DequantizeLinear", [values, input_scale, input_zero], f"{name}.input")

    integers = graph.constant(f"{name}.integers", grid.integers)
    scales = graph.constant(f"{name}.scales", grid.scales)
    zeros = graph.constant(f"{name}.zeros", np.zeros_like(grid.scales, np.int8))
    weight = graph.add("DequantizeLinear", [integers, scales, zeros], f"{name}.float", axis=0)
    bias_scales = (grid.scales * scale).astype(np.float32)
    bias_integers = np.round(graph.array(bias).astype(np.float64) / bias_scales).astype(np.int32)
    bias_operands = [
        graph.constant(f"{bias}.integers", bias_integers),
        graph.constant(f"{bias}.scales", bias_scales),
        graph.constant(f"{bias}.zeros", np.zeros_like(bias_integers)),
    ]
    offset = graph.add("DequantizeLinear", bias_operands, f"{bias}.float", axis=0)
    rewritten = onnx.NodeProto()
    rewritten.CopyFrom(node)
    rewritten.input[:] = [values, weight, offset]
    graph.keep(rewritten)


def _around_result(graph: _Rewriter, result: str, ranges: Ranges) -> None:
    """QuantizeLinear and DequantizeLinear behind the node that was added last."""
    scale, zero = _int8_scale(*ranges[result])
    graph.nodes[-1].output[0] = f"{result}.float"
    operands = [graph.constant(f"{result}.scale", scale), graph.constant(f"{result}.zero", zero)]
    values = graph.add("QuantizeLinear", [f"{result}.float", *operands], f"{result}.integers")
    graph.add("DequantizeLinear", [values, *operands], result, name=f"{result}.dequantized")


def _int8_scale(least: float, greatest: float) -> tuple[np.float32, np.int8]:
    """Scale and zero point that put least..greatest (with 0 among them) on -128..127."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = np.float32((greatest - least) / 255 or 1.0)
    return scale, np.int8(np.clip(np.round(-128 - least / scale), -128, 127))
