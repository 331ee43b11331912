"""The time of each operator in LiteRT.

The Python interpreter exposes no profiler, and the events of XNNPACK have whole microseconds, rounded down: 0 for
most operators of a small model. So each operator is timed in a graph of its own, with the same kernels.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from edgewright.benchmarks.roofline.copies import copies_of, one_copy_us
from edgewright.benchmarks.roofline.litert_operators import folded_operators, subgraph_for, works_of
from edgewright.benchmarks.roofline.profiles import Profile
from edgewright.export import litert_file
from edgewright.runtimes.native_log import quiet_stderr

SOURCE = (
    "difference of graphs with one and with up to 24 copies of each operator in LiteRT with XNNPACK (its Python "
    "interpreter has no profiler); reshapes are done in place; resolution about 0.05 µs"
)


def profile(path: Path, inputs: Sequence[np.ndarray], calls: int) -> Profile:
    """See profiles.profile."""
    model = litert_file.read(path)
    subgraph = subgraph_for(model, inputs)
    graph = model.subgraphs[subgraph]
    folded = folded_operators(model, subgraph)
    times_us = {}
    for operator, work in works_of(model, subgraph):
        if not work.operands:  # a reshape: a copy when alone, but in a whole graph XNNPACK does it in place
            continue
        copies = copies_of(work.bytes_moved)
        single, many = (_call(model, graph, folded, operator, count) for count in (1, copies))
        times_us[work.name] = one_copy_us(single, many, copies, calls)
    return Profile(SOURCE, times_us)


def _call(
    model: schema.ModelT,
    graph: schema.SubGraphT,
    folded: dict[int, schema.OperatorT],
    operator: schema.OperatorT,
    copies: int,
) -> Callable[[], object]:
    """A call of a graph with that many copies of the operator, each with a result of its own."""
    buffers = [schema.BufferT()]
    places: dict[int, int] = {}
    tensors: list[schema.TensorT] = []
    inputs: list[int] = []
    operators: list[schema.OperatorT] = []

    def place(index: int) -> int:
        """Where a tensor lies in the new graph, brought there with what makes it when the file is loaded."""
        if index < 0 or index in places:
            return places.get(index, -1)
        tensor = copy.copy(graph.tensors[index])
        constant = model.buffers[tensor.buffer]
        tensor.buffer = 0
        if constant.data is not None:
            tensor.buffer = len(buffers)
            buffers.append(constant)
        places[index] = len(tensors)
        tensors.append(tensor)
        if index in folded:
            once = copy.copy(folded[index])
            once.inputs = [place(int(read)) for read in once.inputs]
            once.outputs = [places[index]]
            operators.append(once)
        elif constant.data is None:
            inputs.append(places[index])
        return places[index]

    operands = [place(int(index)) for index in operator.inputs]
    results: list[int] = []
    for number in range(copies):
        one = copy.copy(operator)
        one.inputs, one.outputs = operands, []
        for index in operator.outputs:
            tensor = copy.copy(graph.tensors[index])
            tensor.name, tensor.buffer = f"result {number}", 0
            one.outputs.append(len(tensors))
            tensors.append(tensor)
        results += one.outputs
        operators.append(one)
    alone = schema.SubGraphT()
    alone.name, alone.tensors, alone.operators = "copies", tensors, operators
    alone.inputs, alone.outputs = inputs, results
    made = schema.ModelT()
    made.version, made.operatorCodes, made.subgraphs, made.buffers = 3, model.operatorCodes, [alone], buffers
    with quiet_stderr():
        interpreter = Interpreter(
            model_content=bytes(flatbuffer_utils.convert_object_to_bytearray(made)), num_threads=1
        )
        interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], _values(tuple(details["shape"]), details["dtype"]))
    return interpreter.invoke


def _values(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Small positive numbers: no NaN and no denormal, which would be slower than what a model sees."""
    random = np.random.default_rng(0)
    if np.issubdtype(dtype, np.floating):
        return random.uniform(0.1, 1.0, shape).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)
