"""One artifact at one length against what the machine allows at best, and where its time goes instead."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgewright.benchmarks.bench_record import Operator, Peaks, Roofline
from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.roofline.operators import operators_of
from edgewright.benchmarks.roofline.peaks import bandwidth_at
from edgewright.benchmarks.roofline.profiles import Profile, profile
from edgewright.benchmarks.roofline.work import Work, working_set_bytes
from edgewright.runtimes import Runtime

EXPLAINED_ABOVE = 4.0  # ratios
NAMED = 4  # parts of the time that an explanation names
NAMES = {  # one, many
    "conv": ("convolution", "convolutions"),
    "linear": ("matrix product", "matrix products"),
    "gather": ("look-up", "look-ups"),
    "quantize": ("conversion of integers", "conversions of integers"),
    "elementwise": ("elementwise operator", "elementwise operators"),
    "reduce": ("reduction", "reductions"),
    "move": ("copy or transposition", "copies or transpositions"),
    "other": ("other operator", "other operators"),
}


def roofline(
    runtime: Runtime,
    path: Path,
    inputs: Sequence[np.ndarray],
    length: int,
    measured: Interval,
    empty_call_ms: float | None,
    peaks: Peaks,
    calls: int,
) -> Roofline:
    """The least time that the machine's peaks allow for a call, the measured one, and each operator's share.

    An operator takes at least as long as its multiply-adds at the peak of their type, and as long as its bytes at the
    bandwidth of a working set that is all that a call touches; the larger of the two counts.

    Args:
        measured: milliseconds of a call, NumPy to NumPy, with one thread.
        empty_call_ms: of the runtime's empty graph, what a call costs before any operator runs.
        calls: how many calls the profile takes; 200 are enough.

    Raises: as operators_of.
    """
    works = operators_of(runtime, path, inputs)
    times = profile(runtime, path, inputs, calls)
    gigabytes = bandwidth_at(peaks, working_set_bytes(works))
    operators = [
        Operator(
            work.name,
            work.kind,
            work.macs,
            work.bytes_moved,
            bound_us(work, peaks, gigabytes),
            times.times_us.get(work.name),
        )
        for work in works
    ]
    operators += [Operator(name, "other", 0, 0, 0.0, taken) for name, taken in times.other_us.items()]
    bound = sum(operator.bound_us for operator in operators)
    empty_us = None if empty_call_ms is None else empty_call_ms * 1000
    low, high = (None if ms is None else ms * 1000 for ms in (measured.low, measured.high))
    measured_us = Interval(measured.value * 1000, low, high)
    ratio = measured_us.value / (bound + (empty_us or 0.0))
    return Roofline(
        length=length,
        macs=sum(work.macs for work in works),
        bytes_moved=sum(work.bytes_moved for work in works),
        bound_us=bound,
        empty_call_us=empty_us,
        measured_us=measured_us,
        ratio=ratio,
        operators=tuple(operators),
        profiler=times.source,
        explanation=explanation(works, times, measured_us.value, empty_us) if ratio > EXPLAINED_ABOVE else None,
    )


def bound_us(work: Work, peaks: Peaks, gigabytes_per_second: float) -> float:
    """Microseconds that an operator takes at least."""
    rate = peaks.int8_gmacs if work.integer else peaks.fp32_gmacs
    return max(work.macs / rate, work.bytes_moved / gigabytes_per_second) / 1000


def explanation(works: Sequence[Work], times: Profile, measured_us: float, empty_us: float | None) -> str:
    """Where the time of a call goes, the largest parts first.

    The parts are shares of the measured call where the profile with the empty call stays below it, else of the
    profile: tracing makes a call slower.
    """
    in_xnnpack = {work.name for work in works if "XNNPACK" in work.name}
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for work in works:
        if work.name in times.times_us:
            where = " outside of XNNPACK" if in_xnnpack and work.name not in in_xnnpack else ""
            groups[work.kind, where].append(times.times_us[work.name])
    named = [
        (sum(group), f"in {len(group)} {NAMES[kind][len(group) > 1]}{where}") for (kind, where), group in groups.items()
    ]
    named += [(taken, f"in {name}") for name, taken in times.other_us.items()]
    if empty_us is not None:
        named.append((empty_us, "in the call itself (an empty graph takes as long)"))
    total = sum(taken for taken, _ in named)
    whole = "the profile"
    if total < measured_us:
        named.append((measured_us - total, "between the operators"))
        total, whole = measured_us, "the call"
    shares = [f"{taken / total:.0%} {where}" for taken, where in sorted(named, reverse=True)[:NAMED]]
    slowest = max(works, key=lambda work: times.times_us.get(work.name, 0.0))
    share = times.times_us.get(slowest.name, 0.0) / total
    return f"of {whole} {', '.join(shares)}; the longest operator is {slowest.name} with {share:.0%}"
