"""An LSTM as one operator up to the delegate, where it is written out position by position in XNNPACK's own nodes.

XNNPACK has no LSTM. Unrolled before torch.export, 64 positions are 2,000 nodes, which each of the exporter's 100 passes
builds anew: minutes. As an operator of our own the layer is one node until the delegate is serialized. The hooks are
those that ExecuTorch's XNNPACK backend has for its own operators: a partitioner config and a node visitor
(backends/xnnpack/partition/config, backends/xnnpack/operators).

The file stores the recurrent weights once. A runtime with XNNPACK's weights cache (on in ExecuTorch's Android and Apple
builds) also packs them once; the Python wheel, without it, keeps a packed copy for each position.
Shapes: B batch, T positions, H hidden units, N directions (1 or 2: forward, then backward).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from executorch.backends.xnnpack.operators.node_visitor import NodeVisitor, register_node_visitor
from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType, XNNPartitionerConfig
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import CONSTANT_TENSOR_ALIGNMENT
from executorch.backends.xnnpack.utils.utils import get_param_tensor, is_param_node
from executorch.backends.xnnpack.utils.xnnpack_constants import UINT64_MAX, XNN_INVALID_VALUE_ID
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

from edgewright.models.lstm import cell

CONCATENATIONS = {
    2: schema.XNNConcatenate2,
    3: schema.XNNConcatenate3,
    4: schema.XNNConcatenate4,
    5: schema.XNNConcatenate5,
}


@torch.library.custom_op("edgewright::lstm", mutates_args=())
def lstm(
    sums: Sequence[Tensor], weights: Sequence[Tensor], biases: Sequence[Tensor], scales: Sequence[Tensor]
) -> Tensor:
    """All outputs of an LSTM layer from a state of zeros, given what the inputs add to its gates.

    Args:
        sums: for each direction (B, T, 4 H) float32, in the order of the positions; gates as in models/lstm.py.
        weights: for each direction (4 H, H) recurrent weights, float32, or int8 with `scales`.
        biases: for each direction (4 H,) float32, added from the second position of the direction on.
        scales: for each direction (4 H,) of 8 bits or (4 H, blocks) of 4; none for float32.

    Returns:
        (B, T, N H) float32.
    """
    if scales:
        blocks = [w.reshape(*s.shape, -1) * s.unsqueeze(-1) for w, s in zip(weights, scales, strict=True)]
        weights = [block.reshape(w.shape) for block, w in zip(blocks, weights, strict=True)]
    directions = []
    for number, (of_direction, weight, bias) in enumerate(zip(sums, weights, biases, strict=True)):
        positions = of_direction.unbind(1)[:: -1 if number else 1]
        h, c = cell(positions[0], torch.zeros_like(positions[0][:, : weight.shape[1]]))
        outputs = [h]
        for gates in positions[1:]:
            h, c = cell(gates + torch.nn.functional.linear(h, weight, bias), c)
            outputs.append(h)
        directions.append(torch.stack(outputs[:: -1 if number else 1], dim=1))
    return torch.cat(directions, dim=2)


@lstm.register_fake
def _(sums: Sequence[Tensor], weights: Sequence[Tensor], biases: Sequence[Tensor], scales: Sequence[Tensor]) -> Tensor:
    batch, length, gates = sums[0].shape
    return sums[0].new_empty(batch, length, len(sums) * gates // 4)


class LSTMConfig(XNNPartitionerConfig):  # type: ignore[misc]  # executorch has no types
    """Tells XNNPACK's partitioner that the delegate takes the operator, with its constants."""

    target_name = "lstm.default"

    def supported_precision_types(self) -> list[ConfigPrecisionType]:
        return [ConfigPrecisionType.FP32, ConfigPrecisionType.DYNAMIC_QUANT]

    def check_constraints(self, node: Node, ep: ExportedProgram) -> bool:
        return all(is_param_node(ep, constant) for constant in _constants(node))

    def get_node_and_deps(self, node: Node, ep: ExportedProgram) -> list[Node]:
        return [node, *_constants(node)]


