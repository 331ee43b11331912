"""The loop that writes tokens one after the other: greedy, drawn, or the best of several beams.

The model is anything with a step, so PyTorch and every runtime run this one loop.
Shapes: B rows, K beams of a row, V vocabulary, T tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.data.sampling import PADDING, Sampling, allowed, best, choose, log_softmax, streams
from edgewright.errors import UsageError


class Stepper(Protocol):
    """A model that has read its prompts, and keeps what it needs of each row from step to step."""

    def step(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """(B, V) float32 scores of what follows `tokens` (B, 1), which stand at `position` (from 0, the start)."""
        ...

    def reorder(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows in this order; a row may come several times, and others not at all."""
        ...


@dataclass(frozen=True)
class Decoded:
    """ids: (B, T) int32 without the start token and with the end token where it was reached, then 0.
    scores: (B,) float64, the logarithm of the probability that the model gives to a row's ids, after the repetition
    penalty and before temperature, top-k and top-p.
    """

    ids: NDArray[np.int32]
    scores: NDArray[np.float64]


class Hypothesis(NamedTuple):
    """One beam: its ids, the logarithm of their probability, and the row of the model's state that it goes on from."""

    ids: tuple[int, ...]
    score: float
    row: int

    @property
    def rank(self) -> float:
        """The score a token: a sum would favour short answers (Wu et al. 2016, https://arxiv.org/abs/1609.08144)."""
        return self.score / max(1, len(self.ids))


def decode(
    stepper: Stepper,
    rows: int,
    start: int,
    end: int,
    max_length: int,
    sampling: Sampling,
    beams: int = 1,
    seed: int | None = None,
) -> Decoded:
    """At most `max_length` tokens for each of `rows` prompts.

    With more than one beam nothing is drawn: of `sampling` only the repetition penalty counts.

    Raises:
        UsageError: max_length or beams below 1, or a negative seed.
    """
    _check(max_length, beams)
    if beams > 1:
        return beam_search(stepper, rows, start, end, max_length, beams, sampling.repetition_penalty)
    ids: list[list[int]] = [[] for _ in range(rows)]
    scores = np.zeros(rows)
    for tokens, gained in steps(stepper, rows, start, end, max_length, sampling, seed):
        for row in np.flatnonzero(tokens):  # 0: the row was at its end
            ids[row].append(int(tokens[row]))
        scores += gained
    return Decoded(_padded(ids), scores)


def steps(
    stepper: Stepper,
    rows: int,
    start: int,
    end: int,
    max_length: int,
    sampling: Sampling,
    seed: int | None = None,
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float64]]]:
    """The tokens (B,) of each step, 0 in rows that are at their end, and the logarithms of their probabilities (B,)."""
    randoms = streams(rows, seed)
    seen: list[list[int]] = [[] for _ in range(rows)]
    tokens = np.full(rows, start, np.int32)
    running = np.ones(rows, bool)
    for position in range(max_length):
        scores = stepper.step(tokens.reshape(-1, 1), position)
        values = allowed(scores, seen, sampling.repetition_penalty, _forbidden(start, end))
        chosen = choose(values, sampling, randoms)
        gained = log_softmax(values)[np.arange(rows), chosen]
        tokens = np.where(running, chosen, PADDING).astype(np.int32)
        yield tokens, np.where(running, gained, 0.0)
        running &= tokens != end
        if not running.any():
            return
        for row in np.flatnonzero(running):
            seen[row].append(int(tokens[row]))


def beam_search(
    stepper: Stepper, rows: int, start: int, end: int, max_length: int, beams: int, repetition_penalty: float = 1.0
) -> Decoded:
    """For each row the best of `beams` hypotheses, by the mean logarithm of its tokens' probabilities.

    A hypothesis that reaches the end leaves the beam, which goes on with one fewer (Sutskever et al. 2014,
    https://arxiv.org/abs/1409.3215). So one beam is greedy search.
    """
    _check(max_length, beams)
    stepper.reorder(np.repeat(np.arange(rows), beams))
    live = [[Hypothesis((), 0.0, row * beams)] for row in range(rows)]
    done: list[list[Hypothesis]] = [[] for _ in range(rows)]
    tokens = np.full(rows * beams, start, np.int32)
    for position in range(max_length):
        scores = stepper.step(tokens.reshape(-1, 1), position)
        parents = np.arange(rows * beams)
        tokens = np.full(rows * beams, PADDING, np.int32)
        for number in range(rows):
            wanted = beams - len(done[number])
            found = _longer(live[number], scores, wanted, repetition_penalty, _forbidden(start, end))
            done[number] += [one for one in found if one.ids[-1] == end]
            going = [one for one in found if one.ids[-1] != end]
            for place, one in enumerate(going, start=number * beams):
                parents[place], tokens[place] = one.row, one.ids[-1]
            live[number] = [one._replace(row=place) for place, one in enumerate(going, start=number * beams)]
        if not any(live):
            break
        stepper.reorder(parents)
    # max() takes the first of equals: an answer that came to its end goes before one that was cut
    chosen = [max(ended + cut, key=lambda one: one.rank) for ended, cut in zip(done, live, strict=True)]
    return Decoded(_padded([one.ids for one in chosen]), np.array([one.score for one in chosen]))


def _longer(
    live: Sequence[Hypothesis],
    scores: NDArray[np.float32],
    wanted: int,
    penalty: float,
    forbidden: Sequence[int],
) -> list[Hypothesis]:
    """The `wanted` best hypotheses of one token more, the best first; their `row` is their parent's."""
    if not live or not wanted:
        return []
    given = scores[[one.row for one in live]]
    options = log_softmax(allowed(given, [one.ids for one in live], penalty, forbidden))
    totals = (options + np.array([[one.score] for one in live])).ravel()
    places = best(totals, min(wanted, int(np.isfinite(totals).sum())))
    found = []
    for place in places[np.argsort(-totals[places], kind="stable")]:
        parent, token = live[place // options.shape[1]], int(place % options.shape[1])
        found.append(Hypothesis((*parent.ids, token), float(totals[place]), parent.row))
    return found


def _forbidden(start: int, end: int) -> tuple[int, ...]:
    return (PADDING,) if start == end else (PADDING, start)


def _padded(ids: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    padded = np.full((len(ids), max(map(len, ids), default=0)), PADDING, np.int32)
    for row, given in zip(padded, ids, strict=True):
        row[: len(given)] = given
    return padded


def _check(max_length: int, beams: int) -> None:
    if max_length < 1:
        raise UsageError(f"max_length is {max_length}; it must be at least 1")
    if beams < 1:
        raise UsageError(f"beams is {beams}; it must be at least 1")
