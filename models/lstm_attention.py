"""An LSTM read by self-attention: a classifier for scripts whose characters are words, and for word pieces.

Source: self-attentive sentence embeddings, Lin et al. 2017, https://arxiv.org/abs/1703.03130, with the multi-head
attention of Vaswani et al. 2017 in place of theirs.
Shapes: B batch, T tokens, D embedding width, H hidden units, C classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgewright.models.attention import SelfAttention, mean_of_real, only_real
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method, classifier


@dataclass(frozen=True)
class LSTMAttentionConfig:
    vocab_size: int = 5_000  # embedding rows, row 0 is padding
    classes: int = 4
    width: int = 64
    hidden: int = 128
    heads: int = 4
    dropout: float = 0.2
    embedding_dropout: float = 0.2


class LSTMAttention(nn.Module):
    def __init__(self, config: LSTMAttentionConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.lstm = LSTM(config.width, config.hidden)
        self.attention = SelfAttention(config.hidden, config.heads)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, config.classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Class scores.

        Args:
            ids: (B, T) int32 token ids, padded with 0 at the end.

        Returns:
            (B, C) float32 logits. A text of padding only gives the bias of the head.
        """
        real = (ids != 0).to(torch.float32)  # (B, T)
        y = self.lstm(self.embedding_dropout(self.embedding(ids)), real)  # (B, T, H)
        read = self.attention(y, only_real(real))
        return self.head(self.dropout(mean_of_real(read, real)))

    def example_inputs(self, length: int = 32, batch: int = 1) -> tuple[Tensor, ...]:
        """(ids,) of shape (batch, length), without padding."""
        ids = torch.arange(batch * length, dtype=torch.int32).reshape(batch, length)
        return (ids % (self.config.vocab_size - 1) + 1,)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for texts padded to these lengths."""
        return classifier(None, self.config.classes, lengths)
