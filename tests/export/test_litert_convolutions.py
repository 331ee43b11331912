"""Convolutions as LiteRT's dynamic files have them: products, with nothing turned round between them."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from edgewright.export.litert_convolutions import as_products, traced
from edgewright.export.tracing import OneMethod
from edgewright.export.unrolled import unrolled


def test_several_texts_in_a_call_give_what_the_model_gives(tiny_model: Any) -> None:
    method = replace(tiny_model.method, batch=3)
    module = as_products(unrolled(tiny_model.module))
    assert not any(isinstance(layer, nn.Conv1d) for layer in module.modules())
    assert any(isinstance(layer, nn.Conv1d) for layer in tiny_model.module.modules())  # it is a copy
    for length in method.lengths:
        texts = [ids for ids in tiny_model.inputs if ids.shape[1] == length][:3]
        ids = torch.cat([torch.from_numpy(text) for text in texts])
        graph = traced(module, method, length)
        assert isinstance(graph, GraphModule)
        assert torch.ops.aten.transpose.int not in [node.target for node in graph.graph.nodes]
        with torch.no_grad():
            torch.testing.assert_close(graph(ids=ids)["logits"], tiny_model.module(ids), atol=1e-5, rtol=1e-5)


def test_a_model_without_convolutions_is_converted_as_it_is(tiny_text_cnn: Any) -> None:
    module = nn.Sequential(nn.Linear(4, 4))
    assert isinstance(traced(as_products(module), tiny_text_cnn.method, 8), OneMethod)
