"""Percentiles of timed blocks with bootstrap intervals."""

from collections.abc import Sequence

import numpy as np

from edgewright.benchmarks.record import Interval

RESAMPLES = 1000
GRID = 4096  # distinct values that pooled samples are reduced to, so that millions of calls stay cheap


def percentiles_ms(blocks: Sequence[np.ndarray], percents: Sequence[float]) -> list[Interval]:
    """Percentiles of all samples in milliseconds, with 95 % intervals.

    The interval is a block bootstrap: blocks (not calls) are drawn with replacement, the percentile of the pooled
    draw is taken, and the 2.5th and 97.5th percentiles of 1,000 such draws are the bounds. Calls of one block
    share the clock frequency, the caches and the neighbours of that moment; drawing single calls would take them for
    independent and give intervals many times too narrow. The seed is fixed: the same samples give the same bounds.
    A percentile is the smallest sample that at least so many percent of the samples do not exceed.

    Args:
        blocks: nanoseconds, one array a block. With one block there is no interval: low and high are None.
    """
    pooled = np.concatenate(blocks)
    values = np.unique(pooled)
    if len(values) > GRID:  # quantiles of the pool, the maximum included, stand for the samples up to them
        values = np.unique(np.quantile(pooled, np.linspace(0, 1, GRID), method="higher"))
    # cumulated[b, v]: samples of block b up to values[v]
    cumulated = np.stack([np.searchsorted(np.sort(block), values, side="right") for block in blocks]).astype(float)
    estimate = _percentiles(values, cumulated.sum(axis=0, keepdims=True), percents)[:, 0]
    if len(blocks) == 1:
        return [Interval(float(value)) for value in estimate]
    random = np.random.default_rng(0)
    draws = random.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), size=RESAMPLES)
    # a part at a time: 1,000 x 4,096 doubles would be 33 MB
    drawn = [_percentiles(values, some @ cumulated, percents) for some in np.array_split(draws.astype(float), 10)]
    bounds = np.percentile(np.concatenate(drawn, axis=1), [2.5, 97.5], axis=1)  # (2, percents)
    return [
        Interval(float(value), float(min(low, value)), float(max(high, value)))
        for value, low, high in zip(estimate, bounds[0], bounds[1], strict=True)
    ]


def median_ms(samples_ns: Sequence[int]) -> Interval:
    """Median of a few whole runs, in milliseconds; the bounds are the least and the most, None for a single run.

    With three runs no 95 % interval can be had; the range holds the true median with a probability of 75 %.
    """
    low, high = (min(samples_ns) / 1e6, max(samples_ns) / 1e6) if len(samples_ns) > 1 else (None, None)
    return Interval(float(np.median(samples_ns)) / 1e6, low, high)


def paired(correct: np.ndarray, against: np.ndarray) -> Interval:
    """The difference of two accuracies on the same rows, with its 95 % interval by a paired bootstrap over the rows.

    A row that both models get right or wrong says nothing about their difference; drawing rows, not models, keeps
    that. Source: Efron and Tibshirani 1993, chapter 8; Koehn 2004, https://aclanthology.org/W04-3250.

    Args:
        correct, against: (N,) share of the seeds that get each row right, 0 or 1 with one seed.
    """
    differences = np.asarray(correct, np.float64) - np.asarray(against, np.float64)
    random = np.random.default_rng(0)
    count = len(differences)
    means = [differences[random.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(differences.mean()), float(low), float(high))


def _percentiles(values: np.ndarray, cumulated: np.ndarray, percents: Sequence[float]) -> np.ndarray:
    """(P, R) percentiles in milliseconds of R pools: cumulated[r, v] samples of pool r are at most values[v]."""
    total = cumulated[:, -1:]
    return np.stack([values[(cumulated >= total * (p / 100) - 1e-9).argmax(axis=1)] for p in percents]) / 1e6
