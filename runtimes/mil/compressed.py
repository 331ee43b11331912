"""Compressed constants (constexpr_*): integers with scales, palettes, sparse weights. Computed once, at loading.

Two generations share the names: up to iOS 17 integers are packed by the operator itself and the table is flat
(arguments `shape`, `axis`); from iOS 18 the file's types are 1 to 6 bits wide and scales and tables are blockwise.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.runtimes.mil.shapes import integers

Array = np.ndarray


def constexpr_affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Any) -> Array:
    """(q - zero_point) * scale, one of each for the tensor or one an index of `axis`."""

    def spread(values: Array) -> Array:
        values = np.asarray(values, np.float32)
        shape = [1] * quantized_data.ndim
        if values.size > 1:
            shape[int(axis)] = -1
        return values.reshape(shape)

    return (quantized_data.astype(np.float32) - spread(zero_point)) * spread(scale)


def constexpr_blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """(q - offset) * scale; each entry of scale and offset covers a block, data.shape / scale.shape."""
    shifted = data.astype(np.float32)
    if offset is not None:
        shifted = shifted - _over_blocks(np.asarray(offset, np.float32), data.shape)
    return shifted * _over_blocks(scale, data.shape)


def constexpr_lut_to_dense(indices: Array, lut: Array, vector_axis: Any = None, shape: Any = None) -> Array:
    if shape is None:
        return _look_up(indices, lut, vector_axis)
    dimensions = integers(shape)
    bits = int(lut.size - 1).bit_length()
    unpacked = np.unpackbits(indices, bitorder="little")[: int(np.prod(dimensions)) * bits]
    return np.asarray(lut[unpacked.reshape(-1, bits) @ (1 << np.arange(bits))].reshape(dimensions))


def constexpr_sparse_to_dense(nonzero_data: Array, mask: Array, shape: Any = None) -> Array:
    if shape is not None:
        dimensions = integers(shape)
        mask = np.unpackbits(mask, bitorder="little")[: int(np.prod(dimensions))].reshape(dimensions)
    return _dense(mask, nonzero_data)


def constexpr_lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: Any = None
) -> tuple[Array, Array]:
    """(mask, values of its ones)."""
    if lut.shape[-1] != 1:
        raise ValueError("sparse palettes of vectors are not covered")
    values = _look_up(_dense(indices_mask, indices_nonzero_data), lut, None)
    return indices_mask, values[indices_mask.astype(bool)]


def constexpr_sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """(mask, values of its ones)."""
    values = constexpr_blockwise_shift_scale(_dense(data_mask, nonzero_data), scale, offset)
    return data_mask, values[data_mask.astype(bool)]


def constexpr_cast(source_val: Array, output_dtype: str) -> Array:
    return source_val


def _over_blocks(values: Array, shape: tuple[int, ...]) -> Array:
    for axis, (blocks, size) in enumerate(zip(values.shape, shape, strict=True)):
        if blocks not in (1, size):
            values = np.repeat(values, size // blocks, axis)
    return values


def _look_up(indices: Array, lut: Array, vector_axis: Any) -> Array:
    """lut: (*blocks, entries, vector); a vector's elements follow each other along vector_axis."""
    tables = lut
    for axis, size in enumerate(indices.shape):
        if lut.shape[axis] not in (1, size):
            tables = np.repeat(tables, size // lut.shape[axis], axis)
    tables = np.broadcast_to(tables, (*indices.shape, *lut.shape[-2:]))
    found = np.take_along_axis(tables, indices[..., None, None].astype(np.int64), axis=-2)[..., 0, :]
    if lut.shape[-1] == 1:
        return found[..., 0]
    axis = int(vector_axis) % indices.ndim
    shape = list(indices.shape)
    shape[axis] *= lut.shape[-1]
    return np.moveaxis(found, -1, axis + 1).reshape(shape)


def _dense(mask: Array, values: Array) -> Array:
    result = np.zeros(mask.shape, values.dtype)
    result[mask.astype(bool)] = values
    return result


OPERATORS: dict[str, Callable[..., Any]] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "constexpr_blockwise_shift_scale": constexpr_blockwise_shift_scale,
    "constexpr_cast": constexpr_cast,
    "constexpr_lut_to_dense": constexpr_lut_to_dense,
    "constexpr_lut_to_sparse": constexpr_lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": constexpr_sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": constexpr_sparse_to_dense,
}
