"""The report's plots as inline SVG text. Colours and fonts come from the page's style sheet, through class names.

Each plot is drawn for a width in pixels, so that a phone gets one that is laid out for it, not a shrunken large one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from edgewright.benchmarks.record import Interval

NARROW = 480  # below this width labels go above their bars, and points are numbered
CHARACTER = 6.6  # mean width of a character at 12 px in the system fonts, for placing labels
LINE = 16.0  # height of a line of labels


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart. `colour` is a class of the style sheet: a target's name or "baseline"."""

    label: str
    colour: str
    value: Interval
    mark: float | None = None  # a tick on the bar: the empty call


@dataclass(frozen=True)
class Point:
    """One point of the scatter plot."""

    label: str
    colour: str
    x: float
    y: float


def bars(rows: Sequence[Bar], title: str, unit: str, width: int) -> str:
    """Horizontal bars from 0 with whiskers for the interval; values stand beside the bars."""
    narrow = width < NARROW
    left, right = (16, 72) if narrow else (_text_width(max((row.label for row in rows), key=len)) + 14, 84)
    pitch, thick = (44, 14) if narrow else (30, 16)
    first = 22 if narrow else 8  # room for the label above the first bar
    height = first + pitch * len(rows) + 26
    top = max(max(row.value.value, row.value.high or 0, row.mark or 0) for row in rows) or 1.0
    step = _step(top, 4 if narrow else 6)
    scale = (width - left - right) / top
    foot = first + pitch * len(rows) - (0 if not narrow else 16)
    parts = []
    for tick in _ticks(0, top, step):
        x = left + tick * scale
        parts.append(_line(x, 2, x, foot, "grid"))
        parts.append(_text(x, foot + 15, _number(tick, step), "tick", "middle"))
    parts.append(_text(width - 2, foot + 15, unit, "tick", "end"))
    for number, row in enumerate(rows):
        y = first + pitch * number
        middle, end = y + thick / 2, left + row.value.value * scale
        if narrow:
            parts.append(_text(left + 4, y - 6, row.label, "label", "start"))
        else:
            parts.append(_text(left - 10, middle + 4, row.label, "label", "end"))
        parts.append(_rectangle(left, y, max(1.5, end - left), thick, f"bar {row.colour}", row.label))
        if row.value.low is not None and row.value.high is not None:
            low, high = left + row.value.low * scale, left + row.value.high * scale
            parts.append(_line(low, middle, high, middle, "whisker"))
            parts.extend(_line(x, middle - 4, x, middle + 4, "whisker") for x in (low, high))
            end = max(end, high)
        if row.mark is not None:
            x = left + row.mark * scale
            parts.append(_line(x, y - 3, x, y + thick + 3, "mark"))
            end = max(end, x)
        parts.append(_text(end + 7, middle + 4, significant(row.value.value), "value", "start"))
    parts.append(_line(left, 2, left, foot, "axis"))
    return _svg(width, height, title, parts)


