"""The graph of one method as PyTorch gives it, with each linear, LSTM and attention layer still one node.

torch.onnx takes these layers apart: a linear layer on three dimensions becomes a product with a folded constant
without a name, an LSTM sixty nodes that slice its weights, and shapes are computed at each call. So they are
exchanged for nodes of a domain of our own while the module is traced, and export/onnx_float.py and
export/onnx_integers.py write them as they want them.
"""

import copy
import functools
import inspect
import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxscript import opset18
from torch import Tensor, nn
from torch.nn import functional as F
from torch.onnx._internal.exporter._registration import onnxscript_apis  # type: ignore[attr-defined]

from edgewright.export.tracing import example_inputs, refusal
from edgewright.models.attention import Place, RowAt, SelfAttention
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method

OPSET = 18  # what the exporter writes without a conversion of versions; ONNX Runtime 1.14 (2023) and later
DOMAIN = "edgewright"  # of the nodes Linear, LSTM, Attention and CachedAttention; no finished file has it
MICROSOFT = "com.microsoft"  # of ONNX Runtime's own operators

_torchlib_operators = functools.cache(onnxscript_apis.get_torchlib_ops)

Shape = tuple[int | str, ...]  # a name for a size that is free


def trace(module: nn.Module, method: Method) -> onnx.ModelProto:
    """The float graph, without what the exporter writes down for debugging (paths of this machine, among others).

    Its linear layers are nodes `Linear` (x, weight, bias; attribute `rank`, of x), its LSTM layers nodes `LSTM` (x,
    real positions or "", then weight and bias of input and recurrent of each direction; attribute `hidden_size`), its
    attention nodes `Attention` (queries, keys, values, allowed; attribute `heads`) between linear layers, or for a step
    nodes `CachedAttention` (query, key, value, keys and values before, then what a Place has; attribute `heads`; its
    results are what was read, and keys and values after).

    Raises:
        ExportError: the exporter has no translation of an operator.
    """
    whole = _with_layers_as_nodes(module)
    call = getattr(whole, method.name)
    setattr(whole, "forward", call)  # noqa: B010  # mypy refuses to assign to a method
    length = max(method.lengths, default=None)
    inputs = tuple(example_inputs(method, length, batch=2).values())  # sizes of 1 would be taken for fixed
    shapes = [
        {axis: size for axis, size in enumerate(tensor.shape) if isinstance(size, str)} for tensor in method.inputs
    ]
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it misses torchvision
    try:
        # the exporter reads five hundred translations anew each time: a third of a small export
        with warnings.catch_warnings(), patch.object(onnxscript_apis, "get_torchlib_ops", _torchlib_operators):
            warnings.simplefilter("ignore")  # torch's pytree warns about itself
            program = torch.onnx.export(
                whole,
                inputs,
                dynamo=True,
                dynamic_shapes=dict(inspect.signature(call).bind(*shapes).arguments),
                input_names=[tensor.name for tensor in method.inputs],
                output_names=[tensor.name for tensor in method.outputs],
                opset_version=OPSET,
                custom_translation_table={torch.ops.aten.gelu.default: _gelu},
                verbose=False,
            )
    except Exception as error:  # the exporter's errors have no common base but Exception
        raise refusal("torch.onnx", error, module, method) from error
    finally:
        logger.setLevel(level)
    assert program is not None
    proto = program.model_proto
    _forget_the_trace(proto)
    return proto


def _gelu(x: Any, approximate: str = "none") -> Any:
    """The exact one, in the order of operators that ONNX Runtime fuses to one kernel; torch.onnx has another."""
    assert approximate == "none"
    bell = opset18.Add(opset18.Erf(opset18.Div(x, math.sqrt(2))), 1.0)
    return opset18.Mul(opset18.Mul(x, bell), 0.5)


def _forget_the_trace(proto: onnx.ModelProto) -> None:
    """Give each node the name of its layer, "convolution_1/conv1d", and drop what was noted beside it."""
    for node in proto.graph.node:
        scopes = [entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        layers = [part for part in scopes[0].strip("[]").replace("'", "").split(", ")[:-1] if part] if scopes else []
        node.name = "/".join([*layers, node.output[0]])
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.metadata_props[:], proto.graph.metadata_props[:]


def _with_layers_as_nodes(module: nn.Module) -> nn.Module:
    copied = copy.deepcopy(module).eval()
    for layer in copied.modules():
        if type(layer) in _AS_NODE:
            layer.__class__ = _AS_NODE[type(layer)]
    return copied


class _Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:-1], self.out_features)
        return _node("Linear", [x, self.weight, self.bias], {"rank": x.dim()}, shape)


class _LSTM(LSTM):
    """`step` stays a step of linear layers."""

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        count = None if real is None else real.sum(dim=1).to(torch.int32)
        layers = [self.get_submodule(f"{part}{side}") for side in self.directions() for part in ("input", "recurrent")]
        parameters = [getattr(layer, kind) for layer in layers for kind in ("weight", "bias")]
        shape = (x.shape[0], x.shape[1], self.width)
        return _node("LSTM", [x, count, *parameters], {"hidden_size": self.hidden_size}, shape)


class _SelfAttention(SelfAttention):
    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        projected = [layer(x) for layer in (self.query, self.key, self.value)]
        return self.output(_node("Attention", [*projected, allowed], {"heads": self.heads}, x.shape))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, place: Place) -> tuple[Tensor, Tensor, Tensor]:
        projected = [layer(x) for layer in (self.query, self.key, self.value)]
        read, keys, values = torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::CachedAttention",
            [*projected, keys, values, *place],
            {"heads": self.heads},
            dtypes=[torch.float32] * 3,
            shapes=[x.shape, keys.shape, values.shape],
            version=1,
        )
        return self.output(read), keys, values


class _RowAt(RowAt):
    def forward(self, table: Tensor, place: Place) -> Tensor:
        return F.embedding(place.position, table)


_AS_NODE: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: _Linear,
    LSTM: _LSTM,
    SelfAttention: _SelfAttention,
    RowAt: _RowAt,
}


def _node(
    operator: str, inputs: Sequence[Tensor | None], attributes: dict[str, Any], shape: Sequence[int | torch.SymInt]
) -> Tensor:
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{operator}", inputs, attributes, dtype=torch.float32, shape=shape, version=1
    )


class Rewriter:
    """A graph that is being written anew, node by node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.values = {tensor.name: tensor for tensor in model.graph.initializer}
        self.shapes = {value.name: shape_of(value) for value in (*model.graph.value_info, *model.graph.input)}
        self.nodes: list[onnx.NodeProto] = []

    def take_nodes(self) -> Sequence[onnx.NodeProto]:
        return list(self.model.graph.node)

    def keep(self, node: onnx.NodeProto) -> None:
        self.nodes.append(node)

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
        """Put the nodes in place, and leave out nodes, constants and domains that no output needs any more."""
        graph = self.model.graph
        used = {output.name for output in graph.output}
        needed = []
        for node in reversed(self.nodes):
            if used.intersection(node.output):
                needed.append(node)
                used.update(node.input)
        self.nodes = needed[::-1]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(tensor for name, tensor in self.values.items() if name in used)
        del self.model.opset_import[:]
        self.model.opset_import.append(helper.make_opsetid("", OPSET))
        if any(node.domain == MICROSOFT for node in self.nodes):
            self.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def shape_of(value: onnx.ValueInfoProto) -> Shape:
    return tuple(size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
