"""What noise does to a figure, on made-up blocks whose truth is known."""

import numpy as np
import pytest

from edgewright.benchmarks import validity


def both(references: list[float]) -> list[tuple[int, int]]:
    return [(int(value), int(value)) for value in references]


def test_a_machine_at_half_speed_moves_the_median_but_not_the_normalised_one() -> None:
    random = np.random.default_rng(0)
    speed = np.where(np.arange(40) < 25, 2.0, 1.0)  # most blocks are taken at half speed
    references = both([400_000 * factor * random.normal(1, 0.01) for factor in speed])
    medians = [10_000 * factor * random.normal(1, 0.01) for factor in speed]
    assert np.median(medians) > 18_000
    assert validity.normalised_p50(medians, references).value == pytest.approx(10_000 / 400_000, rel=0.02)


def test_a_block_with_a_slow_reference_on_either_side_is_disturbed() -> None:
    references = [(100, 100)] * 8 + [(100, 115), (115, 100)]
    assert validity.disturbed(references).tolist() == [False] * 8 + [True, True]


def test_disturbed_blocks_stay_out_while_five_others_are_left() -> None:
    # in a disturbed block the call suffers more than the reference does
    quiet, loud = ([10.0] * 5, both([100.0] * 5)), ([40.0] * 6, both([200.0] * 6))
    assert validity.normalised_p50(quiet[0] + loud[0], quiet[1] + loud[1]).value == pytest.approx(0.1)
    fewer = validity.normalised_p50(quiet[0][:4] + loud[0], quiet[1][:4] + loud[1])
    assert fewer.value == pytest.approx(0.2)


def test_the_interval_of_the_normalised_median_covers_the_truth_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        medians = list(random.normal(50, 2, 40))
        found = validity.normalised_p50(medians, both([100.0] * 40))
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.5 <= found.high
    assert 180 <= covered <= 199


def test_one_block_has_no_interval() -> None:
    assert validity.normalised_p50([10.0], both([100.0])).low is None


def test_calls_that_were_interrupted_are_outliers() -> None:
    block = np.concatenate([np.random.default_rng(0).normal(1000, 20, 990), np.full(10, 50_000)])
    assert validity.outlier_share([block, block]) == pytest.approx(0.01)
    assert validity.outlier_share([np.full(100, 1000)]) == 0


@pytest.mark.parametrize(
    ("references", "throttled"),
    [
        (np.linspace(100, 115, 30), True),
        (np.full(30, 100.0), False),
        (np.where(np.arange(30) == 29, 200.0, 100.0), False),  # one burst at the end
        (np.linspace(115, 100, 30), False),  # getting faster: a neighbour that went away
        (np.linspace(100, 115, 4), False),  # too few to tell
    ],
)
def test_a_steady_slowdown_is_throttling_and_a_burst_is_not(references: np.ndarray, throttled: bool) -> None:
    assert validity.throttled(both(list(references * 1000))) is throttled
