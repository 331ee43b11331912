"""A tag for each word: hashed features and characters of the words, a BiLSTM or dilated convolutions, a linear layer.

Sources: Lample et al. 2016, https://arxiv.org/abs/1603.01360 (BiLSTM); Strubell et al. 2017,
https://arxiv.org/abs/1702.02098 (iterated dilated convolutions); Ma and Hovy 2016, https://arxiv.org/abs/1603.01354
(character CNN). The features of a word are those of data/hashed_ngrams.py: the word, its pair with the one before,
its character n-grams, and with `characters` the word letter by letter. A conditional random field on top is decoded
outside of the graph: its transitions are three parameters here, and the loss in train/crf.py.
Shapes: B batch, T words, K features a word, S characters a word, D embedding width, E width of a character, F filters,
H hidden units, C tags.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.data.hashed_ngrams import CHARACTER_ROWS
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
    characters: int = 0  # S; 0 leaves the character CNN out
    character_width: int = 16  # E
    character_filters: int = 32  # F
    dropout: float = 0.3
    word_dropout: float = 0.05  # share of words whose features are all left out in training
    feature_dropout: float = 0.2  # share of single features left out in training


class CharacterCNN(nn.Module):
    """What the letters of each word say: a convolution over three of them, and the maximum over the word."""

    def __init__(self, width: int, filters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CHARACTER_ROWS, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.convolution = nn.Conv1d(width, filters, 3, padding=1)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T, S) int32, each word's characters and zeros behind them, to (B, T, F), at least 0; 0 for padding."""
        # all words in a row, an empty place behind each so that none sees the next: the exporters write one convolution
        # over a long sequence as one product over its taps, and take the rows of a batch for texts
        row = torch.cat([ids, torch.zeros_like(ids[:, :, :1])], dim=2)  # (B, T, S + 1)
        y = self.convolution(self.embedding(row).flatten(1, 2).transpose(1, 2)).transpose(1, 2)  # (B, T (S + 1), F)
        y = y * (row != 0).to(torch.float32).flatten(1).unsqueeze(2)
        # the empty places give 0, so the maximum is that of the word's own places behind a ReLU
        y = y.reshape(-1, row.shape[2], y.shape[2]).amax(dim=1)  # (B T, F)
        return y.reshape(ids.shape[0], ids.shape[1], -1)


class Tagger(nn.Module):
    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        width = config.width
        if config.characters:
            self.characters = CharacterCNN(config.character_width, config.character_filters)
            width += config.character_filters
        if config.encoder == "bilstm":
            self.lstm = LSTM(width, config.hidden, bidirectional=True)
        else:
            self.entry = nn.Linear(width, 2 * config.hidden)
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
            ids: (B, T, K + S) int32 ids of features, then of characters, padded with 0 in T, K and S (at the end).
                Feature 0 of a word is the word itself, so it is 0 only where the whole position is padding.

        Returns:
            (B, T, C) float32; what stands at padding means nothing.
        """
        real = (ids[:, :, 0] != 0).to(torch.float32)  # (B, T)
        if self.training:
            ids = self._leave_some_out(ids)
        features = ids[:, :, : self.config.features] if self.config.characters else ids
        present = (features != 0).to(torch.float32)  # (B, T, K)
        root = present.sum(dim=2, keepdim=True).clamp(min=1.0).sqrt()  # (B, T, 1)
        words = self.embedding(features).sum(dim=2) / root  # (B, T, D)
        if self.config.characters:
            words = torch.cat([words, self.characters(ids[:, :, self.config.features :])], dim=2)  # (B, T, D + F)
        words = self.dropout(words)
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
        kept = torch.rand((*ids.shape[:2], self.config.features), device=ids.device) >= self.config.feature_dropout
        if self.config.characters:  # all of a word's or none: a word without some of its letters is another word
            kept = torch.cat([kept, kept.new_ones((*ids.shape[:2], self.config.characters))], dim=2)
        return ids * word.unsqueeze(2) * kept

    def example_inputs(self, length: int = 16, batch: int = 1) -> tuple[Tensor, ...]:
        """(ids,) of shape (batch, length, K + S), without padding."""
        features, characters = (
            torch.arange(batch * length * count, dtype=torch.int32).reshape(batch, length, count) % (rows - 1) + 1
            for count, rows in (
                (self.config.features, self.config.vocab_size),
                (self.config.characters, CHARACTER_ROWS),
            )
        )
        return (torch.cat([features, characters], dim=2),)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for texts padded to these lengths: scores for each word."""
        ids = methods.Tensor("ids", "int32", ("batch", "length", self.config.features + self.config.characters))
        scores = methods.Tensor("scores", "float32", ("batch", "length", self.config.classes))
        return (Method("forward", (ids,), (scores,), lengths),)
