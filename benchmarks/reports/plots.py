"""Bars, points and matrices as inline SVG text. Colours and fonts come from the style sheet, through class names.

Each plot is drawn for a width in pixels, so that a phone gets one that is laid out for it, not a shrunken large one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.reports import svg

NARROW = 480  # below this width labels go above their bars, and points are numbered
MOST_LABELS = 16  # more points than these are numbered on any plot: their labels would cover one another


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart. `colour` is a class of the style sheet: a target's name or "baseline"."""

    label: str
    colour: str
    value: Interval
    mark: float | None = None  # a tick on the bar: the empty call


@dataclass(frozen=True)
class Point:
    """One point of a scatter plot; tip: what is shown when it is pointed at."""

    label: str
    colour: str
    x: float
    y: float
    tip: str | None = None


def bars(rows: Sequence[Bar], title: str, unit: str, width: int) -> str:
    """Horizontal bars from 0 with whiskers for the interval; values stand beside the bars."""
    narrow = width < NARROW
    left, right = (16, 72) if narrow else (svg.text_width(max((row.label for row in rows), key=len)) + 14, 84)
    pitch, thick = (44, 14) if narrow else (30, 16)
    first = 22 if narrow else 8  # room for the label above the first bar
    height = first + pitch * len(rows) + 26
    top = max(max(row.value.value, row.value.high or 0, row.mark or 0) for row in rows) or 1.0
    step = svg.step(top, 4 if narrow else 6)
    scale = (width - left - right) / top
    foot = first + pitch * len(rows) - (0 if not narrow else 16)
    parts = []
    for tick in svg.ticks(0, top, step):
        x = left + tick * scale
        parts.append(svg.line(x, 2, x, foot, "grid"))
        anchor = "start" if narrow and tick == 0 else "middle"
        parts.append(svg.text(x, foot + 15, svg.number(tick, step), "tick", anchor))
    parts.append(svg.text(width - 2, foot + 15, unit, "tick", "end"))
    for number, row in enumerate(rows):
        y = first + pitch * number
        middle, end = y + thick / 2, left + row.value.value * scale
        if narrow:
            parts.append(svg.text(left + 4, y - 6, row.label, "label", "start"))
        else:
            parts.append(svg.text(left - 10, middle + 4, row.label, "label", "end"))
        parts.append(svg.rectangle(left, y, max(1.5, end - left), thick, f"bar {row.colour}", row.label))
        if row.value.low is not None and row.value.high is not None:
            low, high = left + row.value.low * scale, left + row.value.high * scale
            parts.append(svg.line(low, middle, high, middle, "whisker"))
            parts.extend(svg.line(x, middle - 4, x, middle + 4, "whisker") for x in (low, high))
            end = max(end, high)
        if row.mark is not None:
            x = left + row.mark * scale
            parts.append(svg.line(x, y - 3, x, y + thick + 3, "mark"))
            end = max(end, x)
        parts.append(svg.text(end + 7, middle + 4, svg.significant(row.value.value), "value", "start"))
    parts.append(svg.line(left, 2, left, foot, "axis"))
    return svg.document(width, height, title, parts)


