"""Layers in the form that XNNPACK runs fastest, exactly equivalent to the model's own: LSTM, LayerNorm, look-ups.

Each product has a bias, zero where the layer has none: the XNNPACK weights cache of Android's ExecuTorch reads it
without asking (https://github.com/pytorch/executorch/issues/18946).
Shapes: B batch, T positions, D input width, H hidden units, N directions (1 or 2).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.compress.quantize import GridWeight
from edgewright.export import executorch_lstm
from edgewright.models.attention import FORBIDDEN, Place
from edgewright.models.lstm import LSTM, State


class LSTMOfProducts(nn.Module):
    """models/lstm.py's layer: the inputs' products as linear layers, the rest as the operator of executorch_lstm.py.

    At padding all gates are shut: the state there is 0, so the backward direction starts at the last real position,
    and the outputs are 0.
    """

    def __init__(self, lstm: LSTM, grids: dict[str, GridWeight]) -> None:
        """`grids`: of the recurrent weights, by the suffix of the direction; empty for float32."""
        super().__init__()
        self.suffixes = lstm.directions()
        self.quantized = bool(grids)
        for suffix in self.suffixes:
            first, second = lstm.get_submodule(f"input{suffix}"), lstm.get_submodule(f"recurrent{suffix}")
            assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
            setattr(self, f"input{suffix}", linear(first.weight.detach(), (first.bias + second.bias).detach()))
            setattr(self, f"recurrent{suffix}", linear(second.weight.detach(), torch.zeros_like(second.bias)))
            if grids:
                self.register_buffer(f"integers{suffix}", torch.from_numpy(grids[suffix].integers))
                self.register_buffer(f"scales{suffix}", torch.from_numpy(grids[suffix].scales))

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(B, T, D) to (B, T, N H), see LSTM.forward."""
        sums = [self.get_submodule(f"input{suffix}")(x) for suffix in self.suffixes]  # (B, T, 4 H) each
        if real is not None:
            shut = ((1.0 - real) * FORBIDDEN).unsqueeze(2)
            sums = [of_direction + shut for of_direction in sums]
        recurrent = [self.get_submodule(f"recurrent{suffix}") for suffix in self.suffixes]
        scales = [getattr(self, f"scales{suffix}") for suffix in self.suffixes] if self.quantized else []
        weights = [
            getattr(self, f"integers{suffix}") if self.quantized else layer.weight
            for suffix, layer in zip(self.suffixes, recurrent, strict=True)
        ]
        return executorch_lstm.lstm(sums, weights, [layer.bias for layer in recurrent], scales)

    def step(self, x: Tensor, state: State) -> State:
        """One position of the forward direction, see LSTM.step. One sigmoid over all gates saves a slice."""
        h, c = state
        gates = self.get_submodule("input")(x) + self.get_submodule("recurrent")(h)
        hidden = c.shape[-1]
        opened = torch.sigmoid(gates)
        c = opened[:, hidden : 2 * hidden] * c + opened[:, :hidden] * torch.tanh(gates[:, 3 * hidden :])
        return opened[:, 2 * hidden : 3 * hidden] * torch.tanh(c), c


class Norm(nn.Module):
    """LayerNorm over the last dimension; the means are products, for which XNNPACK has fast kernels."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        (width,) = norm.normalized_shape
        share = torch.full((1, width), 1 / width)
        self.mean = linear(share, torch.zeros(1))
        self.variance = linear(share, torch.tensor([norm.eps]))
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        centred = x - self.mean(x)
        normed = centred * torch.rsqrt(self.variance(centred * centred))
        if self.weight is not None:  # a norm need not scale
            normed = normed * self.weight
        return normed if self.bias is None else normed + self.bias


class RowLookup(nn.Module):
    """models/attention.py's RowAt; the sum there runs on a slow portable kernel between two delegates."""

    def forward(self, table: Tensor, place: Place) -> Tensor:
        return F.embedding(place.position, table)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer of these tensors."""
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight = nn.Parameter(weight, requires_grad=False)
    made.bias = nn.Parameter(bias, requires_grad=False)
    return made
