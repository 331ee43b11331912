"""Operators that read or write at places: gather, scatter, slices, non_zero.

From iOS 17 on a negative index is out of range, and what is read there is undefined. Here it counts from the end, as
before iOS 17; programs that mean it guard it by themselves (coremltools adds a select). An index past the end raises
IndexError, which the program turns into an error that names the operator.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.runtimes.mil.shapes import integers

Array = np.ndarray


def gather(x: Array, indices: Array, axis: Any = 0, batch_dims: Any = 0, validate_indices: Any = False) -> Array:
    indices, axis, batch_dims = np.asarray(indices), int(axis) % np.ndim(x), int(batch_dims)
    if batch_dims == 0:
        return np.take(x, indices, axis)
    # the shared leading axes become one: K = D[:axis] + N[batch_dims:] + D[axis + 1:]
    batch = x.shape[:batch_dims]
    rows = x.reshape(-1, *x.shape[batch_dims:])
    places = indices.reshape(-1, *indices.shape[batch_dims:])
    taken = np.stack([np.take(row, place, axis - batch_dims) for row, place in zip(rows, places, strict=True)])
    return taken.reshape(*batch, *taken.shape[1:])


def gather_along_axis(x: Array, indices: Array, axis: Any = 0, validate_indices: Any = False) -> Array:
    return np.take_along_axis(x, indices, int(axis))


def gather_nd(x: Array, indices: Array, batch_dims: Any = 0, validate_indices: Any = False) -> Array:
    if int(batch_dims) == 0:
        return x[tuple(np.moveaxis(indices, -1, 0))]
    return np.stack([gather_nd(a, i, int(batch_dims) - 1) for a, i in zip(x, indices, strict=True)])


_COMBINE = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


def _scattered(data: Array, places: tuple[Any, ...], updates: Array, mode: str) -> Array:
    result = data.copy()
    if mode == "update":
        result[places] = updates
    else:
        _COMBINE[mode].at(result, places, updates)  # also where a place comes twice
    return result


def scatter(
    data: Array, indices: Array, updates: Array, axis: Any = 0, mode: str = "add", validate_indices: Any = False
) -> Array:
    places = (slice(None),) * (int(axis) % data.ndim) + (indices,)
    return _scattered(data, places, updates, mode)


def scatter_along_axis(
    data: Array, indices: Array, updates: Array, axis: Any = 0, mode: str = "add", validate_indices: Any = False
) -> Array:
    places = list(np.indices(indices.shape, sparse=True))
    places[int(axis) % data.ndim] = indices
    return _scattered(data, tuple(places), updates, mode)


def scatter_nd(data: Array, indices: Array, updates: Array, mode: str = "add", validate_indices: Any = False) -> Array:
    return _scattered(data, tuple(np.moveaxis(indices, -1, 0)), updates, mode)


def _places(
    shape: tuple[int, ...], begin: Any, end: Any, stride: Any, begin_mask: Any, end_mask: Any, squeeze_mask: Any
) -> tuple[slice | int, ...]:
    rank = len(shape)

    def flags(mask: Any) -> tuple[int, ...]:
        return (0,) * rank if mask is None else integers(mask)

    steps = (1,) * rank if stride is None else integers(stride)
    places: list[slice | int] = []
    for first, last, step, from_start, to_end, single in zip(
        integers(begin), integers(end), steps, flags(begin_mask), flags(end_mask), flags(squeeze_mask), strict=True
    ):
        if single:
            places.append(first)
        else:
            places.append(slice(None if from_start else first, None if to_end else last, step))
    return tuple(places)


def slice_by_index(
    x: Array,
    begin: Any,
    end: Any,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Array:
    return np.asarray(x)[_places(x.shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)]


def slice_update(
    x: Array,
    update: Array,
    begin: Any,
    end: Any,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Array:
    result = x.copy()
    result[_places(x.shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)] = update
    return result


def slice_by_size(x: Array, begin: Any, size: Any) -> Array:
    """size -1: all that is left."""
    pairs = zip(integers(begin), integers(size), strict=True)
    return x[tuple(slice(first, None if count == -1 else first + count) for first, count in pairs)]


def non_zero(x: Array) -> Array:
    """(n, rank) places of the elements that are not zero."""
    return np.argwhere(x)


OPERATORS: dict[str, Callable[..., Any]] = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "non_zero": non_zero,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
}
