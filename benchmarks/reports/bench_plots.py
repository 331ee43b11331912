"""The plots of bench records and comparisons as inline SVG text: curves, strips of blocks, stacks, roofs, a forest.

As in plots.py, colours come from the page's style sheet and each plot is drawn for a width in pixels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from edgewright.benchmarks.record import Interval, Verdict
from edgewright.benchmarks.reports import svg
from edgewright.benchmarks.reports.plots import NARROW
from edgewright.benchmarks.validity import DISTURBED


@dataclass(frozen=True)
class Curve:
    """A line through points. colour, dash: classes of the style sheet; unit: for the tips."""

    label: str
    colour: str
    points: tuple[tuple[float, Interval], ...]
    dash: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Strip:
    """The blocks of one series, in the order they were timed, with the reference workload beside each."""

    label: str
    colour: str
    blocks_ms: tuple[float, ...]
    references_ms: tuple[float, ...]


@dataclass(frozen=True)
class Stack:
    """One bar of parts that follow each other. parts: (class of the style sheet, value, tip)."""

    label: str
    parts: tuple[tuple[str, float, str], ...]
    total: Interval  # what was measured as a whole
    bound: float  # with the empty call, as the total has it


@dataclass(frozen=True)
class Roof:
    """A line that no point can cross: gmacs for a flat one, gigabytes_per_second for a slanted one."""

    label: str
    gmacs: float | None = None
    gigabytes_per_second: float | None = None


@dataclass(frozen=True)
class Work:
    """One artifact under the roofs. points: (multiply-adds a byte, 1e9 multiply-adds a second, tip), short inputs
    first."""

    label: str
    colour: str
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Ratio:
    """One row of a forest plot: of which artifact, and of which series."""

    label: str
    series: str
    ratio: Interval
    verdict: Verdict


def curves(rows: Sequence[Curve], title: str, x_title: str, y_title: str, width: int, log_y: bool = False) -> str:
    """Lines over a logarithmic x axis that names the measured places; y from 0, or logarithmic.

    Names stand at the lines' ends; on a narrow plot in a key below.
    """
    narrow = width < NARROW
    left, top, foot = 62 if log_y else 52, 26, 46
    right = 18.0 if narrow else svg.text_width(max((row.label for row in rows), key=len)) + 34
    plot_height = 210 if narrow else 270
    height = top + plot_height + foot + (20 * len(rows) + 6 if narrow else 0)
    bottom = top + plot_height
    places = sorted({x for row in rows for x, _ in row.points})
    x_low, x_high = math.log(places[0]), math.log(places[-1])
    x_scale = (width - left - right - 12) / ((x_high - x_low) or 1)
    values = [bound for row in rows for _, value in row.points for bound in _bounds(value)]

    def across(x: float) -> float:
        return left + 12 + (math.log(x) - x_low) * x_scale

    if log_y:
        y_low, y_high = math.log10(min(values)) - 0.08, math.log10(max(values)) + 0.08
        grid = [(tick, f"{tick:,.0f}") for tick, major in svg.log_ticks(y_low, y_high) if major]
    else:
        y_low, y_high = 0.0, max(values) * 1.06
        step = svg.step(y_high, 5)
        grid = [(tick, svg.number(tick, step)) for tick in svg.ticks(0, y_high, step)]
    y_scale = plot_height / ((y_high - y_low) or 1)

    def down(y: float) -> float:
        return bottom - ((math.log10(y) if log_y else y) - y_low) * y_scale

    parts = [svg.text(4, 14, y_title, "tick", "start")]
    for tick, words in grid:
        parts.append(svg.line(left, down(tick), width - right, down(tick), "grid"))
        parts.append(svg.text(left - 8, down(tick) + 4, words, "tick", "end"))
    named = -math.inf
    for x in places:
        parts.append(svg.line(across(x), top, across(x), bottom, "grid faint"))
        if across(x) - named >= 26:
            named = across(x)
            parts.append(svg.text(named, bottom + 17, f"{x:g}", "tick", "middle"))
    parts.append(svg.line(left, bottom, width - right, bottom, "axis"))
    parts.append(svg.text((left + width - right) / 2, bottom + 36, x_title, "tick", "middle"))
    for row in rows:
        line = [(across(x), down(value.value)) for x, value in row.points]
        kind = f"curve {row.colour} {row.dash}".rstrip()
        parts.append(svg.polyline(line, kind))
        for (x, value), (x_place, y_place) in zip(row.points, line, strict=True):
            low, high = _bounds(value)
            parts.append(svg.line(x_place, down(low), x_place, down(high), f"spread {row.colour}"))
            tip = f"{row.label}: {svg.significant(value.value)} {row.unit} at {x:g}"
            parts.append(_dot(x_place, y_place, 3.5, row.colour, tip))
    if narrow:
        for number, row in enumerate(rows, start=1):
            y = bottom + foot + 20.0 * number - 6
            parts.append(svg.polyline([(4, y - 4), (30, y - 4)], f"curve {row.colour} {row.dash}".rstrip()))
            parts.append(svg.text(38, y, row.label, "label", "start"))
    else:
        ends = [(across(row.points[-1][0]), down(row.points[-1][1].value)) for row in rows]
        heights = _apart([y for _, y in ends], top, bottom)
        for row, (x, y), at in zip(rows, ends, heights, strict=True):
            parts.append(svg.line(x + 6, y, width - right + 18, at, "leader"))
            parts.append(svg.text(width - right + 22, at + 4, row.label, "label", "start"))
    return svg.document(width, height, title, parts)


def strips(rows: Sequence[Strip], title: str, width: int) -> str:
    """One strip a series: its blocks' medians over their median, and the reference's, on one scale.

    A block is shaded where its reference took over 10 % longer than in the fastest blocks.
    """
    narrow = width < NARROW
    left = 44 if narrow else svg.text_width(max((row.label for row in rows), key=len)) + 52
    right, tall, gap = 10, 52, 30 if narrow else 12
    first = 22 if narrow else 6
    height = first + (tall + gap) * len(rows) + 24
    everything = [value for row in rows for part in (row.blocks_ms, row.references_ms) for value in _relative(part)]
    low, high = min(0.95, max(min(everything), 0.7)), max(1.15, min(max(everything), 2.0))
    parts: list[str] = []
    for number, row in enumerate(rows):
        top = first + (tall + gap) * number
        bottom = top + tall
        pitch = (width - left - right) / len(row.blocks_ms)

        def down(value: float, bottom: float = bottom) -> float:
            return bottom - (min(max(value, low), high) - low) / (high - low) * tall

        parts.append(svg.rectangle(left, top, width - left - right, tall, "empty", row.label))
        slow = np.array(row.references_ms) > DISTURBED * np.percentile(row.references_ms, 10)
        for block in np.flatnonzero(slow):
            x = left + pitch * float(block)
            parts.append(svg.rectangle(x, top, pitch, tall, "shade", f"block {block + 1}: the machine was busy"))
        parts.append(svg.line(left, down(1), width - right, down(1), "grid"))
        parts.append(svg.text(left - 7, down(1) + 4, "1", "tick", "end"))
        if down(1) - top > 18:
            parts.append(svg.text(left - 7, top + 10, f"{high:.2f}", "tick", "end"))
        if narrow:
            parts.append(svg.text(left, top - 7, row.label, "label", "start"))
        else:
            parts.append(svg.text(left - 40, top + tall / 2 + 4, row.label, "label", "end"))
        for values, kind in ((row.references_ms, "baseline"), (row.blocks_ms, row.colour)):
            line = [(left + pitch * (i + 0.5), down(value)) for i, value in enumerate(_relative(values))]
            parts.append(svg.polyline(line, f"curve thin {kind}"))
            what = "reference" if kind == "baseline" else row.label
            size = 1.8 if len(values) > 30 else 2.4
            for i, (x, y) in enumerate(line):
                tip = f"block {i + 1}, {what}: {svg.significant(values[i])} ms"
                parts.append(_dot(x, y, size, kind, tip, "point"))
    foot = height - 6
    parts.append(svg.text(left, foot, "first block", "tick", "start"))
    parts.append(svg.text(width - right, foot, "last block", "tick", "end"))
    return svg.document(width, height, title, parts)


def stacks(rows: Sequence[Stack], title: str, unit: str, width: int) -> str:
    """Bars of parts; a black dot with its interval is the whole as measured, a dashed tick the bound."""
    narrow = width < NARROW
    left, right = (4, 62) if narrow else (svg.text_width(max((row.label for row in rows), key=len)) + 14, 84)
    pitch, thick = (46, 18) if narrow else (36, 20)
    first = 22 if narrow else 8
    foot = first + pitch * len(rows) - (18 if narrow else 4)
    top = max(max(sum(value for _, value, _ in row.parts), row.bound, *_bounds(row.total)) for row in rows) or 1.0
    scale = (width - left - right) / top
    step = svg.step(top, 4 if narrow else 6)
    parts = []
    for tick in svg.ticks(0, top, step):
        x = left + tick * scale
        parts.append(svg.line(x, 2, x, foot, "grid"))
        anchor = "start" if narrow and tick == 0 else "middle"
        parts.append(svg.text(x, foot + 15, svg.number(tick, step), "tick", anchor))
    parts.append(svg.text(width - 2, foot + 15, unit, "tick", "end"))
    for number, row in enumerate(rows):
        y = first + pitch * number
        middle = y + thick / 2
        if narrow:
            parts.append(svg.text(left, y - 6, row.label, "label", "start"))
        else:
            parts.append(svg.text(left - 10, middle + 4, row.label, "label", "end"))
        x = float(left)
        for kind, value, tip in row.parts:
            wide = value * scale
            # a part is drawn a hair narrower, so that its neighbour stays apart
            parts.append(svg.rectangle(x, y, max(0.6, wide - 1), thick, f"part {kind}", tip))
            x += wide
        low, high = _bounds(row.total)
        at, end = left + row.total.value * scale, left + high * scale
        parts.append(svg.line(left + low * scale, middle, end, middle, "whisker"))
        parts.append(_dot(at, middle, 3.5, "whole", f"measured: {svg.significant(row.total.value)} {unit}"))
        bound = left + row.bound * scale
        parts.append(svg.line(bound, y - 4, bound, y + thick + 4, "mark"))
        parts.append(svg.text(max(x, end) + 8, middle + 4, svg.significant(row.total.value), "value", "start"))
    parts.append(svg.line(left, 2, left, foot, "axis"))
    return svg.document(width, height=foot + 22, title=title, parts=parts)


def roofs(rows: Sequence[Work], limits: Sequence[Roof], title: str, width: int) -> str:
    """The roofline: multiply-adds a byte against multiply-adds a second, both logarithmic.

    A larger dot is a longer input; the line of an artifact joins them. Names as in `curves`.
    """
    narrow = width < NARROW
    left, top, foot = 52, 26, 46
    right = 14 if narrow else svg.text_width(max((row.label for row in rows), key=len)) + 30
    plot_height = 250 if narrow else 340
    height = top + plot_height + foot + (20 * len(rows) + 6 if narrow else 0)
    bottom = top + plot_height
    flat = [roof for roof in limits if roof.gmacs]
    slanted = [roof for roof in limits if roof.gigabytes_per_second]
    xs = [x for row in rows for x, _, _ in row.points]
    ys = [y for row in rows for _, y, _ in row.points] + [roof.gmacs for roof in flat if roof.gmacs]
    # the corner of the lowest flat and the steepest slanted roof shall be seen
    if flat and slanted:
        least = min(roof.gmacs or 0 for roof in flat)
        xs += [least / max(roof.gigabytes_per_second or 1 for roof in slanted)]
    x_low, x_high = math.log10(min(xs)) - 0.35, math.log10(max(xs)) + 0.35
    y_low, y_high = math.log10(min(ys)) - 0.35, math.log10(max(ys)) + 0.3
    x_scale, y_scale = (width - left - right) / (x_high - x_low), plot_height / (y_high - y_low)

    def across(x: float) -> float:
        return left + (math.log10(x) - x_low) * x_scale

    def down(y: float) -> float:
        return bottom - (math.log10(y) - y_low) * y_scale

    parts = [svg.text(4, 14, "10⁹ multiply-adds a second", "tick", "start")]
    for value, major in svg.log_ticks(y_low, y_high):
        parts.append(svg.line(left, down(value), width - right, down(value), "grid" if major else "grid faint"))
        if major:
            parts.append(svg.text(left - 8, down(value) + 4, f"{value:g}", "tick", "end"))
    for value, major in svg.log_ticks(x_low, x_high):
        parts.append(svg.line(across(value), top, across(value), bottom, "grid" if major else "grid faint"))
        if major:
            parts.append(svg.text(across(value), bottom + 17, f"{value:g}", "tick", "middle"))
    parts.append(svg.line(left, bottom, width - right, bottom, "axis"))
    parts.append(svg.text((left + width - right) / 2, bottom + 36, "multiply-adds a byte", "tick", "middle"))
    ceiling = max((roof.gmacs or 0 for roof in flat), default=10**y_high)
    for roof in slanted:
        parts.extend(_slanted(roof, ceiling, (x_low, x_high), (y_low, y_high), across, down))
    steepest = max((roof.gigabytes_per_second or 0 for roof in slanted), default=math.inf)
    for roof in flat:
        assert roof.gmacs is not None
        start = max(10**x_low, roof.gmacs / steepest)
        parts.append(svg.line(across(start), down(roof.gmacs), width - right, down(roof.gmacs), "roof"))
        parts.append(svg.text(across(start) + 8, down(roof.gmacs) - 6, roof.label, "tick", "start"))
    for row in rows:
        line = [(across(x), down(y)) for x, y, _ in row.points]
        parts.append(svg.polyline(line, f"curve thin {row.colour}"))
        for number, ((x, y), (_, _, tip)) in enumerate(zip(line, row.points, strict=True)):
            parts.append(_dot(x, y, 3.5 + 1.5 * number, row.colour, tip))
    if narrow:
        for number, row in enumerate(rows, start=1):
            y = bottom + foot + 20 * number - 6
            parts.append(_dot(12, y - 4, 5, row.colour, row.label))
            parts.append(svg.text(26, y, row.label, "label", "start"))
    else:
        ends = [(across(row.points[-1][0]), down(row.points[-1][1])) for row in rows]
        heights = _apart([y for _, y in ends], top, bottom)
        for row, (x, y), at in zip(rows, ends, heights, strict=True):
            parts.append(svg.line(x + 9, y, width - right + 10, at, "leader"))
            parts.append(svg.text(width - right + 14, at + 4, row.label, "label", "start"))
    return svg.document(width, height, title, parts)


def forest(rows: Sequence[Ratio], allowed: float, title: str, width: int) -> str:
    """Ratios with their intervals on a logarithmic axis, a line at 1 and one at what is allowed."""
    narrow = width < NARROW
    names = [f"{row.label}: {row.series}" for row in rows]
    left, right = (8, 14) if narrow else (svg.text_width(max(names, key=len)) + 16, 132)
    pitch, first = (60, 60) if narrow else (30, 30)
    foot = first + pitch * len(rows) - (14 if narrow else 4)
    values = [bound for row in rows for bound in _bounds(row.ratio)]
    low, high = math.log(min(*values, 1 / allowed) * 0.98), math.log(max(*values, allowed) * 1.02)
    scale = (width - left - right) / (high - low)

    def across(ratio: float) -> float:
        return left + (math.log(ratio) - low) * scale

    parts = [
        svg.rectangle(across(allowed), 20, width - right - across(allowed), foot - 20, "shade", "slower than allowed")
    ]
    step = svg.step(math.exp(high) - math.exp(low), 4 if narrow else 7)
    for tick in svg.ticks(math.exp(low), math.exp(high), step):
        parts.append(svg.line(across(tick), 20, across(tick), foot, "grid"))
        parts.append(svg.text(across(tick), foot + 15, svg.number(tick, step), "tick", "middle"))
    parts.append(svg.line(across(1), 20, across(1), foot, "axis"))
    parts.append(svg.line(across(allowed), 20, across(allowed), foot, "limit"))
    parts.append(svg.text(across(1) - 6, 13, "← faster", "tick", "end"))
    parts.append(svg.text(across(allowed) + 4, 13, f"allowed {allowed:g}", "tick", "start"))
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = first + pitch * number + (8 if narrow else 6)
        bounds = _bounds(row.ratio)
        x, ends = across(row.ratio.value), [across(bound) for bound in bounds]
        words = f"{row.ratio.value:.2f}"
        if row.ratio.low is not None:
            words += f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"
        if narrow:
            parts.append(svg.text(left, y - 27, row.label, "label", "start"))
            parts.append(svg.text(left, y - 12, row.series, "tick", "start"))
            parts.append(svg.text(width - 2, y - 12, words, "label", "end"))
        else:
            parts.append(svg.text(left - 12, y + 4, name, "label", "end"))
            parts.append(svg.text(width - right + 12, y + 4, words, "label", "start"))
        parts.append(svg.line(ends[0], y, ends[1], y, f"interval {row.verdict}"))
        parts.extend(svg.line(end, y - 4, end, y + 4, f"interval {row.verdict}") for end in ends)
        parts.append(svg.rectangle(x - 5, y - 5, 10, 10, f"verdict {row.verdict}", f"{name}: {words}"))
    return svg.document(width, foot + 22, title, parts)


def _slanted(
    roof: Roof,
    ceiling: float,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    across: Callable[[float], float],
    down: Callable[[float], float],
) -> Iterator[str]:
    """The part of a bandwidth's roof that lies in the plot and below the ceiling, with its name along it."""
    speed = roof.gigabytes_per_second
    assert speed is not None
    start = max(10 ** x_range[0], 10 ** y_range[0] / speed)
    end = min(10 ** x_range[1], min(ceiling, 10 ** y_range[1]) / speed)
    if start >= end:
        return
    x, y, x_end, y_end = across(start), down(speed * start), across(end), down(speed * end)
    yield svg.line(x, y, x_end, y_end, "roof")
    length, wide = math.hypot(x_end - x, y_end - y), svg.text_width(roof.label)
    if length > wide + 34:
        angle = math.degrees(math.atan2(y_end - y, x_end - x))
        turn = f'transform="translate({x:.1f} {y:.1f}) rotate({angle:.1f})"'
        yield svg.text(length - wide - 26, -6, roof.label, "tick", "start", more=turn)


def _relative(values: Sequence[float]) -> list[float]:
    middle = float(np.median(values))
    return [value / middle for value in values]


def _bounds(value: Interval) -> tuple[float, float]:
    low = value.value if value.low is None else value.low
    return low, value.value if value.high is None else value.high


def _apart(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """The heights, moved as little as keeps labels a line apart and between top and bottom."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = list(heights)
    for before, i in zip([None, *order], order, strict=False):
        placed[i] = max(placed[i], top if before is None else placed[before] + svg.LINE)
    for after, i in zip([None, *order[::-1]], order[::-1], strict=False):
        placed[i] = min(placed[i], bottom if after is None else placed[after] - svg.LINE)
    return placed


def _dot(x: float, y: float, radius: float, colour: str, tip: str, kind: str = "marker") -> str:
    shape = f'class="{kind} {colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
    return f"<circle {shape}><title>{escape(tip)}</title></circle>"
