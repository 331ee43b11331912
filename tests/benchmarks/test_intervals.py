"""Percentiles and their bootstrap intervals."""

import numpy as np
import pytest

from edgewright.benchmarks.intervals import GRID, median_ms, paired, percentiles_ms
from edgewright.benchmarks.record import Interval


def _blocks(seed: int, shifts: np.ndarray, calls: int = 200) -> list[np.ndarray]:
    """Blocks of times around 1 ms, each moved by its own shift."""
    random = np.random.default_rng(seed)
    return [(1e6 * (1 + shift + 0.02 * random.standard_normal(calls))).astype(np.int64) for shift in shifts]


def test_a_percentile_is_that_of_all_samples() -> None:
    blocks = _blocks(0, np.zeros(10))
    for percent, interval in zip((50, 90, 99), percentiles_ms(blocks, [50, 90, 99]), strict=True):
        assert interval.value == np.percentile(np.concatenate(blocks), percent, method="inverted_cdf") / 1e6


def test_the_same_samples_give_the_same_bounds() -> None:
    blocks = _blocks(1, np.zeros(10))
    assert percentiles_ms(blocks, [50]) == percentiles_ms(blocks, [50])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # blocks differ by 5 %, calls by 2 %: drawing calls instead of blocks would cover the truth in about 2 of 10 runs
    covered = 0
    for seed in range(40):
        shifts = 0.05 * np.random.default_rng(1000 + seed).standard_normal(20)
        interval = percentiles_ms(_blocks(seed, shifts), [50])[0]
        assert interval.low is not None and interval.high is not None
        covered += interval.low <= 1.0 <= interval.high
    assert covered >= 34


def test_one_block_has_no_interval() -> None:
    assert percentiles_ms([np.array([1_000_000, 3_000_000])], [50])[0].low is None


def test_many_distinct_samples_keep_the_percentiles_within_a_thousandth() -> None:
    random = np.random.default_rng(2)
    blocks = [random.lognormal(14, 0.3, 20_000).astype(np.int64) for _ in range(5)]
    assert len(np.unique(np.concatenate(blocks))) > 10 * GRID
    for percent, interval in zip((50, 99), percentiles_ms(blocks, [50, 99]), strict=True):
        assert interval.value == pytest.approx(np.percentile(np.concatenate(blocks), percent) / 1e6, rel=5e-3)


def test_the_median_of_one_run_has_no_bounds() -> None:
    assert median_ms([2_000_000]).low is None
    three = median_ms([3_000_000, 1_000_000, 2_000_000])
    assert (three.value, three.low, three.high) == (2, 1, 3)


def test_a_paired_difference_is_narrower_than_two_apart() -> None:
    random = np.random.default_rng(0)
    other = random.random(2000) < 0.9
    better = other | (random.random(2000) < 0.1)  # right wherever the other is, and on a tenth of the rest
    found = paired(better, other)
    assert found.value == pytest.approx(better.mean() - other.mean())
    assert found.low is not None and found.high is not None and 0 < found.low < found.value < found.high
    assert found.high - found.low < 0.5 * 4 * np.sqrt(0.9 * 0.1 / 2000 * 2)


def test_equal_models_differ_by_nothing_and_seeds_count_as_shares() -> None:
    rows = np.array([1.0, 0.5, 0.0, 1.0])
    assert paired(rows, rows) == Interval(0.0, 0.0, 0.0)
    assert paired(rows, np.zeros(4)).value == 0.625
