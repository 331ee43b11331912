"""Bytes and milliseconds in words; None is a dash."""

import math

from edgewright.benchmarks.record import Interval


def megabytes(size_bytes: float | None) -> str:
    """0.35 MB; below 0.1 MB in kB."""
    if size_bytes is None:
        return "–"
    if size_bytes < 100_000:
        return f"{size_bytes / 1e3:.0f} kB"
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes < 9_995_000 else f"{size_bytes / 1e6:.1f} MB"


def milliseconds(value: Interval | None, bounds: bool = False) -> str:
    """0.031 ms with two significant digits, or 0.031 [.030, .033] ms with three decimals at least."""
    if value is None:
        return "–"
    digits = max(0, 1 - math.floor(math.log10(value.value))) if value.value > 0 else 3
    if not bounds or value.low is None or value.high is None:
        return f"{value.value:.{digits}f} ms"
    digits = max(3, digits) if value.value < 1 else 2 if value.value < 10 else 1
    low, high = (f"{bound:.{digits}f}" for bound in (value.low, value.high))
    return f"{value.value:.{digits}f} [{_short(low)}, {_short(high)}] ms"


def _short(number: str) -> str:
    """.030 for 0.030, as intervals are set in print."""
    return number[1:] if number.startswith("0.") else number
