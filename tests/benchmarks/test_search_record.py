"""Which trials stand on the front, which is chosen, and how far one misses a budget."""

import json
from dataclasses import replace
from typing import Any

import pytest

from edgewright.benchmarks.search_record import (
    SearchRecord,
    chosen_of,
    from_json,
    front_of,
    inconsistencies,
    misses,
    to_json,
    worst,
)
from edgewright.errors import DamagedFileError
from tests.benchmarks.sample_search import sample, trial


def test_the_front_holds_what_no_other_trial_beats() -> None:
    best, small, fast = trial(0, 0.95, 400_000, 0.09), trial(1, 0.90, 100_000, 0.09), trial(2, 0.90, 400_000, 0.02)
    beaten = trial(3, 0.89, 400_000, 0.09)
    over = trial(4, 0.99, 900_000, 0.01, "over_budget")
    untrained = trial(5, None, 1_000, 0.01)
    assert front_of([beaten, fast, small, best, over, untrained]) == (0, 1, 2)
    equal = trial(6, 0.95, 400_000, 0.09)
    assert front_of([best, equal]) == (0, 6)  # neither beats the other


def test_the_chosen_one_is_the_most_accurate_then_the_smallest_then_the_fastest() -> None:
    trials = [trial(0, 0.90, 300_000, 0.05), trial(1, 0.95, 300_000, 0.05), trial(2, 0.95, 200_000, 0.06)]
    assert chosen_of([*trials, trial(3, 0.95, 200_000, 0.05)]) == 3
    assert chosen_of(trials) == 2
    assert chosen_of([trial(0, 0.99, 600_000, 0.05, "over_budget")]) is None and chosen_of([]) is None


def test_the_front_is_optunas() -> None:
    optuna = pytest.importorskip("optuna", reason="needs edgewright[search]")
    record = sample()
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    for one in record.trials:
        if one.trained and one.p50_ms:
            values = [one.score, float(one.shipped_bytes or 0), one.p50_ms.value]
            over = float(one.verdict != "fits")
            study.add_trial(
                optuna.create_trial(values=values, constraints={"budget": over}, user_attrs={"number": one.number})
            )
    assert sorted(record.front) == sorted(one.user_attrs["number"] for one in study.best_trials)
    assert 2 <= len(record.front) < len(record.trials)


def test_a_miss_is_by_the_upper_bound_of_the_time_and_by_the_worst_target() -> None:
    one = trial(0, 0.95, 550_000, 0.1)
    assert misses(one, 0.1, 500_000) == pytest.approx({"max_bytes": 0.1, "max_ms": 0.03})
    assert misses(one, None, None) == {} and "max_ms" not in misses(trial(1, None, 1, None), 0.1, 2)
    score, size, p50 = worst(list(one.targets.values()))
    assert score == pytest.approx(0.949) and size == 550_000 and p50 is not None and p50.high == pytest.approx(0.103)
    assert worst([]) == (None, None, None)


def test_a_record_reads_back_from_json() -> None:
    record = sample()
    values = json.loads(json.dumps(to_json(record), allow_nan=False))
    assert next(iter(values)) == "schema" and from_json(values, "search.json") == record
    del values["trials"][0]["verdict"]
    with pytest.raises(DamagedFileError, match=r"search.json: not a record of a search, schema 1: trials.0.verdict"):
        from_json(values, "search.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "not a record of a search, schema 1: schema: Input should be less than or equal to 1"),
        ({"space": {"families": {"text_cnn": 3}}}, "space.families.text_cnn: Input should be a valid dictionary"),
        ({"max_ms": -1.0}, "max_ms: Input should be greater than 0"),
        ({"chosen": 99}, "names trial 99, which is none of its 30 trials"),
        ({"front": [0, 77]}, "names trial 77"),
        ({"trials": [{**to_json(sample())["trials"][0], "score": None}], "front": [], "chosen": None}, "has no score"),
    ],
)
def test_a_record_that_lacks_what_it_names_is_damaged(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DamagedFileError, match=f"search.json: .*{message}"):
        from_json(to_json(sample()) | changes, "search.json")


def test_what_does_not_follow_from_the_trials_is_said() -> None:
    record = sample()
    assert inconsistencies(record) == []

    def said(changed: SearchRecord) -> str:
        return " ".join(inconsistencies(changed))

    assert f"not {list(record.front[1:])}" in said(replace(record, front=record.front[1:]))
    assert f"not {record.front[1]}" in said(replace(record, chosen=record.front[1]))
    assert "is said to fit, but breaks the budget" in said(replace(record, max_bytes=300_000))
    better = replace(record.trials[0], score=0.99)
    assert "are not the worst of its targets" in said(replace(record, trials=(better, *record.trials[1:])))
