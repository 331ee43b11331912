"""Linear layers of a traced graph as products of integers; an activation that several layers read is quantized once.

An activation (B, T, D) has one scale, or where it is wide one for each of its rows (B, T): in wide pretrained models
single tokens are many times as large as the others, which one scale for all leaves with a few integers each (Dettmers
et al. 2022, https://arxiv.org/abs/2208.07339). The nodes that find the scales cost a narrow layer more time than its
product (docs/decisions/0010-onnx-integers.md).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgewright.compress.quantize import GridWeight
from edgewright.export.onnx_graph import MICROSOFT, Rewriter
from edgewright.export.onnx_unsigned import restored, shifted, zero_point

PACKED = ("query", "key", "value")  # layers of an attention whose weights are one constant, in this order
WIDE = 384  # inputs of a linear layer from which on each position has its own scale
TINY = np.float32(1e-30)  # a row of zeros has no magnitude to divide by


class Activation(NamedTuple):
    """Names of tensors: value = (integer - zero) scale, and times its row's magnitude where rows have one."""

    integers: str
    scale: str
    zero: str
    magnitudes: str | None = None  # (B, T, 1)


Quantized = dict[str, Activation]  # by the name of what is quantized


def linear(graph: Rewriter, node: onnx.NodeProto, grid: GridWeight, quantized: Quantized) -> None:
    """Write a traced linear layer."""
    source, name, bias = node.input
    columns = graph.constant(f"{name}.columns", shifted(grid.integers.T))
    positions = graph.shapes.get(source, ())[1:-1]  # none where a text has one row
    by_rows = grid.integers.shape[1] >= WIDE and positions not in ((), (1,))
    if source not in quantized:
        quantized[source] = quantize_rows(graph, source) if by_rows else quantize(graph, source)
    product(graph, quantized[source], columns, (name, grid), bias, node.output[0])


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
    columns = graph.constant(f"{attention}.packed.columns", shifted(integers.T))
    bias = graph.constant(f"{attention}.packed.bias", np.concatenate([graph.array(layer.input[2]) for layer in layers]))
    result = f"{attention}.packed.result"
    if source not in quantized:
        quantized[source] = quantize(graph, source)
    product(graph, quantized[source], columns, (f"{attention}.packed", grid), bias, result)
    return result


def product(
    graph: Rewriter, source: Activation, columns: str, weight: tuple[str, GridWeight], bias: str, result: str
) -> None:
    """source @ columns + bias, in the order of operators that ONNX Runtime fuses to one kernel.

    columns: the name of a constant of unsigned integers.
    """
    name, grid = weight
    middle = zero_point(graph)
    scales = graph.constant(f"{name}.scales", grid.scales)
    if source.magnitudes:
        operands = [source.integers, columns, source.scale, scales, source.zero, middle]
        unit = graph.add("MatMulIntegerToFloat", operands, f"{result}.unit", domain=MICROSOFT)
        scaled = graph.add("Mul", [unit, source.magnitudes], f"{result}.scaled")
    else:
        integers = graph.add("MatMulInteger", [source.integers, columns, source.zero, middle], f"{result}.product")
        scale = graph.add("Mul", [source.scale, scales], f"{result}.scale")
        floats = graph.add("Cast", [integers], f"{result}.product.float", to=TensorProto.FLOAT)
        scaled = graph.add("Mul", [floats, scale], f"{result}.scaled")
    graph.add("Add", [scaled, bias], result)


def quantize(graph: Rewriter, source: str) -> Activation:
    """Write what finds an activation's integers, scale and zero point at each call; one scale for all of it."""
    outputs = [f"{source}.quantized{part}" for part in ("", ".scale", ".zero")]
    graph.add("DynamicQuantizeLinear", [source], outputs)
    return Activation(*outputs)


def quantize_rows(graph: Rewriter, source: str) -> Activation:
    """The same with a scale for each row (…, D): rows are divided by their largest magnitude and so are in -1..1."""
    last = graph.constant("last_axis", np.array([-1], np.int64))
    largest = graph.add("ReduceMax", [graph.add("Abs", [source], f"{source}.absolute"), last], f"{source}.largest")
    magnitudes = graph.add("Max", [largest, graph.constant("tiny", TINY)], f"{source}.magnitudes")
    unit = graph.add("Div", [source, magnitudes], f"{source}.unit")
    scale = graph.constant("scale_of_unit", np.float32(1 / 127))
    zero = graph.constant("zero_of_unit", np.uint8(128))  # not int8: its products are slower on x86
    return Activation(graph.add("QuantizeLinear", [unit, scale, zero], f"{source}.rows"), scale, zero, magnitudes)


def stored(found: Mapping[str, TensorProto], name: str) -> GridWeight | None:
    """The integers and scales of a linear layer's weight, if `found` (constants by name) has it."""
    if f"{name}.columns" in found:  # (inputs, outputs)
        return _grid(found, name)
    attention, part = _attention(name), name.removesuffix(".weight").rpartition(".")[2]
    if part not in PACKED or f"{attention}.packed.columns" not in found:
        return None
    whole, third = _grid(found, f"{attention}.packed"), PACKED.index(part)
    return GridWeight(np.split(whole.integers, 3)[third], np.split(whole.scales, 3)[third], 8)


def _attention(name: str) -> str:
    """ "decoder.layers.0.attention" of the weight "decoder.layers.0.attention.query.weight"."""
    return name.removesuffix(".weight").rpartition(".")[0]


def _grid(found: Mapping[str, TensorProto], name: str) -> GridWeight:
    integers, scales = (numpy_helper.to_array(found[f"{name}.{part}"]) for part in ("columns", "scales"))
    return GridWeight(restored(integers.T), scales, 8)
