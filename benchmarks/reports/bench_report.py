"""The report of a bench record, of either kind: console tables, Markdown and one self-contained HTML page.

As in report.py the page needs no network and no script, its plots are inline SVG, and all three show the same figures.
"""

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from edgewright.benchmarks.bench_record import BenchRecord, Operator, Roofline
from edgewright.benchmarks.latency import QUIET_CPU_SHARE, QUIET_SPREAD
from edgewright.benchmarks.record import Timing
from edgewright.benchmarks.reports import drawings
from edgewright.benchmarks.reports.drawings import kinds_of, longest, peer_colour, runtime_colour
from edgewright.benchmarks.reports.figures import (
    NO_FIGURE,
    bounded,
    cell,
    count,
    figure,
    memory,
    microseconds,
    moment,
    tail,
    times,
)
from edgewright.benchmarks.reports.run_report import PHONE, TEMPLATES, WIDE
from edgewright.benchmarks.reports.scores import share
from edgewright.benchmarks.reports.standings import best_of_ours, sentences, standings
from edgewright.benchmarks.reports.units import megabytes, milliseconds

NOT_AVAILABLE = "not available"
NEAR, FAR = 2.0, 4.0  # times bound + empty call: within the first is good, beyond the second needs its explanation


def console(record: BenchRecord) -> tuple[Table, ...]:
    """The tables that a terminal gets: artifacts, rooflines, peers; only those that have rows."""
    tables = []
    if record.artifacts:
        table = _table(("artifact",), ("shipped", "text → label, p50 [95 %]", "inference", "normalised", "p99", "cold"))
        table.add_column("memory", justify="right", no_wrap=True)
        table.add_column("valid")
        for artifact in record.artifacts:
            table.add_row(
                artifact.name,
                megabytes(artifact.shipped_bytes),
                bounded(artifact.text_to_label.p50_ms),
                milliseconds(artifact.inference.p50_ms),
                figure(artifact.text_to_label.normalised_p50),
                tail(artifact.text_to_label),
                milliseconds(artifact.cold.process_ms) if artifact.cold else NO_FIGURE,
                megabytes(artifact.peak_memory_bytes),
                _valid(artifact.text_to_label.timing),
            )
        tables.append(table)
    if any(artifact.roofline for artifact in record.artifacts):
        table = _table(("artifact",), ("length", "bound", "empty call", "measured", "ratio"))
        for artifact in record.artifacts:
            for roofline in artifact.roofline:
                table.add_row(
                    artifact.name,
                    str(roofline.length),
                    microseconds(roofline.bound_us),
                    microseconds(roofline.empty_call_us),
                    microseconds(roofline.measured_us.value),
                    f"{roofline.ratio:.1f}",
                )
        tables.append(table)
    if record.peers:
        table = _table(("peer",), ("accuracy", "shipped", "text → label, p50", "accuracy ×", "size ×", "latency ×"))
        for row in standings(record):
            table.add_row(
                Text(row.peer.name, style="bold" if row.peer.ours else ""),
                share(row.peer.accuracy),
                megabytes(row.peer.shipped_bytes),
                milliseconds(row.peer.text_to_label.p50_ms) if row.peer.text_to_label else NO_FIGURE,
                *(times(value) for value in (row.accuracy, row.size, row.latency)),
            )
        tables.append(table)
    return tuple(tables)


def markdown(record: BenchRecord) -> str:
    """The record for a README, a pull request or a committed result."""
    return markdown_of("bench.md.j2", _context(record))


def html(record: BenchRecord) -> str:
    """The whole page."""
    plots: dict[str, Callable[[BenchRecord, int], str]] = {
        "text_plot": drawings.text_to_label,
        "blocks_plot": drawings.blocks,
        "lengths_plot": drawings.lengths,
        "throughput_plot": drawings.throughput,
        "stack_plot": drawings.where_time_goes,
        "roof_plot": drawings.rooflines,
        "peer_size_plot": drawings.size_against_accuracy,
        "peer_latency_plot": drawings.latency_against_accuracy,
    }
    return render("bench.html.j2", _context(record) | {name: both(draw, record) for name, draw in plots.items()})


def flags(timing: Timing) -> list[tuple[str, str, bool]]:
    """How far a series can be believed: (what, in words, whether it is as it should be)."""
    warm = {True: "settled", False: "unsettled", None: NO_FIGURE}[timing.warmed_up]
    if timing.warm_calls is not None:
        warm += f", {timing.warm_calls:,} calls"
    blocks = "" if timing.disturbed_blocks is None else f"{timing.disturbed_blocks} of {timing.blocks}"
    outliers = "" if timing.outlier_share is None else f"{100 * timing.outlier_share:.1f} %"
    throttled = {True: "yes", False: "no", None: NO_FIGURE}[timing.throttled]
    return [
        ("calls", f"{timing.calls:,}" + ("" if timing.calls_met else ", too few"), timing.calls_met),
        ("duration", f"{timing.seconds:.1f} s" + ("" if timing.duration_met else ", too short"), timing.duration_met),
        ("warm-up", warm, timing.warmed_up is not False),
        ("disturbed blocks", blocks or NO_FIGURE, 2 * (timing.disturbed_blocks or 0) <= timing.blocks),
        ("outliers", outliers or NO_FIGURE, True),
        ("throttled", throttled, not timing.throttled),
        ("reference spread", f"{100 * timing.reference_spread:.0f} %", timing.reference_spread <= QUIET_SPREAD),
        ("CPU share", f"{100 * timing.cpu_share:.0f} %", timing.cpu_share >= QUIET_CPU_SHARE),
        ("quiet", "yes" if timing.quiet else "no", timing.quiet),
    ]


