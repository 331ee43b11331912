"""Rewrites a float ONNX graph so that it stores the grid's integers and computes with them.

ONNX Runtime's own quantizer would pick other integers: an asymmetric uint8 embedding, one scale for a whole
convolution, and -8..7 for four bits. Operators of its own where no standard one is as fast: MatMulNBits for four
bits, DynamicQuantizeLSTM, GroupQueryAttention for a step with a cache, SkipLayerNormalization.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgewright.compress.quantize import GridWeight
from edgewright.errors import ExportError
from edgewright.export import (
    onnx_attention,
    onnx_embeddings,
    onnx_float,
    onnx_four_bits,
    onnx_products,
    onnx_recurrent,
)
from edgewright.export.onnx_graph import DOMAIN, MICROSOFT, Rewriter, attributes
from edgewright.export.onnx_unsigned import MIDDLE, restored, shifted

Weights = Mapping[str, GridWeight]  # by parameter name
Ranges = Mapping[str, tuple[float, float]]  # least and greatest value of an activation, by tensor name
END = np.iinfo(np.int64).max


def to_dynamic(model: onnx.ModelProto, weights: Weights) -> None:
    """Integer weights; activations are quantized at each call (see onnx_products.py).

    Linear layers of four bits become MatMulNBits. LSTM layers become DynamicQuantizeLSTM; it has no form of four bits,
    so those are stored so and computed in float. A convolution becomes a matrix product over its taps, because
    ConvInteger takes three to four times as long as the float convolution (ONNX Runtime 1.31).
    """
    graph = Rewriter(model)
    readers = _readers(model)
    sums: dict[str, onnx_embeddings.Rows] = {}  # rows of embeddings that are summed before they are scaled
    quantized: onnx_products.Quantized = {}
    sources = {node.output[0]: node for node in graph.take_nodes()}
    for node in graph.take_nodes():
        if node.domain == DOMAIN and node.op_type == "LSTM":
            _recurrent(graph, node, weights)
        elif node.domain == DOMAIN and node.op_type == "Attention":
            onnx_attention.attention(graph, node)
        elif node.domain == DOMAIN and node.op_type == "CachedAttention":
            _cached(graph, node, [sources[name] for name in node.input[:3]], weights, quantized)
        elif node.domain == DOMAIN:
            _linear(graph, node, weights, quantized)
        elif _normalizes_a_sum(graph, node, sources, readers):
            _normalized_sum(graph, node, sources[node.input[0]])
        elif node.op_type == "ReduceSum" and node.input[0] in sums:
            onnx_embeddings.summed(graph, node, sums[node.input[0]])
        elif (grid := _grid_of(node, weights)) is None:
            graph.keep(node)
        elif node.op_type == "Gather":
            following = readers[node.output[0]]
            if [reader.op_type for reader in following] == ["ReduceSum"] and onnx_embeddings.sums_rows(
                graph, following[0]
            ):
                sums[node.output[0]] = onnx_embeddings.rows(graph, node, grid, node.output[0])
            else:
                onnx_embeddings.embedding(graph, node, grid)
        else:
            _taps(graph, node, grid)
    graph.finish()


def to_static(model: onnx.ModelProto, weights: Weights, ranges: Ranges) -> None:
    """Integer weights; activations around convolutions and linear layers have ranges of 8 bits fixed beforehand.

    The QDQ form: ONNX Runtime fuses it to QLinearConv and QGemm. A result that is no output of the graph is
    quantized too, after its ReLU, since the fusion of a convolution needs that.

    model: after to_float.
    """
    graph = Rewriter(model)
    outputs = {output.name for output in model.graph.output}
    ends = activations(model, weights)
    quantized = {result for _, result in ends if result not in outputs}
    for node in graph.take_nodes():
        grid = _grid_of(node, weights)
        if grid is not None and node.op_type == "Gather":
            onnx_embeddings.embedding(graph, node, grid)
        elif grid is not None:
            _dequantized_operands(graph, node, grid, ranges)
        else:
            graph.keep(node)
        if node.output[0] in quantized:
            _around_result(graph, node.output[0], ranges)
    graph.finish()


def check_static(model: onnx.ModelProto) -> None:
    """Refuse a traced graph with layers that have no kernel for ranges fixed beforehand.

    Raises:
        ExportError: there is an LSTM layer, or a linear layer on more than two dimensions.
    """
    for node in model.graph.node:
        if node.domain == DOMAIN and (node.op_type != "Linear" or attributes(node)["rank"] != 2):
            kind = "linear layer over positions" if node.op_type == "Linear" else node.op_type
            raise ExportError(
                f"onnx: the {kind} '{node.name.rpartition('/')[0]}' has no static_wi8_ai8 form; use dynamic_wi8_afp32"
            )


def activations(model: onnx.ModelProto, weights: Weights) -> list[tuple[str, str]]:
    """Input and result (after its ReLU) of each convolution and linear layer: what needs a range."""
    readers = _readers(model)
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
    """The integers and scales that a file holds for a parameter, in the parameter's own layout; None if none."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    if f"{name}.integers" in found:
        return _grid(found, name, restored(numpy_helper.to_array(found[f"{name}.integers"])), 8)
    for part in (onnx_products.stored(found, name), onnx_embeddings.stored(found, name)):
        if part is not None:
            return part
    if f"{name}.taps" in found:  # (taps x inputs, outputs)
        taps = restored(numpy_helper.to_array(found[f"{name}.taps"]))
        kernel = next(node for node in model.graph.node if node.name == f"{name}.windows")
        return _grid(found, name, taps.reshape(len(kernel.input), -1, taps.shape[1]).transpose(2, 1, 0), 8)
    if f"{name}.nibbles" in found:
        arrays = [numpy_helper.to_array(found[f"{name}.{part}"]) for part in ("nibbles", "scales")]
        return onnx_four_bits.unpacked(*arrays)
    return onnx_recurrent.stored(found, name)


