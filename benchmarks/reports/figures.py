"""Figures of bench reports in words: each with its unit, and as many digits as it deserves; None is a dash."""

import datetime
import math

from edgewright.benchmarks.bench_record import Series
from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.reports.units import milliseconds

NO_FIGURE = "–"
MOST_DECIMALS = 5  # of a millisecond: 10 ns, finer than any call is


def microseconds(value: float | None) -> str:
    """0.42 µs, 3.1 µs, 38 µs; from 1,000 on in milliseconds."""
    if value is None:
        return NO_FIGURE
    if value >= 1000:
        return milliseconds(Interval(value / 1000))
    return f"{value:.2f} µs" if value < 1 else f"{value:.1f} µs" if value < 10 else f"{value:.0f} µs"


def bounded(value: Interval | None) -> str:
    """As milliseconds(bounds=True), with the decimals that tell narrow bounds apart: 0.0267 [.0266, .0269] ms."""
    if value is None or value.low is None or value.high is None or not value.low < value.high:
        return milliseconds(value, bounds=True)
    plain = milliseconds(value, bounds=True)
    decimals = len(plain.partition(" ")[0].partition(".")[2])
    while decimals < MOST_DECIMALS and len({f"{v:.{decimals}f}" for v in (value.low, value.high)}) == 1:
        decimals += 1
    low, high = (f"{bound:.{decimals}f}" for bound in (value.low, value.high))
    return f"{value.value:.{decimals}f} [{low}, {high}] ms".replace("[0.", "[.").replace(", 0.", ", .")


def figure(value: Interval | None, digits: int = 3) -> str:
    """A figure without unit and its bounds, with so many significant digits: 0.221 [0.218, 0.225]."""
    if value is None:
        return NO_FIGURE
    places = _places(value.value, digits)
    if value.low is None or value.high is None:
        return f"{value.value:.{places}f}"
    return f"{value.value:.{places}f} [{value.low:.{places}f}, {value.high:.{places}f}]"


def tail(series: Series) -> str:
    """The 99th percentile, or that it is not judged: on a busy machine it is the machine's, not the artifact's."""
    return milliseconds(series.p99_ms) if series.timing.quiet else "not judged"


def count(value: float) -> str:
    """1.24 M, 38 k, 712."""
    for power, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= power:
            return f"{value / power:.{_places(value / power, 3)}f}{letter}"
    return f"{value:.0f}"


def times(value: float | None) -> str:
    """1.52 ×, 27 ×; 0.9988 × keeps the digits that make it differ from 1."""
    if value is None:
        return NO_FIGURE
    if value >= 10:
        return f"{value:.0f} ×"
    return f"{value:.4f} ×" if 0.995 <= value < 1.005 and value != 1 else f"{value:.2f} ×"


def memory(size_bytes: int) -> str:
    """A working set as caches are sized, in powers of two: 16 KiB, 256 MiB."""
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"


def moment(created: str) -> str:
    """2026-11-21 09:30 UTC, from ISO 8601; what is no such time stays as it is."""
    try:
        return datetime.datetime.fromisoformat(created).astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return created


def cell(words: str) -> str:
    """Words for Markdown: what would end a table's cell, or be read as HTML, is escaped."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def _places(value: float, digits: int) -> int:
    """Decimals that give `value` so many significant digits."""
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
