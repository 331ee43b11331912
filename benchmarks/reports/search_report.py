"""The report of a search: the front as a table on a console, as Markdown, and one page with plots and every trial."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from edgewright.benchmarks.reports import search_plots
from edgewright.benchmarks.reports.bench_report import both, markdown_of, render
from edgewright.benchmarks.reports.figures import NO_FIGURE, bounded
from edgewright.benchmarks.reports.units import megabytes
from edgewright.benchmarks.search_record import SearchedRange, SearchRecord, Trial, rank

BADGES = {"fits": "pass", "over_budget": "fail", "refused": "not_verifiable"}
WORDS = {"fits": "fits", "over_budget": "over the budget", "refused": "cannot be made"}
COUNTED = {"fits": "within the budget", "over_budget": "over it", "refused": "cannot be made"}
NOT_SHOWN = ("family", "numerics", "target")  # they have columns of their own


def console(record: SearchRecord) -> tuple[Table, ...]:
    """The front, or where nothing fits the nearest misses."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trial", justify="right", no_wrap=True)
    for name in ("family", "numerics"):
        table.add_column(name, no_wrap=True)
    for name in (_metric(record), "shipped", "text → label, p50 [95 %]"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("settings", overflow="fold")
    shown = [record.trial(number) for number in record.front or record.nearest]
    for trial in shown:
        table.add_row(
            Text(str(trial.number), style="bold green" if trial.number == record.chosen else ""),
            *(family(trial), numerics(trial)),
            *(score(trial.score), megabytes(trial.shipped_bytes), bounded(trial.p50_ms)),
            settings(trial) if trial.reason is None else f"{trial.reason}; {settings(trial)}",
        )
    return (table,) if shown else ()


def sentence(record: SearchRecord) -> str:
    """What the search ended with, in one line."""
    budget = " and ".join(
        words
        for words in (
            None if record.max_bytes is None else f"{record.max_bytes / 1e6:g} MB",
            None if record.max_ms is None else f"{record.max_ms:g} ms",
        )
        if words
    )
    within = f"in {budget}" if budget else "without a budget"
    trained = sum(one.trained for one in record.trials)
    counted = f"{len(record.trials)} {'trial' if len(record.trials) == 1 else 'trials'}, {trained} of them trained"
    if record.chosen is None:
        return f"nothing fits {within} ({counted})" + (f"; {record.relax}" if record.relax else "")
    chosen = record.trial(record.chosen)
    figures = f"{_metric(record)} {score(chosen.score)} on validation, {megabytes(chosen.shipped_bytes)}"
    return f"trial {chosen.number} is the best {within}: {figures}, {bounded(chosen.p50_ms)} ({counted})"


def markdown(record: SearchRecord) -> str:
    """The front, the chosen point and how it was searched, for a pull request or a committed result."""
    return markdown_of("search.md.j2", _context(record))


def html(record: SearchRecord) -> str:
    """The whole page."""
    order = {"fits": 0, "over_budget": 1, "refused": 2}
    trials = sorted(
        record.trials,
        key=lambda one: (order[one.verdict], *(rank(one) if one.trained else (1.0, 0.0, 0.0, one.number))),
    )
    plots: dict[str, Any] = {
        "size_plot": both(search_plots.size, record),
        "latency_plot": both(search_plots.latency, record),
    }
    context = _context(record) | {"trials": trials, "badges": BADGES, "words": WORDS}
    return render("search.html.j2", context | plots)


def scores_on_test(record: SearchRecord) -> dict[str, float | None]:
    """The chosen trial's score on the test split, by target."""
    return {target: figures.get(record.metric) for target, figures in record.test.items()}


def ranges(record: SearchRecord) -> dict[str, dict[str, str]]:
    """What was searched, by family and setting: "8, 16 or 32", "500 to 9000", or the one value that is fixed."""
    return {name: {key: _range(one) for key, one in found.items()} for name, found in record.space.families.items()}


def chosen_settings(record: SearchRecord) -> list[tuple[str, str, str]]:
    """Each setting of the chosen point: its name, its value, and what it was chosen from."""
    if record.chosen is None:
        return []
    chosen = record.trial(record.chosen)
    searched = ranges(record)
    choices = {"family": searched, "numerics": record.space.forms, "target": record.targets}
    among = {key: _among(list(values)) for key, values in choices.items()} | searched.get(family(chosen), {})
    found = [(key, _value(value), among.get(key, NO_FIGURE)) for key, value in chosen.settings.items()]
    return [(key, value, "fixed" if ranged == value else ranged) for key, value, ranged in found]


def _context(record: SearchRecord) -> dict[str, Any]:
    counts = {verdict: sum(one.verdict == verdict for one in record.trials) for verdict in COUNTED}
    return {
        "record": record,
        "metric": _metric(record),
        "sentence": sentence(record),
        "chosen": None if record.chosen is None else record.trial(record.chosen),
        "chosen_settings": chosen_settings(record),
        "test_scores": scores_on_test(record),
        "front": [record.trial(number) for number in record.front],
        "trained": sum(one.trained for one in record.trials),
        "counts": ", ".join(f"{count} {COUNTED[verdict]}" for verdict, count in counts.items() if count),
        "nearest": [record.trial(number) for number in record.nearest],
        "ranges": ranges(record),
        "family": family,
        "numerics": numerics,
        "settings": settings,
        "score": score,
        "seconds": _median([one.seconds for one in record.trials if one.trained and one.seconds is not None]),
    }


def family(trial: Trial) -> str:
    return str(trial.settings.get("family", NO_FIGURE))


def numerics(trial: Trial) -> str:
    """int8; with the target where the search chose one."""
    return " ".join(str(trial.settings[name]) for name in ("numerics", "target") if name in trial.settings)


def settings(trial: Trial) -> str:
    """width 32, hidden 64, …: without the tables, which the page's recipe shows."""
    return ", ".join(
        f"{key.partition('.')[2]} {_value(value)}" for key, value in trial.settings.items() if key not in NOT_SHOWN
    )


def score(value: float | None) -> str:
    """Four digits: trials differ by few rows."""
    return NO_FIGURE if value is None else f"{value:.4f}"


def _range(one: SearchedRange) -> str:
    if one.choices:
        return _among([_value(choice) for choice in one.choices])
    return f"{_value(one.low)} to {_value(one.high)}" + (f" in steps of {_value(one.step)}" if one.step else "")


def _among(names: Sequence[str]) -> str:
    """ "8, 16 or 32"."""
    return " or ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _metric(record: SearchRecord) -> str:
    return {"macro_f1": "macro-F1", "span_f1": "span F1"}.get(record.metric, record.metric)


def _median(values: Sequence[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
