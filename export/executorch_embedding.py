"""An embedding of the grid in a .pte file: rows of integers are looked up, and XNNPACK makes floats of what was found.

ExecuTorch's own embedding_byte and embedding_4bit need a scale a row (4 bytes more a row). The look-up here copies
whole rows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.compress.quantize import GridWeight
from edgewright.export import nibbles


class IntegerEmbedding(nn.Module):
    """Looks up int8 rows, or rows of bytes with two integers of 4 bits each (nibbles.py), and scales what it found.

    The scale of a table is that by which rows become floats; those of rows are looked up beside them. The zero point of
    bytes is `-nibbles.SHIFT`, that of integers 0: by this executorch_weights.py tells them apart.
    """

    def __init__(self, grid: GridWeight) -> None:
        super().__init__()
        self.halves = grid.bits == 4
        self.integers: Tensor
        stored = nibbles.packed(grid.integers) if self.halves else grid.integers
        self.register_buffer("integers", torch.from_numpy(stored))
        self.scales: Tensor | None
        by_row = grid.scales.ndim == 1
        self.register_buffer("scales", torch.from_numpy(grid.scales).reshape(-1, 1) if by_row else None)
        self.scale = 1.0 if by_row else float(grid.scales)

    def forward(self, ids: Tensor) -> Tensor:
        """(...) ids to (..., D)."""
        zero = -nibbles.SHIFT if self.halves else 0
        dequantize = torch.ops.quantized_decomposed.dequantize_per_tensor.default
        rows = dequantize(F.embedding(ids, self.integers), self.scale, zero, -128, 127, torch.int8)
        if self.halves:
            rows = self._joined(rows)
        return rows if self.scales is None else rows * F.embedding(ids, self.scales)

    def _joined(self, rows: Tensor) -> Tensor:
        """Both integers of each byte, times the scale; the bytes are so already, and `SHIFT` times it is added."""
        # a quotient just below a whole number is meant to be that number; the bytes are 1/16 apart
        second = torch.floor(rows * (1 / (16 * self.scale)) + 1 / 32)
        first = (rows - second * (16 * self.scale)) - nibbles.SHIFT * self.scale
        return torch.cat([first, second * self.scale], dim=-1)
