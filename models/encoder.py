"""A small Transformer encoder with a classifier on the mean of its outputs.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; normalisation before each part (Xiong et al. 2020,
https://arxiv.org/abs/2002.04745) for models trained from nothing, after it as in BERT (Devlin et al. 2019) for
pretrained ones, which models/pretrained.py loads into this same module.
Shapes: B batch, T tokens, D width, C classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgewright.models.attention import SelfAttention, mean_of_real, only_real
from edgewright.models.methods import Method, classifier


@dataclass(frozen=True)
class EncoderConfig:
    vocab_size: int = 8_000  # embedding rows, row 0 is padding
    classes: int = 4
    width: int = 128
    layers: int = 2
    heads: int = 4
    head_width: int | None = None  # None: width / heads; pruning leaves heads that are wider or narrower
    feedforward: int = 256
    positions: int = 128  # the most tokens
    norm_first: bool = True  # False: BERT's order, with a norm behind the embedding and none at the end
    norm_epsilon: float = 1e-5
    dropout: float = 0.1


class Encoder(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.position = nn.Parameter(0.02 * torch.randn(config.positions, config.width))
        self.norm = nn.LayerNorm(config.width, config.norm_epsilon)  # behind the embedding, or at the end
        self.layers = nn.ModuleList([EncoderLayer(config) for _ in range(config.layers)])
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Class scores.

        Args:
            ids: (B, T) int32 token ids, T at most `positions`, padded with 0 at the end.

        Returns:
            (B, C) float32 logits. A text of padding only gives the bias of the head.
        """
        real = (ids != 0).to(torch.float32)  # (B, T)
        return self.head(self.dropout(mean_of_real(self.encoded(ids, real), real)))

    def encoded(self, ids: Tensor, real: Tensor) -> Tensor:
        """(B, T, D): the output at each token."""
        allowed = only_real(real)
        x = self.embedding(ids) + self.position[: ids.shape[1]]  # (B, T, D)
        x = self.dropout(x if self.config.norm_first else self.norm(x))
        for layer in self.layers:
            x = layer(x, allowed)
        return self.norm(x) if self.config.norm_first else x

    def example_inputs(self, length: int = 32, batch: int = 1) -> tuple[Tensor, ...]:
        """(ids,) of shape (batch, length), without padding."""
        ids = torch.arange(batch * length, dtype=torch.int32).reshape(batch, length)
        return (ids % (self.config.vocab_size - 1) + 1,)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for texts padded to these lengths."""
        return classifier(None, self.config.classes, lengths)


class EncoderLayer(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        # a norm that only linear layers read needs no scale and shift: theirs do the same (and a converter that folds
        # them would leave weights in the file that are nobody's)
        affine = not config.norm_first
        self.attention = SelfAttention(config.width, config.heads, config.head_width)
        self.attention_norm = nn.LayerNorm(config.width, config.norm_epsilon, elementwise_affine=affine)
        self.up = nn.Linear(config.width, config.feedforward)
        self.down = nn.Linear(config.feedforward, config.width)
        self.feedforward_norm = nn.LayerNorm(config.width, config.norm_epsilon, elementwise_affine=affine)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """(B, T, D) and the mask of models/attention.py give (B, T, D)."""
        if self.norm_first:
            x = x + self.dropout(self.attention(self.attention_norm(x), allowed))
            return x + self.dropout(self._feedforward(self.feedforward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, allowed)))
        return self.feedforward_norm(x + self.dropout(self._feedforward(x)))

    def _feedforward(self, x: Tensor) -> Tensor:
        return self.down(nn.functional.gelu(self.up(x)))
