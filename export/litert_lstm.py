"""LSTM layers in a TFLite file, written position by position into the finished flatbuffer.

litert-torch takes half a minute for 64 positions in two directions, and the quantizer then stores the scales of the
recurrent weights once a position. So the converter gets a short stand-in with the same weights, the quantizer
quantizes these, and `unroll` exchanges the stand-in for what UnrolledLSTM computes.
Shapes: B batch, T positions, H hidden units.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn

from edgewright.errors import ExportError
from edgewright.export import litert_file
from edgewright.export.unrolled import UnrolledLSTM
from edgewright.models.lstm import LSTM

# what becomes of a stand-in: forwards it takes maxima, backwards minima
FORWARDS = ["RESHAPE", "REDUCE_MAX", "FULLY_CONNECTED", "RESHAPE", "REDUCE_MAX"]
BACKWARDS = ["RESHAPE", "REDUCE_MIN", "FULLY_CONNECTED", "RESHAPE", "REDUCE_MIN"]


class StandIn(UnrolledLSTM):
    """The layer's products and shapes, each product once; what it computes means nothing."""

    def _run(self, x: Tensor, real: Tensor | None, suffix: str) -> Tensor:
        narrow = (
            torch.amin if suffix else torch.amax
        )  # the converter merges neither with a neighbour, as it does slices
        rows = self._sums(x, real, suffix)  # (B, T, 4 H)
        apart = (*rows.shape[:2], 4, self.hidden_size)
        product = self.get_submodule(f"recurrent{suffix}")(narrow(rows.reshape(apart), dim=2))
        return narrow(product.reshape(apart), dim=2)  # (B, T, H)


def unroll(model: schema.ModelT, layers: Mapping[int, str], module: nn.Module) -> None:
    """Exchange the stand-ins of `module`'s LSTM layers in all signatures.

    Args:
        layers: the parameter that a buffer holds.

    Raises:
        ExportError: the converter made of a stand-in what is not known here.
    """
    names = {
        f"{path}.recurrent{suffix}.weight".removeprefix(".")
        for path, layer in module.named_modules()
        if isinstance(layer, LSTM)
        for suffix in layer.directions()
    }
    for graph in model.subgraphs:
        writers = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
        inputs = {int(tensor) for tensor in graph.inputs}
        for product in [*graph.operators]:
            if litert_file.operator_name(model, product) != "FULLY_CONNECTED":
                continue
            weights = int(product.inputs[1])
            if weights in writers:  # float16, turned into float32
                weights = int(writers[weights].inputs[0])
            name = layers.get(int(graph.tensors[weights].buffer))
            if name in names and int(product.inputs[0]) not in inputs:  # a step's state is complete as it is
                found = _find(model, graph, product)
                if found is None:
                    raise ExportError(f"litert: the converter wrote {name} in a way that is not known here")
                _exchange(model, graph, found)


@dataclass(frozen=True)
class _Found:
    """A stand-in in a subgraph: its operators, the tensor that it reads, the one that it writes, and (B, T, H)."""

    operators: list[schema.OperatorT]
    product: schema.OperatorT
    backwards: bool
    sums: int
    outputs: int
    shape: tuple[int, int, int]


def _find(model: schema.ModelT, graph: schema.SubGraphT, product: schema.OperatorT) -> _Found | None:
    writers = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    readers = {int(tensor): operator for operator in graph.operators for tensor in operator.inputs}

    def name(operator: schema.OperatorT) -> str:
        return litert_file.operator_name(model, operator)

    try:
        narrowed = writers[int(product.inputs[0])]
        flattened = [narrowed] if name(narrowed) == "RESHAPE" else []  # the rows of several texts as one matrix
        narrowed = writers[int(narrowed.inputs[0])] if flattened else narrowed
        apart = writers[int(narrowed.inputs[0])]
        behind = readers[int(product.outputs[0])]
        last = readers[int(behind.outputs[0])]
    except KeyError:
        return None
    names = [name(operator) for operator in (apart, narrowed, product, behind, last)]
    if names not in (FORWARDS, BACKWARDS):
        return None
    batch, length, _, hidden = (int(size) for size in graph.tensors[apart.outputs[0]].shape)
    operators = [apart, narrowed, *flattened, product, behind, last]
    sums, outputs = int(apart.inputs[0]), int(last.outputs[0])
    return _Found(operators, product, names == BACKWARDS, sums, outputs, (batch, length, hidden))


