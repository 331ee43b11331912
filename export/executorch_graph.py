"""The form in which XNNPACK and ExecuTorch's kernels run a model fastest: exactly equivalent to the model's own.

`lowerable` exchanges modules before torch.export, `rewrite` changes the exported graph. What each of them gains is
in docs/decisions/0004-executorch-buckets.md.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node

from edgewright.compress.quantize import GridWeight
from edgewright.export.executorch_embedding import IntegerEmbedding
from edgewright.export.executorch_layers import LSTMOfProducts, Norm, RowLookup
from edgewright.models.attention import RowAt
from edgewright.models.lstm import LSTM

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
        """(1, D, T) to (1, H, T), as Conv1d; `rewrite` removes the transposes between layers."""
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


def lowerable(module: nn.Module, weights: Mapping[str, GridWeight]) -> nn.Module:
    """A copy of `module` in which the layers that XNNPACK has no fast operator for are written another way.

    Conv1d becomes linear layers, LayerNorm products, an LSTM an operator of our own, the row at a place a look-up, and
    an embedding of the grid looks up integers.
    """
    module = copy.deepcopy(module).eval()
    for name, layer in list(module.named_modules()):
        exchanged: nn.Module
        if isinstance(layer, nn.Conv1d) and ConvolutionAsLinear.takes(layer):
            exchanged = ConvolutionAsLinear(layer)
        elif isinstance(layer, nn.Embedding) and f"{name}.weight" in weights:
            exchanged = IntegerEmbedding(weights[f"{name}.weight"])
        elif isinstance(layer, LSTM):
            recurrent = {suffix: weights.get(f"{name}.recurrent{suffix}.weight") for suffix in layer.directions()}
            exchanged = LSTMOfProducts(layer, {suffix: grid for suffix, grid in recurrent.items() if grid})
        elif isinstance(layer, nn.LayerNorm):
            exchanged = Norm(layer)
        elif isinstance(layer, RowAt):
            exchanged = RowLookup()
        else:
            continue
        parent, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, exchanged)
    return module.eval()


def as_stored(weight: np.ndarray) -> np.ndarray:
    """A weight as `lowerable` stores it: (rows, taps * columns) for a Conv1d's (rows, columns, taps)."""
    return weight.swapaxes(1, 2).reshape(weight.shape[0], -1) if weight.ndim == 3 else weight


def rewrite(graph_module: GraphModule) -> None:
    """Change an exported graph in place into the form that runs fastest; the same numbers come out."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.target == aten.dropout.default and not node.args[2]:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)  # not by eliminate_dead_code, which keeps what is random
    _sum_without_cast(graph)
    _sink_transposes(graph)
    _maximum_as_pool(graph)
    graph.eliminate_dead_code()
    graph.lint()
    graph_module.recompile()
    _forget_unused(graph_module)


def _forget_unused(graph_module: GraphModule) -> None:
    """Without the tensors that this function does not use: ExecuTorch would store buffers in its file all the same."""
    used = {str(node.target) for node in graph_module.graph.nodes if node.op == "get_attr"}
    for name, _ in [*graph_module.named_parameters(), *graph_module.named_buffers()]:
        if name not in used:
            owner, _, attribute = name.rpartition(".")
            delattr(graph_module.get_submodule(owner), attribute)


def _sum_without_cast(graph: Graph) -> None:
    """sum(x.to(float32)) as sum(x, dtype=float32): the cast alone costs more than the sum."""
    for node in graph.nodes:
        if node.target != aten.sum.dim_IntList:
            continue
        cast = _arguments(node)[0]
        if cast.target == aten.to.dtype and cast.args[1] == torch.float32:
            node.args = (cast.args[0], *node.args[1:])
            node.kwargs = {**node.kwargs, "dtype": torch.float32}


def _sink_transposes(graph: Graph) -> None:
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


def _maximum_as_pool(graph: Graph) -> None:
    """amax over the positions of (B, T, C) as max_pool2d, which XNNPACK takes; amax runs on a slow portable kernel."""
    for node in graph.nodes:
        if node.target != aten.amax.default or len(node.args) != 2:
            continue
        x, (dim, *others) = _arguments(node)
        shape = _value(x).shape
        # a window of one position is no pooling: XNNPACK refuses it
        if others or len(shape) != 3 or dim % 3 != 1 or not isinstance(shape[1], int) or shape[1] == 1:
            continue
        with graph.inserting_before(node):
            channels = graph.call_function(aten.transpose.int, (x, 1, 2))  # (B, C, T)
            picture = graph.call_function(aten.unsqueeze.default, (channels, 3))  # (B, C, T, 1)
            pooled = graph.call_function(aten.max_pool2d.default, (picture, [shape[1], 1]))  # (B, C, 1, 1)
            flat = graph.call_function(aten.reshape.default, (pooled, [shape[0], shape[2]]))
        for made in (channels, picture, pooled, flat):
            made.meta = {key: value for key, value in node.meta.items() if key != "val"}
        node.replace_all_uses_with(flat)


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
