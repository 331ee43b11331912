"""What a .pte file stores: the integers and scales of each weight, compared with the grid, and all bytes by type.

A weight lies in one of three places: in the program's own constants (tables of embeddings), in named data that all
functions of the file share (what the XNNPACK delegates multiply with), or inside a delegate. A delegate is a
flatbuffer of XNNPACK's graph; its schema comes with the executorch package
(backends/xnnpack/serialization/schema.fbs), and the numbers below are the fields' places in it. flatc, which comes
with the package too, prints scales to six decimals only, so the graph is read here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.schema import DelegateCall, ExecutionPlan, KernelCall

from edgewright.compress.quantize import GridWeight, QuantizedModel
from edgewright.errors import ExportError
from edgewright.export import nibbles
from edgewright.export.convolutions import as_stored

# XNNDatatype to the type of an element; the rest are activations
FLOAT32, FLOAT16, BFLOAT16, INT8, INT4, INT32 = "float32", "float16", "bfloat16", "int8", "int4", "int32"
XNNPACK_TYPES = {1: FLOAT32, 2: FLOAT16, 3: INT8, 5: INT32, 6: INT8, 7: INT32, 8: INT4, 10: INT4, 14: BFLOAT16}
PROGRAM_TYPES = {"CHAR": INT8, "FLOAT": FLOAT32, "HALF": FLOAT16, "INT": INT32, "LONG": "int64", "BOOL": "bool"}
# XNNQuantParams
PER_CHANNEL, PER_TENSOR, PER_GROUP = 1, 2, 4


@dataclass(frozen=True)
class StoredWeight:
    """One constant tensor of a function.

    values: int8 integers for "int8" and "int4", else the numbers as they are; scales: as in GridWeight, None where
    the file has none for it.
    """

    function: str
    type: str
    values: np.ndarray
    scales: np.ndarray | None


@dataclass(frozen=True)
class Stored:
    weights: list[StoredWeight]  # of all functions; a tensor that two functions share is in it twice
    bytes_by_type: dict[str, int]  # each tensor once, scales among them


def read(path: Path) -> Stored:
    """All constant tensors of a .pte file that edgewright wrote."""
    file = deserialize_pte_binary(path.read_bytes())
    # keys with the same content share a buffer
    named = (
        {
            key: (f"named {entry.buffer_index}", bytes(file.named_data.buffers[entry.buffer_index]))
            for key, entry in file.named_data.pte_data.items()
        }
        if file.named_data
        else {}
    )
    weights: list[StoredWeight] = []
    sizes: dict[Any, tuple[str, int]] = {}  # of each buffer, by where it lies
    for plan in file.program.execution_plan:
        delegates = [
            _Delegate(bytes(file.program.backend_delegate_data[delegate.processed.index].data), named)
            for delegate in plan.delegates
            if delegate.id == "XnnpackBackend"
        ]
        for delegate in delegates:
            weights += [StoredWeight(plan.name, *weight) for weight in delegate.weights()]
            sizes |= delegate.sizes
        constants: dict[int, tuple[str, np.ndarray]] = {}  # by the value's place: type, numbers
        for index, value in enumerate(plan.values):
            tensor = value.val
            buffer = getattr(tensor, "data_buffer_idx", 0)
            if buffer and tensor.allocation_info is None:
                kind, raw = PROGRAM_TYPES[tensor.scalar_type.name], bytes(file.program.constant_buffer[buffer].storage)
                constants[index] = kind, _array(raw, kind, tensor.sizes)
                sizes[buffer] = (kind, len(raw))
        tables = _tables(plan, delegates, constants)
        for index, constant in constants.items():
            weights.append(tables.get(index) or StoredWeight(plan.name, *constant, None))
            if index in tables:
                sizes[plan.values[index].val.data_buffer_idx] = (tables[index].type, constant[1].nbytes)
    bytes_by_type: dict[str, int] = {}
    for kind, size in sizes.values():
        bytes_by_type[kind] = bytes_by_type.get(kind, 0) + size
    return Stored(weights, bytes_by_type)


def check(model: QuantizedModel, stored: Stored) -> None:
    """Refuse a file in which a weight of the grid is not stored with the grid's own integers and scales.

    Raises:
        ExportError: it names the layer, and how the file has its weight.
    """
    for name, grid in model.weights.items():
        integers = as_stored(grid.integers)
        alike = [weight for weight in stored.weights if weight.values.size == integers.size]
        same = [weight for weight in alike if np.array_equal(weight.values.reshape(integers.shape), integers)]
        right = [weight for weight in same if weight.type == f"int{grid.bits}" and _same_scales(weight, grid, integers)]
        functions = {weight.function for weight in right}
        methods = {_method(function) for function in functions}  # another method may do without this weight
        missing = {weight.function for weight in stored.weights if _method(weight.function) in methods} - functions
        if right and not missing:
            continue
        if right:
            found = f"otherwise in {', '.join(sorted(missing))}"
        elif same:
            found = f"as {same[0].type} with other scales"
        elif kept := [weight for weight in alike if weight.type == f"int{grid.bits}"]:
            differ = min(np.count_nonzero(weight.values.ravel() != integers.ravel()) for weight in kept)
            found = f"with other integers ({differ} of {integers.size})"
        else:
            found = f"as {alike[0].type}" if alike else "nowhere"
        raise ExportError(
            f"layer {name.removesuffix('.weight')}: {model.numerics} wants its weight as int{grid.bits} with the "
            f"integers that quantize chose, and the .pte file has it {found}; write that layer another way"
        )


def _method(function: str) -> str:
    """ "forward" of "forward_16", and "step" of "step"."""
    method, _, length = function.rpartition("_")
    return method if length.isdecimal() else function


def _same_scales(weight: StoredWeight, grid: GridWeight, integers: np.ndarray) -> bool:
    if weight.scales is None or weight.scales.size != grid.scales.size:
        return False
    # any scale is right for zeros, and the quantizers do not agree on one
    used = integers.reshape(grid.scales.size, -1).any(axis=1)
    return np.array_equal(weight.scales.reshape(-1)[used], grid.scales.reshape(-1)[used])


def _tables(
    plan: ExecutionPlan, delegates: "list[_Delegate]", constants: dict[int, tuple[str, np.ndarray]]
) -> dict[int, StoredWeight]:
    """The tables of embeddings, as executorch_embedding.py writes them, by their value in the plan.

    A table's scale is that by which a delegate scales the rows looked up; where it has a scale a row, these are a table
    that is looked up with the same ids, and the delegate's scale is 1.
    """
    calls = [instruction.instr_args for chain in plan.chains for instruction in chain.instructions]
    scaled = {
        call.args[place]: found
        for call in calls
        if isinstance(call, DelegateCall)
        for place, found in delegates[call.delegate_index].input_scales().items()
    }
    lookups = [
        call.args
        for call in calls
        if isinstance(call, KernelCall) and plan.operators[call.op_index].name == "aten::embedding"
        if call.args[0] in constants
    ]
    tables = {}
    for table, ids, *_, rows in lookups:
        if rows not in scaled:
            continue
        scales, zero = scaled[rows]
        integers, kind = constants[table][1], INT8
        if zero == -nibbles.SHIFT:
            integers, kind = nibbles.unpacked(integers), INT4
        of_rows = [constants[other][1] for other, same, *_ in lookups if same == ids and constants[other][0] == FLOAT32]
        for found in of_rows:
            if found.shape == (len(integers), 1):
                scales = found[:, 0]
        tables[table] = StoredWeight(plan.name, kind, integers, scales)
    return tables


class _Delegate:
    """One XNNPACK graph."""

    def __init__(self, payload: bytes, named: dict[str, tuple[str, bytes]]) -> None:
        header = XNNHeader.from_bytes(payload[: XNNHeader.EXPECTED_LENGTH])
        flatbuffer = payload[header.flatbuffer_offset :][: header.flatbuffer_size]
        graph = _Table(flatbuffer, struct.unpack_from("<I", flatbuffer)[0])
        self._values = [value.table(1) for value in graph.tables(2)]  # XNNGraph.xvalues, XValue.xvalue_union
        self._quantized = [value.number(0, "<B") == 2 for value in graph.tables(2)]  # XNNQuantizedTensorValue
        self._constants: list[tuple[Any, bytes]] = []  # what tells it apart in `sizes`, content
        for place in graph.tables(8):  # XNNGraph.constant_data
            key, size = place.string(2), place.number(1, "<Q")
            inside = payload[header.constant_data_offset + (0 if key else place.number(0, "<Q")) :][:size]
            self._constants.append(named[key] if key else (inside, inside))
        self.sizes: dict[Any, tuple[str, int]] = {}  # filled by weights()

    def weights(self) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
        """Type, values and scales of each constant."""
        for value, quantized in zip(self._values, self._quantized, strict=True):
            tensor = value.table(0) if quantized else value
            buffer = tensor.number(3, "<I")  # XNNTensorValue.constant_buffer_idx
            if not buffer:
                continue
            kind = XNNPACK_TYPES[tensor.number(0, "<h")]
            key, raw = self._constants[buffer]
            shape = tensor.numbers(2, "I")
            self.sizes[key] = (kind, len(raw))
            yield kind, _array(raw, kind, shape), self._scales(value, shape[0]) if quantized else None

    def input_scales(self) -> dict[int, tuple[np.ndarray, int]]:
        """Scale and zero point of each int8 input, by its place among the delegate's arguments."""
        found = {}
        for value, quantized in zip(self._values, self._quantized, strict=True):
            if quantized and value.table(0).number(5, "<I") & 1:  # XNNTensorValue.flags: an external input
                zero = value.table(2).number(1, "<i")  # XNNPerTensorQuant.zero_point
                found[value.table(0).number(4, "<I")] = self._scales(value, 0), zero
        return found

    def _scales(self, value: "_Table", rows: int) -> np.ndarray:
        kind, parameters = value.number(1, "<B"), value.table(2)
        if kind == PER_TENSOR:
            return np.array(parameters.number(0, "<f"), np.float32)
        assert kind in (PER_CHANNEL, PER_GROUP), f"XNNPACK quantization {kind} is not of our making"
        buffer, stored = (2, FLOAT32) if kind == PER_CHANNEL else (4, BFLOAT16)
        key, raw = self._constants[parameters.number(buffer, "<I")]
        self.sizes[key] = (stored, len(raw))
        scales = _array(raw, stored, [parameters.number(buffer + 1, "<I")])
        return scales if kind == PER_CHANNEL else scales.reshape(rows, -1)


