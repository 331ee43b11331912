"""What the bits of each layer cost, as pairs of bars, and what all layers together weigh and cost, as points."""

from collections.abc import Callable

from edgewright.benchmarks.reports import plots, svg
from edgewright.benchmarks.sensitivity_record import SensitivityRecord
from edgewright.compress.sensitivity import Choice, LayerCost

NARROW = 480  # below this width a layer's name stands above its bars
COLOURS = {4: "conv", 8: "linear"}  # classes of the style sheet: a dark and a light one of a hue


def accuracy(record: SensitivityRecord, width: int) -> str:
    """Points of accuracy that each layer alone costs, to the left, or wins."""
    return _pairs(record, lambda cost: 100 * cost.accuracy, "Points of accuracy, one layer alone", "+.2f", width)


def divergence(record: SensitivityRecord, width: int) -> str:
    """How far each layer alone moves the probabilities."""
    return _pairs(
        record, lambda cost: 1000 * cost.divergence, "Divergence in 1/1000 nat, one layer alone", ".2f", width
    )


def together(record: SensitivityRecord, width: int) -> str:
    """Bytes of the weights against accuracy: each choice, and 8 bits everywhere."""
    found = {choice.eight: choice for choice in (record.all_eight, *record.choices)}
    points = [
        plots.Point(
            named(record, choice),
            "ours" if choice.eight == record.chosen.eight else "baseline",
            choice.weight_bytes / 1e6,
            record.float_accuracy + choice.accuracy,
        )
        for choice in found.values()
    ]
    x_title, y_title = "MB of weights (logarithmic)", "accuracy on validation"
    return plots.scatter(points, "All layers together", x_title, y_title, width)


def named(record: SensitivityRecord, choice: Choice) -> str:
    """ "all at 4 bits", "8 bits for head, hidden", "all at 8 bits": of the layers that can have 4."""
    eight = [layer for layer in choice.eight if layer in record.quantize.bits]
    if len(eight) == len(record.quantize.bits):
        return "all at 8 bits"
    return f"8 bits for {', '.join(eight)}" if eight else "all at 4 bits"


def _pairs(record: SensitivityRecord, of: Callable[[LayerCost], float], title: str, form: str, width: int) -> str:
    """For each layer a bar at 4 bits, where it has one, and one at 8, from a common zero to either side."""
    layers: dict[str, list[LayerCost]] = {cost.layer: [] for cost in record.costs}
    for cost in sorted(record.costs, key=lambda cost: cost.bits):
        layers[cost.layer].append(cost)
    values = [of(cost) for cost in record.costs]
    low, high = min(0.0, *values), max(0.0, *values)
    if low == high:
        high = 1.0  # nothing costs anything: an empty axis
    narrow = width < NARROW
    figure = 46  # room for a value beside its bar
    names = 0 if narrow else svg.text_width(max(layers, key=len)) + 14
    left, right = names + 8 + (figure if low < 0 else 0), width - 8 - (figure if high > 0 else 0)
    thick, gap, head = 14, 12, 18 if narrow else 0
    scale = (right - left) / (high - low)
    zero = left - low * scale
    y = 6.0
    bars = []
    for layer, costs in layers.items():
        tall = thick * len(costs)
        if narrow:
            bars.append(svg.text(2, y + 12, layer, "label", "start"))
        else:
            bars.append(svg.text(names - 10, y + tall / 2 + 4, layer, "label", "end"))
        for place, cost in enumerate(costs):
            top, value = y + head + thick * place, of(cost)
            end = zero + value * scale
            tip = f"{layer}, {cost.bits} bits: {value:{form}}; {cost.lost} rows lost, {cost.won} won"
            drawn = (min(zero, end), top, max(1.0, abs(end - zero)), thick - 1)
            bars.append(svg.rectangle(*drawn, f"bar {COLOURS[cost.bits]}", tip))
            side, anchor = (end - 5, "end") if value < 0 else (end + 5, "start")
            bars.append(svg.text(side, top + thick - 3, f"{value:{form}}", "tick", anchor))
        y += head + tall + gap
    foot = y - gap + 6
    step = svg.step(high - low, 3 if narrow else 6)
    parts = []
    for tick in svg.ticks(low, high, step):
        x = zero + tick * scale
        parts.append(svg.line(x, 2, x, foot, "grid"))
        parts.append(svg.text(x, foot + 15, svg.number(tick, step), "tick", "middle"))
    parts.append(svg.line(zero, 2, zero, foot, "axis"))
    return svg.document(width, foot + 24, title, [*parts, *bars])