def scatter(points: Sequence[Point], title: str, x_title: str, y_title: str, width: int) -> str:
    """Points on a logarithmic x axis with labels beside them; with numbers and a key below where the plot is narrow or
    the points are too many for labels."""
    narrow = width < NARROW
    columns = 1 if narrow else 3
    numbered = narrow or len(points) > MOST_LABELS
    left, right, top, foot = 52, 16, 26, 46
    plot_height = 220 if narrow else 300
    key = 20 * math.ceil(len(points) / columns) + 8 if numbered else 0
    height = top + plot_height + foot + key
    xs = [math.log10(point.x) for point in points]
    pad = max(0.12, (max(xs) - min(xs)) * 0.08)
    x_low, x_high = min(xs) - pad, max(xs) + pad * (1 if narrow else 1.6)
    ys = [point.y for point in points]
    spread = max(max(ys) - min(ys), 0.004)
    most = 1.0 if max(ys) <= 1 else math.inf  # a share is not above 1, bits and perplexities are
    y_low, y_high = min(ys) - spread * 0.15, min(most + spread * 0.08, max(ys) + spread * 0.15)
    x_scale, y_scale = (width - left - right) / (x_high - x_low), plot_height / (y_high - y_low)
    bottom = top + plot_height
    parts = [svg.text(4, 14, y_title, "tick", "start")]
    y_step = svg.step(y_high - y_low, 5)
    for tick in svg.ticks(y_low, min(y_high, most), y_step):
        y = bottom - (tick - y_low) * y_scale
        parts.append(svg.line(left, y, width - right, y, "grid"))
        parts.append(svg.text(left - 8, y + 4, svg.number(tick, y_step), "tick", "end"))
    for value, major in svg.log_ticks(x_low, x_high):
        x = left + (math.log10(value) - x_low) * x_scale
        parts.append(svg.line(x, top, x, bottom, "grid" if major else "grid faint"))
        if major:
            parts.append(svg.text(x, bottom + 17, f"{value:g}", "tick", "middle"))
    parts.append(svg.line(left, bottom, width - right, bottom, "axis"))
    parts.append(svg.text((left + width - right) / 2, bottom + 36, x_title, "tick", "middle"))
    centres = [
        (left + (math.log10(point.x) - x_low) * x_scale, bottom - (point.y - y_low) * y_scale) for point in points
    ]
    if numbered:
        parts.extend(_numbered(points, centres, (left, top, width - right, bottom)))
        parts.extend(_key(points, bottom + foot, width, columns))
    else:
        parts.extend(_labelled(points, centres, (left, top, width - right, bottom)))
    return svg.document(width, height, title, parts)


def _labelled(points: Sequence[Point], centres: Sequence[tuple[float, float]], frame: svg.Box) -> Iterator[str]:
    """Points with labels in the nearest place where they cover nothing; points that touch share one list of labels."""
    taken: list[svg.Box] = [(x - 7, y - 7, x + 7, y + 7) for x, y in centres]
    for group in _touching(centres):
        x, y = (sum(centres[i][axis] for i in group) / len(group) for axis in (0, 1))
        wide = max(svg.text_width(points[i].label) for i in group) + (14 if len(group) > 1 else 0)
        box = free_place(x, y, wide, svg.LINE * len(group), taken, frame)
        taken.append(box)
        near_x, near_y = min(max(x, box[0] - 3), box[2]), min(max(y, box[1] + 6), box[3] - 6)
        if math.hypot(near_x - x, near_y - y) > 14:
            yield svg.line(x, y, near_x, near_y, "leader")
        for line, i in enumerate(sorted(group, key=lambda i: centres[i][1]), start=1):
            foot = box[1] + svg.LINE * line - 4
            if len(group) > 1:
                yield _marker(points[i], box[0] + 5, foot - 4, size=4)
            if len(group) == 1 and box[2] < x:
                yield svg.text(box[2], foot, points[i].label, "label", "end")  # a wide font shall not reach the point
            else:
                yield svg.text(box[2] - wide + (14 if len(group) > 1 else 0), foot, points[i].label, "label", "start")
    for point, (x, y) in zip(points, centres, strict=True):
        yield _marker(point, x, y)