class _Table:
    """A flatbuffer table (https://flatbuffers.dev/internals): fields by their place in the schema."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._fields = position - self._at("<i", position)

    def number(self, field: int, form: str) -> Any:
        """A number in the form of `struct`; 0 where the field is absent, as all of these fields default to."""
        place = self._place(field)
        return self._at(form, place) if place else 0

    def table(self, field: int) -> "_Table":
        return self._table_at(self._place(field))

    def tables(self, field: int) -> "list[_Table]":
        start, count = self._vector(field)
        return [self._table_at(start + 4 * index) for index in range(count)]

    def numbers(self, field: int, form: str) -> list[int]:
        start, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}{form}", self._data, start))

    def string(self, field: int) -> str:
        start, count = self._vector(field)
        return self._data[start : start + count].decode()

    def _table_at(self, place: int) -> "_Table":
        return _Table(self._data, place + self._at("<I", place))

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the elements start, and how many there are."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = place + self._at("<I", place)
        return start + 4, self._at("<I", start)

    def _place(self, field: int) -> int:
        """Where the field lies; 0 where it is absent."""
        entry = 4 + 2 * field
        if entry >= self._at("<H", self._fields):
            return 0
        offset = self._at("<H", self._fields + entry)
        return self._position + offset if offset else 0

    def _at(self, form: str, place: int) -> Any:
        return struct.unpack_from(form, self._data, place)[0]


def _array(raw: bytes, kind: str, shape: list[int]) -> np.ndarray:
    """The numbers in `raw`; "int4" and "bfloat16", which NumPy lacks, as int8 and float32."""
    count = int(np.prod(shape))
    if kind == INT4:  # the integer + 8, the even column in the low half of the byte
        pairs = np.frombuffer(raw, np.uint8)
        values = np.stack([pairs & 15, pairs >> 4], axis=1).reshape(-1).astype(np.int8) - 8
    elif kind == BFLOAT16:
        values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(raw, kind)
    return values[:count].reshape(shape)  # the rest is padding
