"""What each step of a recipe gave: a table for the console, and what the page draws."""

from rich.table import Table

from edgewright.benchmarks.record import Paired, RunRecord, StepResult
from edgewright.benchmarks.reports import plots
from edgewright.benchmarks.reports.scores import share
from edgewright.benchmarks.reports.units import megabytes, milliseconds


def console(record: RunRecord) -> list[Table]:
    """One table of the steps' artifacts where the run had --ablate, one of paired differences where there are some."""
    tables = []
    if record.steps:
        table = Table(box=None, header_style="bold", pad_edge=False, title="by step", title_justify="left")
        for name in ("step", "target", "numerics"):
            table.add_column(name, no_wrap=True)
        for name in ("shipped", "accuracy", "agreement", "p50", "text → label"):
            table.add_column(name, justify="right", no_wrap=True)
        for result in record.steps:
            table.add_row(result.step, result.target, result.numerics, *cells_of(result))
        tables.append(table)
    if record.paired:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("", "against"):
            table.add_column(name, no_wrap=True)
        table.add_column("points more accurate on test [95 %]", no_wrap=True)
        for one in record.paired:
            table.add_row(model(one), against(one), points(one))
        tables.append(table)
    return tables


def cells_of(result: StepResult) -> tuple[str, ...]:
    """Shipped bytes, accuracy or span F1, agreement and both times, as text."""
    score = result.metrics.get("span_f1", result.accuracy)
    return (
        megabytes(result.shipped_bytes),
        share(score),
        share(result.label_agreement),
        milliseconds(result.p50_ms),
        milliseconds(result.text_to_label_p50_ms),
    )


def model(one: Paired) -> str:
    """ "distill 0.951 (3 seeds)"."""
    return _named(one.model, one.accuracy, one.seeds)


def against(one: Paired) -> str:
    return _named(one.against, one.accuracy_against, one.seeds_against)


def points(one: Paired) -> str:
    """ "+1.2 [+0.8, +1.7]"."""
    low, high = one.difference.low, one.difference.high
    bounds = "" if low is None or high is None else f" [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{100 * one.difference.value:+.1f}{bounds}"


def plot(record: RunRecord, width: int) -> str:
    """Size against accuracy, a point an artifact; "" where there is nothing to draw."""
    found = [
        plots.Point(
            f"{result.step}: {result.target} {result.numerics}", result.target, result.shipped_bytes / 1e6, score
        )
        for result in record.steps
        if (score := result.metrics.get("span_f1", result.accuracy)) is not None
    ]
    if not found:
        return ""
    return plots.scatter(found, "Size against accuracy, by step", "MB shipped (logarithmic)", "accuracy", width)


def _named(name: str, accuracy: float, seeds: int) -> str:
    return f"{name} {share(accuracy)} ({seeds} seed{'s' if seeds > 1 else ''})"
