"""Do the files of a bundle give the same labels? Pair by pair, all together, and the answers on which they differ.

The same integers are not the same answers: runtimes quantize activations differently, and sum in another order. What is
left is told here, with the margin of each file where labels differ: the logit of its label above the next one.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Pair:
    """Two files on N answers. identical: those whose logits are the same bits."""

    first: str
    second: str
    label_agreement: float
    identical: int
    max_abs_logit_difference: float


@dataclass(frozen=True)
class Differing:
    """An answer on which not all files agree. row: of the data, from 0; labels and margins: by a file's name."""

    row: int
    labels: dict[str, str]
    margins: dict[str, float]


@dataclass(frozen=True)
class Agreement:
    """n: answers, one a text, or of a tagger one a word. all_agree: the share on which all files give one label.
    median_margin: by a file's name, over all answers."""

    n: int
    all_agree: float
    pairs: tuple[Pair, ...]
    differing: tuple[Differing, ...]
    median_margin: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def agree(logits: Mapping[str, np.ndarray], rows: Sequence[int], labels: Sequence[str]) -> Agreement:
    """Compare what the files of these names answer.

    Args:
        logits: (N, C) float32 each, finite; at least one file and one answer.
        rows: the number of the row that each answer is of.
        labels: of the C classes.
    """
    shapes = {array.shape for array in logits.values()}
    if len(shapes) != 1 or not len(rows) or next(iter(shapes)) != (len(rows), len(labels)):
        raise ValueError(f"arrays of one shape ({len(rows)}, {len(labels)}), with an answer at least: {shapes}")
    chosen = {name: array.argmax(axis=1) for name, array in logits.items()}
    margins = {name: margin(array) for name, array in logits.items()}
    together = np.stack(list(chosen.values()))
    same = (together == together[0]).all(axis=0)
    return Agreement(
        n=len(rows),
        all_agree=float(same.mean()),
        pairs=tuple(_pair(first, second, logits) for first, second in combinations(logits, 2)),
        differing=tuple(
            Differing(
                int(rows[place]),
                {name: labels[int(found[place])] for name, found in chosen.items()},
                {name: float(found[place]) for name, found in margins.items()},
            )
            for place in sorted(np.flatnonzero(~same), key=lambda place: rows[place])
        ),
        median_margin={name: float(np.median(found)) for name, found in margins.items()},
    )


def margin(logits: np.ndarray) -> np.ndarray:
    """(N,) the largest logit minus the second; 0 where there is one class only."""
    if logits.shape[1] < 2:
        return np.zeros(len(logits), np.float32)
    top = np.partition(logits, -2, axis=1)
    return np.asarray(top[:, -1] - top[:, -2])


def _pair(first: str, second: str, logits: Mapping[str, np.ndarray]) -> Pair:
    one, other = logits[first], logits[second]
    return Pair(
        first,
        second,
        label_agreement=float((one.argmax(axis=1) == other.argmax(axis=1)).mean()),
        identical=int((one == other).all(axis=1).sum()),
        max_abs_logit_difference=float(np.abs(one.astype(np.float64) - other).max()),
    )
