"""What a sequence model reads and is judged by: rows of characters or of log lines, each position with what follows it.

A model of either kind is measured by surprise: minus the logarithm of the probability, or for numbers of the density,
that it gave to what came next. Shapes: N rows, B chosen rows, T positions, I inputs, O outputs, F features of a line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.data.characters import UNKNOWN
from edgewright.data.log_features import NUMBERS, LogFeatures, LogWindows
from edgewright.data.log_lines import LEVELS
from edgewright.data.plain_text import Windows
from edgewright.data.sampling import log_softmax

# bounds of the logarithm of a spread: a number that never changes would else get a density without end
LEAST_SPREAD, MOST_SPREAD = -4.0, 2.0

Chosen = NDArray[np.int64] | slice


class Rows(Protocol):
    """Rows of either kind."""

    def __len__(self) -> int: ...

    def inputs(self, chosen: Chosen) -> NDArray[np.float32]:
        """(B, T, I): what the model is given."""

    def targets(self, chosen: Chosen) -> NDArray[Any]:
        """(B, T) int32 ids or (B, T, F) float32: what comes next."""

    def counted(self, chosen: Chosen) -> NDArray[np.bool_]:
        """(B, T): where something comes next that can be judged; a row is filled up at its end."""

    def surprises(self, outputs: NDArray[np.float32], chosen: Chosen) -> NDArray[np.float64]:
        """(B, T) nats of outputs (B, T, O); 0 where nothing is counted."""

    def expected(self, outputs: NDArray[np.float32]) -> NDArray[np.int64]:
        """(B, T): the character, or the template of the line, that the model thinks likeliest."""


@dataclass(frozen=True)
class CharacterRows:
    """Rows of text, a character a position; inputs are ones among zeros, made when they are asked for.

    A character that the vocabulary lacks is read, and is not counted: no model can say which one comes next.
    """

    windows: Windows
    size: int  # of the vocabulary: both I and O

    def __len__(self) -> int:
        return len(self.windows.inputs)

    def inputs(self, chosen: Chosen) -> NDArray[np.float32]:
        return one_hot(self.windows.inputs[chosen], self.size)

    def targets(self, chosen: Chosen) -> NDArray[np.int32]:
        return self.windows.targets[chosen]

    def counted(self, chosen: Chosen) -> NDArray[np.bool_]:
        return self.windows.targets[chosen] > UNKNOWN

    def surprises(self, outputs: NDArray[np.float32], chosen: Chosen) -> NDArray[np.float64]:
        likely = log_softmax(outputs.astype(np.float64))
        found = -np.take_along_axis(likely, self.targets(chosen)[..., None].astype(np.int64), axis=-1)[..., 0]
        return np.where(self.counted(chosen), found, 0.0)

    def expected(self, outputs: NDArray[np.float32]) -> NDArray[np.int64]:
        return outputs.argmax(axis=-1)


@dataclass(frozen=True)
class LogRows:
    """Rows of log lines, each a part of a thread; see log_features.windows."""

    windows: LogWindows
    buckets: int

    def __len__(self) -> int:
        return len(self.windows.lines)

    def inputs(self, chosen: Chosen) -> NDArray[np.float32]:
        return self.windows.inputs[chosen]

    def targets(self, chosen: Chosen) -> NDArray[np.float32]:
        return self.windows.targets[chosen]

    def counted(self, chosen: Chosen) -> NDArray[np.bool_]:
        return self.windows.lines[chosen] >= 0

    def surprises(self, outputs: NDArray[np.float32], chosen: Chosen) -> NDArray[np.float64]:
        return np.where(self.counted(chosen), line_surprise(outputs, self.targets(chosen), self.buckets), 0.0)

    def expected(self, outputs: NDArray[np.float32]) -> NDArray[np.int64]:
        return outputs[..., : self.buckets].argmax(axis=-1)


def one_hot(ids: NDArray[np.integer[Any]], size: int) -> NDArray[np.float32]:
    """(..., size): 1 at the id, 0 elsewhere."""
    found = np.zeros((*ids.shape, size), np.float32)
    np.put_along_axis(found, ids[..., None].astype(np.int64), 1.0, axis=-1)
    return found


def line_inputs(buckets: int) -> int:
    """F, the inputs of a model that reads log lines."""
    return buckets + len(LEVELS) + len(NUMBERS)


def line_outputs(buckets: int) -> int:
    """O of it: scores of each template and each level, then a mean and the logarithm of a spread for each number."""
    return buckets + len(LEVELS) + 2 * len(NUMBERS)


def line_surprise(outputs: NDArray[np.float32], targets: NDArray[np.float32], buckets: int) -> NDArray[np.float64]:
    """(...): the surprise of lines (..., F) after outputs (..., O), in nats: template + level + each number.

    A level that is none of LEVELS adds nothing. Numbers are normally distributed, which leaves out a constant.
    """
    levels, numbers = buckets + len(LEVELS), len(NUMBERS)
    said, seen = outputs.astype(np.float64), targets.astype(np.float64)
    template = -(log_softmax(said[..., :buckets]) * seen[..., :buckets]).sum(axis=-1)
    level = -(log_softmax(said[..., buckets:levels]) * seen[..., buckets:levels]).sum(axis=-1)
    spread = said[..., levels + numbers :].clip(LEAST_SPREAD, MOST_SPREAD)
    off = (seen[..., levels:] - said[..., levels : levels + numbers]) / np.exp(spread)
    found: NDArray[np.float64] = template + level + (spread + off**2 / 2).sum(axis=-1)
    return found


def bits(surprises: NDArray[np.float64], counted: NDArray[np.bool_]) -> float:
    """Bits a position, of surprises (N, T) in nats."""
    return float(surprises.sum() / counted.sum() / math.log(2))


def by_line(surprises: NDArray[np.float64], lines: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """(count,): the surprise of each line of the stream from (N, T) ones; NaN for a line that no row holds."""
    found = np.full(count, np.nan)
    found[lines[lines >= 0]] = surprises[lines >= 0]
    return found


def evenly(rows: int, most: int | None) -> NDArray[np.int64]:
    """At most `most` row numbers, evenly spread over all; None is all."""
    kept = rows if most is None else min(most, rows)
    return np.linspace(0, rows - 1, kept).round().astype(np.int64)


def some(windows: LogWindows, chosen: Sequence[int] | NDArray[np.int64]) -> LogWindows:
    """Some of the rows."""
    return LogWindows(windows.inputs[chosen], windows.targets[chosen], windows.lines[chosen])


def templates(found: LogFeatures) -> NDArray[np.int64]:
    """(L,) the template of each line."""
    return found.values[:, found.template].argmax(axis=1)
