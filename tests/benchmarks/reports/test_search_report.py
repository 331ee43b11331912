"""What a search's console table, its one sentence and its page say."""

import re

from edgewright.benchmarks.reports import search_plots, search_report
from tests.benchmarks.sample_search import record, sample, trial


def test_the_page_names_the_chosen_trial_and_shows_each_trial_once() -> None:
    found = sample()
    page = search_report.html(found)
    assert found.chosen is not None and f"trial {found.chosen}" in page and "<script" not in page
    rows = re.findall(r'<td class="number head">(\d+)</td>', page)
    assert sorted(map(int, rows)) == [one.number for one in found.trials]
    assert rows[0] == str(found.chosen)  # the best first
    assert page.count("on the front</span>") == len(found.front) + 1  # and the legend


def test_the_plots_have_a_point_for_each_trained_trial_and_a_tick_for_each_other_one() -> None:
    found = sample()
    trained = [one for one in found.trials if one.trained]
    for draw in (search_plots.size, search_plots.latency):
        for width in (920, 340):
            plot = draw(found, width)
            assert plot.count("<circle") == len(trained) and "chosen" in plot and "budget" in plot
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
