"""Hashed n-grams under two branches: a bag of everything, and a small CNN over the word positions.

One embedding table serves the words, the word pairs and the character n-grams of a text; the tokenizer hashes
them (`data/hashed_ngrams.py`), so there is no vocabulary to ship. The bag is fastText's classifier (Joulin et
al. 2016, https://arxiv.org/abs/1607.01759) with one hidden layer; the CNN adds word order.
Shapes: B batch, T word positions, K features a position, D embedding width, H channels, G bag units, C classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.models.methods import Method, classifier


@dataclass(frozen=True)
class NgramHybridConfig:
    vocab_size: int = 20_001  # hash buckets + 1, row 0 is padding
    features: int = 16  # K
    classes: int = 4
    width: int = 32
    hidden: int = 128
    bag_hidden: int = 256
    dropout: float = 0.3
    embedding_dropout: float = 0.2
    word_dropout: float = 0.1  # share of word positions left out in training
    feature_dropout: float = 0.0  # share of single features left out in training


class NgramHybrid(nn.Module):
    def __init__(self, config: NgramHybridConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.convolution_1 = nn.Conv1d(config.width, config.hidden, 3, padding=1)
        self.convolution_2 = nn.Conv1d(config.hidden, config.hidden, 3, padding=1)
        self.bag = nn.Linear(config.width, config.bag_hidden)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * config.hidden + config.bag_hidden, config.classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Class scores.

        Args:
            ids: (B, T, K) int32 feature ids, padded with 0 in T and in K. Feature 0 of a position is its word,
                so it is 0 only where the whole position is padding.

        Returns:
            (B, C) float32 logits. A text of padding only gives what the biases give.
        """
        if self.training:
            ids = self._leave_some_out(ids)
        present = (ids != 0).to(torch.float32)  # (B, T, K)
        count = present.sum(dim=2)  # (B, T) features of a position
        real = count.clamp(max=1.0)  # (B, T)
        summed = self.embedding(ids).sum(dim=2)  # (B, T, D)

        # a sum over the root of the number of features: the scale stays the same for long and short texts
        total = count.sum(dim=1, keepdim=True).clamp(min=1.0).sqrt()  # (B, 1)
        bag = F.relu(self.bag(summed.sum(dim=1) / total))  # (B, G)

        positions = summed / count.clamp(min=1.0).sqrt().unsqueeze(2)  # (B, T, D)
        x = self.embedding_dropout(positions).transpose(1, 2)  # (B, D, T)
        mask = real.unsqueeze(1)  # (B, 1, T)
        x = self.dropout(F.relu(self.convolution_1(x))) * mask  # (B, H, T)
        x = F.relu(self.convolution_2(x)) * mask + x  # (B, H, T), at least 0: padding never wins the maximum
        mean = x.sum(dim=2) / real.sum(dim=1, keepdim=True).clamp(min=1.0)  # (B, H)
        return self.head(self.dropout(torch.cat([x.amax(dim=2), mean, bag], dim=1)))

    def _leave_some_out(self, ids: Tensor) -> Tensor:
        word = torch.rand(ids.shape[:2], device=ids.device) >= self.config.word_dropout
        ids = ids * word.unsqueeze(2)
        if self.config.feature_dropout:
            keep = torch.rand(ids.shape, device=ids.device) >= self.config.feature_dropout
            ids = ids * keep
        return ids

    def example_inputs(self, length: int = 16, batch: int = 1) -> tuple[Tensor, ...]:
        """(ids,) of shape (batch, length, features), without padding."""
        shape = (batch, length, self.config.features)
        ids = torch.arange(batch * length * self.config.features, dtype=torch.int32).reshape(shape)
        return (ids % (self.config.vocab_size - 1) + 1,)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for texts padded to these lengths."""
        return classifier(self.config.features, self.config.classes, lengths)
