"""The form in which XNNPACK and ExecuTorch's kernels run a model fastest: exactly equivalent to the model's own.

`lowerable` exchanges modules before torch.export, `rewrite` changes the exported graph. What each of them gains is
in docs/decisions/0004-executorch-buckets.md.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

from edgewright.compress.quantize import GridWeight
from edgewright.export.convolutions import ConvolutionAsLinear, sink_transposes, without_dropout
from edgewright.export.executorch_embedding import IntegerEmbedding
from edgewright.export.executorch_layers import LSTMOfProducts, Norm, RowLookup
from edgewright.models.attention import RowAt
from edgewright.models.lstm import LSTM

aten = torch.ops.aten


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


def rewrite(graph_module: GraphModule) -> None:
    """Change an exported graph in place into the form that runs fastest; the same numbers come out."""
    graph = graph_module.graph
    without_dropout(graph)
    _sum_without_cast(graph)
    sink_transposes(graph)
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


def _maximum_as_pool(graph: Graph) -> None:
    """amax over the positions of (B, T, C) as max_pool2d, which XNNPACK takes; amax runs on a slow portable kernel."""
    for node in graph.nodes:
        if node.target != aten.amax.default or len(node.args) != 2:
            continue
        x, (dim, *others) = _arguments(node)
        shape = x.meta["val"].shape
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


def _arguments(node: Node) -> Any:  # of a known operator, whose types are known too
    return node.args
