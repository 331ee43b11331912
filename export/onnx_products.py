"""Linear layers of a traced graph as products of integers; an activation that several layers read is quantized once."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgewright.compress.quantize import GridWeight
from edgewright.export.onnx_graph import Rewriter

PACKED = ("query", "key", "value")  # layers of an attention whose weights are one constant, in this order

Quantized = dict[str, tuple[str, str, str]]  # activation → its integers, scale and zero point


def linear(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight, quantized: Quantized) -> None:
    """Write a traced linear layer."""
    source, name, bias = node.input
    columns = graph.constant(f"{name}.columns", grid.integers.T)
    product(graph, _once(graph, source, quantized), columns, (name, grid), bias, node.output[0])


def packed(
    graph: Rewriter, layers: Sequence[onnx.NodeProto], weights: Mapping[str, GridWeight], quantized: Quantized
) -> str | None:
    """Write an attention's three projections of one position as one product, and give its name.

    None where their weights are not all on a grid of eight bits; nothing is written then.
    """
    names = [layer.input[1] for layer in layers]
    grids = [weights[name] for name in names if name in weights and weights[name].bits == 8]
    attention = _attention(names[0])
    if len(grids) < len(names) or names != [f"{attention}.{part}.weight" for part in PACKED]:
        return None
    (source,) = {layer.input[0] for layer in layers}
    integers = np.concatenate([grid.integers for grid in grids])
    grid = GridWeight(integers, np.concatenate([grid.scales for grid in grids]), 8)
    columns = graph.constant(f"{attention}.packed.columns", integers.T)
    bias = graph.constant(f"{attention}.packed.bias", np.concatenate([graph.array(layer.input[2]) for layer in layers]))
    result = f"{attention}.packed.result"
    product(graph, _once(graph, source, quantized), columns, (f"{attention}.packed", grid), bias, result)
    return result


def product(
    graph: Rewriter, source: tuple[str, str, str], columns: str, weight: tuple[str, GridWeight], bias: str, result: str
) -> None:
    """source @ columns + bias, in the order of operators that ONNX Runtime fuses to one kernel."""
    (values, scale, zero), (name, grid) = source, weight
    integers = graph.add("MatMulInteger", [values, columns, zero], f"{result}.product")
    scales = graph.add("Mul", [scale, graph.constant(f"{name}.scales", grid.scales)], f"{result}.scale")
    floats = graph.add("Cast", [integers], f"{result}.product.float", to=TensorProto.FLOAT)
    graph.add("Add", [graph.add("Mul", [floats, scales], f"{result}.scaled"), bias], result)


def quantize(graph: Rewriter, source: str) -> tuple[str, str, str]:
    """Write what gives an activation's integers, scale and zero point at each call; one scale a tensor."""
    outputs = [f"{source}.quantized{part}" for part in ("", ".scale", ".zero")]
    graph.add("DynamicQuantizeLinear", [source], outputs)
    return outputs[0], outputs[1], outputs[2]


def stored(found: Mapping[str, TensorProto], name: str) -> GridWeight | None:
    """The integers and scales of a linear layer's weight, if `found` (constants by name) has it."""
    if f"{name}.columns" in found:  # (inputs, outputs)
        return _grid(found, name)
    attention, part = _attention(name), name.removesuffix(".weight").rpartition(".")[2]
    if part not in PACKED or f"{attention}.packed.columns" not in found:
        return None
    whole, third = _grid(found, f"{attention}.packed"), PACKED.index(part)
    return GridWeight(np.split(whole.integers, 3)[third], np.split(whole.scales, 3)[third], 8)


def _once(graph: Rewriter, source: str, quantized: Quantized) -> tuple[str, str, str]:
    if source not in quantized:
        quantized[source] = quantize(graph, source)
    return quantized[source]


def _attention(name: str) -> str:
    """ "decoder.layers.0.attention" of the weight "decoder.layers.0.attention.query.weight"."""
    return name.removesuffix(".weight").rpartition(".")[0]


def _grid(found: Mapping[str, TensorProto], name: str) -> GridWeight:
    integers, scales = (numpy_helper.to_array(found[f"{name}.{part}"]) for part in ("columns", "scales"))
    return GridWeight(integers.T, scales, 8)
