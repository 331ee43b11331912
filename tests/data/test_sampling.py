"""Choosing a token: each rule against a plain re-statement, draws against their probabilities, rows on their own."""

import math

import numpy as np
import pytest

from edgewright.data.sampling import Sampling, allowed, best, candidates, choose, log_softmax, streams
from edgewright.errors import UsageError


def scores(seed: int, rows: int = 1, vocabulary: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=2, size=(rows, vocabulary)).astype(np.float32)


def distribution(values: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The probability of every token."""
    ids, shares = candidates(values, sampling)
    whole = np.zeros(len(values))
    whole[ids] = shares
    return whole


def restated(values: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    """The distribution as one would say it, one step after the other."""
    powers = [math.exp(value / temperature) for value in values]
    order = sorted(range(len(values)), key=lambda token: (-powers[token], token))
    kept = order[:top_k] if top_k else order
    total = sum(powers[token] for token in kept)
    if 0 < top_p < 1:
        reached, few = 0.0, []
        for token in kept:
            few.append(token)
            reached += powers[token] / total
            if reached >= top_p:
                break
        kept = few
        total = sum(powers[token] for token in kept)
    return [powers[token] / total if token in kept else 0.0 for token in range(len(values))]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [0, 1, 3, 12, 50])
@pytest.mark.parametrize("top_p", [0.0, 0.05, 0.5, 0.93, 1.0])
def test_the_distribution_is_the_restated_one(temperature: float, top_k: int, top_p: float) -> None:
    for seed in range(5):
        values = scores(seed)[0].astype(np.float64)
        given = distribution(values, Sampling(temperature, top_k, top_p))
        assert given == pytest.approx(restated(values.tolist(), temperature, top_k, top_p), abs=1e-12)
        assert given.sum() == pytest.approx(1)


def test_among_equals_the_lower_id_is_kept() -> None:
    values = np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    assert np.flatnonzero(distribution(values, Sampling(top_k=2))).tolist() == [1, 2]
    assert np.flatnonzero(distribution(np.zeros(8), Sampling(top_p=0.5))).tolist() == [0, 1, 2, 3]


def test_best_takes_what_sorting_takes() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        values = random.integers(0, 6, 20).astype(np.float64)  # many equals
        count = int(random.integers(1, 21))
        wanted = sorted(sorted(range(20), key=lambda place: (-values[place], place))[:count])
        assert best(values, count).tolist() == wanted


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.7), Sampling(1.3, 5), Sampling(top_p=0.8)])
def test_draws_have_the_frequencies_of_the_distribution(sampling: Sampling) -> None:
    values, draws = scores(3)[0].astype(np.float64) / 3, 5_000
    (random,) = streams(1, seed=11)
    counts = np.zeros(len(values))
    for _ in range(draws):
        counts[choose(values[None], sampling, [random])[0]] += 1
    expected = distribution(values, sampling) * draws
    possible = expected > 0
    assert not counts[~possible].any()
    # chi-square: its mean is the degrees of freedom, its variance twice that; the seed is fixed
    freedom = possible.sum() - 1
    assert ((counts - expected)[possible] ** 2 / expected[possible]).sum() < freedom + 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("sampling", [Sampling(0.0), Sampling(0.0, 5, 0.5), Sampling(5.0, top_k=1), Sampling(1e-300)])
def test_a_temperature_of_0_or_one_candidate_takes_the_best(sampling: Sampling) -> None:
    values = scores(1, rows=20).astype(np.float64)
    assert choose(values, sampling, streams(20, 0)).tolist() == values.argmax(axis=1).tolist()


def test_greedy_takes_no_random_number() -> None:
    randoms = streams(2, 5)
    choose(scores(0, 2).astype(np.float64), Sampling(0.0), randoms)
    assert [r.random() for r in randoms] == [r.random() for r in streams(2, 5)]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.9, 6, 0.9)])
def test_a_row_does_not_see_its_neighbours(sampling: Sampling) -> None:
    values = scores(2, rows=5, vocabulary=300).astype(np.float64)
    many, few = streams(5, 9), streams(2, 9)
    for _ in range(50):
        together = choose(values, sampling, many)
        assert choose(values[:2], sampling, few).tolist() == together[:2].tolist()


def test_the_seed_decides_and_without_one_every_call_differs() -> None:
    values = np.zeros((1, 1000))

    def drawn(seed: int | None) -> list[int]:
        randoms = streams(1, seed)
        return [int(choose(values, Sampling(), randoms)[0]) for _ in range(30)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(None) != drawn(None)


def test_two_rows_draw_differently() -> None:
    values = np.zeros((2, 1000))
    randoms = streams(2, 0)
    first, second = zip(*(choose(values, Sampling(), randoms).tolist() for _ in range(30)), strict=True)
    assert first != second


def test_the_penalty_is_ctrls_and_counts_a_token_once() -> None:
    given = np.array([[3.0, -2.0, 0.5, 0.0, 7.0]], np.float32)
    values = allowed(given, [[1, 4, 4]], 2.0, ())
    assert values.tolist() == [[3.0, -4.0, 0.5, 0.0, 3.5]]
    assert allowed(given, [[]], 2.0, ()).tolist() == given.tolist()
    assert given[0, 4] == 7, "the given scores stay"


def test_a_forbidden_id_is_never_chosen() -> None:
    given = scores(4, rows=50)
    given[:, 0], given[:, 7] = 90, 80
    values = allowed(given, [[]] * 50, 1.0, (0, 7))
    for sampling in (Sampling(0.0), Sampling(), Sampling(100.0), Sampling(top_k=12), Sampling(top_p=0.999)):
        assert not {0, 7} & set(choose(values, sampling, streams(50, 0)).tolist())


def test_log_softmax_is_the_logarithm_of_softmax() -> None:
    values = np.array([[1000.0, 1001.0, -np.inf], [0.0, 0.0, 0.0]])
    assert np.exp(log_softmax(values)) == pytest.approx(
        np.array([[1 / (1 + math.e), math.e / (1 + math.e), 0], [1 / 3] * 3])
    )


def test_scores_that_are_no_numbers_are_refused() -> None:
    given = scores(0)
    given[0, 3] = np.nan
    with pytest.raises(ValueError, match="no numbers"):
        allowed(given, [[]], 1.0, (0,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1; it must be 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1; it must be a whole number"),
        ({"top_p": 1.1}, "top_p is 1.1; it must be from 0"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; it must be above 0"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sampling(**settings)  # type: ignore[arg-type]


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="seed is -1"):
        streams(1, -1)
