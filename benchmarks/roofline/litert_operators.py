"""The operators of a .tflite file, whose shapes are all fixed."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgewright.benchmarks.roofline.work import Operand, Work, numbered
from edgewright.export import litert_file

BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "INT64": 64,
    "INT32": 32,
    "INT16": 16,
    "INT8": 8,
    "UINT8": 8,
    "BOOL": 8,
    "INT4": 4,
}
TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
INTEGERS = ("INT8", "UINT8", "INT4")
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
SLICES = ("SLICE", "STRIDED_SLICE", "SPLIT", "UNPACK")
KINDS = {
    "conv": CONVOLUTIONS,
    "linear": ("FULLY_CONNECTED", "BATCH_MATMUL"),
    "gather": ("GATHER", "EMBEDDING_LOOKUP"),
    "quantize": ("QUANTIZE", "DEQUANTIZE"),
    "reduce": ("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "ARG_MAX", "MAX_POOL_2D", "AVERAGE_POOL_2D"),
    "move": (*VIEWS, *SLICES, "TRANSPOSE", "CONCATENATION", "PAD", "PADV2", "PACK", "TILE", "BROADCAST_TO"),
    "elementwise": (
        *("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQRT", "RSQRT", "EXP", "LOG", "ABS", "NEG", "SQUARE"),
        *("RELU", "RELU6", "LOGISTIC", "TANH", "GELU", "SOFTMAX", "CAST", "EQUAL", "NOT_EQUAL", "LOGICAL_NOT"),
        *("LESS", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SELECT_V2", "SQUARED_DIFFERENCE", "POW"),
    ),
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}


def operators_of(path: Path, inputs: Sequence[np.ndarray]) -> list[Work]:
    """See operators.operators_of."""
    model = litert_file.read(path)
    return [work for _, work in works_of(model, subgraph_for(model, inputs))]


def works_of(model: schema.ModelT, subgraph: int) -> list[tuple[schema.OperatorT, Work]]:
    """The operators of a subgraph that run at each call, with their work."""
    graph = model.subgraphs[subgraph]
    folded = folded_operators(model, subgraph)
    names = litert_file.operators(model, subgraph)
    running = [
        (name, operator)
        for name, operator in zip(names, graph.operators, strict=True)
        if int(operator.outputs[0]) not in folded
    ]
    works = numbered(_work(name, operator, graph) for name, operator in running)
    return [(operator, work) for (_, operator), work in zip(running, works, strict=True)]


def folded_operators(model: schema.ModelT, subgraph: int) -> dict[int, schema.OperatorT]:
    """The operators of constants alone, such as what widens a float16 weight, by the tensor that they make.

    They run once, when the file is loaded.
    """
    graph = model.subgraphs[subgraph]
    folded: dict[int, schema.OperatorT] = {}
    for operator in graph.operators:
        read = [int(index) for index in operator.inputs if index >= 0]
        if all(index in folded or model.buffers[graph.tensors[index].buffer].data is not None for index in read):
            folded |= {int(index): operator for index in operator.outputs}
    return folded


def subgraph_for(model: schema.ModelT, inputs: Sequence[np.ndarray]) -> int:
    """The subgraph of the signature "forward_<length>" that takes arrays of these shapes.

    Raises:
        ValueError: there is none.
    """
    wanted = sorted(array.shape for array in inputs)
    for definition in model.signatureDefs:
        key = definition.signatureKey
        key = key.decode() if isinstance(key, bytes) else key
        graph = model.subgraphs[definition.subgraphIndex]
        if key.startswith("forward_") and sorted(tuple(graph.tensors[i].shape) for i in graph.inputs) == wanted:
            return int(definition.subgraphIndex)
    raise ValueError(f"no signature takes forward of {', '.join(str(shape) for shape in wanted)}")


def _work(name: str, operator: schema.OperatorT, graph: schema.SubGraphT) -> Work:
    tensors = {index: graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0}
    kind = KIND_OF.get(name, "other")
    if name in VIEWS:
        return Work(name, kind)
    written = sum(bytes_of(tensors[index]) for index in operator.outputs)
    reads = {int(index): bytes_of(tensors[index]) for index in operator.inputs if index >= 0}
    if name in ("GATHER", "EMBEDDING_LOOKUP"):
        table = operator.inputs[0 if name == "GATHER" else 1]
        rows = math.prod(_shape(tensors[operator.outputs[0]]))
        reads[int(table)] = min(reads[int(table)], rows * BITS[_type(tensors[table])] // 8)
    elif name in SLICES:
        source = operator.inputs[1 if name == "SPLIT" else 0]
        reads[int(source)] = min(reads[int(source)], written)
    macs, integer = 0, False
    if kind in ("conv", "linear"):
        left, right = (tensors[index] for index in operator.inputs[:2])
        if name == "TRANSPOSE_CONV":  # its first operand is the shape of the result
            left = tensors[operator.inputs[2]]
        macs = _macs(name, operator, _shape(left), _shape(right), _shape(tensors[operator.outputs[0]]))
        # a float operand beside an integer weight is quantized on the way
        integer = _type(right) in INTEGERS
    operands = [Operand(str(index), size) for index, size in reads.items()]
    operands += [Operand(str(index), bytes_of(tensors[index])) for index in operator.outputs]
    return Work(name, kind, macs, integer, tuple(operands))


def _macs(
    name: str, operator: schema.OperatorT, left: Sequence[int], right: Sequence[int], result: Sequence[int]
) -> int:
    if name == "FULLY_CONNECTED":  # weights (out, in)
        return math.prod(result) * right[-1]
    if name == "BATCH_MATMUL":
        return math.prod(result) * left[-2 if operator.builtinOptions.adjX else -1]
    if name == "CONV_2D":  # weights (out, height, width, in of a group)
        return math.prod(result) * math.prod(right[1:])
    if name == "DEPTHWISE_CONV_2D":  # weights (1, height, width, out)
        return math.prod(result) * math.prod(right[1:3])
    assert name == "TRANSPOSE_CONV", name  # weights (out, height, width, in)
    return math.prod(left) * math.prod(right[:3])


def _type(tensor: schema.TensorT) -> str:
    return TYPE_NAMES[tensor.type]


def _shape(tensor: schema.TensorT) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()


def bytes_of(tensor: schema.TensorT) -> int:
    return math.prod(_shape(tensor)) * BITS[_type(tensor)] // 8
