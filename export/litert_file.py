"""Reading and editing a TFLite flatbuffer: constants, operators, names, metadata.

Uses the object form of the schema (`ModelT`) that ai-edge-litert generates; its tool reads buffers that lie outside
of the flatbuffer, as ai-edge-quantizer writes them, which the generated code alone does not.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

NUMPY = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT4: np.int8,  # two in a byte
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
}
PER_ROW_VERSION = 12  # TensorFlow's tensorflow/lite/tools/versioning/op_version.cc
OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


@dataclass(frozen=True)
class Constant:
    """A constant tensor.

    values: of integers of 4 bits int8; scales: (), of its rows, or (rows, blocks); empty for floats. kind: the type of
    an element as it is stored, "int4".
    """

    buffer: int
    values: np.ndarray
    scales: np.ndarray
    kind: str
    size_bytes: int


def read(path: Path) -> schema.ModelT:
    model = flatbuffer_utils.read_model(path)
    for buffer in model.buffers:
        if buffer.data is not None:
            buffer.data = np.frombuffer(buffer.data, np.uint8)  # anything else is packed byte by byte, in seconds
    return model


def write(model: schema.ModelT, path: Path) -> None:
    flatbuffer_utils.write_model(model, path)


def constants(model: schema.ModelT) -> list[Constant]:
    """The constants of the file, each buffer once however many tensors use it."""
    found: dict[int, Constant] = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or tensor.type not in NUMPY:
                continue
            values: np.ndarray = np.frombuffer(bytes(data), NUMPY[tensor.type])
            kind = str(values.dtype)
            if tensor.type == schema.TensorType.INT4:  # two's complement, the first of a pair in the low half
                values, kind = np.stack([values << 4 >> 4, values >> 4], axis=1), "int4"
            scales = _scales(model, graph, tensor)
            found[tensor.buffer] = Constant(int(tensor.buffer), values.reshape(tensor.shape), scales, kind, len(data))
    return list(found.values())


def _scales(model: schema.ModelT, graph: schema.SubGraphT, tensor: schema.TensorT) -> np.ndarray:
    quantization = tensor.quantization
    if quantization is None:
        return np.empty(0)
    if quantization.details is None:
        return np.asarray([] if quantization.scale is None else quantization.scale)
    blocks = graph.tensors[quantization.details.scales]  # of the blocks of a row: a tensor of float16
    return np.frombuffer(bytes(model.buffers[blocks.buffer].data), NUMPY[blocks.type]).reshape(blocks.shape)


def operators(model: schema.ModelT, subgraph: int = 0) -> list[str]:
    """The operators' names in the order of execution, "CONV_2D"."""
    return [operator_name(model, operator) for operator in model.subgraphs[subgraph].operators]


def operator_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """The name of one, "CONV_2D"."""
    return OPERATOR_NAMES[
        flatbuffer_utils.get_builtin_code_from_operator_code(model.operatorCodes[operator.opcodeIndex])
    ]


def new_operator(
    model: schema.ModelT, name: str, inputs: list[int], outputs: list[int], options: object = None, version: int = 1
) -> schema.OperatorT:
    """An operator for a subgraph's list.

    options: the schema's object for the operator, where it has one.
    version: the least that a runtime must know; 1 takes float32, most take int8 from 2 on.
    """
    operator = schema.OperatorT()
    operator.opcodeIndex = _operator_code(model, getattr(schema.BuiltinOperator, name), version)
    operator.inputs, operator.outputs = inputs, outputs
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return operator


