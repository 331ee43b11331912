"""The trials of a search as points: score against bytes or milliseconds, the front as a line of steps, the budget."""

import math
from collections.abc import Callable
from itertools import pairwise

from edgewright.benchmarks.reports import plots, svg
from edgewright.benchmarks.search_record import SearchRecord, Trial

NARROW = 480  # below this width the plot is lower
RADIUS, RADIUS_CHOSEN = 5.5, 8.0  # pixels, of a trial of the front
X = Callable[[Trial], float | None]


def size(record: SearchRecord, width: int) -> str:
    """Score against shipped bytes."""
    limit = None if record.max_bytes is None else record.max_bytes / 1e6
    return _plot(
        record, lambda one: None if one.shipped_bytes is None else one.shipped_bytes / 1e6, limit, "shipped, MB", width
    )


def latency(record: SearchRecord, width: int) -> str:
    """Score against the time of a text."""
    return _plot(
        record, lambda one: one.p50_ms.value if one.p50_ms else None, record.max_ms, "text → label, p50, ms", width
    )


def _plot(record: SearchRecord, of: X, limit: float | None, x_title: str, width: int) -> str:
    """Nothing where no trained trial has the figure. What was not trained has no score: ticks along the axis. The
    trials of the front have their numbers."""
    placed = [(one, x) for one in record.trials if (x := of(one)) is not None and x > 0]
    shown = [(one, x, one.score) for one, x in placed if one.score is not None]
    untrained = [(one, x) for one, x in placed if one.score is None]
    if not shown:
        return ""
    left, right, top, foot = 52, 16, 44, 46
    plot_height = 220 if width < NARROW else 300
    bottom, height = top + plot_height, top + plot_height + foot
    xs = [math.log10(x) for _, x, _ in shown] + [math.log10(x) for _, x in untrained]
    xs += [math.log10(limit)] if limit else []
    pad = max(0.04, (max(xs) - min(xs)) * 0.06)
    x_low, x_high = min(xs) - pad, max(xs) + pad
    ys = [score for _, _, score in shown]
    spread = max(max(ys) - min(ys), 0.004)
    y_low, y_high = min(ys) - spread * 0.15, max(ys) + spread * 0.15
    x_scale, y_scale = (width - left - right) / (x_high - x_low), plot_height / (y_high - y_low)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (math.log10(x) - x_low) * x_scale, bottom - (y - y_low) * y_scale

    parts = [svg.text(4, 14, f"{record.metric.replace('_', ' ')} on validation", "tick", "start")]
    y_step = svg.step(y_high - y_low, 5)
    for tick in svg.ticks(y_low, min(y_high, 1.0), y_step):
        y = bottom - (tick - y_low) * y_scale
        parts.append(svg.line(left, y, width - right, y, "grid"))
        parts.append(svg.text(left - 8, y + 4, svg.number(tick, y_step), "tick", "end"))
    last = -math.inf
    for value, major in svg.log_ticks(x_low, x_high):
        x = left + (math.log10(value) - x_low) * x_scale
        parts.append(svg.line(x, top, x, bottom, "grid" if major else "grid faint"))
        if major and x - last > 34:
            parts.append(svg.text(x, bottom + 17, f"{value:g}", "tick", "middle"))
            last = x
    parts.append(svg.line(left, bottom, width - right, bottom, "axis"))
    parts.append(svg.text((left + width - right) / 2, bottom + 36, x_title, "tick", "middle"))
    if limit:
        x, _ = place(limit, y_low)
        parts.append(svg.line(x, top, x, bottom, "limit"))
        parts.append(svg.text(x, top - 6, "budget", "tick", "end" if x > width / 2 else "start"))
    for _, x in untrained:
        at, _ = place(x, y_low)
        parts.append(svg.line(at, bottom - 8, at, bottom, "whisker"))
    corners = _corners([place(x, y) for one, x, y in shown if one.number in record.front])
    if len(corners) > 1:
        parts.append(svg.polyline(corners, "curve thin ours"))
    for one, x, y in sorted(shown, key=lambda point: point[0].number in record.front):
        parts.append(_point(record, one, *place(x, y)))
    taken = [_around(*place(x, y), RADIUS_CHOSEN if one.number == record.chosen else RADIUS) for one, x, y in shown]
    taken += [_between(*pair) for pair in pairwise(corners)]
    if limit:
        x, _ = place(limit, y_low)
        taken.append(_between((x, top), (x, bottom)))
    # the chosen one first: it gets the nearest place
    for one, x, y in sorted(shown, key=lambda point: point[0].number != record.chosen):
        if one.number not in record.front:
            continue
        words, kind = (f"{one.number}, chosen", "value") if one.number == record.chosen else (str(one.number), "label")
        frame = (left, top, width - right, bottom - 10)
        wide = svg.text_width(words) + (16 if kind == "value" else 0)  # bold
        box = plots.free_place(*place(x, y), wide, svg.LINE, taken, frame)
        taken.append(box)
        parts.append(svg.text((box[0] + box[2]) / 2, box[3] - 4, words, kind, "middle"))
    return svg.document(width, height, f"{record.metric} on validation against {x_title}", parts)


def _corners(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The line of what is the best up to each size or time."""
    corners: list[tuple[float, float]] = []
    for x, y in sorted(places):
        if corners and y >= corners[-1][1]:
            continue  # dominated here: it is on the front for its other figure
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return corners


def _around(x: float, y: float, radius: float) -> svg.Box:
    return x - radius - 2, y - radius - 2, x + radius + 2, y + radius + 2


def _between(one: tuple[float, float], other: tuple[float, float]) -> svg.Box:
    """What an upright or level line covers."""
    return (
        min(one[0], other[0]) - 2,
        min(one[1], other[1]) - 2,
        max(one[0], other[0]) + 2,
        max(one[1], other[1]) + 2,
    )


def _point(record: SearchRecord, trial: Trial, x: float, y: float) -> str:
    kind = "ours" if trial.number in record.front else "pass" if trial.verdict == "fits" else "fail"
    size = "" if trial.shipped_bytes is None else f", {trial.shipped_bytes / 1e6:.3f} MB"
    p50 = "" if trial.p50_ms is None else f", {trial.p50_ms.value:.3f} ms"
    tip = f"<title>trial {trial.number}: {trial.score:.4f}{size}{p50}</title>"
    radius = RADIUS_CHOSEN if trial.number == record.chosen else RADIUS if trial.number in record.front else 4
    return f'<circle class="marker {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{tip}</circle>'
