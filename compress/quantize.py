"""The integers and scales of a quantized model, decided once for all targets.

Each weight tensor is moved onto a symmetric grid, w = scale * integer, and the exporters are told these integers
or use quantizers that find them again: a grid whose scale has 8 significant bits (bfloat16) is a fixed point of
max|w| / 127 in LiteRT, ONNX Runtime and Core ML. See docs/decisions/0003-one-grid.md for what was measured.
"""

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import Numerics, weight_bits
from edgewright.errors import UsageError

BLOCK = 32  # columns that share one scale in 4-bit linear layers
QUANTIZED = (nn.Embedding, nn.Linear, nn.Conv1d)  # layers whose weights have a grid


@dataclass(frozen=True)
class Precision:
    """Where a model departs from what its numerics does with every weight; from a recipe's [quantize] table."""

    # by layer ("embedding", "head", "layers.0.attention.query"): 8 or 4; what is not named follows the numerics
    bits: Mapping[str, int] = field(default_factory=dict)
    embedding_scales: Literal["table", "row"] = "table"


def precision_in(manifest: Mapping[str, Any]) -> Precision:
    """What the manifest of a bundle says of single layers."""
    said = manifest.get("quantization") or {}
    return Precision(said.get("bits", {}), said.get("embedding_scales", "table"))


@dataclass(frozen=True)
class LayerGrid:
    """The form of one layer's grid: how many bits, and what shares a scale."""

    bits: int  # 8 or 4
    per_row: bool  # one scale a row (dimension 0), not one for the whole tensor
    block: int | None = None  # columns of a row that share one


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


def quantize(model: nn.Module, numerics: Numerics, precision: Precision = Precision()) -> QuantizedModel:
    """A copy of `model` in evaluation mode with its weights on the grid that `layers` names. Biases stay float."""
    module = copy.deepcopy(model).eval()
    weights: dict[str, GridWeight] = {}
    for name, form in layers(module, numerics, precision).items():
        weight: Tensor = module.get_submodule(name).weight  # type: ignore[assignment]
        grid = snap(weight, form.bits, form.per_row, form.block)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(dequantize(grid)))
        weights[f"{name}.weight"] = grid
    return QuantizedModel(module, numerics, weights)


def layers(model: nn.Module, numerics: Numerics, precision: Precision = Precision()) -> dict[str, LayerGrid]:
    """The grid of each layer of `model` that has one, by its path, in the order of named_modules.

    Embeddings have 8 bits and one scale a table, unless `precision` says otherwise: a scale a row costs 4 bytes a
    row. Convolutions and linear layers have one scale an output row. In the numerics of 4 bits, linear layers whose
    width divides into blocks of 32 columns have 4 bits and one scale a block. There `precision.bits` overrides either
    way; the other numerics know one width only and ignore it, but not a name that is wrong.

    Raises:
        UsageError: `precision` names a layer that `model` does not have, or gives one bits that it cannot have.
    """
    quantized = {name: layer for name, layer in model.named_modules() if isinstance(layer, QUANTIZED)}
    for name, bits in precision.bits.items():
        _check_bits(name, bits, quantized)
    if weight_bits(numerics) >= 16 or numerics.startswith("palette_"):  # a palette is no grid: Core ML clusters floats
        return {}
    four_bits = weight_bits(numerics) == 4
    forms = {}
    for name, layer in quantized.items():
        by_itself = 4 if isinstance(layer, nn.Linear) and layer.in_features % BLOCK == 0 else 8
        bits = precision.bits.get(name, by_itself) if four_bits else 8
        if isinstance(layer, nn.Embedding):
            forms[name] = LayerGrid(bits, per_row=precision.embedding_scales == "row")
        else:
            forms[name] = LayerGrid(bits, per_row=True, block=BLOCK if bits == 4 else None)
    return forms


def _check_bits(name: str, bits: int, quantized: Mapping[str, nn.Module]) -> None:
    layer = quantized.get(name)
    if layer is None:
        close = difflib.get_close_matches(name, quantized, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"it has {', '.join(quantized)}"
        raise UsageError(f"bits: the model has no layer '{name}' with a weight to quantize; {hint}")
    if bits not in (8, 4):
        raise UsageError(f"bits: layer '{name}' cannot have {bits} bits; a weight has 8 or 4")
    if bits == 8:
        return
    if isinstance(layer, nn.Conv1d):
        raise UsageError(
            f"bits: layer '{name}' is a convolution, which executorch, litert and onnx do not run in 4 bits; give it 8"
        )
    if isinstance(layer, nn.Linear) and layer.in_features % BLOCK:
        raise UsageError(
            f"bits: layer '{name}' has {layer.in_features} inputs; 4 bits come in blocks of {BLOCK}: give it 8"
        )
    if isinstance(layer, nn.Embedding) and layer.embedding_dim % 2:
        raise UsageError(
            f"bits: layer '{name}' has the odd width {layer.embedding_dim}; two integers of 4 bits share a byte: give "
            "it 8, or the model an even width"
        )


def snap(weight: Tensor, bits: int, per_row: bool, block: int | None = None) -> GridWeight:
    """The nearest grid: symmetric, the largest magnitude of a tensor, row or block at 127 (8 bits) or 7 (4)."""
    integers, scales = _nearest(weight.detach().to(torch.float32), LayerGrid(bits, per_row, block))
    rows = weight.shape[0]
    shape = (rows, -1) if block is not None else (rows,) if per_row else ()
    integers = integers.to(torch.int8).reshape(weight.shape)
    return GridWeight(integers.cpu().numpy(), scales.reshape(shape).cpu().numpy(), bits)


def snapped(weight: Tensor, form: LayerGrid) -> Tensor:
    """The float32 weight that `quantize` would put in the place of `weight`, bit for bit, on the same device.

    It is a constant to autograd: training passes the gradient around it, weight + (snapped - weight).detach().
    """
    integers, scales = _nearest(weight.detach().to(torch.float32), form)
    return (integers * scales).reshape(weight.shape)


def _nearest(weight: Tensor, form: LayerGrid) -> tuple[Tensor, Tensor]:
    """Integers (groups, numbers of a group) as floats, and their scales (groups, 1)."""
    limit = 2 ** (form.bits - 1) - 1
    groups = weight.reshape(1, -1) if not form.per_row else weight.reshape(weight.shape[0], -1)
    if form.block is not None:
        groups = weight.reshape(-1, form.block)
    scales = groups.abs().amax(dim=1, keepdim=True) / limit
    scales = torch.where(scales == 0, torch.ones_like(scales), scales).to(torch.bfloat16).to(torch.float32)
    if form.bits == 8:
        # 8 of the 128 bfloat16 mantissas are no fixed points of Core ML's fp16(2 * fp16(127 s) / 254): take the
        # next lower one (then max|w| / s <= 127.94, which rounds to 127 after the clamp)
        pattern = scales.view(torch.int32)
        scales = torch.where((pattern >> 16) & 15 == 8, pattern - (1 << 16), pattern).view(torch.float32)
    return (groups / scales).round().clamp(-limit, limit), scales


def dequantize(grid: GridWeight) -> np.ndarray:
    """float32 scale * integer, exact: 8 significant bits times 7 fit into 24."""
    integers = grid.integers.astype(np.float32)
    if grid.scales.ndim == 2:
        blocks = integers.reshape(*grid.scales.shape, -1)
        return (blocks * grid.scales[:, :, None]).reshape(integers.shape)
    if grid.scales.ndim == 1:
        return integers * grid.scales.reshape(-1, *[1] * (integers.ndim - 1))
    return integers * grid.scales