def new_tensor(graph: schema.SubGraphT, kind: int, shape: tuple[int, ...]) -> int:
    """The index of a new tensor without name and values in a subgraph."""
    tensor = schema.TensorT()
    tensor.type, tensor.shape, tensor.buffer, tensor.name = kind, np.array(shape, np.int32), 0, b""
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def new_buffer(model: schema.ModelT, values: np.ndarray) -> int:
    """The index of a new buffer with these values."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def only(model: schema.ModelT, signature: int) -> bytes:
    """A file with that one signature, to ask the interpreter what it only tells about the first subgraph."""
    alone = copy.copy(model)
    definition = copy.copy(model.signatureDefs[signature])
    alone.subgraphs = [model.subgraphs[definition.subgraphIndex]]
    definition.subgraphIndex = 0
    alone.signatureDefs = [definition]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(alone))


def share_buffers(model: schema.ModelT) -> None:
    """Let equal constants of all signatures use one buffer; the others shrink to nothing."""
    first: dict[bytes, int] = {}
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None:
            tensor.buffer = first.setdefault(bytes(data), int(tensor.buffer))
    used = {0, *first.values(), *(int(entry.buffer) for entry in model.metadata or [])}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None


def state_versions(model: schema.ModelT) -> None:
    """Give FULLY_CONNECTED the version that float inputs need with int8 weights of one scale a row, or with int4 ones.

    ai-edge-quantizer 0.10 leaves an older one, and TensorFlow Lite 2.14 then runs the file and answers with the bias
    alone (docs/decisions/0007-ai-edge-litert.md); told the truth, it refuses the file.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator_name(model, operator) != "FULLY_CONNECTED":
                continue
            code = model.operatorCodes[operator.opcodeIndex]
            rows, weights = (graph.tensors[index] for index in operator.inputs[:2])
            scales = None if weights.quantization is None else weights.quantization.scale
            by_row = weights.type == schema.TensorType.INT8 and scales is not None and len(scales) > 1
            if rows.type == schema.TensorType.FLOAT32 and (by_row or weights.type == schema.TensorType.INT4):
                code.version = max(code.version, PER_ROW_VERSION)


def name_tensors(model: schema.ModelT, layers: Mapping[int, str]) -> None:
    """Short names instead of the converter's, which repeat Python classes and are longer than some graphs.

    layers: the parameter that a buffer holds. Inputs and outputs are named "input_0:ids", "output_0:logits" with
    their place in the method: a signature's own list is in the order of the alphabet.
    """
    for definition in model.signatureDefs:
        graph = model.subgraphs[definition.subgraphIndex]
        for tensor in graph.tensors:
            # "pkg.Root;;pkg.Root/torch.nn.modules.conv.Conv1d_convolution_1;3" -> "Conv1d_convolution_1;3"
            short = re.split(r";;|/|\.", _text(tensor.name))[-1]
            tensor.name = layers.get(int(tensor.buffer), short).encode()
        for kind, entries, places in (
            ("input", definition.inputs, list(graph.inputs)),
            ("output", definition.outputs, list(graph.outputs)),
        ):
            for entry in entries:
                place = places.index(entry.tensorIndex)
                graph.tensors[entry.tensorIndex].name = f"{kind}_{place}:{_text(entry.name)}".encode()


def add_metadata(model: schema.ModelT, name: str, content: bytes) -> None:
    """A named buffer that the interpreter passes over."""
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, new_buffer(model, np.frombuffer(content, np.uint8))
    model.metadata = [*(model.metadata or []), entry]


def metadata(model: schema.ModelT, name: str) -> bytes | None:
    """What `add_metadata` stored under the name."""
    for entry in model.metadata or []:
        if _text(entry.name) == name:
            return bytes(model.buffers[entry.buffer].data)
    return None


def _operator_code(model: schema.ModelT, code: int, version: int) -> int:
    """The index of an operator's entry, raised to that version."""
    for index, entry in enumerate(model.operatorCodes):
        if flatbuffer_utils.get_builtin_code_from_operator_code(entry) == code:
            entry.version = max(entry.version, version)
            return index
    entry = schema.OperatorCodeT()
    entry.builtinCode = entry.deprecatedBuiltinCode = code
    entry.version = version
    model.operatorCodes.append(entry)
    return len(model.operatorCodes) - 1


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
