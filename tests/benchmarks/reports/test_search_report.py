"""What a search's console table, its one sentence and its page say."""

import re

from edgewright.benchmarks.reports import search_plots, search_report
from tests.benchmarks.sample_search import record, sample, trial


def test_the_page_names_the_chosen_trial_and_shows_each_trial_once() -> None:
    found = sample()
    page = search_report.html(found)
    assert found.chosen is not None and f"trial {found.chosen}" in page and "<script" not in page
    rows = re.findall(r'<td class="number head">(\d+)</td>', page.partition('id="trials"')[2])
    assert sorted(map(int, rows)) == [one.number for one in found.trials]
    assert rows[0] == str(found.chosen)  # the best first
    assert page.count("on the front</span>") == len(found.front) + 1  # and the legend
    front = re.findall(r'<td class="number head">(\d+)', page.partition('id="chosen"')[0])
    assert front == [str(number) for number in found.front]


def test_the_plots_have_a_point_for_each_trained_trial_and_a_tick_for_each_other_one() -> None:
    found = sample()
    trained = [one for one in found.trials if one.trained]
    for draw in (search_plots.size, search_plots.latency):
        for width in (920, 340):
            plot = draw(found, width)
            assert plot.count("<circle") == len(trained) and "budget" in plot
            named = re.findall(r'class="(?:label|value)"[^>]*>(\d+)(, chosen)?<', plot)
            assert sorted(int(number) for number, _ in named) == sorted(found.front)
            assert [int(number) for number, chosen in named if chosen] == [found.chosen]
            assert plot.count('class="whisker"') == len(found.trials) - len(trained)
            places = [float(x) for x in re.findall(r'cx="([\d.-]+)"', plot)]
            assert all(0 < x < width for x in places)


def test_where_nothing_was_trained_there_is_no_plot() -> None:
    nothing = record([trial(0, None, 600_000, None, "over_budget")])
    assert search_plots.size(nothing, 920) == "" and search_plots.latency(nothing, 920) == ""
    page = search_report.html(nothing)
    assert "The nearest misses" in page and "--max-bytes 600_000" in page and "<svg" not in page


def test_the_sentence_says_what_was_found_and_how_much_was_trained() -> None:
    found = record([trial(3, 0.951, 400_000, 0.05), trial(4, None, 700_000, None, "over_budget")])
    assert search_report.sentence(found) == (
        "trial 3 is the best in 0.5 MB and 0.1 ms: accuracy 0.9500 on validation, 0.40 MB, 0.050 [.049, .052] ms "
        "(2 trials, 1 of them trained)"
    )
    nothing = record([trial(0, None, 600_000, None, "over_budget")])
    assert search_report.sentence(nothing).startswith("nothing fits in 0.5 MB and 0.1 ms (1 trial, 0 of them trained)")
    assert [table.row_count for table in search_report.console(nothing)] == [1]
    assert [table.row_count for table in search_report.console(sample())] == [len(sample().front)]


def test_every_form_shows_the_chosen_settings_beside_what_they_were_chosen_from() -> None:
    found = sample()
    assert search_report.chosen_settings(found) == [
        ("family", "ngram_hybrid", "fixed"),
        ("numerics", "int8", "fixed"),
        ("model.width", "16", "16, 32 or 64"),
        ("model.feature_dropout", "0.3", "–"),
    ]
    assert search_report.ranges(found) == {
        "ngram_hybrid": {"model.width": "16, 32 or 64", "tokenizer.buckets": "500 to 9000"}
    }
    words, page = search_report.markdown(found), search_report.html(found)
    assert "| model.width | 16 | 16, 32 or 64 |" in words and "16, 32 or 64</td>" in page
    assert "`intent-found.toml`" in words and "edgewright run intent-found.toml --effort quick" in page
    for table in re.findall(r"(?:^\|.*\n)+", words, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    front = re.findall(r"^\| (\d+)", words, re.MULTILINE)
    assert front == [str(number) for number in found.front]


def test_where_nothing_fits_markdown_has_the_nearest_misses_and_no_chosen_point() -> None:
    words = search_report.markdown(record([trial(0, None, 600_000, None, "over_budget")]))
    assert "## The nearest misses" in words and "--max-bytes 600_000" in words and "24 % above --max-bytes" in words
    assert "The chosen point" not in words and "The front" not in words
