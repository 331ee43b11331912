"""From the scores of all tokens to the next one: temperature, top-k, top-p, repetition penalty, from a seed.

Every runtime's generation and PyTorch's own choose here, so they give the same tokens wherever their scores agree.
Shapes: B batch, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import UsageError

PADDING = 0


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen. The steps follow this order.

    repetition_penalty: above 1, tokens that the row has already get less likely (Keskar et al. 2019,
        https://arxiv.org/abs/1909.05858, equation 2): a positive score is divided by it. A negative one is multiplied,
        as division would raise it. 1 changes nothing.
    temperature: divides the scores; 0 takes the best token, and nothing is drawn.
    top_k: draw from the so many best tokens only; 0 is off. Among equals the lower id goes first.
    top_p: draw from the fewest best tokens whose probabilities sum to it (Holtzman et al. 2020,
        https://arxiv.org/abs/1904.09751); 0 and 1 are off.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, self.temperature >= 0, "0 (the best token) or more")
        _check("top_k", self.top_k, self.top_k >= 0 and int(self.top_k) == self.top_k, "a whole number from 0 (off)")
        _check("top_p", self.top_p, 0 <= self.top_p <= 1, "from 0 (off) to 1")
        _check("repetition_penalty", self.repetition_penalty, self.repetition_penalty > 0, "above 0, 1 being off")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0 or self.top_k == 1


def streams(rows: int, seed: int | None = None) -> list[np.random.Generator]:
    """The random numbers of each row: they depend on the seed and the row's number, not on how many rows there are.

    Without a seed they are others at every call.
    """
    if seed is not None and seed < 0:
        raise UsageError(f"seed is {seed}; it must be 0 or more")
    return [np.random.default_rng(None if seed is None else [seed, row]) for row in range(rows)]


def choose(
    values: NDArray[np.float64], sampling: Sampling, randoms: Sequence[np.random.Generator]
) -> NDArray[np.int32]:
    """(B,) int32: the next token of each row, from scores (B, V) as `allowed` gives them.

    Each row takes one number of its stream, or none where the choice is greedy.
    """
    if sampling.greedy:
        return values.argmax(axis=1).astype(np.int32)
    drawn = [_draw(row, sampling, random) for row, random in zip(values, randoms, strict=True)]
    return np.array(drawn, np.int32)


def allowed(
    scores: NDArray[np.float32], seen: Sequence[Sequence[int]], penalty: float, forbidden: Sequence[int]
) -> NDArray[np.float64]:
    """(B, V) float64: the scores after the repetition penalty, -inf at forbidden ids.

    Args:
        scores: (B, V), before softmax.
        seen: the ids that each row has already.
        forbidden: ids that are never chosen.

    Raises:
        ValueError: scores that are no numbers.
    """
    if np.isnan(scores).any():
        raise ValueError("the model gave scores that are no numbers (NaN)")
    values = scores.astype(np.float64)
    if penalty != 1:
        for row, ids in zip(values, seen, strict=True):
            again = np.unique(np.asarray(ids, np.int64))
            row[again] = np.where(row[again] > 0, row[again] / penalty, row[again] * penalty)
    values[:, list(forbidden)] = -np.inf
    return values


def candidates(values: NDArray[np.float64], sampling: Sampling) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The tokens that may be drawn, ascending, and the probability of each; scores (V,) as `allowed` gives them."""
    ids = best(values, sampling.top_k) if 0 < sampling.top_k < len(values) else np.arange(len(values))
    kept = values[ids]
    with np.errstate(over="ignore"):  # at a temperature near 0 all but the best go to -inf, as they should
        powers = np.exp((kept - kept.max()) / sampling.temperature)
    shares = powers / powers.sum()
    if 0 < sampling.top_p < 1:
        # those below this share sum to less than 1 - top_p, so the others suffice: few are left to sort
        large = np.flatnonzero(shares >= (1 - sampling.top_p) / len(shares))
        sums = np.cumsum(np.sort(shares[large])[::-1])
        count = min(int(np.searchsorted(sums, sampling.top_p)) + 1, len(large))
        few = large[best(shares[large], count)]
        ids, shares = ids[few], shares[few] / shares[few].sum()
    return ids, shares


def best(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The places of the `count` largest values, ascending; of equal ones the first are taken. `count` ≤ their number.

    Without sorting them all: that would cost more than a step of a small model.
    """
    last = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > last)
    equal = np.flatnonzero(values == last)[: count - len(above)]
    return np.sort(np.concatenate([above, equal]))


def log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithms of the probabilities along the last axis; -inf stays."""
    shifted = values - values.max(axis=-1, keepdims=True)
    logarithms: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logarithms


def _draw(values: NDArray[np.float64], sampling: Sampling, random: np.random.Generator) -> int:
    ids, shares = candidates(values, sampling)
    sums = np.cumsum(shares)
    # one number and the place where it falls: NumPy's own choice() takes others from version to version
    place = int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
    if place == len(ids):  # the product was rounded up to the whole sum
        place = int(np.flatnonzero(shares)[-1])
    return int(ids[place])


def _check(name: str, value: float, right: bool, wanted: str) -> None:
    if not right or not math.isfinite(value):
        raise UsageError(f"{name} is {value}; it must be {wanted}")
