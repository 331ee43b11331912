"""Operators that slide a window: convolutions, pooling. N batch, C input and O output channels, G groups."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgewright.runtimes.mil.shapes import integers

Array = np.ndarray


def _sizes(values: Any, dimensions: int) -> tuple[int, ...]:
    return (1,) * dimensions if values is None else integers(values)


def _padding(
    spatial: tuple[int, ...],
    extents: tuple[int, ...],
    strides: tuple[int, ...],
    pad_type: str,
    pad: Any,
) -> list[tuple[int, int]]:
    """(before, after) for each spatial axis; `extents` are the windows' sizes with their dilation."""
    if pad_type == "valid":
        return [(0, 0)] * len(spatial)
    if pad_type == "custom":
        values = (0,) * (2 * len(spatial)) if pad is None else integers(pad)
        return [(values[2 * i], values[2 * i + 1]) for i in range(len(spatial))]
    if pad_type not in ("same", "same_lower"):
        raise ValueError(f"unknown pad_type '{pad_type}'")
    pairs = []
    for size, extent, stride in zip(spatial, extents, strides, strict=True):
        total = max(0, (math.ceil(size / stride) - 1) * stride + extent - size)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if pad_type == "same" else (large, small))
    return pairs


def _windows(x: Array, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]) -> Array:
    """(N, C, *positions, *kernel), a view."""
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    view: Array = sliding_window_view(x, extents, tuple(range(2, x.ndim)))  # type: ignore[call-overload]
    steps = [slice(None, None, s) for s in strides] + [slice(None, None, d) for d in dilations]
    return view[(slice(None), slice(None), *steps)]


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: Any = 1,
) -> Array:
    """x: (N, C, *spatial); weight: (O, C / G, *kernel); bias: (O,)."""
    kernel = weight.shape[2:]
    steps, spread, groups = _sizes(strides, len(kernel)), _sizes(dilations, len(kernel)), int(groups)
    extents = tuple((k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True))
    pads = _padding(x.shape[2:], extents, steps, pad_type, pad)
    if any(before or after for before, after in pads):
        x = np.pad(x, [(0, 0), (0, 0), *pads])
    windows = _windows(x, kernel, steps, spread)
    batch, positions = x.shape[0], windows.shape[2 : 2 + len(kernel)]
    # one matrix product a group: (N, G, C / G * taps) for each position times (G, C / G * taps, O / G)
    order = (0, *range(2, 2 + len(kernel)), 1, *range(2 + len(kernel), windows.ndim))
    columns = windows.transpose(order).reshape(batch * math.prod(positions), groups, -1)
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    if groups == 1:
        flat = columns[:, 0] @ matrix[0].T
    else:
        flat = np.matmul(columns.transpose(1, 0, 2), matrix.transpose(0, 2, 1)).transpose(1, 0, 2)
    result = flat.reshape(batch, *positions, weight.shape[0])
    if bias is not None:
        result = result + bias
    return np.moveaxis(result, -1, 1)


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: Any = 1,
    output_shape: Any = None,
) -> Array:
    """x: (N, C, *spatial); weight: (C, O / G, *kernel). `pad` is cut off the full result."""
    kernel = weight.shape[2:]
    steps, spread, groups = _sizes(strides, len(kernel)), _sizes(dilations, len(kernel)), int(groups)
    if pad_type not in ("valid", "custom"):
        raise ValueError(f"pad_type '{pad_type}' is not covered")
    pads = _padding(x.shape[2:], kernel, steps, pad_type, pad)
    spatial = x.shape[2:]
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(spatial, steps, kernel, spread, strict=True)]
    sizes = [f - before - after for f, (before, after) in zip(full, pads, strict=True)]
    if output_shape is not None:
        sizes = (
            list(integers(output_shape))[2:] if len(integers(output_shape)) == x.ndim else list(integers(output_shape))
        )
    canvas = [max(f, before + n) for f, (before, _), n in zip(full, pads, sizes, strict=True)]
    batch, out = x.shape[0], weight.shape[1] * groups
    result = np.zeros((batch, out, *canvas), x.dtype)
    inputs = x.reshape(batch, groups, -1, math.prod(spatial))
    matrices = weight.reshape(groups, -1, weight.shape[1], *kernel)
    for tap in itertools.product(*map(range, kernel)):
        at_tap: tuple[Any, ...] = (..., *tap)
        product = np.einsum("ngcp,gco->ngop", inputs, matrices[at_tap])
        places = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, spread, spatial, steps, strict=True)
        )
        result[(slice(None), slice(None), *places)] += product.reshape(batch, out, *spatial)
    cut = tuple(slice(before, before + n) for (before, _), n in zip(pads, sizes, strict=True))
    result = result[(slice(None), slice(None), *cut)]
    return result if bias is None else result + bias.reshape(-1, *[1] * len(kernel))


def _pool_windows(
    x: Array, kernel_sizes: Any, strides: Any, pad_type: str, pad: Any, ceil_mode: Any, filler: float
) -> tuple[Array, tuple[int, ...]]:
    """Windows (N, C, *positions, *kernel) of x padded with `filler`, and the axes of the kernel."""
    kernel = integers(kernel_sizes)
    steps = _sizes(strides, len(kernel))
    pads = _padding(x.shape[2:], kernel, steps, pad_type, pad)
    if ceil_mode:
        # one window more where the last ones do not reach the end, unless it would start in the padding
        for axis, ((before, after), size, k, s) in enumerate(zip(pads, x.shape[2:], kernel, steps, strict=True)):
            positions = math.ceil((size + before + after - k) / s) + 1
            if (positions - 1) * s >= size + before:
                positions -= 1
            pads[axis] = (before, max(after, (positions - 1) * s + k - size - before))
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=filler)
    windows = _windows(padded, kernel, steps, (1,) * len(kernel))
    return windows, tuple(range(windows.ndim - len(kernel), windows.ndim))


def max_pool(
    x: Array, kernel_sizes: Any, strides: Any = None, pad_type: str = "valid", pad: Any = None, ceil_mode: Any = False
) -> Array:
    windows, kernel_axes = _pool_windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode, -np.inf)
    return windows.max(axis=kernel_axes)


def avg_pool(
    x: Array,
    kernel_sizes: Any,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    exclude_padding_from_average: Any = False,
    ceil_mode: Any = False,
) -> Array:
    if ceil_mode:
        raise ValueError("avg_pool with ceil_mode is not covered")
    windows, kernel_axes = _pool_windows(x, kernel_sizes, strides, pad_type, pad, False, 0.0)
    if not exclude_padding_from_average:
        return windows.mean(axis=kernel_axes)
    real, _ = _pool_windows(np.ones_like(x), kernel_sizes, strides, pad_type, pad, False, 0.0)
    return windows.sum(axis=kernel_axes) / real.sum(axis=kernel_axes)


def l2_pool(
    x: Array, kernel_sizes: Any, strides: Any = None, pad_type: str = "valid", pad: Any = None, ceil_mode: Any = False
) -> Array:
    windows, kernel_axes = _pool_windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)
    return np.sqrt(np.square(windows).sum(axis=kernel_axes))


OPERATORS: dict[str, Callable[..., Any]] = {
    "avg_pool": avg_pool,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "l2_pool": l2_pool,
    "max_pool": max_pool,
}
