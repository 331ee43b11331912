"""The operators of a .pte file: the kernels that the program calls, and the nodes of its XNNPACK graphs.

XNNPACK's graphs are flatbuffers; the executorch package brings their schema and flatc, which turns them into JSON.
"""

import importlib.resources
import json
import math
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from executorch.backends.xnnpack import serialization
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
from executorch.exir._serialize._flatbuffer import _flatc_decompile
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.schema import DelegateCall, ExecutionPlan, KernelCall, Program
from executorch.exir.schema import Tensor as ProgramTensor

from edgewright.benchmarks.roofline.work import Operand, Work, numbered

PROGRAM_BITS = {"FLOAT": 32, "HALF": 16, "BFLOAT16": 16, "LONG": 64, "INT": 32, "SHORT": 16}  # else 8
PROGRAM_KINDS = {
    "embedding": "gather",
    **dict.fromkeys(("sum", "mean", "amax", "amin", "argmax", "max_pool2d_with_indices"), "reduce"),
    **dict.fromkeys(("cat", "clone", "permute_copy", "slice_copy", "expand_copy", "transpose_copy"), "move"),
    **dict.fromkeys(
        ("ne", "eq", "add", "sub", "mul", "div", "sqrt", "clamp", "relu", "where", "_to_dim_order_copy"), "elementwise"
    ),
}
# types of XNNPACK's values ("xnn_datatype_qint8"); all others have 32 bits
XNNPACK_BITS = {
    **dict.fromkeys(("fp16", "bf16"), 16),
    **dict.fromkeys(("qint8", "quint8", "qcint8", "qdint8", "qpint8"), 8),
    **dict.fromkeys(("qcint4", "qbint4"), 4),
}
XNNPACK_KINDS = {
    **dict.fromkeys(("Conv2d", "DepthwiseConv2d", "ConvTranspose2d"), "conv"),
    **dict.fromkeys(("FullyConnected", "BatchMatrixMultiply", "ScaledDotProductAttention"), "linear"),
    **dict.fromkeys(("MaxPooling2d", "AvgPooling2d", "GlobalAvgPooling2d", "ArgMaxPooling2d"), "reduce"),
    **dict.fromkeys(("StaticTranspose", "StaticReshape", "StaticSlice", "StaticConstantPad", "Copy"), "move"),
    **dict.fromkeys((f"Concatenate{count}" for count in (2, 3, 4, 5)), "move"),
    "StaticResizeBilinear2D": "other",
}  # else "elementwise"
VIEWS = ("StaticReshape",)


def operators_of(path: Path, inputs: Sequence[np.ndarray]) -> list[Work]:
    """See operators.operators_of. Names begin with the place of the program's call: "1: embedding", and
    "3: XNNPACK Clamp" for each operator of a delegate.
    """
    program = read_program(path)
    plan = function_for(program, inputs)
    works: list[Work] = []
    for place, instruction in enumerate(plan.chains[0].instructions):
        call = instruction.instr_args
        if isinstance(call, KernelCall):
            works.append(_kernel(plan, call, f"{place}: "))
        elif isinstance(call, DelegateCall):
            payload = bytes(program.backend_delegate_data[plan.delegates[call.delegate_index].processed.index].data)
            works += _delegate(payload, call, f"{place}: XNNPACK ")
    return numbered(works)


def read_program(path: Path) -> Program:
    """The program of a .pte file, without what its delegates keep apart."""
    return deserialize_pte_binary(path.read_bytes()).program


def function_for(program: Program, inputs: Sequence[np.ndarray]) -> ExecutionPlan:
    """The function "forward_<length>" that takes arrays of these shapes.

    Raises:
        ValueError: there is none.
    """
    wanted = [list(array.shape) for array in inputs]
    for plan in program.execution_plan:
        if plan.name.startswith("forward") and [plan.values[index].val.sizes for index in plan.inputs] == wanted:
            return plan
    raise ValueError(f"no function takes forward of {', '.join(str(tuple(shape)) for shape in wanted)}")


