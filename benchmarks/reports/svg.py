"""The pieces that plots are made of: SVG elements as text, and round numbers for axes."""

import math
from collections.abc import Sequence
from html import escape

CHARACTER = 7.0  # mean width of a character at 12 px in the system fonts, for placing labels
LINE = 16.0  # height of a line of labels

Box = tuple[float, float, float, float]  # left, top, right, bottom


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes share an area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def step(span: float, most: int) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that cuts `span` into no more than `most` parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * m for m in (1, 2, 2.5, 5, 10) if span / (power * m) <= most)


def ticks(low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` from `low` to `high`."""
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[tuple[float, bool]]:
    """1, 2, 5 times powers of ten between 10**low and 10**high; all are named where there are few."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [(10.0**p * m, m) for p in powers for m in (1, 2, 5) if low <= p + math.log10(m) <= high]
    few = high - low < 2.2
    return [(value, m == 1 or few) for value, m in values]


def number(value: float, step: float) -> str:
    """A tick's value with the digits that its step needs."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1  # steps of 2.5
    return f"{value:.{digits}f}"


def text_width(text: str) -> float:
    """About how many pixels wide a label of 12 px is."""
    return len(text) * CHARACTER


def text(x: float, y: float, words: str, kind: str, anchor: str, inner: str = "", more: str = "") -> str:
    """Words whose base line is at `y`. kind: classes of the style sheet; inner, more: further elements, attributes."""
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {place} {more}>{escape(words)}{inner}</text>"


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def polyline(places: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through some places."""
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" class="{kind}"/>'


def rectangle(x: float, y: float, wide: float, tall: float, kind: str, tip: str, more: str = "") -> str:
    """A box with a tip, which browsers show when it is pointed at."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="2" class="{kind}"'
    return f"<rect {place} {more}><title>{escape(tip)}</title></rect>"


def significant(value: float) -> str:
    """Two significant digits below 10, whole numbers from 10 on: 0.031, 1.2, 38."""
    if value == 0:
        return "0"
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(abs(value))))}f}"


def document(width: int, height: float, title: str, parts: Sequence[str]) -> str:
    """The whole plot; a reader that shows no pictures gets its title."""
    box = f'viewBox="0 0 {width} {math.ceil(height)}" width="{width}" height="{math.ceil(height)}"'
    name = escape(title)
    return f'<svg class="plot" role="img" aria-label="{name}" {box}><title>{name}</title>{"".join(parts)}</svg>'
