"""The operators of an .onnx file as ONNX Runtime runs them: after its fusions, with the shapes of one call."""

import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from edgewright.benchmarks.roofline.work import Operand, Work, numbered
from edgewright.runtimes.onnx import session_options

BYTES = {"double": 8, "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2}
BYTES |= dict.fromkeys(("int8", "uint8", "bool"), 1)  # else 4
CONVOLUTIONS = ("Conv", "FusedConv", "NhwcFusedConv", "ConvInteger", "QLinearConv")
VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")
KINDS = {
    "conv": CONVOLUTIONS,
    "gather": ("Gather", "GatherBlockQuantized"),
    "quantize": ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    "reduce": ("ReduceSum", "ReduceMax", "ReduceMean", "ReduceMin", "MaxPool", "GlobalMaxPool", "GlobalAveragePool"),
    "move": (*VIEWS, "Transpose", "Concat", "Slice", "Split", "Pad", "Expand", "Tile", "ReorderInput", "ReorderOutput"),
    "elementwise": (
        *("Add", "Sub", "Mul", "Div", "Max", "Min", "Sqrt", "Exp", "Pow", "Clip", "Relu", "Sigmoid", "Tanh", "Gelu"),
        *("Softmax", "Cast", "Equal", "Not", "Greater", "Less", "Where", "QLinearAdd", "QLinearMul"),
    ),
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
INT8_ARITHMETIC = 4  # MatMulNBits' accuracy_level
TYPE_NAMES = {code: name for name, code in onnx.TensorProto.DataType.items()}
KERNEL = "_kernel_time"  # what the profiler adds to the name of a node
Shape = tuple[str, tuple[int, ...]]  # type and sizes


@dataclass(frozen=True)
class Node:
    """A node of the graph that ONNX Runtime runs, with the types and shapes of one call by tensor name."""

    proto: onnx.NodeProto
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]


def operators_of(path: Path, inputs: Sequence[np.ndarray]) -> list[Work]:
    """See operators.operators_of."""
    nodes, _ = executed(path, inputs)
    return numbered(work_of(node) for node in nodes)


def executed(path: Path, inputs: Sequence[np.ndarray]) -> tuple[list[Node], onnx.ModelProto]:
    """The nodes in the order of execution, and the optimised model that holds them."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(1)
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [tensor.name for tensor in session.get_inputs()]
        session.run(None, dict(zip(names, inputs, strict=True)))
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        model = onnx.load(options.optimized_model_filepath)
    # an event has no shape for a constant that the kernel has packed for itself, so these come from the model
    shapes: dict[str, Shape] = {
        constant.name: (TYPE_NAMES[constant.data_type].lower(), tuple(constant.dims))
        for constant in model.graph.initializer
    }
    for name, array in zip(names, inputs, strict=True):
        shapes[name] = (TYPE_NAMES[onnx.helper.np_dtype_to_tensor_dtype(array.dtype)].lower(), array.shape)
    protos = {node.name: node for node in model.graph.node}
    nodes = []
    for event in events:
        if not event["name"].endswith(KERNEL):
            continue
        proto = protos[event["name"].removesuffix(KERNEL)]
        results = [next(iter(one.items())) for one in event["args"]["output_type_shape"]]
        outputs = {key: (kind, tuple(sizes)) for key, (kind, sizes) in zip(given(proto.output), results, strict=True)}
        shapes |= outputs
        nodes.append(Node(proto, {key: shapes[key] for key in given(proto.input)}, outputs))
    return nodes, model


def given(names: Iterable[str]) -> list[str]:
    """Without the optional inputs or outputs that are left out."""
    return [name for name in names if name]


def work_of(node: Node) -> Work:
    proto = node.proto
    name = proto.op_type
    matrix = "MatMul" in name or "Gemm" in name
    kind = "linear" if matrix else KIND_OF.get(name, "other")
    label = f"{name} {proto.name}"
    if name in VIEWS:
        return Work(label, kind)
    written = sum(bytes_of(shape) for shape in node.outputs.values())
    sizes = {key: bytes_of(shape) for key, shape in node.inputs.items()}
    if kind == "gather" or name == "Slice":
        sizes[proto.input[0]] = min(sizes[proto.input[0]], written)
    macs, integer = 0, False
    if kind in ("conv", "linear"):
        macs, integer = _macs(node), _in_integers(node)
    sizes |= {key: bytes_of(shape) for key, shape in node.outputs.items()}
    return Work(label, kind, macs, integer, tuple(Operand(key, size) for key, size in sizes.items()))


def _macs(node: Node) -> int:
    proto = node.proto
    result = math.prod(node.outputs[proto.output[0]][1])
    if proto.op_type in CONVOLUTIONS:  # weights (out, in of a group, taps...)
        weights = proto.input[3 if proto.op_type == "QLinearConv" else 1]
        return result * math.prod(node.inputs[weights][1][1:])
    return result * node.inputs[proto.input[0]][1][-2 if _attribute(node, "transA", 0) else -1]


def _in_integers(node: Node) -> bool:
    if node.proto.op_type == "MatMulNBits":
        return _attribute(node, "accuracy_level", 0) == INT8_ARITHMETIC
    # the weights decide: some operators quantize the other operand themselves
    return any(kind in ("int8", "uint8") for kind, _ in node.inputs.values())


def _attribute(node: Node, name: str, default: int) -> Any:
    for attribute in node.proto.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default


def bytes_of(shape: Shape) -> int:
    kind, sizes = shape
    return math.prod(sizes) * BYTES.get(kind, 4)
