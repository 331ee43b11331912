"""A smaller vocabulary for a trained model: fewer hash buckets, or no pieces that the training texts do not need.

Most of a tiny model is its embedding, and most rows of that are rare. Folding the buckets to a divisor of their number
is exact: crc % 12000 % 6000 is crc % 6000, so the folded tokenizer is the one that was made with so many buckets. A
vocabulary without some of its pieces spells with those that are left; that is the same for every text whose pieces are
all kept.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgewright.data import byte_bpe, wordpiece
from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.characters import Characters
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.tokenizer import Tokenizer
from edgewright.data.wordpiece import WordPiece
from edgewright.models import MODELS


def uses(tokenizer: Tokenizer, texts: Iterable[str]) -> NDArray[np.int64]:
    """(rows,): how often each row of the embedding is read in these texts."""
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    for text in texts:
        ids = tokenizer.encode(text)
        if isinstance(tokenizer, HashedNgrams):
            ids = ids[:, : tokenizer.features]  # single characters of words are rows of another table
        counts += np.bincount(ids.ravel(), minlength=len(counts))
    return counts


def fold(tokenizer: HashedNgrams, buckets: int) -> tuple[HashedNgrams, NDArray[np.int64]]:
    """The tokenizer with fewer buckets, and (old rows,): the new row of each old one.

    Raises:
        ValueError: `buckets` is no smaller divisor.
    """
    if buckets >= tokenizer.buckets or tokenizer.buckets % buckets:
        near = max(size for size in range(1, tokenizer.buckets // 2 + 1) if tokenizer.buckets % size == 0)
        raise ValueError(
            f"buckets is {buckets}; {tokenizer.buckets} buckets fold to a divisor of their number, {near} at most"
        )
    new = np.arange(tokenizer.vocab_size, dtype=np.int64) - 1
    return dataclasses.replace(tokenizer, buckets=buckets), np.where(new < 0, 0, new % buckets + 1)


def without_rare(tokenizer: Tokenizer, counts: NDArray[np.int64], min_uses: int) -> tuple[Tokenizer, NDArray[np.int64]]:
    """The tokenizer without pieces that are used less than `min_uses` times, and (old rows,): new row, or -1.

    What other pieces need stays: single characters, bytes, what a kept merge is made of, BERT's own and the specials.

    Args:
        counts: (rows,), see `uses`.
    """
    assert not isinstance(tokenizer, HashedNgrams), "hash buckets are folded"
    rows = np.flatnonzero(_kept(tokenizer, counts >= min_uses))
    new = np.full(len(counts), -1, np.int64)
    new[rows] = np.arange(len(rows))
    smaller: Any
    if isinstance(tokenizer, WordPiece):
        vocabulary = tuple(
            piece for place, piece in enumerate(tokenizer.vocabulary, wordpiece.FIRST_PIECE) if new[place] >= 0
        )
        bert = tokenizer.bert
        if bert is not None:
            bert = dataclasses.replace(bert, **{name: int(new[at]) for name, at in dataclasses.asdict(bert).items()})
        smaller = dataclasses.replace(tokenizer, vocabulary=vocabulary, bert=bert)
    elif isinstance(tokenizer, Characters):
        smaller = dataclasses.replace(
            tokenizer, vocabulary="".join(c for place, c in enumerate(tokenizer.vocabulary, 2) if new[place] >= 0)
        )
    else:
        assert isinstance(tokenizer, ByteBPE)
        merges = tuple(
            (int(new[left]), int(new[right]))
            for place, (left, right) in enumerate(tokenizer.merges, byte_bpe.FIRST_MERGE)
            if new[place] >= 0
        )
        smaller = dataclasses.replace(tokenizer, merges=merges)
    return smaller, new


def _kept(tokenizer: Tokenizer, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rows,): what is used, and what cannot be left out."""
    kept = kept.copy()
    specials = len(getattr(tokenizer, "specials", ()))
    kept[len(kept) - specials :] = True
    if isinstance(tokenizer, ByteBPE):
        kept[: byte_bpe.FIRST_MERGE] = True
        for rank in reversed(range(len(tokenizer.merges))):  # parts have lower ids than what is made of them
            if kept[byte_bpe.FIRST_MERGE + rank]:
                kept[list(tokenizer.merges[rank])] = True
        return kept
    kept[:2] = True  # padding and unknown
    if isinstance(tokenizer, WordPiece):
        for place, piece in enumerate(tokenizer.vocabulary, wordpiece.FIRST_PIECE):
            kept[place] |= len(piece.removeprefix(wordpiece.CONTINUES)) == 1
        if tokenizer.bert is not None:
            kept[list(dataclasses.asdict(tokenizer.bert).values())] = True
    return kept


def with_rows(model: nn.Module, family: str, rows: NDArray[np.int64], counts: NDArray[np.int64]) -> nn.Module:
    """A copy of the model, in evaluation mode, whose embedding has the new rows.

    Rows that fall together become their mean, weighted by how often each is used: the least squared error over the
    training texts.

    Args:
        rows: (old rows,): the new row of each, or -1. counts: (old rows,), see `uses`.
    """
    old: Any = model
    config = dataclasses.replace(old.config, vocab_size=int(rows.max()) + 1)
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    weights["embedding.weight"] = _merged(weights["embedding.weight"], rows, counts, config.vocab_size)
    made: nn.Module = MODELS[family].module(config)
    made.load_state_dict(weights)
    return made.eval()


def _merged(table: Tensor, rows: NDArray[np.int64], counts: NDArray[np.int64], size: int) -> Tensor:
    kept = torch.from_numpy(rows >= 0)
    to = torch.from_numpy(rows)[kept]
    share = torch.from_numpy(counts).to(torch.float32)[kept] + 1e-3  # rows that no text uses count among themselves
    total = torch.zeros(size).index_add(0, to, share)
    return torch.zeros(size, table.shape[1]).index_add(0, to, table[kept] * (share / total[to]).unsqueeze(1))
