"""The numbers of a program: records of weight.bin, and values that stand in model.mlmodel itself.

weight.bin is a 64-byte header and, for each tensor, a 64-byte record (uint32 0xDEADBEEF, uint32 type, uint64 size in
bytes, uint64 offset of the data) and its data, little-endian. Integers of fewer than 8 bits are packed, the first
element in the lowest bits. Source: coremltools, mlmodel/src/MILBlob/Blob/StorageFormat.hpp and BlobDataType.hpp.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import DamagedFileError
from edgewright.runtimes.mil.schema import DataType

MAGIC = 0xDEADBEEF
_HEADER_BYTES = 64
_RECORD = struct.Struct("<IIQQ")


@dataclass(frozen=True)
class ElementType:
    """A MIL data type: how NumPy holds it, its bits in a file, and its number in weight.bin."""

    name: str
    numpy: Any
    bits: int
    in_weight_bin: int | None


ELEMENT_TYPES: dict[int, ElementType] = {
    DataType.BOOL: ElementType("bool", np.bool_, 8, None),
    DataType.FLOAT16: ElementType("float16", np.float16, 16, 1),
    DataType.FLOAT32: ElementType("float32", np.float32, 32, 2),
    DataType.FLOAT64: ElementType("float64", np.float64, 64, None),
    DataType.INT8: ElementType("int8", np.int8, 8, 4),
    DataType.INT16: ElementType("int16", np.int16, 16, 6),
    DataType.INT32: ElementType("int32", np.int32, 32, 14),
    DataType.INT64: ElementType("int64", np.int64, 64, None),
    DataType.UINT8: ElementType("uint8", np.uint8, 8, 3),
    DataType.UINT16: ElementType("uint16", np.uint16, 16, 7),
    DataType.UINT32: ElementType("uint32", np.uint32, 32, 15),
    DataType.UINT64: ElementType("uint64", np.uint64, 64, None),
    DataType.INT4: ElementType("int4", np.int8, 4, 8),
    DataType.UINT1: ElementType("uint1", np.uint8, 1, 9),
    DataType.UINT2: ElementType("uint2", np.uint8, 2, 10),
    DataType.UINT3: ElementType("uint3", np.uint8, 3, 12),
    DataType.UINT4: ElementType("uint4", np.uint8, 4, 11),
    DataType.UINT6: ElementType("uint6", np.uint8, 6, 13),
}


def element_type(number: int, where: Path) -> ElementType:
    try:
        return ELEMENT_TYPES[number]
    except KeyError:
        raise DamagedFileError(f"{where}: unknown data type {number}; export the model again") from None


class WeightFile:
    """One weight.bin, checked record by record as it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.content = path.read_bytes()
        except OSError as error:
            raise self._damaged("cannot be read") from error
        if len(self.content) < _HEADER_BYTES:
            raise self._damaged(f"has {len(self.content)} bytes, fewer than its header")

    def read(self, offset: int, element: ElementType, count: int) -> np.ndarray:
        """The `count` elements of the record at byte `offset`, flat."""
        if offset < _HEADER_BYTES or offset + _RECORD.size > len(self.content):
            raise self._damaged(f"holds no record at byte {offset}")
        magic, stored_type, size, start = _RECORD.unpack_from(self.content, offset)
        if magic != MAGIC:
            raise self._damaged(f"has no record mark at byte {offset}")
        if stored_type != element.in_weight_bin:
            raise self._damaged(f"has type {stored_type} at byte {offset} where the program says {element.name}")
        if size != (count * element.bits + 7) // 8:
            raise self._damaged(f"has {size} bytes at byte {offset} for {count} elements of {element.name}")
        if start + size > len(self.content):
            raise self._damaged(f"ends at byte {len(self.content)}, before the record at byte {offset} does")
        return unpack(self.content[start : start + size], element, count)

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path}: {what}; the file is damaged, get it anew")


def unpack(raw: bytes, element: ElementType, count: int) -> np.ndarray:
    """The first `count` elements of `raw`; integers of fewer than 8 bits come as int8 or uint8."""
    if element.bits >= 8:
        return np.frombuffer(raw, element.numpy)[:count]
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[: count * element.bits]
    values = bits.reshape(count, element.bits) @ (1 << np.arange(element.bits))
    if np.issubdtype(element.numpy, np.signedinteger):
        values = np.where(values >= 1 << (element.bits - 1), values - (1 << element.bits), values)
    return values.astype(element.numpy)


@dataclass(frozen=True)
class Stored:
    """A constant as it lies in the package: its declared type, its values unscaled, and its bytes."""

    element: ElementType
    values: np.ndarray  # the declared shape; float16 stays float16
    offset: int | None = None  # of its record in weight.bin; None: it stands in model.mlmodel

    @property
    def size_bytes(self) -> int:
        return (self.values.size * self.element.bits + 7) // 8


class Constants:
    """Reads MIL values of one package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # where model.mlmodel lies; "@model_path" in a value
        self.files: dict[str, WeightFile] = {}

    def tensor(self, value: Any) -> Stored:
        """A value of tensor type that is not text."""
        tensor_type = value.type.tensorType
        element = element_type(tensor_type.dataType, self.folder)
        shape = [d.constant.size for d in tensor_type.dimensions]
        count = math.prod(shape)
        offset = None
        if value.WhichOneof("value") == "blobFileValue":
            offset = int(value.blobFileValue.offset)
            flat = self._file(value.blobFileValue.fileName).read(offset, element, count)
        else:
            flat = self._immediate(value.immediateValue.tensor, element, count)
        if flat.size != count:
            raise DamagedFileError(
                f"{self.folder / 'model.mlmodel'}: a constant has {flat.size} elements where its type says {count}; "
                "the file is damaged, get it anew"
            )
        return Stored(element, flat.reshape(shape), offset)

    def value(self, value: Any) -> Any:
        """A value of any type: str, list, or an array of its declared shape (float16 widened to float32)."""
        if value.type.WhichOneof("type") == "listType":
            return [self.value(item) for item in value.immediateValue.list.values]
        if value.type.tensorType.dataType == DataType.STRING:
            strings = list(value.immediateValue.tensor.strings.values)
            return strings if value.type.tensorType.dimensions else strings[0]
        values = self.tensor(value).values
        return values.astype(np.float32) if values.dtype == np.float16 else values

    def _immediate(self, tensor: Any, element: ElementType, count: int) -> np.ndarray:
        kind = tensor.WhichOneof("value")
        if kind == "bytes":  # types without a protobuf field of their own
            return unpack(tensor.bytes.values, element, count)
        numbers = getattr(tensor, kind).values if kind else []
        if len(numbers) == 0 and count == 1:
            numbers = [0]  # protobuf leaves a zero out
        return np.array(numbers, dtype=element.numpy)

    def _file(self, name: str) -> WeightFile:
        if name not in self.files:
            path = self.folder / name.removeprefix("@model_path/")
            if not name.isprintable() or not path.resolve().is_relative_to(self.folder.resolve()):
                raise DamagedFileError(f"{self.folder}: the weight file {name!r} lies outside; do not use this package")
            self.files[name] = WeightFile(path)
        return self.files[name]