def _exchange(model: schema.ModelT, graph: schema.SubGraphT, found: _Found) -> None:
    batch, length, hidden = found.shape
    writer = _Writer(model, graph)
    sums = found.sums
    whole = (batch, length, 4 * hidden)
    if len(graph.tensors[sums].shape) != 3:
        sums = writer.add("RESHAPE", [sums, writer.numbers(*whole)], whole)
    order = range(length)[:: -1 if found.backwards else 1]
    h = c = None
    outputs = []
    for position in order:
        rows = writer.part(sums, (0, position, 0), (batch, 1, 4 * hidden))
        h, c = _cell(writer, found, rows, h, c)
        outputs.append(h)
    joining = schema.ConcatenationOptionsT()
    joining.axis = 1
    in_order = outputs[::-1] if found.backwards else outputs
    writer.operators.append(litert_file.new_operator(model, "CONCATENATION", in_order, [found.outputs], joining))
    place = next(index for index, operator in enumerate(graph.operators) if operator is found.product)
    operators = [*graph.operators[:place], *writer.operators, *graph.operators[place:]]
    gone = {id(operator) for operator in found.operators}
    graph.operators = [operator for operator in operators if id(operator) not in gone]


def _cell(writer: "_Writer", found: _Found, rows: int, h: int | None, c: int | None) -> tuple[int, int]:
    """h and c after a position: see `cell` in models/lstm.py. None: the state of zeros, which adds nothing."""
    batch, _, hidden = found.shape
    narrow = (batch, 1, hidden)
    if h is not None:
        options = copy.copy(found.product.builtinOptions)
        options.keepNumDims = True
        wide = (batch, 1, 4 * hidden)
        product = writer.add("FULLY_CONNECTED", [h, *found.product.inputs[1:]], wide, options)
        rows = writer.add("ADD", [rows, product], wide, schema.AddOptionsT())
    gates = (batch, 1, 3 * hidden)
    opened = writer.add("LOGISTIC", [writer.part(rows, (0, 0, 0), gates)], gates)
    new = writer.add("TANH", [writer.part(rows, (0, 0, 3 * hidden), narrow)], narrow)
    after = writer.add("MUL", [writer.part(opened, (0, 0, 0), narrow), new], narrow, schema.MulOptionsT())
    if c is not None:
        kept = writer.add("MUL", [writer.part(opened, (0, 0, hidden), narrow), c], narrow, schema.MulOptionsT())
        after = writer.add("ADD", [kept, after], narrow, schema.AddOptionsT())
    told = writer.add("TANH", [after], narrow)
    output = writer.part(opened, (0, 0, 2 * hidden), narrow)
    return writer.add("MUL", [output, told], narrow, schema.MulOptionsT()), after


class _Writer:
    """Makes operators, and their tensors in a subgraph."""

    def __init__(self, model: schema.ModelT, graph: schema.SubGraphT) -> None:
        self.model = model
        self.graph = graph
        self.operators: list[schema.OperatorT] = []
        self.known: dict[tuple[int, ...], int] = {}

    def add(self, name: str, inputs: Sequence[int], shape: tuple[int, ...], options: object = None) -> int:
        """The float tensor that the new operator writes."""
        output = litert_file.new_tensor(self.graph, schema.TensorType.FLOAT32, shape)
        self.operators.append(litert_file.new_operator(self.model, name, [*inputs], [output], options))
        return output

    def part(self, tensor: int, start: tuple[int, ...], shape: tuple[int, ...]) -> int:
        """A block of a tensor."""
        return self.add("SLICE", [tensor, self.numbers(*start), self.numbers(*shape)], shape)

    def numbers(self, *values: int) -> int:
        """A constant of int32 numbers."""
        if values not in self.known:
            tensor = litert_file.new_tensor(self.graph, schema.TensorType.INT32, (len(values),))
            self.graph.tensors[tensor].buffer = litert_file.new_buffer(self.model, np.array(values, np.int32))
            self.known[values] = tensor
        return self.known[values]
