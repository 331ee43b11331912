"""Operators that move, repeat, join or make elements without computing on them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def integers(values: Any) -> tuple[int, ...]:
    """A scalar or an array of integers as a tuple, which NumPy takes as axes, shape or repeats."""
    return tuple(np.atleast_1d(values).tolist())


def reshape(x: Array, shape: Any) -> Array:
    """0 takes the size of x at the same place, counted from the right; -1 is what is left."""
    wanted = list(integers(shape))
    for position, size in enumerate(wanted):
        if size == 0 and x.size:
            from_right = position - len(wanted)
            wanted[position] = x.shape[from_right] if -from_right <= x.ndim else 1
    return np.reshape(x, wanted)


def transpose(x: Array, perm: Any) -> Array:
    return np.transpose(x, integers(perm))


def expand_dims(x: Array, axes: Any) -> Array:
    return np.expand_dims(x, integers(axes))


def squeeze(x: Array, axes: Any = None) -> Array:
    return np.squeeze(x) if axes is None else np.squeeze(x, integers(axes))


def flatten2d(x: Array, axis: Any = 1) -> Array:
    rows = int(np.prod(x.shape[: int(axis)], dtype=np.int64))
    return np.reshape(x, (rows, -1))


def concat(values: Sequence[Array], axis: Any, interleave: Any = False) -> Array:
    axis = int(axis)
    if not interleave:
        return np.concatenate([np.atleast_1d(v) for v in values], axis)
    stacked = np.stack(values, axis % values[0].ndim + 1)  # first of each, then second of each, ...
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    return stacked.reshape(shape)


def stack(values: Sequence[Array], axis: Any) -> Array:
    return np.stack(values, int(axis))


def split(x: Array, axis: Any, num_splits: Any = None, split_sizes: Any = None) -> tuple[Array, ...]:
    if split_sizes is not None:
        return tuple(np.split(x, np.cumsum(integers(split_sizes))[:-1], int(axis)))
    return tuple(np.split(x, int(num_splits), int(axis)))


def tile(x: Array, reps: Any) -> Array:
    return np.tile(x, integers(reps))


def reverse(x: Array, axes: Any = None) -> Array:
    return np.flip(x, None if axes is None else integers(axes))


def reverse_sequence(x: Array, lengths: Array, seq_axis: Any = 0, batch_axis: Any = 0) -> Array:
    """The first lengths[i] elements along seq_axis of row i of batch_axis, back to front."""
    moved = np.moveaxis(x, (int(batch_axis), int(seq_axis)), (0, 1)).copy()
    for row, length in zip(moved, integers(lengths), strict=True):
        row[:length] = row[:length][::-1].copy()
    return np.moveaxis(moved, (0, 1), (int(batch_axis), int(seq_axis)))


def shape(x: Array) -> Array:
    return np.array(np.shape(x), np.int32)


def fill_like(ref_tensor: Array, value: Any = 0.0) -> Array:
    """Of the shape of ref_tensor and the type of value."""
    return np.full(ref_tensor.shape, value)


def fill(shape: Any, value: Any = 0.0) -> Array:
    return np.full(integers(shape), value)


def range_1d(start: Any, end: Any, step: Any) -> Array:
    return np.arange(np.asarray(start).item(), np.asarray(end).item(), np.asarray(step).item())


def pad(x: Array, pad: Any, mode: str = "constant", constant_val: Any = 0.0) -> Array:
    """pad: before and after, for the last len(pad) / 2 axes."""
    pairs = np.reshape(integers(pad), (-1, 2)).tolist()
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    if mode == "constant":
        return np.pad(x, widths, constant_values=constant_val)
    return np.pad(x, widths, mode={"reflect": "reflect", "replicate": "edge"}[mode])  # type: ignore[call-overload]


def band_part(x: Array, lower: Any = -1, upper: Any = -1) -> Array:
    """x where its element lies at most `lower` below and `upper` above the diagonal (-1: any), else 0."""
    above = np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None]
    keep = ((int(lower) < 0) | (-above <= int(lower))) & ((int(upper) < 0) | (above <= int(upper)))
    return np.where(keep, x, np.zeros((), x.dtype))


def one_hot(indices: Array, one_hot_vector_size: Any, axis: Any = -1, on_value: Any = 1, off_value: Any = 0) -> Array:
    hot = indices[..., None] == np.arange(int(one_hot_vector_size))
    return np.moveaxis(np.where(hot, on_value, off_value), -1, int(axis))


def pixel_shuffle(x: Array, upscale_factor: Any) -> Array:
    """(N, C r r, H, W) -> (N, C, H r, W r)."""
    n, channels, height, width = x.shape
    r = int(upscale_factor)
    blocks = x.reshape(n, channels // (r * r), r, r, height, width)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, channels // (r * r), height * r, width * r)


def upsample_nearest_neighbor(x: Array, scale_factor_height: Any = 1, scale_factor_width: Any = 1) -> Array:
    """(N, C, H, W); whole factors only."""
    rows = np.repeat(x, round(float(scale_factor_height)), axis=-2)
    return np.repeat(rows, round(float(scale_factor_width)), axis=-1)


OPERATORS: dict[str, Callable[..., Any]] = {
    "band_part": band_part,
    "concat": concat,
    "expand_dims": expand_dims,
    "fill": fill,
    "fill_like": fill_like,
    "flatten2d": flatten2d,
    "one_hot": one_hot,
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
    "range_1d": range_1d,
    "reshape": reshape,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "shape": shape,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "tile": tile,
    "transpose": transpose,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
