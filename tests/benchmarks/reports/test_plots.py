"""Plots are well-formed SVG that stays inside its frame."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.reports import plots, svg

SVG = "{http://www.w3.org/2000/svg}"
WIDTHS = (340, 920)
BARS = [
    plots.Bar("litert fp32", "litert", Interval(0.03, 0.02, 0.05), mark=0.002),
    plots.Bar("a <b> & 'c'", "baseline", Interval(1.3)),
]
POINTS = [plots.Point(f"onnx numerics_{i}", "onnx", 0.3 + 0.01 * i, 0.94) for i in range(6)]
POINTS += [plots.Point("TF-IDF", "baseline", 40.0, 0.9)]
# as --ablate makes them: in clusters
MANY = [
    plots.Point(f"{step}: executorch {numerics}", "executorch", size * (1 + 0.03 * i), 0.93 + 0.004 * j)
    for j, step in enumerate(("train", "distill", "prune", "qat"))
    for i, (numerics, size) in enumerate((("fp32", 1.6), ("int8", 0.5), ("dynamic_wi4_afp32", 0.2)) * 2)
]


def _parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def _texts(root: ElementTree.Element) -> list[str]:
    return ["".join(node.itertext()) for node in root.iter("text")]


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_show_every_label_and_value(width: int) -> None:
    words = _texts(_parsed(plots.bars(BARS, "Latency", "ms", width)))
    assert {"litert fp32", "a <b> & 'c'", "0.030", "1.3"} <= set(words)


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_end_inside_the_frame(width: int) -> None:
    root = _parsed(plots.bars(BARS, "Latency", "ms", width))
    ends = [float(node.get("x", 0)) + float(node.get("width", 0)) for node in root.iter("rect")]
    assert len(ends) == 2 and max(ends) < width


@pytest.mark.parametrize("points", [POINTS, MANY], ids=["few", "many"])
@pytest.mark.parametrize("width", WIDTHS)
def test_scatter_labels_do_not_cover_each_other(width: int, points: list[plots.Point]) -> None:
    root = _parsed(plots.scatter(points, "Size", "MB", "accuracy", width))
    said = " ".join(_texts(root))
    assert all(point.label in said for point in points)
    boxes = []
    for node in root.iter("text"):
        if node.get("class") == "label":
            x, y, wide = float(node.get("x", 0)), float(node.get("y", 0)), len(node.text or "") * svg.CHARACTER
            x -= wide if node.get("text-anchor") == "end" else 0
            assert 0 <= x and x + wide <= width
            boxes.append((x, y - 10, x + wide, y))
    assert boxes and not any(svg.overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_one_point_is_drawn() -> None:
    root = _parsed(plots.scatter([plots.Point("only", "onnx", 1.0, 1.0)], "Size", "MB", "accuracy", 920))
    assert "only" in _texts(root)


def test_confusion_shows_counts_and_names_rows_of_no_answer() -> None:
    root = _parsed(plots.confusion(np.array([[3, 1], [0, 0]]), np.array([4, 0]), ["yes", "no"], "Confusion", 920))
    assert {"3", "1"} <= set(_texts(root))
    assert "yes → no: 1 of 4" in [node.text for node in root.iter("title")]


@pytest.mark.parametrize(
    ("low", "high", "most"), [(0, 0.1, 6), (0, 1.37, 6), (0.92, 0.945, 5), (0, 7e-4, 4), (0, 123.0, 6)]
)
def test_axis_ticks_are_few_round_and_distinct(low: float, high: float, most: int) -> None:
    step = svg.step(high - low, most)
    words = [svg.number(tick, step) for tick in svg.ticks(low, high, step)]
    assert 2 <= len(words) <= most + 1 and len(set(words)) == len(words)
    assert all(re.fullmatch(r"\d+(\.\d+)?", word) for word in words)


@pytest.mark.parametrize(("value", "words"), [(0.0314, "0.031"), (1.24, "1.2"), (38.4, "38"), (0, "0"), (9.97, "10")])
def test_values_have_two_digits(value: float, words: str) -> None:
    assert svg.significant(value).removesuffix(".0") == words
