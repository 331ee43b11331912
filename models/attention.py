"""Multi-head self-attention in the form that every runtime runs fast: three linear layers, two batched products.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762. The division by the root of the head's width is part
of the query's weights. Masks are added numbers made by arithmetic: a converter inverts boolean ones without a word.
Shapes: B batch, T positions, D width, N heads.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

FORBIDDEN = -1e4  # added to a score: its share is exactly 0 in float32, and float16 can hold it


class Place(NamedTuple):
    """A position of a cache.

    position: (1,) int32. before, here: (M, 1) float32, 1 at the positions before and at the position itself, else 0.
    allowed: (M,), 0 up to the position and FORBIDDEN behind it.
    """

    position: Tensor
    before: Tensor
    here: Tensor
    allowed: Tensor


class RowAt(nn.Module):
    """The row of a table (M, D) at a place, (1, D). A layer, so that exporters can exchange it for a look-up."""

    def forward(self, table: Tensor, place: Place) -> Tensor:
        return (table * place.here).sum(dim=0, keepdim=True)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, head_width: int | None = None) -> None:
        super().__init__()
        assert head_width is not None or width % heads == 0, "the width must be a multiple of the heads"
        self.heads = heads
        inner = heads * (head_width or width // heads)
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.query.weight.mul_((inner // heads) ** -0.5)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """What each position takes from the others.

        Args:
            x: (B, T, D) float32.
            allowed: 0 for a pair that may be seen and FORBIDDEN for others, in a shape that fits (B, N, T, T).

        Returns:
            (B, T, D) float32.
        """
        queries, keys, values = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        return self.output(self.joined(attend(queries, keys, values, allowed)))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, place: Place) -> tuple[Tensor, Tensor, Tensor]:
        """What one position takes from itself and those before it.

        Args:
            x: (B, 1, D) float32.
            keys, values: (B, N, M, D / N), of the positions before; what they hold from this one on is not looked at.

        Returns:
            (B, 1, D), then keys and values with this position written into them and 0 behind it.
        """
        batch, heads, _, width = keys.shape
        # the heads of one position need no transposition
        query, key, value = (layer(x).reshape(batch, heads, 1, width) for layer in (self.query, self.key, self.value))
        keys = keys * place.before + key * place.here
        values = values * place.before + value * place.here
        read = attend(query, keys, values, place.allowed)
        return self.output(read.reshape(batch, 1, heads * width)), keys, values

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) as (B, N, T, D / N)."""
        batch, length, width = x.shape
        return x.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def joined(self, x: Tensor) -> Tensor:
        """(B, N, T, D / N) as (B, T, D)."""
        batch, heads, length, width = x.shape
        return x.transpose(1, 2).reshape(batch, length, heads * width)

    @classmethod
    def from_torch(cls, attention: nn.MultiheadAttention) -> "SelfAttention":
        """The same layer as a torch.nn.MultiheadAttention; parameters are copied."""
        made = cls(attention.embed_dim, attention.num_heads)
        scale = (attention.embed_dim // attention.num_heads) ** -0.5
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        with torch.no_grad():
            for layer, weight, bias in zip((made.query, made.key, made.value), weights, biases, strict=True):
                layer.weight.copy_(weight * scale if layer is made.query else weight)
                layer.bias.copy_(bias * scale if layer is made.query else bias)
            made.output.load_state_dict(attention.out_proj.state_dict())
        return made


def attend(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """softmax(queries keysᵀ + allowed) values.

    Args:
        queries: (B, N, T, W), already divided by the root of W. keys, values: (B, N, S, W).
        allowed: added to the (B, N, T, S) scores.
    """
    batch, heads, length, width = queries.shape
    # batched products of three dimensions: those of four leave copies behind in some runtimes
    folded = [part.reshape(batch * heads, -1, width) for part in (queries, keys, values)]
    scores = torch.bmm(folded[0], folded[1].transpose(1, 2)).reshape(batch, heads, length, -1) + allowed
    shares = torch.softmax(scores, dim=-1).reshape(batch * heads, length, -1)
    return torch.bmm(shares, folded[2]).reshape(batch, heads, length, width)


def place_of(position: Tensor, numbers: Tensor) -> Place:
    """The place that (1,) int32 names, below M; `numbers`: (M,) float32, 0 to M - 1.

    By arithmetic instead of comparisons and writes at an index, for which some runtimes have slow kernels only.
    """
    ahead = numbers - position.to(torch.float32)  # (M,): 0 at the position, positive behind it
    behind = ahead.clamp(min=0.0, max=1.0)
    before = ahead.clamp(min=-1.0, max=0.0).neg()
    return Place(position, before.unsqueeze(1), (1.0 - before - behind).unsqueeze(1), behind * FORBIDDEN)


def only_real(real: Tensor) -> Tensor:
    """(B, 1, 1, T) for `allowed`: no position sees padding. `real`: (B, T) float32, 1 or 0."""
    return ((1.0 - real) * FORBIDDEN).unsqueeze(1).unsqueeze(1)


def mean_of_real(x: Tensor, real: Tensor) -> Tensor:
    """(B, D): the mean of (B, T, D) over the real positions; 0 where there is none."""
    return (x * real.unsqueeze(2)).sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1.0)