@register_node_visitor
class LSTMVisitor(NodeVisitor):  # type: ignore[misc]  # executorch has no types
    """Writes the operator's nodes into the delegate's graph."""

    target = "edgewright.lstm.default"

    def define_node(
        self, node: Node, xnn_graph: schema.XNNGraph, vals_to_ids: dict[Node, int], debug_handle: int
    ) -> None:
        sums, weights, biases, scales = _arguments(node)
        for tensor in (*sums, node):
            self.define_tensor(tensor, xnn_graph, vals_to_ids)
        graph = _Graph(xnn_graph, self._named_data_store, debug_handle)
        constants = [
            [get_param_tensor(self.exported_program, constant).contiguous() for constant in kind]
            for kind in (weights, biases, scales)
        ]
        products = [
            _Product(graph, weight, bias, scale)
            for weight, bias, scale in zip(*constants[:2], constants[2] or [None] * len(sums), strict=True)
        ]
        batch, length, gates = sums[0].meta["val"].shape
        _unroll(graph, [vals_to_ids[tensor] for tensor in sums], products, (batch, length, gates), vals_to_ids[node])


def _arguments(node: Node) -> Any:  # of a known operator, whose types are known too
    return node.args


def _constants(node: Node) -> list[Node]:
    _, weights, biases, scales = _arguments(node)
    return [*weights, *biases, *scales]


def _unroll(
    graph: "_Graph", sums: list[int], products: "list[_Product]", shape: tuple[int, int, int], output: int
) -> None:
    """The positions one after the other. Both directions share all nodes behind their products."""
    batch, length, gates = shape
    hidden, directions = gates // 4, len(sums)
    one, all_gates, state = (batch, 1, gates), (batch, directions, gates), (batch, directions, hidden)
    outputs: list[list[int]] = [[] for _ in sums]
    c = None
    for number in range(length):
        parts = []
        for direction, of_direction in enumerate(sums):
            position = length - 1 - number if direction else number
            part = graph.slice(of_direction, (0, position, 0), one)
            if number:
                product = products[direction].times(outputs[direction][-1], (batch, 1, hidden))
                part = graph.two(schema.XNNAdd, part, product, one)
            parts.append(part)
        together = graph.concatenate(parts, 1, [one] * directions)
        # one sigmoid over all gates: a slice of the three that need it would cost more
        opened = graph.one(schema.XNNSigmoid, together, all_gates)
        entering, kept, shown = (graph.slice(opened, (0, 0, gate * hidden), state) for gate in range(3))
        new = graph.one(schema.XNNTanh, graph.slice(together, (0, 0, 3 * hidden), state), state)
        new = graph.two(schema.XNNMultiply, entering, new, state)
        if c is not None:
            new = graph.two(schema.XNNAdd, graph.two(schema.XNNMultiply, kept, c, state), new, state)
        c = new
        h = graph.two(schema.XNNMultiply, shown, graph.one(schema.XNNTanh, c, state), state)
        for direction, before in enumerate(outputs):
            before.append(graph.slice(h, (0, direction, 0), (batch, 1, hidden)) if directions > 1 else h)
    in_order = [outputs[0], *(backward[::-1] for backward in outputs[1:])]
    whole = [graph.concatenate(parts, 1, [(batch, 1, hidden)] * length) for parts in in_order]
    y = graph.concatenate(whole, 2, [(batch, length, hidden)] * directions)
    graph.add(schema.XNNCopy(input_id=y, output_id=output, flags=0))


class _Product:
    """h times the recurrent weights of a direction, plus its bias."""

    def __init__(self, graph: "_Graph", weight: Tensor, bias: Tensor, scale: Tensor | None) -> None:
        self.graph = graph
        self.gates = weight.shape[0]
        self.quantized = scale is not None
        # with a bias even where it is zero: https://github.com/pytorch/executorch/issues/18946
        self.bias = graph.constant(bias, list(bias.shape))
        shape = list(weight.shape)
        if scale is None:
            self.weight = graph.constant(weight, shape)
        elif scale.ndim == 1:  # 8 bits; those of 4 have blocks
            quantization = schema.PerChannelQuant([], 0, graph.data(scale, "scale_"), scale.numel())
            self.weight = graph.constant(weight, shape, schema.XNNDatatype.xnn_datatype_qcint8, quantization)
        else:
            data = graph.data(scale.to(torch.bfloat16), "scale_")
            block = shape[1] // scale.shape[1]
            quantization = schema.PerChannelGroupQuant(
                [], 0, group_size=block, scale_buffer_idx=data, num_scales=scale.numel()
            )
            packed = NodeVisitor.convert_to_qc4w(weight)
            self.weight = graph.constant(packed, shape, schema.XNNDatatype.xnn_datatype_qbint4, quantization)

    def times(self, h: int, shape: tuple[int, ...]) -> int:
        if self.quantized:
            quantization = schema.PerTokenDynamicQuant(num_nonbatch_dims=1)
            rounded = self.graph.tensor(shape, schema.XNNDatatype.xnn_datatype_qdint8, quantization)
            self.graph.add(schema.XNNConvert(input_id=h, output_id=rounded, flags=0))
            h = rounded
        output = self.graph.tensor((*shape[:-1], self.gates))
        self.graph.add(schema.XNNFullyConnected(h, self.weight, self.bias, output, flags=0))
        return output


