"""The time of each operator in ONNX Runtime.

Its own profiler writes whole microseconds and takes about 2 µs of them for itself in each operator: more than most
operators of a small model. So each node that it runs is timed in a graph of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from edgewright.benchmarks.roofline.copies import copies_of, one_copy_us
from edgewright.benchmarks.roofline.onnx_operators import Node, Shape, bytes_of, executed, given, work_of
from edgewright.benchmarks.roofline.profiles import Profile
from edgewright.benchmarks.roofline.work import numbered
from edgewright.runtimes.onnx import session_options

SOURCE = (
    "difference of graphs with one and with up to 24 copies of each operator in ONNX Runtime (its own profiler adds "
    "2 µs to each); resolution about 0.05 µs"
)


def profile(path: Path, inputs: Sequence[np.ndarray], calls: int) -> Profile:
    """See profiles.profile."""
    nodes, model = executed(path, inputs)
    works = numbered(work_of(node) for node in nodes)
    constants = {constant.name: constant for constant in model.graph.initializer}
    ids = {tensor.name: array for tensor, array in zip(model.graph.input, inputs, strict=True)}
    times_us = {}
    for node, work in zip(nodes, works, strict=True):
        copies = copies_of(work.bytes_moved or sum(bytes_of(shape) for shape in node.outputs.values()))
        single, many = (_call(node, model, constants, ids, count) for count in (1, copies))
        times_us[work.name] = one_copy_us(single, many, copies, calls)
    return Profile(SOURCE, times_us)


def _call(
    node: Node,
    model: onnx.ModelProto,
    constants: dict[str, onnx.TensorProto],
    ids: dict[str, np.ndarray],
    copies: int,
) -> Callable[[], object]:
    """A call of a graph with that many copies of the node, the operands in place."""
    protos, results = [], {}
    for copy in range(copies):
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        proto.name = f"{proto.name}/{copy}"
        for place, name in enumerate(proto.output):
            if name:
                proto.output[place] = f"{name}/{copy}"
                results[proto.output[place]] = node.outputs[name]
        protos.append(proto)
    operands = {name: shape for name, shape in node.inputs.items() if name not in constants}
    graph = helper.make_graph(
        protos,
        "copies",
        [_declared(name, shape) for name, shape in operands.items()],
        [_declared(name, shape) for name, shape in results.items()],
        [constants[name] for name in dict.fromkeys(given(node.proto.input)) if name in constants],
    )
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = session_options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(alone.SerializeToString(), options, providers=["CPUExecutionProvider"])
    bound = session.io_binding()
    for name, shape in operands.items():
        values = ids.get(name, _values(shape))
        bound.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(values))
    for name, shape in results.items():
        room = np.zeros(shape[1], _dtype(shape))
        bound.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(room))
    return lambda: session.run_with_iobinding(bound)


def _declared(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.DataType.Value(shape[0].upper()), shape[1])


def _dtype(shape: Shape) -> np.dtype:
    return helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(shape[0].upper()))


def _values(shape: Shape) -> np.ndarray:
    """Small positive numbers: no NaN and no denormal, which would be slower than what a model sees."""
    random = np.random.default_rng(0)
    dtype = _dtype(shape)
    if np.issubdtype(dtype, np.floating):
        return random.uniform(0.1, 1.0, shape[1]).astype(dtype)
    return random.integers(0, 2, shape[1]).astype(dtype)
