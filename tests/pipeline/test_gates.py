"""Verdicts: by the bound of an interval, and never by a figure that was not measured."""

import dataclasses
from typing import Any

import pytest

from edgewright.benchmarks.record import Baseline, GateResult, Interval, Verdict
from edgewright.data.tasks import Targets
from edgewright.pipeline import gates

GOOD: dict[str, Any] = {
    "accuracy": 0.95,
    "macro_f1": 0.95,
    "span_f1": None,
    "metrics": {},
    "reference": Baseline("PyTorch fp32", accuracy=0.951),
    "label_agreement": 0.995,
    "shipped_bytes": 500_000,
    "p50_ms": Interval(0.03, 0.029, 0.031),
    "text_to_label_p50_ms": Interval(0.05, 0.049, 0.051),
    "timed_here": True,
}
TARGETS = Targets(min_accuracy=0.9, max_text_to_label_p50_ms=0.15)


def verdicts(numerics: str = "dynamic_wi8_afp32", **changed: Any) -> dict[str, Verdict]:
    found = gates.judge(TARGETS, numerics, **(GOOD | changed))  # type: ignore[arg-type]
    return {gate.name: gate.verdict for gate in found}


def test_a_reason_gives_each_figure_in_full() -> None:
    results = [
        GateResult("min_accuracy", 0.95, 0.9412345, "fail"),
        GateResult("max_shipped_bytes", 200_000, 209_413, "fail"),
        GateResult("max_p50_ms", 0.1, 0.1012, "inconclusive"),
        GateResult("max_load_ms", 50, 20, "pass"),
    ]
    assert gates.reason(results) == (
        "min_accuracy is 0.9412, the bound is 0.95; max_shipped_bytes is 209,413, the bound is 200,000; "
        "max_p50_ms is 0.1012, the bound is 0.1 (too noisy to say)"
    )
    assert gates.reason(results[3:]) is None


def test_a_good_cell_passes_every_gate() -> None:
    assert set(verdicts().values()) == {"pass"}
    assert {"min_accuracy", "max_accuracy_drop", "max_shipped_bytes", "max_p50_ms"} <= set(verdicts())


@pytest.mark.parametrize(
    ("gate", "changed"),
    [
        ("min_accuracy", {"accuracy": 0.8999, "reference": Baseline("", accuracy=0.9)}),
        ("max_accuracy_drop", {"reference": Baseline("", accuracy=0.97)}),
        ("min_label_agreement_int8", {"label_agreement": 0.98}),
        ("max_shipped_bytes", {"shipped_bytes": 1_000_001}),
        ("max_p50_ms", {"p50_ms": Interval(1.2, 1.1, 1.3)}),
        ("max_text_to_label_p50_ms", {"text_to_label_p50_ms": Interval(0.2, 0.16, 0.3)}),
    ],
)
def test_each_gate_can_fail_alone(gate: str, changed: dict[str, Any]) -> None:
    found = verdicts(**changed)
    assert [name for name, verdict in found.items() if verdict != "pass"] == [gate]
    assert found[gate] == "fail"


@pytest.mark.parametrize(
    ("targets", "reference", "measured", "gate", "value"),
    [
        (Targets(max_bits=2.4), {}, {"bits": 2.5}, "max_bits", 2.5),
        (Targets(), {"bits": 2.0}, {"bits": 2.03}, "max_bits_rise", 0.015),
        (Targets(min_auc=0.9), {}, {"auc": 0.89}, "min_auc", 0.89),
        (Targets(), {"auc": 0.9}, {"auc": 0.88}, "max_auc_drop", 0.02),
    ],
)
def test_sequences_are_judged_by_bits_and_auc(
    targets: Targets, reference: dict[str, float], measured: dict[str, float], gate: str, value: float
) -> None:
    none = {"accuracy": None, "macro_f1": None, "metrics": measured, "reference": Baseline("", metrics=reference)}
    found = {one.name: one for one in gates.judge(targets, "fp32", **(GOOD | {"label_agreement": 1.0} | none))}
    assert [name for name, one in found.items() if one.verdict == "fail"] == [gate]
    assert found[gate].measured == pytest.approx(value)


def test_an_interval_that_holds_the_bound_is_inconclusive() -> None:
    assert verdicts(p50_ms=Interval(0.99, 0.9, 1.01))["max_p50_ms"] == "inconclusive"


def test_a_float_cell_is_held_to_the_float_agreement_but_not_to_the_size() -> None:
    found = verdicts("fp32", shipped_bytes=4_000_000, label_agreement=0.9989)
    assert "max_shipped_bytes" not in found and found["min_label_agreement_fp32"] == "fail"


def test_a_four_bit_cell_has_a_bound_of_its_own() -> None:
    assert verdicts("dynamic_wi4_afp32", label_agreement=0.975)["min_label_agreement_int4"] == "pass"
    assert verdicts("palette_w4_afp16", label_agreement=0.965)["min_label_agreement_int4"] == "fail"
    assert verdicts("palette_w6_afp16", label_agreement=0.975)["min_label_agreement_int4"] == "pass"


def test_a_sparse_cell_is_held_to_the_agreement_of_its_values_and_to_the_size() -> None:
    found = verdicts("sparse_wfp16_afp16", shipped_bytes=4_000_000, label_agreement=0.9989)
    assert found["max_shipped_bytes"] == "fail" and found["min_label_agreement_fp32"] == "fail"
    assert "min_label_agreement_int8" in verdicts("sparse_wi8_afp16")


def test_times_that_cannot_be_taken_here_are_named_and_stop_nothing() -> None:
    found = verdicts(p50_ms=None, text_to_label_p50_ms=None, timed_here=False)
    assert found["max_p50_ms"] == "not_verifiable"
    assert gates.overall(found.values()) == "pass"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["pass", "unsupported", "not_verifiable"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_a_run_is_as_good_as_its_worst_cell(parts: list[Verdict], whole: Verdict) -> None:
    assert gates.overall(parts) == whole


def test_a_loosened_bound_is_said_and_a_tightened_one_is_not() -> None:
    own = dataclasses.replace(TARGETS, min_accuracy=0.8, max_p50_ms=0.5, max_shipped_bytes=None)
    lines = gates.loosened(own, TARGETS)
    assert set(lines) == {"min_accuracy", "max_shipped_bytes"}
    assert lines["min_accuracy"] == "The recipe loosens min_accuracy to 0.8; the task asks 0.9."


def test_a_bound_that_is_none_is_no_gate() -> None:
    assert gates.at_least("x", None, 1.0) is None
    assert gates.at_most("x", 1.0, 2.0) == GateResult("x", 1.0, 2.0, "fail")  # type: ignore[arg-type]
