"""Is it slower than before? Two bench records, series by series, on the normalised medians.

A ratio of milliseconds taken at two moments says as much about the moments as about the code. So the ratio is of the
normalised medians (bench_record.Series), and it decides with its interval: a series fails when even the lower bound is
above what is allowed, passes when the upper bound is within it, and is inconclusive between. A change of less than
`min_delta_us` microseconds is no regression, whatever its ratio: at 5 µs a call, 10 % is the noise of a clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgewright.benchmarks.bench_record import BenchRecord, Series
from edgewright.benchmarks.record import Interval, Verdict

# What a user feels (text to label) and what the artifact alone does.
JUDGED = ("text_to_label", "inference")


@dataclass(frozen=True)
class Row:
    """One series of one artifact. ratio: of the normalised medians, new over base. delta_us: what that ratio makes of
    the base's median, in microseconds."""

    name: str
    series: str
    base_p50_ms: Interval
    new_p50_ms: Interval
    ratio: Interval
    delta_us: float
    verdict: Verdict
    reason: str | None = None


@dataclass(frozen=True)
class Comparison:
    base: BenchRecord
    new: BenchRecord
    max_ratio: float
    min_delta_us: float
    same_machine: bool
    rows: tuple[Row, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    verdict: Verdict
    notes: tuple[str, ...]


def compare(base: BenchRecord, new: BenchRecord, max_ratio: float = 1.10, min_delta_us: float = 2.0) -> Comparison:
    """Judge `new` by `base`.

    Records of two kinds of processor are compared, but never judged: no series of theirs passes or fails.
    """
    same = _machine(base) == _machine(new)
    notes = []
    if not same:
        notes.append(
            f"Two machines ({base.machine.cpu}; {new.machine.cpu}): a ratio between them says nothing about the code."
        )
    if (base.texts, base.texts_from) != (new.texts, new.texts_from):
        notes.append(f"Other texts were timed: {base.texts} from {base.texts_from}; {new.texts} from {new.texts_from}.")
    if base.task != new.task:
        notes.append(f"Two tasks: {base.task}; {new.task}.")
    comparable = same and not notes
    notes += _other_libraries(base, new)
    before, after = dict(_series(base)), dict(_series(new))
    rows = tuple(
        _row(*key, before[key], after[key], max_ratio, min_delta_us, comparable) for key in before if key in after
    )
    missing = tuple(dict.fromkeys(name for name, _ in before if (name, JUDGED[0]) not in after))
    verdicts = {row.verdict for row in rows}
    if missing:
        notes.append(f"Not in the new record, so not judged: {', '.join(missing)}.")
    verdict: Verdict = (
        "fail" if "fail" in verdicts else "inconclusive" if missing or not rows or verdicts != {"pass"} else "pass"
    )
    return Comparison(
        base=base,
        new=new,
        max_ratio=max_ratio,
        min_delta_us=min_delta_us,
        same_machine=same,
        rows=rows,
        only_in_base=missing,
        only_in_new=tuple(dict.fromkeys(name for name, _ in after if (name, JUDGED[0]) not in before)),
        verdict=verdict,
        notes=tuple(notes),
    )


def _series(record: BenchRecord) -> Iterator[tuple[tuple[str, str], Series]]:
    for artifact in record.artifacts:
        for name in JUDGED:
            yield (artifact.name, name), getattr(artifact, name)
    for peer in record.peers:
        if peer.text_to_label is not None:
            yield (peer.name, JUDGED[0]), peer.text_to_label


def _machine(record: BenchRecord) -> tuple[object, ...]:
    """What must be the same for times to compare."""
    machine = record.machine
    return machine.cpu, machine.architecture, machine.usable_cores, machine.cpu_flags


def _other_libraries(base: BenchRecord, new: BenchRecord) -> list[str]:
    """A change of these is judged like one of the code: here is where to look for its cause."""
    before, after = base.machine.versions, new.machine.versions
    changed = [name for name in before if name in after and before[name] != after[name]]
    said = ", ".join(f"{name} {before[name]} → {after[name]}" for name in changed)
    return [f"Other versions of libraries: {said}."] if said else []


def _row(
    name: str, series: str, base: Series, new: Series, max_ratio: float, min_delta_us: float, comparable: bool
) -> Row:
    ratio = _ratio(base.normalised_p50, new.normalised_p50)
    scale = base.p50_ms.value * 1e3
    delta_us = (ratio.value - 1) * scale
    low = ratio.value if ratio.low is None else ratio.low
    high = ratio.value if ratio.high is None else ratio.high
    reason = None
    verdict: Verdict = "pass"
    if not comparable:
        verdict, reason = "inconclusive", "the two records do not compare"
    elif high > max_ratio and (high - 1) * scale >= min_delta_us:
        certain = low > max_ratio and (low - 1) * scale >= min_delta_us
        verdict = "fail" if certain else "inconclusive"
        reason = f"{ratio.value:.2f} times as slow [{low:.2f}, {high:.2f}], allowed {max_ratio:.2f}; {delta_us:+.1f} µs"
    return Row(name, series, base.p50_ms, new.p50_ms, ratio, delta_us, verdict, reason)


def _ratio(base: Interval, new: Interval) -> Interval:
    """new / base with the widest bounds that the two intervals allow; none where one has none."""
    value = new.value / base.value
    if base.low is None or base.high is None or new.low is None or new.high is None:
        return Interval(value)
    return Interval(value, new.low / base.high, new.high / base.low)
