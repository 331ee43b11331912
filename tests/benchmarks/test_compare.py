"""The regression gate: what fails, what passes, what nobody can tell."""

from dataclasses import replace

import pytest

from edgewright.benchmarks.bench_record import BenchRecord, Series, Timed, from_json, to_json
from edgewright.benchmarks.compare import compare
from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.record import Interval, Timing

TIMING = Timing(2000, 10.0, 40, 0.4, 0.02, 1.0, True, True, True, True, 100, 0, 0.001, False)


def series(p50_us: float, normalised: float | None = None, width: float = 0.01) -> Series:
    """A series whose machine has a reference of 400 µs, unless `normalised` says otherwise."""
    value = p50_us / 400 if normalised is None else normalised
    around = Interval(value, value * (1 - width), value * (1 + width))
    p50 = Interval(p50_us / 1e3, p50_us / 1e3 * (1 - width), p50_us / 1e3 * (1 + width))
    return Series(p50, p50, p50, around, TIMING)


def record(text: Series, inference: Series | None = None, numerics: str = "fp32") -> BenchRecord:
    one = Timed("litert", numerics, 1, 1000, 1200, text, series(5), inference or series(10))
    return BenchRecord("bench", "urgency", "urgency", "quick", "2026-01-01", 32, "golden", fingerprint(), (one,))


def verdict(base: BenchRecord, new: BenchRecord, **bounds: float) -> str:
    return compare(base, new, **bounds).verdict


def test_the_same_record_passes() -> None:
    assert verdict(record(series(50)), record(series(50))) == "pass"


def test_a_fifth_slower_fails_and_says_by_how_much() -> None:
    compared = compare(record(series(50)), record(series(60)))
    assert compared.verdict == "fail"
    row = next(row for row in compared.rows if row.verdict == "fail")
    assert (row.name, row.series) == ("litert fp32", "text_to_label")
    assert row.ratio.value == pytest.approx(1.2) and row.delta_us == pytest.approx(10)
    assert row.reason is not None and "1.20 times as slow" in row.reason and "+10.0 µs" in row.reason


def test_a_slower_machine_is_not_slower_code() -> None:
    # everything takes twice as long, the reference too
    assert (
        verdict(record(series(50)), record(series(100, normalised=50 / 400), series(20, normalised=10 / 400))) == "pass"
    )


def test_slower_code_on_a_machine_that_got_faster_is_found() -> None:
    # the milliseconds are the same
    assert verdict(record(series(50)), record(series(50, normalised=1.3 * 50 / 400))) == "fail"


def test_a_change_below_the_least_delta_is_no_regression() -> None:
    slower = record(series(50), inference=series(11.5))  # 15 %, but 1.5 µs
    assert verdict(record(series(50)), slower) == "pass"
    assert verdict(record(series(50)), slower, min_delta_us=1.0) == "fail"


def test_what_is_too_noisy_is_inconclusive() -> None:
    assert verdict(record(series(50)), record(series(56, width=0.1))) == "inconclusive"


def test_the_allowed_ratio_is_the_callers() -> None:
    assert verdict(record(series(50)), record(series(60)), max_ratio=1.5) == "pass"


def test_another_processor_is_never_judged() -> None:
    base = record(series(50))
    other = replace(base, machine=replace(base.machine, cpu="another one"))
    compared = compare(other, record(series(500)))
    assert compared.verdict == "inconclusive" and not compared.same_machine
    assert "another one" in compared.notes[0]


def test_other_texts_are_never_judged() -> None:
    compared = compare(replace(record(series(50)), texts=31), record(series(50)))
    assert compared.verdict == "inconclusive" and "Other texts" in compared.notes[0]


def test_an_artifact_that_is_gone_is_named() -> None:
    compared = compare(record(series(50)), record(series(50), numerics="fp16"))
    assert compared.verdict == "inconclusive"
    assert compared.only_in_base == ("litert fp32",) and compared.only_in_new == ("litert fp16",)


def test_a_record_survives_json() -> None:
    before = record(series(50))
    assert from_json(to_json(before)) == before


def test_another_task_is_never_judged() -> None:
    compared = compare(replace(record(series(50)), task="intent"), record(series(50)))
    assert compared.verdict == "inconclusive" and compared.notes == ("Two tasks: intent; urgency.",)


def test_a_library_that_changed_is_named_and_judged_like_code() -> None:
    base, new = record(series(50)), record(series(60))
    older = replace(base, machine=replace(base.machine, versions=base.machine.versions | {"numpy": "2.0.0"}))
    compared = compare(older, new)
    assert compared.verdict == "fail" and "numpy 2.0.0 → " in compared.notes[0]