def _touching(centres: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Numbers of the points in groups: each point touches another one of its group."""
    groups: list[list[int]] = []
    for i, (x, y) in enumerate(centres):
        near = [group for group in groups if any(math.hypot(centres[k][0] - x, centres[k][1] - y) < 13 for k in group)]
        groups = [group for group in groups if group not in near] + [[k for group in near for k in group] + [i]]
    return sorted(groups, key=lambda group: (-len(group), min(group)))  # the largest lists need the most room


def free_place(x: float, y: float, wide: float, tall: float, taken: Sequence[svg.Box], frame: svg.Box) -> svg.Box:
    """Where a label of this size near (x, y) covers nothing in `taken`, or least, and stays in the frame."""
    best, least = None, math.inf
    for reach in (10, 18, 30, 44, 60, 80, 104, 130, 160):
        for angle in range(0, 360, 15):
            across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            left = x + reach * across - (0 if across >= -0.01 else wide)
            above = y + reach * down - tall / 2 + (tall - svg.LINE) / 2 * down
            box = (left, above, left + wide, above + tall)
            outside = box[0] < frame[0] + 2 or box[2] > frame[2] or box[1] < frame[1] - 8 or box[3] > frame[3] - 2
            cost = reach + sum(400 for other in taken if svg.overlap(box, other)) + 2000 * outside
            if cost < least:
                best, least = box, cost
    assert best is not None
    return best


def _numbered(points: Sequence[Point], centres: Sequence[tuple[float, float]], frame: svg.Box) -> Iterator[str]:
    """Points with their numbers, those that touch with one list of numbers."""
    taken: list[svg.Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in centres]
    for group in _touching(centres):
        x, y = (sum(centres[i][axis] for i in group) / len(group) for axis in (0, 1))
        numbers = ", ".join(str(i + 1) for i in sorted(group))
        box = free_place(x, y, svg.text_width(numbers), svg.LINE, taken, frame)
        taken.append(box)
        yield svg.text(box[0], box[3] - 4, numbers, "label", "start")
    for point, (x, y) in zip(points, centres, strict=True):
        yield _marker(point, x, y)


def _key(points: Sequence[Point], top: float, width: int, columns: int) -> Iterator[str]:
    """What the numbers mean, down one column after the other."""
    lines = math.ceil(len(points) / columns)
    for i, point in enumerate(points):
        column, line = divmod(i, lines)
        x, y = column * width / columns, top + 20 * (line + 1) - 6
        yield _marker(point, x + 12, y - 4)
        yield svg.text(x + 26, y, f"{i + 1}  {point.label}", "label", "start")


def _marker(point: Point, x: float, y: float, size: float = 5.5) -> str:
    tip = f"<title>{escape(point.tip or f'{point.label}: {point.y:.3f} at {point.x:.3g} MB')}</title>"
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
    longest = svg.text_width(max(labels, key=len))
    left = min(longest + 12, width * 0.34)
    fits = int((left - 12) / svg.CHARACTER)
    # column names are slanted; they rise by about 0.8 of their length
    top = min(longest, fits * svg.CHARACTER) * 0.72 + 30
    right = min(longest, fits * svg.CHARACTER) * 0.5 if size > 1 else 8
    cell = min(46.0, (width - left - right) / size)
    height = top + cell * size + 30
    parts = [svg.text(2, height - 6, "rows: true class, columns: predicted class", "tick", "start")]
    for i, label in enumerate(labels):
        short = label if len(label) <= fits else label[: max(1, fits - 1)] + "…"
        y, x = top + cell * i, left + cell * i
        name = f"<title>{escape(label)}</title>"
        parts.append(svg.text(left - 8, y + cell / 2 + 4, short, "label", "end", name))
        turn = f'transform="rotate(-45 {x + cell / 2:.1f} {top - 6:.1f})"'
        parts.append(svg.text(x + cell / 2, top - 6, short, "label", "start", name, turn))
        row = int(totals[i])
        for j in range(size):
            count = int(counts[i, j])
            share = count / row if row else 0.0
            tip = f"{label} → {labels[j]}: {count} of {row}"
            x_cell = left + cell * j
            kind = "right" if i == j else "wrong"
            # errors are rare: the root makes one of a hundred visible
            opacity = 0.06 + 0.94 * share if i == j else 0.1 + 0.9 * math.sqrt(share)
            parts.append(svg.rectangle(x_cell, y, cell - 1.5, cell - 1.5, "empty", tip))
            if count:
                parts.append(
                    svg.rectangle(x_cell, y, cell - 1.5, cell - 1.5, kind, tip, f'fill-opacity="{opacity:.2f}"')
                )
                if cell >= 22 and len(str(count)) * 6.4 < cell:
                    shade = "count strong" if opacity > 0.55 else "count"
                    middle = (x_cell + (cell - 1.5) / 2, y + (cell - 1.5) / 2 + 4)
                    parts.append(svg.text(*middle, str(count), shade, "middle"))
    return svg.document(min(width, math.ceil(max(left + cell * size + right, 270))), height, title, parts)