def scatter(points: Sequence[Point], title: str, x_title: str, y_title: str, width: int) -> str:
    """Points on a logarithmic x axis with labels beside them; on a narrow plot with numbers and a key below."""
    narrow = width < NARROW
    left, right, top, foot = 52, 16, 26, 46
    plot_height = 220 if narrow else 300
    key = 20 * len(points) + 8 if narrow else 0
    height = top + plot_height + foot + key
    xs = [math.log10(point.x) for point in points]
    pad = max(0.12, (max(xs) - min(xs)) * 0.08)
    x_low, x_high = min(xs) - pad, max(xs) + pad * (1 if narrow else 1.6)
    ys = [point.y for point in points]
    spread = max(max(ys) - min(ys), 0.004)
    y_low, y_high = min(ys) - spread * 0.15, min(1.0 + spread * 0.08, max(ys) + spread * 0.15)
    x_scale, y_scale = (width - left - right) / (x_high - x_low), plot_height / (y_high - y_low)
    bottom = top + plot_height
    parts = [_text(4, 14, y_title, "tick", "start")]
    y_step = _step(y_high - y_low, 5)
    for tick in _ticks(y_low, min(y_high, 1.0), y_step):
        y = bottom - (tick - y_low) * y_scale
        parts.append(_line(left, y, width - right, y, "grid"))
        parts.append(_text(left - 8, y + 4, _number(tick, y_step), "tick", "end"))
    for value, major in _log_ticks(x_low, x_high):
        x = left + (math.log10(value) - x_low) * x_scale
        parts.append(_line(x, top, x, bottom, "grid" if major else "grid faint"))
        if major:
            parts.append(_text(x, bottom + 17, f"{value:g}", "tick", "middle"))
    parts.append(_line(left, bottom, width - right, bottom, "axis"))
    parts.append(_text((left + width - right) / 2, bottom + 36, x_title, "tick", "middle"))
    centres = [
        (left + (math.log10(point.x) - x_low) * x_scale, bottom - (point.y - y_low) * y_scale) for point in points
    ]
    if narrow:
        parts.extend(_numbered(points, centres, (left, top, width - right, bottom), bottom + foot))
    else:
        parts.extend(_labelled(points, centres, (left, top, width - right, bottom)))
    return _svg(width, height, title, parts)


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _labelled(points: Sequence[Point], centres: Sequence[tuple[float, float]], frame: Box) -> Iterator[str]:
    """Points with labels in the nearest place where they cover nothing; points that touch share one list of labels."""
    taken: list[Box] = [(x - 7, y - 7, x + 7, y + 7) for x, y in centres]
    for group in _touching(centres):
        x, y = (sum(centres[i][axis] for i in group) / len(group) for axis in (0, 1))
        wide = max(_text_width(points[i].label) for i in group) + (14 if len(group) > 1 else 0)
        box = _free_place(x, y, wide, LINE * len(group), taken, frame)
        taken.append(box)
        near_x, near_y = min(max(x, box[0] - 3), box[2]), min(max(y, box[1] + 6), box[3] - 6)
        if math.hypot(near_x - x, near_y - y) > 14:
            yield _line(x, y, near_x, near_y, "leader")
        for line, i in enumerate(sorted(group, key=lambda i: centres[i][1]), start=1):
            foot = box[1] + LINE * line - 4
            if len(group) > 1:
                yield _marker(points[i], box[0] + 5, foot - 4, size=4)
            yield _text(box[2] - wide + (14 if len(group) > 1 else 0), foot, points[i].label, "label", "start")
    for point, (x, y) in zip(points, centres, strict=True):
        yield _marker(point, x, y)