class _Graph:
    """An XNNPACK graph that nodes are added to; tensors are known by their numbers."""

    def __init__(self, graph: schema.XNNGraph, named_data: Any, debug_handle: int) -> None:
        self.graph = graph
        self.named_data = named_data
        self.debug_handle = debug_handle

    def add(self, node: Any) -> None:
        self.graph.xnodes.append(schema.XNode(xnode_union=node, debug_handle=self.debug_handle))

    def one(self, kind: Any, x: int, shape: tuple[int, ...]) -> int:
        output = self.tensor(shape)
        self.add(kind(input_id=x, output_id=output, flags=0))
        return output

    def two(self, kind: Any, first: int, second: int, shape: tuple[int, ...]) -> int:
        output = self.tensor(shape)
        self.add(kind(input1_id=first, input2_id=second, output_id=output, flags=0))
        return output

    def slice(self, x: int, start: tuple[int, ...], shape: tuple[int, ...]) -> int:
        output = self.tensor(shape)
        self.add(schema.XNNStaticSlice(len(shape), list(start), list(shape), x, output, flags=0))
        return output

    def concatenate(self, parts: list[int], axis: int, shapes: list[tuple[int, ...]]) -> int:
        """In a tree: a node takes at most five."""
        while len(parts) > 1:
            joined, joined_shapes = [], []
            for start in range(0, len(parts), 5):
                some, some_shapes = parts[start : start + 5], shapes[start : start + 5]
                shape = list(some_shapes[0])
                shape[axis] = sum(each[axis] for each in some_shapes)
                joined_shapes.append(tuple(shape))
                joined.append(self._concatenated(some, axis, tuple(shape)) if len(some) > 1 else some[0])
            parts, shapes = joined, joined_shapes
        return parts[0]

    def _concatenated(self, parts: list[int], axis: int, shape: tuple[int, ...]) -> int:
        output = self.tensor(shape)
        inputs = [*parts, *[XNN_INVALID_VALUE_ID] * (5 - len(parts))]
        names = [f"input{number}_id" for number in range(1, 6)]
        self.add(
            CONCATENATIONS[len(parts)](axis=axis, output_id=output, flags=0, **dict(zip(names, inputs, strict=True)))
        )
        return output

    def tensor(
        self,
        shape: Sequence[int],
        kind: schema.XNNDatatype = schema.XNNDatatype.xnn_datatype_fp32,
        quantization: Any = None,
        data: int = 0,
    ) -> int:
        """A new tensor; `data` is the place of its constant data."""
        number = len(self.graph.xvalues)
        value = schema.XNNTensorValue(kind, len(shape), list(shape), data, XNN_INVALID_VALUE_ID, 0, number)
        union = value if quantization is None else schema.XNNQuantizedTensorValue(value, quantization)
        self.graph.xvalues.append(schema.XValue(xvalue_union=union))
        return number

    def constant(
        self,
        values: Tensor,
        shape: list[int],
        kind: schema.XNNDatatype = schema.XNNDatatype.xnn_datatype_fp32,
        quantization: Any = None,
    ) -> int:
        return self.tensor(shape, kind, quantization, self.data(values))

    def data(self, values: Tensor, prefix: str = "") -> int:
        """The place of constant data, which all functions of a file share by its hash."""
        content = values.detach().contiguous().view(torch.uint8).numpy().tobytes()
        key = prefix + hashlib.sha256(content).hexdigest()
        self.named_data.add_named_data(key, content, CONSTANT_TENSOR_ALIGNMENT)
        self.graph.constant_data.append(schema.ConstantDataOffset(UINT64_MAX, len(content), key))
        return len(self.graph.constant_data) - 1
