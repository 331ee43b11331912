"""Whether timed blocks can be believed: disturbed blocks, outliers, throttling, and the figure that noise moves least.

Each block has the time of a fixed reference workload before and after it. What slows the machine down (a neighbour, a
lower clock) slows the reference too, so that a block's median over its reference stays nearly the same.
"""

from collections.abc import Sequence

import numpy as np

from edgewright.benchmarks.record import Interval

DISTURBED = 1.10  # times the reference of the fastest blocks
LEAST_BLOCKS = 5  # undisturbed blocks that a normalised figure is taken from, if there are so many
THROTTLE_SLOWDOWN = 1.05  # the last third of the references over the first third
THROTTLE_CORRELATION = 0.7  # of the references with time: a slowdown that goes on, not a burst
RESAMPLES = 1000


def disturbed(references: Sequence[tuple[int, int]]) -> np.ndarray:
    """(N,) bool: blocks whose slower reference took over 10 % longer than the fastest blocks' (their 10th percentile).

    The choice looks at the references alone, never at what was measured, so it cannot favour a result.

    Args:
        references: nanoseconds before and after each block.
    """
    slower = np.max(np.asarray(references, float), axis=1)
    return slower > DISTURBED * np.percentile(np.asarray(references, float), 10)


def normalised_p50(medians: Sequence[float], references: Sequence[tuple[int, int]]) -> Interval:
    """The median over blocks of a block's median over its reference, with a 95 % bootstrap interval over blocks.

    Disturbed blocks are left out where at least 5 others remain.

    Args:
        medians: nanoseconds, one a block. references: as in `disturbed`.
    """
    keep = ~disturbed(references)
    ratios = np.asarray(medians, float) / np.asarray(references, float).mean(axis=1)
    if keep.sum() >= LEAST_BLOCKS:
        ratios = ratios[keep]
    value = float(np.median(ratios))
    if len(ratios) == 1:
        return Interval(value)
    draws = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), [2.5, 97.5])
    return Interval(value, float(min(low, value)), float(max(high, value)))


def outlier_share(blocks: Sequence[np.ndarray]) -> float:
    """The share of calls beyond the third quartile + 3 interquartile ranges of their own block (Tukey's far out)."""
    far = 0
    for block in blocks:
        first, third = np.percentile(block, [25, 75])
        far += int((block > third + 3 * max(third - first, 1)).sum())
    return far / sum(len(block) for block in blocks)


def throttled(references: Sequence[tuple[int, int]]) -> bool:
    """Whether the reference slowed down steadily: by over 5 % from the first third to the last, in step with time."""
    times = np.asarray(references, float).mean(axis=1)
    third = len(times) // 3
    if third < 2:
        return False
    slowdown = np.median(times[-third:]) / np.median(times[:third])
    ranks = np.argsort(np.argsort(times))
    correlation = np.corrcoef(ranks, np.arange(len(times)))[0, 1]
    return bool(slowdown > THROTTLE_SLOWDOWN and correlation > THROTTLE_CORRELATION)
