"""Encoded rows, and the batches that a training loop takes from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgewright.data.tokenizer import Tokenizer, batch

IGNORED = -1  # the label of padding
CHUNK = 20  # batches whose rows are sorted by length together: little padding, yet a new mixture every epoch


@dataclass(frozen=True)
class Dataset:
    """ids: one (tokens,) or (tokens, K) int32 array a row, cut at the largest bucket. labels: one (N,) int64 array, or
    for tags one (tokens,) int64 array a row."""

    ids: list[np.ndarray]
    labels: np.ndarray | list[np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)


def encode(texts: Sequence[str], labels: Sequence[int], tokenizer: Tokenizer, max_tokens: int) -> Dataset:
    ids = [tokenizer.encode(text, limit=max_tokens)[:max_tokens] for text in texts]
    return Dataset(ids, np.asarray(labels, dtype=np.int64))


def batches(
    dataset: Dataset, size: int, seed: int, epoch: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All rows once, in an order that `seed` and `epoch` decide: ids (B, T[, K]) with labels (B,), or (B, T) of tags.

    Rows of one batch have similar lengths. With `world` processes each takes every world-th row of each batch.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(dataset))
    lengths = np.array([len(ids) for ids in dataset.ids])
    groups: list[np.ndarray] = []
    for start in range(0, len(order), size * CHUNK):
        chunk = order[start : start + size * CHUNK]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        groups += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    for position in random.permutation(len(groups)):
        rows = groups[position][rank::world]
        if len(rows) == 0:  # a last batch smaller than the number of processes
            rows = groups[position][:1]
        yield _padded(dataset, rows), _labels(dataset, rows)


def in_order(dataset: Dataset, size: int) -> Iterator[np.ndarray]:
    """All rows once in their own order, padded batch by batch: (B, T[, K])."""
    for start in range(0, len(dataset), size):
        yield _padded(dataset, np.arange(start, min(start + size, len(dataset))))


def batch_count(rows: int, size: int) -> int:
    """How many batches `batches` yields."""
    full, rest = divmod(rows, size * CHUNK)
    return full * CHUNK + -(-rest // size)


def _padded(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    chosen = [dataset.ids[row] for row in rows]
    return batch(chosen, max(1, max(len(ids) for ids in chosen)))


def _labels(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    if isinstance(dataset.labels, np.ndarray):
        return dataset.labels[rows]
    chosen = [dataset.labels[row] for row in rows]
    padded = np.full((len(rows), max(1, max(len(tags) for tags in chosen))), IGNORED, np.int64)
    for row, tags in zip(padded, chosen, strict=True):
        row[: len(tags)] = tags
    return padded