def _kernel(plan: ExecutionPlan, call: KernelCall, prefix: str) -> Work:
    name = plan.operators[call.op_index].name.rpartition("::")[2]  # "embedding" of "aten::embedding"
    tensors = {index: plan.values[index].val for index in call.args}
    sizes = {index: _bytes(value) for index, value in tensors.items() if isinstance(value, ProgramTensor)}
    result = call.args[-1]  # given twice: as the argument "out" and as what is returned
    if name == "embedding":  # table, ids
        table = call.args[0]
        sizes[table] = min(sizes[table], math.prod(tensors[result].sizes) * _bits(tensors[table]) // 8)
    if name in ("mm", "bmm", "linear", "addmm", "convolution"):
        raise ValueError(f"{name} runs outside of XNNPACK; this reader does not know its multiply-adds")
    operands = tuple(Operand(str(index), size) for index, size in sizes.items())
    return Work(prefix + name, PROGRAM_KINDS.get(name, "other"), operands=operands)


def _bits(tensor: ProgramTensor) -> int:
    return PROGRAM_BITS.get(tensor.scalar_type.name, 8)


def _bytes(tensor: ProgramTensor) -> int:
    return math.prod(tensor.sizes) * _bits(tensor) // 8


def _delegate(payload: bytes, call: DelegateCall, prefix: str) -> list[Work]:
    graph = _graph(payload)
    values: dict[int, dict[str, Any]] = {}
    keys: dict[int, str] = {}
    outside = {*graph["input_ids"], *graph["output_ids"]}
    for value in graph["xvalues"]:
        tensor = value["xvalue_union"].get("tensor_value", value["xvalue_union"])
        number = tensor["id_out"]
        values[number] = tensor
        # an argument of the delegate is a value of the program
        keys[number] = str(call.args[tensor["external_id"]]) if number in outside else f"{prefix}{number}"
    return [_node(node, values, keys, prefix) for node in graph["xnodes"]]


def _node(node: dict[str, Any], values: dict[int, dict[str, Any]], keys: dict[int, str], prefix: str) -> Work:
    name = node["xnode_union_type"].removeprefix("XNN").removeprefix("_XNN")
    fields = node["xnode_union"]
    kind = XNNPACK_KINDS.get(name, "elementwise")
    label = prefix + name
    if name in VIEWS:
        return Work(label, kind)
    # an id that no value has stands for an operand that is left out, such as a bias
    reads = [fields[key] for key in fields if key.endswith("_id") and not key.startswith("output")]
    reads = [number for number in reads if number in values]
    result = values[fields["output_id"]]
    if name == "Convert" and _bits_of(values[reads[0]]) != _bits_of(result):
        kind = "quantize"
    sizes = {number: _value_bytes(values[number]) for number in reads}
    if name == "StaticSlice":
        sizes = {number: min(size, _value_bytes(result)) for number, size in sizes.items()}
    macs, integer = 0, False
    if kind in ("conv", "linear"):
        left = values[fields["input1_id"]]
        right = values[fields["filter_id" if "filter_id" in fields else "input2_id"]]
        macs = math.prod(result["dims"])
        if kind == "conv":  # weights (out, height, width, in of a group); depthwise (1, height, width, out)
            macs *= fields["kernel_height"] * fields["kernel_width"] * fields["group_input_channels"]
        else:
            macs *= left["dims"][-1]
        integer = _bits_of(left) == 8 and _bits_of(right) <= 8
    operands = [Operand(keys[number], size) for number, size in sizes.items()]
    operands.append(Operand(keys[fields["output_id"]], _value_bytes(result)))
    return Work(label, kind, macs, integer, tuple(operands))


def _bits_of(value: dict[str, Any]) -> int:
    kind = value["datatype"]
    return XNNPACK_BITS.get(kind.removeprefix("xnn_datatype_"), 32)


def _value_bytes(value: dict[str, Any]) -> int:
    return math.prod(value["dims"]) * _bits_of(value) // 8


def _graph(payload: bytes) -> dict[str, Any]:
    """XNNPACK's graph, with the names of backends/xnnpack/serialization/schema.fbs."""
    header = XNNHeader.from_bytes(payload[: XNNHeader.EXPECTED_LENGTH])
    with tempfile.TemporaryDirectory() as folder:
        schema, binary = Path(folder, "schema.fbs"), Path(folder, "graph.bin")
        schema.write_bytes((importlib.resources.files(serialization) / "schema.fbs").read_bytes())
        binary.write_bytes(payload[header.flatbuffer_offset :][: header.flatbuffer_size])
        _flatc_decompile(folder, str(schema), str(binary))
        # flatc writes the bound of a clamp that has none as inf, which no JSON reader takes
        return json.loads(re.sub(r": (-?)inf\b", r": \1Infinity", Path(folder, "graph.json").read_text("utf-8")))