def _touching(centres: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Numbers of the points in groups: each point touches another one of its group."""
    groups: list[list[int]] = []
    for i, (x, y) in enumerate(centres):
        near = [group for group in groups if any(math.hypot(centres[k][0] - x, centres[k][1] - y) < 13 for k in group)]
        groups = [group for group in groups if group not in near] + [[k for group in near for k in group] + [i]]
    return sorted(groups, key=lambda group: (-len(group), min(group)))  # the largest lists need the most room


def _free_place(x: float, y: float, wide: float, tall: float, taken: Sequence[Box], frame: Box) -> Box:
    """Where a label of this size near (x, y) covers nothing in `taken`, or least, and stays in the frame."""
    best, least = None, math.inf
    for reach in (10, 18, 30, 44, 60, 80, 104, 130, 160):
        for angle in range(0, 360, 15):
            across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            left = x + reach * across - (0 if across >= -0.01 else wide)
            above = y + reach * down - tall / 2 + (tall - LINE) / 2 * down
            box = (left, above, left + wide, above + tall)
            outside = box[0] < frame[0] + 2 or box[2] > frame[2] or box[1] < frame[1] - 8 or box[3] > frame[3] - 2
            cost = reach + sum(400 for other in taken if _overlap(box, other)) + 2000 * outside
            if cost < least:
                best, least = box, cost
    assert best is not None
    return best


def _numbered(
    points: Sequence[Point], centres: Sequence[tuple[float, float]], frame: Box, key_top: float
) -> Iterator[str]:
    """Points with their numbers, those that touch with one list of numbers, and a key below the plot."""
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in centres]
    for group in _touching(centres):
        x, y = (sum(centres[i][axis] for i in group) / len(group) for axis in (0, 1))
        numbers = ", ".join(str(i + 1) for i in sorted(group))
        box = _free_place(x, y, _text_width(numbers), LINE, taken, frame)
        taken.append(box)
        yield _text(box[0], box[3] - 4, numbers, "label", "start")
    for number, (point, (x, y)) in enumerate(zip(points, centres, strict=True), start=1):
        line = key_top + 20 * number - 6
        yield _marker(point, 12, line - 4)
        yield _text(26, line, f"{number}  {point.label}", "label", "start")
        yield _marker(point, x, y)


def _marker(point: Point, x: float, y: float, size: float = 5.5) -> str:
    tip = f"<title>{escape(point.label)}: {point.y:.3f} at {point.x:.3g} MB</title>"
    if point.colour == "baseline":
        shape = f"M{x:.1f} {y - size:.1f}l{size} {size}l-{size} {size}l-{size} -{size}z"
        return f'<path class="marker baseline" d="{shape}">{tip}</path>'
    return f'<circle class="marker {point.colour}" cx="{x:.1f}" cy="{y:.1f}" r="{size}">{tip}</circle>'


def confusion(counts: np.ndarray, totals: np.ndarray, labels: Sequence[str], title: str, width: int) -> str:
    """A confusion matrix, at most `width` wide: rows are true classes, columns predicted ones.

    Args:
        counts: (C, C). totals: (C,) rows of each true class, of which a cell's shade shows the share.
    """
    size = len(labels)
    longest = _text_width(max(labels, key=len))
    left = min(longest + 12, width * 0.34)
    fits = int((left - 12) / CHARACTER)
    # column names are slanted; they rise by about 0.8 of their length
    top = min(longest, fits * CHARACTER) * 0.72 + 30
    right = min(longest, fits * CHARACTER) * 0.5 if size > 1 else 8
    cell = min(46.0, (width - left - right) / size)
    height = top + cell * size + 30
    parts = [_text(2, height - 6, "rows: true class, columns: predicted class", "tick", "start")]
    for i, label in enumerate(labels):
        short = label if len(label) <= fits else label[: max(1, fits - 1)] + "…"
        y, x = top + cell * i, left + cell * i
        name = f"<title>{escape(label)}</title>"
        parts.append(_text(left - 8, y + cell / 2 + 4, short, "label", "end", name))
        turn = f'transform="rotate(-45 {x + cell / 2:.1f} {top - 6:.1f})"'
        parts.append(_text(x + cell / 2, top - 6, short, "label", "start", name, turn))
        row = int(totals[i])
        for j in range(size):
            count = int(counts[i, j])
            share = count / row if row else 0.0
            tip = f"{label} → {labels[j]}: {count} of {row}"
            x_cell = left + cell * j
            kind = "right" if i == j else "wrong"
            # errors are rare: the root makes one of a hundred visible
            opacity = 0.06 + 0.94 * share if i == j else 0.1 + 0.9 * math.sqrt(share)
            parts.append(_rectangle(x_cell, y, cell - 1.5, cell - 1.5, "empty", tip))
            if count:
                parts.append(_rectangle(x_cell, y, cell - 1.5, cell - 1.5, kind, tip, f'fill-opacity="{opacity:.2f}"'))
                if cell >= 22 and len(str(count)) * 6.4 < cell:
                    shade = "count strong" if opacity > 0.55 else "count"
                    middle = (x_cell + (cell - 1.5) / 2, y + (cell - 1.5) / 2 + 4)
                    parts.append(_text(*middle, str(count), shade, "middle"))
    return _svg(min(width, math.ceil(max(left + cell * size + right, 270))), height, title, parts)


def significant(value: float) -> str:
    """Two significant digits below 10, whole numbers from 10 on: 0.031, 1.2, 38."""
    if value == 0:
        return "0"
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(abs(value))))}f}"


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _step(span: float, most: int) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that cuts `span` into no more than `most` parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * m for m in (1, 2, 2.5, 5, 10) if span / (power * m) <= most)


def _ticks(low: float, high: float, step: float) -> list[float]:
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[tuple[float, bool]]:
    """1, 2, 5 times powers of ten between 10**low and 10**high; all are named where there are few."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [(10.0**p * m, m) for p in powers for m in (1, 2, 5) if low <= p + math.log10(m) <= high]
    few = high - low < 2.2
    return [(value, m == 1 or few) for value, m in values]


def _number(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1  # steps of 2.5
    return f"{value:.{digits}f}"


def _text_width(text: str) -> float:
    return len(text) * CHARACTER


def _text(x: float, y: float, text: str, kind: str, anchor: str, inner: str = "", more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {place} {more}>{escape(text)}{inner}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _rectangle(x: float, y: float, wide: float, tall: float, kind: str, tip: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="2" class="{kind}"'
    return f"<rect {place} {more}><title>{escape(tip)}</title></rect>"


def _svg(width: int, height: float, title: str, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {width} {math.ceil(height)}" width="{width}" height="{math.ceil(height)}"'
    name = escape(title)
    return f'<svg class="plot" role="img" aria-label="{name}" {box}><title>{name}</title>{"".join(parts)}</svg>'
