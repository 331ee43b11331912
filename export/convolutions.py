"""Conv1d layers as linear layers over their taps, with the positions before the channels.

So ExecuTorch has int8 kernels for them in every numerics, and activations that are quantized when a file is called have
a scale for each position: executorch_graph.py and litert_convolutions.py use one form and answer with the same bits.
Shapes: B batch, T positions, D input channels, H output channels.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Graph, Node

aten = torch.ops.aten
# what gives the same whether its rank-3 inputs are transposed before or its output after
ELEMENTWISE = {aten.relu.default, aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
REDUCTIONS = {aten.sum.dim_IntList, aten.mean.dim, aten.amax.default}


class ConvolutionAsLinear(nn.Module):
    """A Conv1d as a linear layer over the concatenated taps, for which XNNPACK has int8 kernels of every kind."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        (self.taps,), (self.dilation,) = convolution.kernel_size, convolution.dilation
        if isinstance(convolution.padding, str):
            self.padding = {"valid": 0, "same": self.dilation * (self.taps - 1) // 2}[convolution.padding]
        else:
            (self.padding,) = convolution.padding
        self.linear = nn.Linear(
            self.taps * convolution.in_channels, convolution.out_channels, convolution.bias is not None
        )
        self.edge: Tensor  # a constant and not F.pad: of int8 rows, XNNPACK writes a pad that it then refuses to load
        self.register_buffer("edge", torch.zeros(1, self.padding, convolution.in_channels))
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(as_stored(convolution.weight.detach().numpy())))
            if convolution.bias is not None:
                self.linear.bias.copy_(convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(1, D, T) to (1, H, T), as Conv1d; `sink_transposes` removes those between layers."""
        x = x.transpose(1, 2)  # (1, T, D)
        padded = torch.cat([self.edge, x, self.edge], dim=1) if self.padding else x
        length = padded.shape[1] - self.dilation * (self.taps - 1)
        starts = [tap * self.dilation for tap in range(self.taps)]
        windows = [padded[:, start : start + length] for start in starts]
        if length == x.shape[1] and self.taps % 2 == 1:
            windows[self.taps // 2] = x  # the middle tap of a "same" convolution sees no padding: one copy less
        return self.linear(torch.cat(windows, dim=2)).transpose(1, 2)

    @staticmethod
    def takes(convolution: nn.Conv1d) -> bool:
        """Whether this convolution can be written so: stride 1, one group, zero padding equal on both sides."""
        reach = convolution.dilation[0] * (convolution.kernel_size[0] - 1)
        return (
            convolution.stride == (1,)
            and convolution.groups == 1
            and convolution.padding_mode == "zeros"
            and (convolution.padding != "same" or reach % 2 == 0)
        )


def as_stored(weight: np.ndarray) -> np.ndarray:
    """A weight as ConvolutionAsLinear holds it: (rows, taps * columns) for a Conv1d's (rows, columns, taps)."""
    return weight.swapaxes(1, 2).reshape(weight.shape[0], -1) if weight.ndim == 3 else weight


def repeat_edges(module: nn.Module, batch: int) -> None:
    """Give each row of a call its own zeros at the edges: `cat` repeats nothing."""
    for layer in module.modules():
        if isinstance(layer, ConvolutionAsLinear):
            layer.edge = layer.edge[:1].repeat(batch, 1, 1)


def without_dropout(graph: Graph) -> None:
    """Take out the dropouts of a model in evaluation, which eliminate_dead_code keeps because they are random."""
    for node in list(graph.nodes):
        if node.target == aten.dropout.default and not node.args[2]:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def sink_transposes(graph: Graph) -> None:
    """Move each transpose(1, 2) behind what follows it, until it meets another one or a reduction and vanishes."""
    for node in list(graph.nodes):
        inputs = node.all_input_nodes
        if not any(_is_transpose(a) for a in inputs):
            continue
        if _is_transpose(node):
            node.replace_all_uses_with(inputs[0].args[0])
        elif node.target in ELEMENTWISE and all(_value(a).ndim == 3 for a in inputs):
            with graph.inserting_before(node):
                arguments = [_transposed(graph, a) if isinstance(a, Node) else a for a in node.args]
                moved = graph.call_function(node.target, tuple(arguments), node.kwargs)
                moved.meta = {**node.meta, "val": _value(node).transpose(1, 2)}
                node.replace_all_uses_with(_transpose(graph, moved))
        elif node.target in REDUCTIONS and len(node.args) == 2:  # without keepdim, so the result has no dims 1 and 2
            node.args = (inputs[0].args[0], [{1: 2, 2: 1}.get(dim % 3, 0) for dim in _arguments(node)[1]])


def _value(node: Node) -> Tensor:
    return node.meta["val"]


def _arguments(node: Node) -> Any:  # of a known operator, whose types are known too
    return node.args


def _is_transpose(node: Node) -> bool:
    return (
        node.target == aten.transpose.int and _value(node).ndim == 3 and {d % 3 for d in _arguments(node)[1:]} == {1, 2}
    )


def _transposed(graph: Graph, node: Node) -> Node:
    """transpose(node, 1, 2), without an operator where `node` is a transpose itself or a mask made by unsqueeze."""
    if _is_transpose(node):
        return _arguments(node)[0]
    if node.target == aten.unsqueeze.default and node.args[1] in (1, 2):
        source, dim = _arguments(node)
        moved = graph.call_function(aten.unsqueeze.default, (source, 3 - dim))
        moved.meta = {**node.meta, "val": _value(node).transpose(1, 2)}
        return moved
    return _transpose(graph, node)


def _transpose(graph: Graph, node: Node) -> Node:
    made = graph.call_function(aten.transpose.int, (node, 1, 2))
    made.meta = {**node.meta, "val": _value(node).transpose(1, 2)}
    return made
