"""The integers and scales of a quantized model, decided once for all targets.

Each weight tensor is moved onto a symmetric grid, w = scale * integer, and the exporters are told these integers
or use quantizers that find them again: a grid whose scale has 8 significant bits (bfloat16) is a fixed point of
max|w| / 127 in LiteRT, ONNX Runtime and Core ML. See docs/decisions/0003-one-grid.md for what was measured.
"""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import Numerics, weight_bits

BLOCK = 32  # columns that share one scale in 4-bit linear layers


@dataclass(frozen=True)
class GridWeight:
    """One weight tensor on its grid.

    integers: int8, the weight's own shape, |q| <= 127 (8 bits) or <= 7 (4 bits).
    scales: float32; () for one scale, (rows,) for one a row (dimension 0), (rows, columns / BLOCK) for blocks.
    """

    integers: np.ndarray
    scales: np.ndarray
    bits: int


@dataclass(frozen=True)
class QuantizedModel:
    """A float module whose weights lie on the grid, and the grid. fp32 and fp16 have an empty grid."""

    module: nn.Module
    numerics: Numerics
    weights: dict[str, GridWeight] = field(default_factory=dict)  # by parameter name, "embedding.weight"


def quantize(model: nn.Module, numerics: Numerics) -> QuantizedModel:
    """A copy of `model` in evaluation mode with its weights on the grid that `numerics` names.

    Embeddings get one scale a table (a scale a row costs 4 to 12 bytes a row, and LiteRT stores it once per
    signature) and 8 bits in every integer numerics; convolutions and linear layers get one scale an output row,
    4-bit linear layers one a block of 32 columns where the width divides. Biases stay float.
    """
    module = copy.deepcopy(model).eval()
    bits = weight_bits(numerics)
    if bits >= 16 or numerics == "palette_w4_afp16":  # a palette is no grid: Core ML clusters the float weights
        return QuantizedModel(module, numerics)
    weights: dict[str, GridWeight] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Embedding):
            grid = snap(layer.weight, bits=8, per_row=False)
        elif isinstance(layer, nn.Linear) and bits == 4 and layer.in_features % BLOCK == 0:
            grid = snap(layer.weight, bits=4, per_row=True, block=BLOCK)
        elif isinstance(layer, nn.Linear | nn.Conv1d):
            grid = snap(layer.weight, bits=8, per_row=True)
        else:
            continue
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(dequantize(grid)))
        weights[f"{name}.weight"] = grid
    return QuantizedModel(module, numerics, weights)


def snap(weight: Tensor, bits: int, per_row: bool, block: int | None = None) -> GridWeight:
    """The nearest grid: symmetric, the largest magnitude of a tensor, row or block at 127 (8 bits) or 7 (4)."""
    limit = 2 ** (bits - 1) - 1
    values = weight.detach().to(torch.float32)
    rows = values.shape[0]
    groups = values.reshape(1, -1) if not per_row else values.reshape(rows, -1)
    if block is not None:
        groups = values.reshape(-1, block)
    scales = groups.abs().amax(dim=1, keepdim=True) / limit
    scales = torch.where(scales == 0, torch.ones_like(scales), scales).to(torch.bfloat16).to(torch.float32)
    if bits == 8:
        # 8 of the 128 bfloat16 mantissas are no fixed points of Core ML's fp16(2 * fp16(127 s) / 254): take the
        # next lower one (then max|w| / s <= 127.94, which rounds to 127 after the clamp)
        pattern = scales.view(torch.int32)
        scales = torch.where((pattern >> 16) & 15 == 8, pattern - (1 << 16), pattern).view(torch.float32)
    integers = (groups / scales).round().clamp(-limit, limit).to(torch.int8).reshape(values.shape)
    shape = (rows, -1) if block is not None else (rows,) if per_row else ()
    return GridWeight(integers.numpy(), scales.reshape(shape).numpy(), bits)


def dequantize(grid: GridWeight) -> np.ndarray:
    """float32 scale * integer, exact: 8 significant bits times 7 fit into 24."""
    integers = grid.integers.astype(np.float32)
    if grid.scales.ndim == 2:
        blocks = integers.reshape(*grid.scales.shape, -1)
        return (blocks * grid.scales[:, :, None]).reshape(integers.shape)
    if grid.scales.ndim == 1:
        return integers * grid.scales.reshape(-1, *[1] * (integers.ndim - 1))
    return integers * grid.scales