def slowest(roofline: Roofline, most: int = 12) -> list[Operator]:
    """The operators that take longest, by the profile where there is one, else by their bounds."""
    return sorted(roofline.operators, key=lambda op: -(op.bound_us if op.measured_us is None else op.measured_us))[
        :most
    ]


def render(template: str, context: dict[str, Any], escape: bool = True) -> str:
    """A template of templates/ with the project's ways to write figures; a missing value is an error, never blank."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    words = (megabytes, milliseconds, bounded, share, microseconds, figure, tail, count, times, moment, cell, memory)
    environment.filters |= {function.__name__: function for function in words}
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(**context | {"style": style})


def markdown_of(template: str, context: dict[str, Any]) -> str:
    """As `render`, without the blanks that a template leaves at the ends of lines and of the text."""
    lines = [line.rstrip() for line in render(template, context, escape=False).splitlines()]
    return "\n".join(lines).strip() + "\n"


def both(draw: Callable[[Any, int], str], subject: Any) -> Markup:
    """A plot for each of the two layouts; nothing where there is nothing to draw."""
    wide, narrow = draw(subject, WIDE), draw(subject, PHONE)
    return Markup(f'<div class="wide">{wide}</div><div class="phone">{narrow}</div>' if wide else "")


def _context(record: BenchRecord) -> dict[str, Any]:
    single = [artifact for artifact in record.artifacts if artifact.threads == 1] or list(record.artifacts)
    timed = [(a.name, runtime_colour(a), a.text_to_label) for a in record.artifacts]
    timed += [(p.name, peer_colour(p), p.text_to_label) for p in record.peers if p.text_to_label]
    rooflines = [(artifact, roofline) for artifact in record.artifacts for roofline in artifact.roofline]
    threads = sorted({artifact.threads for artifact in record.artifacts})
    pairs = list(dict.fromkeys((a.runtime, a.numerics) for a in record.artifacts))
    by_threads = {(a.runtime, a.numerics, a.threads): a for a in record.artifacts}
    return {
        "record": record,
        "title": "against what one would use instead" if record.kind == "peers" else "bench",
        "fastest": min(single, key=lambda a: a.text_to_label.p50_ms.value, default=None),
        "fastest_inference": min(single, key=lambda a: a.inference.p50_ms.value, default=None),
        "smallest": min(single, key=lambda a: a.shipped_bytes, default=None),
        "nearest": min(rooflines, key=lambda pair: pair[1].ratio, default=None),
        "timed": timed,
        "busy": [name for name, _, found in timed if not found.timing.quiet],
        "throttled": [name for name, _, found in timed if found.timing.throttled],
        "parts": [artifact for artifact in record.artifacts if artifact.cold],
        "with_lengths": [artifact for artifact in record.artifacts if artifact.lengths],
        "lengths": sorted({length.length for artifact in record.artifacts for length in artifact.lengths}),
        "with_throughput": [artifact for artifact in record.artifacts if artifact.throughput],
        "batches": sorted({batch.batch for artifact in record.artifacts for batch in artifact.throughput}),
        "batch_lengths": sorted({batch.length for artifact in record.artifacts for batch in artifact.throughput}),
        "threads": threads,
        "thread_rows": [(*pair, [by_threads.get((*pair, n)) for n in threads]) for pair in pairs],
        "rooflines": rooflines,
        "explained": [(artifact, roofline) for artifact, roofline in rooflines if roofline.explanation],
        "profiled": [(a, found) for a in record.artifacts if (found := longest(a)) and found.operators],
        "kinds": kinds_of(record),
        "near": NEAR,
        "far": FAR,
        "slowest": slowest,
        "flags": flags,
        "standings": standings(record),
        "best": best_of_ours(record),
        "sentences": sentences(record),
        "energy": any(artifact.energy for artifact in record.artifacts),
        "not_available": NOT_AVAILABLE,
    }


def _table(names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _valid(timing: Timing) -> Text:
    # what makes a machine busy is said by that word
    wrong = [f"{what} {words}" for what, words, fine in flags(timing)[:-3] if not fine]
    if timing.quiet and not wrong:
        return Text("yes", style="green")
    return Text("; ".join(["quiet" if timing.quiet else "busy", *wrong]), style="yellow")
