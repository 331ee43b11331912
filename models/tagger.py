"""A tag for each word: hashed features of the words, a BiLSTM or dilated convolutions, and a linear layer.

Sources: Lample et al. 2016, https://arxiv.org/abs/1603.01360 (BiLSTM); Strubell et al. 2017,
https://arxiv.org/abs/1702.02098 (iterated dilated convolutions); Ma and Hovy 2016, https://arxiv.org/abs/1603.01354
(character CNN). The features of a word are those of data/hashed_ngrams.py: the word, its pair with the one before,
its character n-grams. A conditional random field on top is decoded outside of the graph: its transitions are three
parameters here, and the loss in train/crf.py.
Shapes: B batch, T words, K features a word, D embedding width, H hidden units, C tags.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.models import methods
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method

DILATIONS = (1, 2, 4)


@dataclass(frozen=True)
class TaggerConfig:
    vocab_size: int = 20_001  # hash buckets + 1, row 0 is padding
    features: int = 16  # K
    classes: int = 9  # C, the tags
    width: int = 64
    hidden: int = 64  # of each direction; of the convolutions twice as many
    encoder: Literal["bilstm", "dilated_cnn"] = "bilstm"
    crf: bool = False
    dropout: float = 0.3
    word_dropout: float = 0.05  # share of words whose features are all left out in training
    feature_dropout: float = 0.2  # share of single features left out in training


class Tagger(nn.Module):
    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        if config.encoder == "bilstm":
            self.lstm = LSTM(config.width, config.hidden, bidirectional=True)
        else:
            self.entry = nn.Linear(config.width, 2 * config.hidden)
            self.convolutions = nn.ModuleList(
                [
                    nn.Conv1d(2 * config.hidden, 2 * config.hidden, 3, padding=dilation, dilation=dilation)
                    for dilation in DILATIONS
                ]
            )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * config.hidden, config.classes)
        if config.crf:
            self.transitions = nn.Parameter(torch.zeros(config.classes, config.classes))  # from row to column
            self.first = nn.Parameter(torch.zeros(config.classes))
            self.last = nn.Parameter(torch.zeros(config.classes))

    def forward(self, ids: Tensor) -> Tensor:
        """Scores of the tags.

        Args:
            ids: (B, T, K) int32 feature ids, padded with 0 in T (at the end) and in K. Feature 0 of a word is the
                word itself, so it is 0 only where the whole position is padding.

        Returns:
            (B, T, C) float32; what stands at padding means nothing.
        """
        real = (ids[:, :, 0] != 0).to(torch.float32)  # (B, T)
        if self.training:
            ids = self._leave_some_out(ids)
        present = (ids != 0).to(torch.float32)  # (B, T, K)
        root = present.sum(dim=2, keepdim=True).clamp(min=1.0).sqrt()  # (B, T, 1)
        words = self.dropout(self.embedding(ids).sum(dim=2) / root)  # (B, T, D)
        y = self.lstm(words, real) if self.config.encoder == "bilstm" else self._convolved(words, real)
        return self.head(self.dropout(y))

    def _convolved(self, words: Tensor, real: Tensor) -> Tensor:
        mask = real.unsqueeze(1)  # (B, 1, T)
        x = F.relu(self.entry(words)).transpose(1, 2) * mask  # (B, 2 H, T)
        for convolution in self.convolutions:
            x = x + F.relu(convolution(x)) * mask
        return x.transpose(1, 2)

    def _leave_some_out(self, ids: Tensor) -> Tensor:
        word = torch.rand(ids.shape[:2], device=ids.device) >= self.config.word_dropout
        keep = torch.rand(ids.shape, device=ids.device) >= self.config.feature_dropout
        return ids * word.unsqueeze(2) * keep

    def example_inputs(self, length: int = 16, batch: int = 1) -> tuple[Tensor, ...]:
        """(ids,) of shape (batch, length, K), without padding."""
        size = batch * length * self.config.features
        ids = torch.arange(size, dtype=torch.int32).reshape(batch, length, self.config.features)
        return (ids % (self.config.vocab_size - 1) + 1,)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for texts padded to these lengths: scores for each word."""
        ids = methods.Tensor("ids", "int32", ("batch", "length", self.config.features))
        scores = methods.Tensor("scores", "float32", ("batch", "length", self.config.classes))
        return (Method("forward", (ids,), (scores,), lengths),)