def _grid(found: Mapping[str, TensorProto], name: str, integers: np.ndarray, bits: int) -> GridWeight:
    return GridWeight(integers, numpy_helper.to_array(found[f"{name}.scales"]), bits)


def _readers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each value."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _grid_of(node: onnx.NodeProto, weights: Weights) -> GridWeight | None:
    """The grid of the weight of an embedding, a convolution or a linear layer."""
    place = {"Gather": 0, "Conv": 1, "Gemm": 1}.get(node.op_type)
    return None if place is None else weights.get(node.input[place])


def _recurrent(graph: Rewriter, node: onnx.NodeProto, weights: Weights) -> None:
    grids = [weights[name] for name in onnx_recurrent.parameters(node)]
    if all(grid.bits == 8 for grid in grids):
        onnx_recurrent.integer_layer(graph, node, weights)
    else:
        onnx_recurrent.unpacked_layer(graph, node, weights)


def _linear(graph: Rewriter, node: onnx.NodeProto, weights: Weights, quantized: onnx_products.Quantized) -> None:
    grid = weights.get(node.input[1])
    if grid is None:
        onnx_float.linear(graph, node)
    elif grid.bits == 4:
        onnx_four_bits.linear(graph, node, grid)
    else:
        onnx_products.linear(graph, node, grid, quantized)


def _cached(
    graph: Rewriter,
    node: onnx.NodeProto,
    projections: Sequence[onnx.NodeProto],
    weights: Weights,
    quantized: onnx_products.Quantized,
) -> None:
    """A step of attention as one node behind one product, where ONNX Runtime has such a node for it.

    projections: its linear layers; where they become one product, what was written for each is read by nobody.
    """
    if not onnx_attention.fits_one_node(graph, node):
        onnx_attention.cached(graph, node)
        return
    packed = onnx_products.packed(graph, projections, weights, quantized)
    onnx_attention.cached_in_one_node(graph, node, packed)


def _normalizes_a_sum(
    graph: Rewriter,
    node: onnx.NodeProto,
    sources: Mapping[str, onnx.NodeProto],
    readers: Mapping[str, Sequence[onnx.NodeProto]],
) -> bool:
    """Whether a node is the LayerNormalization of a sum of two tensors (B, T, D) that nothing else reads."""
    added = sources.get(node.input[0]) if node.op_type == "LayerNormalization" else None
    if added is None or added.op_type != "Add" or len(readers[node.input[0]]) > 1:
        return False
    first, second = (graph.shapes.get(name, ()) for name in added.input)
    return first == second and len(first) == 3 and attributes(node).get("axis", -1) in (-1, 2)


