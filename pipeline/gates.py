"""Bounds and verdicts: whether a cell may ship, and what a run as a whole is worth.

A gate on a measured time decides on the bound of its interval: it fails when even the low end is above the bound,
passes when the high end is within it, and is inconclusive between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from edgewright.benchmarks.record import Baseline, GateResult, Interval, Verdict
from edgewright.compress.numerics import Numerics, weight_bits
from edgewright.data.tasks import Targets


def at_least(name: str, bound: float | None, measured: float | None) -> GateResult | None:
    if bound is None or measured is None:
        return None
    return GateResult(name, bound, measured, "pass" if measured >= bound else "fail")


def at_most(name: str, bound: float | None, measured: float | None) -> GateResult | None:
    if bound is None or measured is None:
        return None
    return GateResult(name, bound, measured, "pass" if measured <= bound else "fail")


def time_at_most(name: str, bound: float | None, measured: Interval | None, verifiable: bool) -> GateResult | None:
    if bound is None:
        return None
    if not verifiable:
        return GateResult(name, bound, None, "not_verifiable")
    if measured is None:
        return None
    low = measured.value if measured.low is None else measured.low
    high = measured.value if measured.high is None else measured.high
    verdict: Verdict = "pass" if high <= bound else "fail" if low > bound else "inconclusive"
    return GateResult(name, bound, measured.value, verdict)


def judge(
    targets: Targets,
    numerics: Numerics,
    *,
    accuracy: float | None,
    macro_f1: float | None,
    span_f1: float | None,
    metrics: Mapping[str, Any],
    reference: Baseline,
    others: Sequence[Baseline] = (),
    label_agreement: float,
    shipped_bytes: int,
    p50_ms: Interval | None,
    text_to_label_p50_ms: Interval | None,
    timed_here: bool,
) -> list[GateResult]:
    """All gates of one cell; `timed_here` is False where the runtime is not the device's own (Core ML).

    fp32 and fp16 need not fit into `max_shipped_bytes`: they are the yardstick of the others. Palettes have to reach
    the agreement of 4 bits, whatever theirs are. The bounds on perplexity are of the float model on the whole test
    split; what a cell adds is judged on fewer pairs, as a rise.
    """
    bits = weight_bits(numerics)
    yardstick = numerics in ("fp32", "fp16")
    agreement = f"min_label_agreement_{'fp32' if bits >= 16 else 'int8' if bits == 8 else 'int4'}"
    perplexity = reference.metrics.get("test_perplexity")
    counts = next((other.metrics["test_perplexity"] for other in others if "test_perplexity" in other.metrics), None)
    results = [
        at_least("min_accuracy", targets.min_accuracy, accuracy),
        at_least("min_macro_f1", targets.min_macro_f1, macro_f1),
        at_least("min_span_f1", targets.min_span_f1, span_f1),
        at_most("max_accuracy_drop", targets.max_accuracy_drop, _less(reference.accuracy, accuracy)),
        at_most("max_span_f1_drop", targets.max_span_f1_drop, _less(reference.span_f1, span_f1)),
        at_most("max_bits", targets.max_bits, metrics.get("bits")),
        at_most("max_bits_rise", targets.max_bits_rise, _rise(metrics.get("bits"), reference.metrics.get("bits"))),
        at_most("max_perplexity", targets.max_perplexity, perplexity),
        at_most("max_perplexity_to_token_pairs", targets.max_perplexity_to_token_pairs, _over(perplexity, counts)),
        at_most("max_perplexity_rise", targets.max_perplexity_rise, metrics.get("perplexity_rise")),
        None
        if numerics != "fp32"
        else at_least("min_equal_replies_fp32", targets.min_equal_replies_fp32, metrics.get("equal_replies")),
        at_least("min_auc", targets.min_auc, metrics.get("auc")),
        at_most("max_auc_drop", targets.max_auc_drop, _less(reference.metrics.get("auc"), metrics.get("auc"))),
        at_least(agreement, getattr(targets, agreement), label_agreement),
        None if yardstick else at_most("max_shipped_bytes", targets.max_shipped_bytes, shipped_bytes),
        time_at_most("max_p50_ms", targets.max_p50_ms, p50_ms, timed_here),
        None if yardstick else time_at_most("max_step_p50_ms", targets.max_step_p50_ms, p50_ms, timed_here),
        time_at_most("max_text_to_label_p50_ms", targets.max_text_to_label_p50_ms, text_to_label_p50_ms, timed_here),
    ]
    return [result for result in results if result is not None]


def _less(reference: float | None, measured: float | None) -> float | None:
    return None if reference is None or measured is None else reference - measured


def _over(measured: float | None, reference: float | None) -> float | None:
    return None if reference is None or measured is None else measured / reference


def _rise(measured: float | None, reference: float | None) -> float | None:
    ratio = _over(measured, reference)
    return None if ratio is None else ratio - 1


def reason(results: Sequence[GateResult]) -> str | None:
    """What keeps a cell from shipping, each gate with its figure and its bound; None where nothing does."""
    bad = [gate for gate in results if gate.verdict in ("fail", "inconclusive")]
    return (
        "; ".join(
            f"{gate.name} is {None if gate.measured is None else _number(gate.measured)}, "
            f"the bound is {_number(gate.bound)}" + (" (too noisy to say)" if gate.verdict == "inconclusive" else "")
            for gate in bad
        )
        or None
    )


def _number(value: float) -> str:
    """0.9412, or 209,413 bytes."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a whole: fail if any fails, else inconclusive if any is, else pass.

    What cannot be verified here, or is unsupported by the table, does not stop a run; the report names it.
    """
    seen = set(verdicts)
    return "fail" if "fail" in seen else "inconclusive" if "inconclusive" in seen else "pass"


def loosened(own: Targets, tasks: Targets) -> dict[str, str]:
    """For each bound of a recipe that asks less than its task does, by the bound's name, one line that says so."""
    lines = {}
    for bound in fields(Targets):
        asked, wanted = getattr(own, bound.name), getattr(tasks, bound.name)
        if wanted is None or asked == wanted:
            continue
        less = asked is None or (asked > wanted if bound.name.startswith("max_") else asked < wanted)
        if less:
            lines[bound.name] = (
                f"The recipe loosens {bound.name} to {'no bound' if asked is None else asked}; the task asks {wanted}."
            )
    return lines
