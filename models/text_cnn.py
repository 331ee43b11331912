"""Two convolutions over token embeddings, max over time: the smallest model with word order.

Source: Kim 2014, https://arxiv.org/abs/1408.5882, with two stacked layers instead of three parallel widths.
Shapes: B batch, T tokens, D embedding width, H hidden channels, C classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.models.methods import Method, classifier


@dataclass(frozen=True)
class TextCNNConfig:
    vocab_size: int = 10_000  # embedding rows, row 0 is padding
    classes: int = 4
    width: int = 32
    hidden: int = 64
    kernel: int = 3  # odd, so that a position sees as many tokens before it as after it
    dropout: float = 0.2


class TextCNN(nn.Module):
    def __init__(self, config: TextCNNConfig) -> None:
        super().__init__()
        assert config.kernel % 2 == 1, "kernel must be odd"
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        self.convolution_1 = nn.Conv1d(config.width, config.hidden, config.kernel, padding=config.kernel // 2)
        self.convolution_2 = nn.Conv1d(config.hidden, config.width, config.kernel, padding=config.kernel // 2)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Class scores.

        Args:
            ids: (B, T) int32 token ids, padded with 0.

        Returns:
            (B, C) float32 logits. A text of padding only gives the bias of the head.
        """
        real = (ids != 0).to(torch.float32).unsqueeze(1)  # (B, 1, T)
        x = self.embedding(ids).transpose(1, 2)  # (B, D, T), zero at padding
        x = F.relu(self.convolution_1(x)) * real  # (B, H, T)
        # 0 is the least value that ReLU gives, so padding that is set to 0 never wins the maximum; unlike
        # -inf it needs no special case for an empty text and does not widen the range of int8 activations
        x = F.relu(self.convolution_2(x)) * real  # (B, D, T)
        return self.head(self.dropout(x.amax(dim=2)))

    def example_inputs(self, length: int = 32, batch: int = 1) -> tuple[Tensor, ...]:
        """(ids,) of shape (batch, length), without padding."""
        ids = torch.arange(batch * length, dtype=torch.int32).reshape(batch, length)
        return (ids % (self.config.vocab_size - 1) + 1,)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for texts padded to these lengths."""
        return classifier(None, self.config.classes, lengths)
