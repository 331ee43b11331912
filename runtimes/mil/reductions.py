"""Operators that take one or several axes together: sums, extremes, running sums, order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.runtimes.mil.shapes import integers

Array = np.ndarray


def _over(x: Array, axes: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axes is None else integers(axes)


def reduce_sum(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.sum(x, axis=_over(x, axes), keepdims=bool(keep_dims), dtype=x.dtype)


def reduce_mean(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.mean(x, axis=_over(x, axes), keepdims=bool(keep_dims))


def reduce_prod(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.prod(x, axis=_over(x, axes), keepdims=bool(keep_dims), dtype=x.dtype)


def reduce_max(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.max(x, axis=_over(x, axes), keepdims=bool(keep_dims))


def reduce_min(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.min(x, axis=_over(x, axes), keepdims=bool(keep_dims))


def reduce_l1_norm(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return reduce_sum(np.abs(x), axes, keep_dims)


def reduce_l2_norm(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.sqrt(reduce_sum(np.square(x), axes, keep_dims))


def reduce_sum_square(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return reduce_sum(np.square(x), axes, keep_dims)


def reduce_log_sum(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    return np.log(reduce_sum(x, axes, keep_dims))


def reduce_log_sum_exp(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
    largest = np.max(x, axis=_over(x, axes), keepdims=True)
    result = np.log(np.sum(np.exp(x - largest), axis=_over(x, axes), keepdims=True)) + largest
    return result if keep_dims else np.squeeze(result, _over(x, axes))


def reduce_argmax(x: Array, axis: Any = -1, keep_dims: Any = False, output_dtype: str = "int32") -> Array:
    return np.argmax(x, axis=int(axis), keepdims=bool(keep_dims))


def reduce_argmin(x: Array, axis: Any = -1, keep_dims: Any = False, output_dtype: str = "int32") -> Array:
    return np.argmin(x, axis=int(axis), keepdims=bool(keep_dims))


def cumsum(x: Array, axis: Any = 0, exclusive: Any = False, reverse: Any = False) -> Array:
    axis = int(axis)
    ordered = np.flip(x, axis) if reverse else x
    result = np.cumsum(ordered, axis=axis, dtype=x.dtype)
    if exclusive:
        result = result - ordered
    return np.flip(result, axis) if reverse else result


def argsort(x: Array, axis: Any = -1, ascending: Any = False) -> Array:
    return np.argsort(x if ascending else -x, axis=int(axis), kind="stable")


def topk(
    x: Array,
    k: Any = 1,
    axis: Any = -1,
    ascending: Any = False,
    sort: Any = True,  # results are always sorted, which an unsorted call allows
    return_indices: Any = True,
    output_indices_dtype: str = "int32",
) -> tuple[Array, ...]:
    axis, k = int(axis), int(k)
    count = x.shape[axis] if k == -1 else k
    indices = np.take(argsort(x, axis, ascending), np.arange(count), axis=axis)
    values = np.take_along_axis(x, indices, axis)
    return (values, indices) if return_indices else (values,)


def softmax(x: Array, axis: Any = -1) -> Array:
    exponentials = np.exp(x - np.max(x, axis=int(axis), keepdims=True))
    return exponentials / np.sum(exponentials, axis=int(axis), keepdims=True)


OPERATORS: dict[str, Callable[..., Any]] = {
    "argsort": argsort,
    "cumsum": cumsum,
    "reduce_argmax": reduce_argmax,
    "reduce_argmin": reduce_argmin,
    "reduce_l1_norm": reduce_l1_norm,
    "reduce_l2_norm": reduce_l2_norm,
    "reduce_log_sum": reduce_log_sum,
    "reduce_log_sum_exp": reduce_log_sum_exp,
    "reduce_max": reduce_max,
    "reduce_mean": reduce_mean,
    "reduce_min": reduce_min,
    "reduce_prod": reduce_prod,
    "reduce_sum": reduce_sum,
    "reduce_sum_square": reduce_sum_square,
    "softmax": softmax,
    "topk": topk,
}
