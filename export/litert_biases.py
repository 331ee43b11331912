"""The biases of linear layers that read each other, in a TFLite file: each layer gets its own back.

Where a linear layer reads another directly, litert-torch leaves the first one's bias out and adds what the second one
would have made of it to the second one's. In float that is the same; but the activations between the two are others,
and so are the integers that they become when they are quantized: not those of PyTorch and ExecuTorch.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from edgewright.export import litert_file

CLOSE = 1e-5  # of the largest value: what the order of a sum of floats may change


@dataclass(frozen=True)
class _Product:
    """An operator that is a layer. told: the bias that the file adds; own: that of the layer; (rows,) each."""

    operator: schema.OperatorT
    weight: np.ndarray
    told: np.ndarray
    own: np.ndarray


def give_back(model: schema.ModelT, layers: Mapping[int, str], module: nn.Module) -> None:
    """Exchange moved biases for those of `module`, in each signature where that leaves the sums as they are.

    layers: the parameter that a buffer holds.
    """
    for graph in model.subgraphs:
        chains = _chains(model, graph, layers, module)
        if all(map(_adds_up, chains)):
            for product in {id(product): product for chain in chains for product in chain}.values():
                if not np.array_equal(product.told, product.own):
                    tensor = litert_file.new_tensor(graph, schema.TensorType.FLOAT32, product.own.shape)
                    graph.tensors[tensor].buffer = litert_file.new_buffer(model, product.own)
                    product.operator.inputs = [*product.operator.inputs[:2], tensor]


def _chains(
    model: schema.ModelT, graph: schema.SubGraphT, layers: Mapping[int, str], module: nn.Module
) -> list[list[_Product]]:
    """Products each of which reads the one before it, up to where something else reads what they gave."""
    uses = Counter(int(tensor) for operator in graph.operators for tensor in operator.inputs)
    uses.update(int(tensor) for tensor in graph.outputs)
    chains: dict[int, list[_Product]] = {}  # by the tensor that the last one writes
    continued = Counter[int]()
    for operator in graph.operators:
        name = litert_file.operator_name(model, operator)
        source, result = int(operator.inputs[0]), int(operator.outputs[0])
        before = chains.get(source, [])
        same_width = list(graph.tensors[result].shape[-1:]) == list(graph.tensors[source].shape[-1:])
        if name == "RESHAPE" and before and same_width:
            chains[result] = before
            continued[source] += 1
        elif name == "FULLY_CONNECTED" and (product := _product(model, graph, operator, layers, module)):
            chains[result] = [*before, product]
            continued[source] += 1
    return [
        chain
        for tensor, chain in chains.items()
        if continued[tensor] < uses[tensor] and (len(chain) > 1 or continued[tensor])
    ]


def _product(
    model: schema.ModelT,
    graph: schema.SubGraphT,
    operator: schema.OperatorT,
    layers: Mapping[int, str],
    module: nn.Module,
) -> _Product | None:
    """None for a product that is no linear layer of `module`."""
    path, _, kind = layers.get(int(graph.tensors[operator.inputs[1]].buffer), "").rpartition(".")
    if kind != "weight" or not isinstance(layer := module.get_submodule(path), nn.Linear):
        return None
    weight = layer.weight.detach().numpy()
    own = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.detach().numpy()
    told = np.zeros(len(weight), np.float32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        told = np.frombuffer(bytes(model.buffers[graph.tensors[operator.inputs[2]].buffer].data), np.float32)
    return _Product(operator, weight, told, own)


def _adds_up(chain: list[_Product]) -> bool:
    """Whether both kinds of biases amount to the same behind the last product."""
    told = own = np.zeros(chain[0].weight.shape[1], np.float32)
    for product in chain:
        told = product.weight @ told + product.told
        own = product.weight @ own + product.own
    return bool(np.abs(told - own).max() <= CLOSE * np.abs(own).max())
