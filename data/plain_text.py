"""Plain text for language models: the lines of a set, one long stream of ids, and the rows that a model is trained on.

Shapes: S ids of the stream, N rows, T ids a row.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.data import sources
from edgewright.data.situations import Draw
from edgewright.errors import DataError

PADDING = 0

# WikiText writes " @-@ " for a hyphen inside a word, and so for "," and "." inside a number
_INSIDE = re.compile(r" @([-,.])@ ")
_BEFORE = re.compile(r" ([,.;:?!%)\]}]|'(?:s|t|re|ve|ll|d|m)\b|n't\b)")  # no space stands before these
_BEHIND = re.compile(r"([(\[{$£€]) ")  # and none behind these
_QUOTED = re.compile(r'" ([^"]*?) "')


@dataclass(frozen=True)
class Windows:
    """What a language model reads, and what it should say after each id.

    inputs: (N, T) int32, filled up with 0. targets: (N, T) int32, the id that follows each one; 0 where there is none:
    the loss leaves it out.
    """

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]


def lines(source: sources.Source, split: str) -> list[str]:
    """The lines of one split of a set of plain text, without spaces around them; blank ones are left out.

    `split` is a part of the set ("train_wikipedia"), or "train" for all parts whose names begin with it.

    Raises:
        UsageError: the set has no such part.
        DataError: the set has no plain text; no copy is here, or a file differs from the declared one.
    """
    if not all(file.file.endswith(".txt.gz") for file in source.splits.values()) or source.generated:
        raise DataError(f"{source.name} has no plain text; use a set such as lm_en")
    parts = [name for name in source.splits if name.startswith(f"{split}_")] or [split]
    return [row.text.strip() for part in parts for row in sources.rows(source, part)]


def natural(line: str) -> str:
    """A line of WikiText as one would have written it: no spaces before signs, no "@-@".

    The test and validation parts of lm_en are written so and its train parts are not; without this a model is measured
    on how the parts are spaced. "<unk>", which stands for rare words there, stays. Not for French, which has spaces
    before ":" and "?".
    """
    line = _INSIDE.sub(r"\1", line.strip())
    line = _QUOTED.sub(r'"\1"', line)
    return _BEHIND.sub(r"\1", _BEFORE.sub(r"\1", line))


def stream(texts: Iterable[str], encode: Callable[[str], NDArray[np.int32]], end: int) -> NDArray[np.int32]:
    """(S,) int32: the ids of all texts, each followed by the id `end`."""
    mark = np.array([end], np.int32)
    parts = [part for text in texts for part in (encode(text), mark)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def windows_of(ids: NDArray[np.int32], length: int, seed: int | None = None) -> Windows:
    """A stream of ids (S,) cut into rows of `length` that do not overlap.

    Without a seed, for evaluation: the rows are in their order, and every id but the first is a target exactly once;
    the last row may be filled up. With a seed, for training: the cuts begin at one of the first `length` places and
    the rows are shuffled, both by the seed alone; what does not fill a row is left out.

    Raises:
        ValueError: the stream has no pair of ids, or with a seed fewer than a row and its targets need.
    """
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1")
    if len(ids) < (2 if seed is None else length + 1):
        raise ValueError(f"{len(ids)} ids are too few for rows of {length}; give more text or a smaller length")
    if seed is None:
        rows = -(-(len(ids) - 1) // length)
        padded = np.full(rows * length + 1, PADDING, np.int32)
        padded[: len(ids)] = ids
        return Windows(padded[:-1].reshape(rows, length), padded[1:].reshape(rows, length))

    draw = Draw(seed)
    start = draw.integer(0, min(length - 1, len(ids) - 1 - length))
    rows = (len(ids) - 1 - start) // length
    keys = [draw.random() for _ in range(rows)]
    order = sorted(range(rows), key=keys.__getitem__)  # not NumPy's shuffle: its stream may change with its version
    inputs = ids[start : start + rows * length].reshape(rows, length)
    targets = ids[start + 1 : start + 1 + rows * length].reshape(rows, length)
    return Windows(inputs[order], targets[order])
