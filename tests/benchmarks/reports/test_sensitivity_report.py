"""What a record of sensitivity's tables, plots and page say."""

import re
from dataclasses import replace
from typing import Any

import pytest

from edgewright.benchmarks.reports import sensitivity_plots, sensitivity_report
from edgewright.benchmarks.sensitivity_record import from_json, to_json
from edgewright.errors import DamagedFileError
from tests.benchmarks.sample_sensitivity import LAYERS, ONLY_EIGHT, sample


def test_the_sentence_says_what_was_chosen_and_whether_it_keeps_the_bound() -> None:
    assert sensitivity_report.sentence(sample()) == (
        "chosen: 8 bits for head; -0.30 points of accuracy on validation (0.5 allowed), "
        "47 % fewer bytes of weights than 8 bits everywhere"
    )
    assert sensitivity_report.sentence(sample(0.001)).startswith("even 8 bits for head costs more than 0.1 allowed")
    assert "above the bound" in sensitivity_report.html(sample(0.001))
    assert "within the bound" in sensitivity_report.html(sample())


def test_accuracy_and_divergence_are_both_drawn_for_every_layer_at_every_bits() -> None:
    found = sample()
    for draw in (sensitivity_plots.accuracy, sensitivity_plots.divergence):
        for width in (920, 340):
            plot = draw(found, width)
            assert plot.count('class="bar conv"') == len(LAYERS) - 1  # 4 bits
            assert plot.count('class="bar linear"') == len(LAYERS)  # 8 bits
            assert all(f">{name}<" in plot for name in LAYERS)
            places = [float(x) for x in re.findall(r'<text x="([\d.-]+)"', plot)]
            assert all(0 <= x <= width for x in places)
    assert "head, 4 bits: -0.64; 23 rows lost, 4 won" in sensitivity_plots.accuracy(found, 920)


def test_a_layer_that_costs_points_is_drawn_to_the_left_and_one_that_wins_some_to_the_right() -> None:
    plot = sensitivity_plots.accuracy(sample(), 920)
    zero = float(re.findall(r'<line x1="([\d.]+)"[^>]*class="axis"', plot)[0])
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*><title>(.*?): ([+-][\d.]+)', plot)
    assert len(bars) == 2 * len(LAYERS) - 1
    for left, wide, name, points in bars:
        end = float(left) + float(wide)
        assert (end == pytest.approx(zero, abs=0.2)) if points.startswith("-") else float(left) >= zero - 0.1, name


def test_layers_that_cost_nothing_make_an_empty_plot_and_no_error() -> None:
    costs = tuple(replace(cost, accuracy=0.0, divergence=0.0) for cost in sample().costs)
    assert "<rect" in sensitivity_plots.accuracy(replace(sample(), costs=costs), 920)


def test_all_together_ends_with_eight_bits_everywhere_and_names_layers_that_can_choose() -> None:
    names = [name for name, _ in sensitivity_report.together(sample())]
    assert names == ["all at 4 bits", "8 bits for head", "all at 8 bits"]
    plot = sensitivity_plots.together(sample(), 920)
    assert all(name in plot for name in names) and ONLY_EIGHT not in plot
    ended = replace(sample(), choices=(*sample().choices, sample().all_eight))
    assert [name for name, _ in sensitivity_report.together(ended)] == names


def test_the_toml_reads_back_as_the_bits() -> None:
    import tomllib

    table = tomllib.loads(sensitivity_report.toml(sample()))["quantize"]
    assert table == {"bits": dict(sample().quantize.bits), "embedding_scales": "table"}


def test_markdown_tables_have_as_many_cells_as_heads() -> None:
    words = sensitivity_report.markdown(sample())
    tables = re.findall(r"(?:^\|.*\n)+", words, re.MULTILINE)
    assert len(tables) == 2 and all(len({line.count("|") for line in one.splitlines()}) == 1 for one in tables)
    assert "step `distill` of `intent_half`, seed 1, effort normal" in words


def test_a_record_reads_back_and_one_of_another_schema_or_without_layers_is_damaged() -> None:
    values = to_json(sample())
    assert list(values)[:2] == ["schema", "kind"] and from_json(values, "x") == sample()
    damages: list[dict[str, Any]] = [
        *({"schema": 2}, {"costs": []}, {"choices": []}, {"kind": "search"}, {"quantize": {"bits": "four"}})
    ]
    for changes in damages:
        with pytest.raises(DamagedFileError, match="x: not a record of sensitivity, schema 1"):
            from_json(values | changes, "x")
