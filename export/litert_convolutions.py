"""Convolutions in LiteRT's dynamic numerics: linear layers over their taps, as ExecuTorch has them.

LiteRT gives the input of a convolution one scale, that of a linear layer one a row. Written so, the positions of a text
do not share theirs, and a .tflite file answers with the bits of the .pte file. What that costs is in
docs/decisions/0012-bit-identity.md.
"""

import torch
from torch import nn
from torch.fx import GraphModule

from edgewright.export.convolutions import ConvolutionAsLinear, repeat_edges, sink_transposes, without_dropout
from edgewright.export.tracing import OneMethod, example_inputs
from edgewright.models.methods import Method


def as_products(module: nn.Module) -> nn.Module:
    """`module` with each Conv1d that can be written so as a linear layer; changed in place, with copied weights."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.Conv1d) and ConvolutionAsLinear.takes(layer):
            module.set_submodule(name, ConvolutionAsLinear(layer))
    return module


def traced(module: nn.Module, method: Method, length: int | None) -> nn.Module:
    """The method as what litert-torch converts; without transpositions around convolutions that are products now.

    The converter leaves four of them in the file for each convolution.
    """
    one = OneMethod(module, method)
    if not any(isinstance(layer, ConvolutionAsLinear) for layer in module.modules()):
        return one
    repeat_edges(module, method.batch)
    graph_module = torch.export.export(one, (), example_inputs(method, length)).module()
    assert isinstance(graph_module, GraphModule)
    without_dropout(graph_module.graph)
    sink_transposes(graph_module.graph)
    graph_module.graph.eliminate_dead_code()
    graph_module.graph.lint()
    graph_module.recompile()
    return graph_module
