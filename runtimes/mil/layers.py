"""Operators with weights or several tensors: products, normalisation, attention, the classifier's last step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgewright.runtimes.mil.reductions import softmax
from edgewright.runtimes.mil.shapes import integers

Array = np.ndarray


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x: (..., I); weight: (O, I)."""
    product = x @ weight.T
    return product if bias is None else product + bias


def matmul(x: Array, y: Array, transpose_x: Any = False, transpose_y: Any = False) -> Array:
    return (np.swapaxes(x, -1, -2) if transpose_x else x) @ (np.swapaxes(y, -1, -2) if transpose_y else y)


def einsum(values: Sequence[Array], equation: str) -> Array:
    return np.einsum(equation, *values)


def layer_norm(
    x: Array, axes: Any = None, gamma: Array | None = None, beta: Array | None = None, epsilon: Any = 1e-5
) -> Array:
    over = tuple(a % x.ndim for a in (range(x.ndim) if axes is None else integers(axes)))
    centred = x - x.mean(axis=over, keepdims=True)
    result = centred / np.sqrt(np.square(centred).mean(axis=over, keepdims=True) + np.float32(epsilon))
    shape = [size if axis in over else 1 for axis, size in enumerate(x.shape)]
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: Any = 1e-5,
) -> Array:
    """x: (N, C, ...); mean, variance, gamma, beta: (C,)."""
    shape = (-1, *[1] * (x.ndim - 2))
    result = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + np.float32(epsilon))
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)


def instance_norm(x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: Any = 1e-5) -> Array:
    """Over the spatial axes of (N, C, ...)."""
    over = tuple(range(2, x.ndim))
    centred = x - x.mean(axis=over, keepdims=True)
    result = centred / np.sqrt(np.square(centred).mean(axis=over, keepdims=True) + np.float32(epsilon))
    shape = (-1, *[1] * (x.ndim - 2))
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)


def l2_norm(x: Array, epsilon: Any = 1e-6) -> Array:
    """Over the last three axes."""
    return x / np.sqrt(np.square(x).sum(axis=(-3, -2, -1), keepdims=True) + np.float32(epsilon))


def scaled_dot_product_attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    """(..., L, E), (..., S, E), (..., S, V) -> (..., L, V); the mask is added, or where boolean, True is seen."""
    scores = query @ np.swapaxes(key, -1, -2) / np.float32(np.sqrt(query.shape[-1]))
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == np.bool_ else scores + attn_mask
    return softmax(scores, -1) @ value


def classify(probabilities: Array, classes: Sequence[str] | Array) -> tuple[Any, dict[Any, float]]:
    """(the class of the highest probability, the probability of each class)."""
    names = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    flat = probabilities.reshape(-1)
    return names[int(flat.argmax())], dict(zip(names, flat.tolist(), strict=True))


OPERATORS: dict[str, Callable[..., Any]] = {
    "batch_norm": batch_norm,
    "classify": classify,
    "einsum": einsum,
    "instance_norm": instance_norm,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