def _normalized_sum(graph: Rewriter, node: onnx.NodeProto, added: onnx.NodeProto) -> None:
    operands = [*added.input, *node.input[1:]]
    epsilon = attributes(node).get("epsilon", 1e-5)  # the standard operator's; the other one has 1e-12
    graph.add("SkipLayerNormalization", operands, node.output[0], domain=MICROSOFT, epsilon=epsilon)


def _taps(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight) -> None:
    """A Conv1d over (B, D, T) as a product: windows (B, T, taps x D) times (taps x D, H).

    The input is quantized before the windows are cut, so that each value is quantized once.
    """
    source, name, bias = node.input
    outputs, _, kernel = grid.integers.shape
    before, after, dilation = _geometry(node, name)
    taps = graph.constant(f"{name}.taps", shifted(grid.integers.transpose(2, 1, 0).reshape(-1, outputs)))
    last = graph.add("Transpose", [source], f"{name}.last", perm=[0, 2, 1])
    quantized = onnx_products.quantize(graph, last)
    pads = graph.constant(f"{name}.pads", np.array([0, before, 0, 0, after, 0], np.int64))
    padded = graph.add("Pad", [quantized.integers, pads, quantized.zero], f"{name}.padded")
    axis = graph.constant("time_axis", np.array([1], np.int64))
    windows = []
    for tap in range(kernel):
        ahead, behind = tap * dilation, (kernel - 1 - tap) * dilation
        begin = graph.constant(f"from_{ahead}", np.array([ahead], np.int64))
        end = graph.constant(f"to_{-behind if behind else 'end'}", np.array([-behind if behind else END], np.int64))
        windows.append(graph.add("Slice", [padded, begin, end, axis], f"{name}.tap_{tap}"))
    window = graph.add("Concat", windows, f"{name}.windows", axis=2)
    product = f"{name}.result"
    onnx_products.product(graph, quantized._replace(integers=window), taps, (name, grid), bias, product)
    graph.add("Transpose", [product], node.output[0], perm=[0, 2, 1])


def _geometry(node: onnx.NodeProto, name: str) -> tuple[int, int, int]:
    """Zeros before and after, and the distance of two taps."""
    given = attributes(node)
    plain = {"group": 1, "strides": [1], "auto_pad": b"NOTSET"}
    others = [key for key, value in plain.items() if given.get(key, value) != value]
    if others:
        layer = name.removesuffix(".weight")
        raise ExportError(
            f"onnx: Conv in layer '{layer}' with {', '.join(others)} has no int8 form here; keep it plain"
        )
    before, after = given.get("pads", [0, 0])
    return int(before), int(after), int(given.get("dilations", [1])[0])


def _dequantized_operands(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight, ranges: Ranges) -> None:
    """The node between DequantizeLinear of its input, its weight and its bias (int32, as the kernels take it)."""
    source, name, bias = node.input
    scale, zero = _scale(*ranges[source])
    input_scale = graph.constant(f"{name}.input.scale", scale)
    input_zero = graph.constant(f"{name}.input.zero", zero)
    values = graph.add("QuantizeLinear", [source, input_scale, input_zero], f"{name}.input.integers")
    values = graph.add("DequantizeLinear", [values, input_scale, input_zero], f"{name}.input")

    integers = graph.constant(f"{name}.integers", shifted(grid.integers))
    scales = graph.constant(f"{name}.scales", grid.scales)
    zeros = graph.constant(f"{name}.zeros", np.full_like(grid.scales, MIDDLE, np.uint8))
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


def _around_result(graph: Rewriter, result: str, ranges: Ranges) -> None:
    """QuantizeLinear and DequantizeLinear behind the node that was added last."""
    scale, zero = _scale(*ranges[result])
    graph.nodes[-1].output[0] = f"{result}.float"
    operands = [graph.constant(f"{result}.scale", scale), graph.constant(f"{result}.zero", zero)]
    values = graph.add("QuantizeLinear", [f"{result}.float", *operands], f"{result}.integers")
    graph.add("DequantizeLinear", [values, *operands], result, name=f"{result}.dequantized")


def _scale(least: float, greatest: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point that put least..greatest (with 0 among them) on 0..255."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = np.float32((greatest - least) / 255 or 1.0)
    return scale, np.uint8(np.clip(np.round(-least / scale), 0, 255))
