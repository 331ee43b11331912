"""Weights of products as unsigned integers, with 128 in the place of 0.

ONNX Runtime multiplies unsigned activations with signed weights, on x86-64 processors without VNNI, by an instruction
that adds two products in 16 bits and cuts off what does not fit: a row of 64 large integers came out as 1,048,544
instead of 2,072,640, without any error (AVX2, ONNX Runtime 1.31). Its kernels for unsigned weights are exact
everywhere. Source: onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range".
"""

import numpy as np

from edgewright.export.onnx_graph import Rewriter

MIDDLE = 128
SUFFIXES = (".columns", ".taps", ".gates", ".integers")  # of the constants that are stored so
ZERO = "middle"  # the constant that a product reads as the zero point of its weight


def shifted(integers: np.ndarray) -> np.ndarray:
    """uint8 from int8."""
    return (integers.astype(np.int16) + MIDDLE).astype(np.uint8)


def restored(stored: np.ndarray, zero: int = MIDDLE) -> np.ndarray:
    """int8 from what a file stores; files that were written before hold them as int8."""
    return stored if stored.dtype == np.int8 else (stored.astype(np.int16) - zero).astype(np.int8)


def zero_point(graph: Rewriter) -> str:
    """The name of the constant ZERO."""
    return graph.constant(ZERO, np.uint8(MIDDLE))
