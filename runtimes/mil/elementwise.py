"""Operators that treat each element by itself: arithmetic, comparison, activations, casts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf as _erf

Array = np.ndarray


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def leaky_relu(x: Array, alpha: Any = 0.01) -> Array:
    return np.where(x >= 0, x, x * alpha)


def prelu(x: Array, alpha: Array) -> Array:
    """alpha: (C,), one slope a channel; x: (N, C, ...)."""
    return np.where(x >= 0, x, x * alpha.reshape(-1, *[1] * (x.ndim - 2)))


def clamped_relu(x: Array, alpha: Any, beta: Any) -> Array:
    return np.minimum(beta, np.where(x >= 0, x, x * alpha))


def thresholded_relu(x: Array, alpha: Any = 1.0) -> Array:
    return np.where(x >= alpha, x, 0)


def elu(x: Array, alpha: Any = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x: Array) -> Array:
    # the tanh form never overflows
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))


def sigmoid_hard(x: Array, alpha: Any = 0.2, beta: Any = 0.5) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def gelu(x: Array, mode: str = "EXACT") -> Array:
    if mode == "EXACT":
        return 0.5 * x * (1 + _erf(x / np.float32(np.sqrt(2))))
    if mode == "TANH_APPROXIMATION":
        return 0.5 * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)))
    assert mode == "SIGMOID_APPROXIMATION", mode
    return x * sigmoid(np.float32(1.702) * x)


def softplus(x: Array) -> Array:
    return np.logaddexp(x, np.float32(0))


def softplus_parametric(x: Array, alpha: Array, beta: Array) -> Array:
    """alpha, beta: (C,); x: (N, C, ...)."""
    channels = (-1, *[1] * (x.ndim - 2))
    return alpha.reshape(channels) * softplus(beta.reshape(channels) * x)


def softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


def scaled_tanh(x: Array, alpha: Any, beta: Any) -> Array:
    return alpha * np.tanh(beta * x)


def linear_activation(x: Array, alpha: Any, beta: Any = 0.0) -> Array:
    return alpha * x + beta


def threshold(x: Array, alpha: Any) -> Array:
    return np.maximum(x, alpha)


def clip(x: Array, alpha: Any, beta: Any) -> Array:
    return np.clip(x, alpha, beta)


def log(x: Array, epsilon: Any = 1e-45) -> Array:
    return np.log(x + np.float32(epsilon))


def rsqrt(x: Array, epsilon: Any = 1e-12) -> Array:
    return 1 / np.sqrt(x + np.float32(epsilon))


def inverse(x: Array, epsilon: Any = 1e-4) -> Array:
    """1 / (x + epsilon): with MIL's default epsilon this is NOT 1 / x."""
    return 1 / (x + np.float32(epsilon))


def real_div(x: Array, y: Array) -> Array:
    if np.issubdtype(np.result_type(x, y), np.integer):  # rounds towards zero, as C does
        return np.trunc(np.divide(x, y))
    return np.divide(x, y)


def cast(x: Array, dtype: str) -> Array:
    """x itself: the program stores each result as its declared type, which is the whole cast."""
    return x


def select(cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


def quantize(input: Array, scale: Array, output_dtype: str, zero_point: Any = None, axis: Any = None) -> Array:
    scale, zero_point = _along(axis, input.ndim, scale), _along(axis, input.ndim, zero_point)
    low, high = (-128, 127) if output_dtype == "int8" else (0, 255)
    return np.clip(np.round(input / scale) + zero_point, low, high)


def dequantize(input: Array, scale: Array, zero_point: Any = None, axis: Any = None) -> Array:
    scale, zero_point = _along(axis, input.ndim, scale), _along(axis, input.ndim, zero_point)
    return (input.astype(np.float32) - zero_point) * scale


def _along(axis: Any, rank: int, values: Any) -> Array:
    """`values`, float32, one an index of `axis` (or one for all), shaped to broadcast; None counts as 0."""
    values = np.float32(0) if values is None else np.asarray(values, np.float32)
    if values.ndim == 0:
        return values
    shape = [1] * rank
    shape[int(axis)] = -1
    return values.reshape(shape)


# NumPy's functions stand in lambdas, whose parameters have MIL's names.
OPERATORS: dict[str, Callable[..., Any]] = {
    "abs": lambda x: np.abs(x),
    "acos": lambda x: np.arccos(x),
    "add": lambda x, y: np.add(x, y),
    "asin": lambda x: np.arcsin(x),
    "atan": lambda x: np.arctan(x),
    "atanh": lambda x: np.arctanh(x),
    "cast": cast,
    "ceil": lambda x: np.ceil(x),
    "clamped_relu": clamped_relu,
    "clip": clip,
    "cos": lambda x: np.cos(x),
    "cosh": lambda x: np.cosh(x),
    "dequantize": dequantize,
    "elu": elu,
    "equal": lambda x, y: np.equal(x, y),
    "erf": lambda x: _erf(x),
    "exp": lambda x: np.exp(x),
    "exp2": lambda x: np.exp2(x),
    "floor": lambda x: np.floor(x),
    "floor_div": lambda x, y: np.floor_divide(x, y),
    "gelu": gelu,
    "greater": lambda x, y: np.greater(x, y),
    "greater_equal": lambda x, y: np.greater_equal(x, y),
    "identity": lambda x: x,
    "inverse": inverse,
    "leaky_relu": leaky_relu,
    "less": lambda x, y: np.less(x, y),
    "less_equal": lambda x, y: np.less_equal(x, y),
    "linear_activation": linear_activation,
    "log": log,
    "logical_and": lambda x, y: np.logical_and(x, y),
    "logical_not": lambda x: np.logical_not(x),
    "logical_or": lambda x, y: np.logical_or(x, y),
    "logical_xor": lambda x, y: np.logical_xor(x, y),
    "maximum": lambda x, y: np.maximum(x, y),
    "minimum": lambda x, y: np.minimum(x, y),
    "mod": lambda x, y: np.mod(x, y),
    "mul": lambda x, y: np.multiply(x, y),
    "not_equal": lambda x, y: np.not_equal(x, y),
    "pow": lambda x, y: np.power(x, y),
    "prelu": prelu,
    "quantize": quantize,
    "real_div": real_div,
    "relu": relu,
    "relu6": relu6,
    "round": lambda x: np.round(x),
    "rsqrt": rsqrt,
    "scaled_tanh": scaled_tanh,
    "select": select,
    "sigmoid": sigmoid,
    "sigmoid_hard": sigmoid_hard,
    "sign": lambda x: np.sign(x),
    "silu": silu,
    "sin": lambda x: np.sin(x),
    "sinh": lambda x: np.sinh(x),
    "softplus": softplus,
    "softplus_parametric": softplus_parametric,
    "softsign": softsign,
    "sqrt": lambda x: np.sqrt(x),
    "square": lambda x: np.square(x),
    "sub": lambda x, y: np.subtract(x, y),
    "tan": lambda x: np.tan(x),
    "tanh": lambda x: np.tanh(x),
    "threshold": threshold,
    "thresholded_relu": thresholded_relu,
}
