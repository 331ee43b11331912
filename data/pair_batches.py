"""Encoded pairs of a prompt and a reply, and the batches from which a model learns to write the reply.

Shapes: B rows, S source ids, T target ids.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.data.dialogues import Pair, prompt_ids
from edgewright.data.sampling import PADDING
from edgewright.data.tokenizer import Writing, batch, special_id

CHUNK = 50  # batches whose pairs are sorted by length together: little padding, yet a new mixture every epoch
ALIKE = 8  # replies whose lengths differ by less may share a batch


@dataclass(frozen=True)
class EncodedPairs:
    """sources: (S,) int32 each. targets: (T,) int32 each, from the start token to the end token.

    A reply that was cut has no end token: the model must not learn to stop in the middle of a sentence.
    """

    sources: list[NDArray[np.int32]]
    targets: list[NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True)
class Batch:
    """source: (B, S) int32. given: (B, T) int32, the reply from its start token on. wanted: (B, T) int64, the id that
    follows each one of `given`. All are filled up with 0.
    """

    source: NDArray[np.int32]
    given: NDArray[np.int32]
    wanted: NDArray[np.int64]


def encode(pairs: Sequence[Pair], tokenizer: Writing, source_length: int, target_length: int) -> EncodedPairs:
    """The ids of pairs: prompts lose their oldest part at `source_length`, replies their end after `target_length`
    tokens to write.

    Raises:
        ValueError: the tokenizer lacks the specials "start" and "end", or a length is below 1.
    """
    start, end = (special_id(tokenizer, name) for name in ("start", "end"))
    if target_length < 1:
        raise ValueError(f"target_length is {target_length}; it must be at least 1")
    sources, targets = [], []
    for pair in pairs:
        reply = tokenizer.encode(pair.response.strip()).tolist()
        sources.append(prompt_ids(tokenizer, pair.message, pair.context, source_length))
        targets.append(np.array([start, *reply, end][: target_length + 1], np.int32))
    return EncodedPairs(sources, targets)


def batches(pairs: EncodedPairs, size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """All pairs once, in an order that `seed` and `epoch` decide. Pairs of one batch have similar lengths."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(pairs))
    groups: list[NDArray[np.int64]] = []
    for begin in range(0, len(order), size * CHUNK):
        chunk = order[begin : begin + size * CHUNK]
        # replies of about one length, and among them prompts of about one length: little padding on both sides
        lengths = [(len(pairs.targets[row]) // ALIKE, len(pairs.sources[row])) for row in chunk]
        chunk = chunk[sorted(range(len(chunk)), key=lengths.__getitem__)]
        groups += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    for position in random.permutation(len(groups)):
        yield _batch(pairs, groups[position])


def in_order(pairs: EncodedPairs, size: int) -> Iterator[Batch]:
    """All pairs once in their own order."""
    for begin in range(0, len(pairs), size):
        yield _batch(pairs, np.arange(begin, min(begin + size, len(pairs))))


def batch_count(rows: int, size: int) -> int:
    """How many batches `batches` yields."""
    full, rest = divmod(rows, size * CHUNK)
    return full * CHUNK + -(-rest // size)


def _batch(pairs: EncodedPairs, rows: NDArray[np.int64]) -> Batch:
    targets = [pairs.targets[row] for row in rows]
    whole = _padded(targets, 2)
    return Batch(_padded([pairs.sources[row] for row in rows], 1), whole[:, :-1], whole[:, 1:].astype(np.int64))


def _padded(ids: list[NDArray[np.int32]], least: int) -> NDArray[np.int32]:
    assert PADDING == 0, "what `batch` fills with"
    return batch(ids, max(least, max(map(len, ids))))
