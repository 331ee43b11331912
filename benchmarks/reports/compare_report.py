"""The report of a comparison of two bench records: console table, Markdown for a pull request, self-contained page."""

from typing import Any

from rich.table import Table
from rich.text import Text

from edgewright.benchmarks.compare import Comparison, Row
from edgewright.benchmarks.reports import bench_plots
from edgewright.benchmarks.reports.bench_report import both, markdown_of, render
from edgewright.benchmarks.reports.figures import figure
from edgewright.benchmarks.reports.run_report import STYLES, WORDS
from edgewright.benchmarks.reports.units import milliseconds

SERIES = {"text_to_label": "text → label", "inference": "inference"}


def console(comparison: Comparison) -> tuple[Table, ...]:
    """One line a series, the worst first, as in the other forms; no table where nothing was compared."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("artifact", "series"):
        table.add_column(name, no_wrap=True)
    for name in ("base p50", "new p50", "ratio [95 %]", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row in _worst_first(comparison):
        table.add_row(
            row.name,
            series(row),
            milliseconds(row.base_p50_ms),
            milliseconds(row.new_p50_ms),
            figure(row.ratio),
            change(row),
            Text(WORDS[row.verdict], style=STYLES[row.verdict]),
        )
    return (table,) if comparison.rows else ()


def markdown(comparison: Comparison) -> str:
    """The comparison for a pull request: the verdict, the table, and what else one must know to judge."""
    return markdown_of("compare.md.j2", _context(comparison))


def html(comparison: Comparison) -> str:
    """The whole page, with the ratios as a forest plot."""
    return render("compare.html.j2", _context(comparison) | {"forest_plot": both(_forest_plot, comparison)})


def series(row: Row) -> str:
    return SERIES.get(row.series, row.series)


def change(row: Row) -> str:
    """+3.2 µs: what the ratio makes of the base's median."""
    return f"{row.delta_us:+.1f} µs" if abs(row.delta_us) < 100 else f"{row.delta_us:+,.0f} µs"


def _context(comparison: Comparison) -> dict[str, Any]:
    rows = _worst_first(comparison)
    return {
        "comparison": comparison,
        "rows": rows,
        "words": WORDS,
        "series": series,
        "change": change,
        "counts": {
            verdict: sum(row.verdict == verdict for row in rows) for verdict in ("pass", "fail", "inconclusive")
        },
        "slowest": max(rows, key=lambda row: row.ratio.value, default=None),
        "fastest": min(rows, key=lambda row: row.ratio.value, default=None),
        "records": (("base", comparison.base), ("new", comparison.new)),
        "busy": [
            name
            for name, record in (("base", comparison.base), ("new", comparison.new))
            if not all(artifact.text_to_label.timing.quiet for artifact in record.artifacts)
            or not all(peer.text_to_label.timing.quiet for peer in record.peers if peer.text_to_label)
        ],
    }


def _worst_first(comparison: Comparison) -> list[Row]:
    order = {"fail": 0, "inconclusive": 1}
    return sorted(comparison.rows, key=lambda row: (order.get(row.verdict, 2), -row.ratio.value))


def _forest_plot(comparison: Comparison, width: int) -> str:
    rows = [bench_plots.Ratio(row.name, series(row), row.ratio, row.verdict) for row in _worst_first(comparison)]
    return bench_plots.forest(rows, comparison.max_ratio, "New over base", width) if rows else ""
