"""The record of `edgewright families`: every family at its reference size, in every format, and its Markdown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from rich.table import Table

from edgewright.benchmarks.record import Interval, Machine, checked
from edgewright.benchmarks.reports.units import megabytes

SCHEMA = 1
SLOWEST_SHARE = 2.0  # ExecuTorch and ONNX Runtime against the fastest, on functions above LONG_MS
LONG_MS = 0.05


@dataclass(frozen=True)
class Bar:
    """The most milliseconds of one call of a function, int8; of `target`, or of the fastest where that is None."""

    family: str
    function: str
    ms: float
    target: str | None = None


BARS = (
    Bar("sequence_net", "step", 0.005, "litert"),
    Bar("sequence_net", "forward_5", 0.010, "litert"),
    Bar("lstm_attention", "forward_64", 0.25),
    Bar("tagger_bilstm", "forward_64", 0.2),
    Bar("tagger_dilated_cnn", "forward_64", 0.2),
    Bar("tagger_characters", "forward_64", 0.2),
    Bar("hybrid_small", "step", 0.3),
    Bar("hybrid_full", "step", 5.0),
)


@dataclass(frozen=True)
class FamilyRow:
    """One function of one file.

    error: the largest difference from PyTorch with the same weights, relative to the largest output. p50_ms: None where
    the runtime is no device's own (Core ML's reference interpreter). normalised_p50: over the reference workload.
    times_fastest: over the fastest runtime with the same kind of numerics.
    """

    family: str
    function: str
    target: str
    numerics: str
    parameters: int
    size_bytes: int
    error: float
    export_seconds: float
    p50_ms: Interval | None = None
    normalised_p50: Interval | None = None
    quiet: bool | None = None
    times_fastest: float | None = None


@dataclass(frozen=True)
class FamilyRecord:
    """What was measured, on which machine. Weights are random: nothing here speaks of accuracy."""

    rows: tuple[FamilyRow, ...]
    effort: str
    created: str
    machine: Machine
    schema: int = SCHEMA


_RECORD = TypeAdapter(FamilyRecord)


def to_json(record: FamilyRecord) -> dict[str, Any]:
    return {"schema": record.schema, **asdict(record)}


def from_json(values: Any, place: str) -> FamilyRecord:
    """The record, checked; unknown keys are ignored, so that a later version may add some.

    Raises:
        DamagedFileError: no such record; `place` names it.
    """
    return checked(_RECORD, values, place, f"a record of families, schema {SCHEMA}")


def compared(rows: Sequence[FamilyRow]) -> tuple[FamilyRow, ...]:
    """The rows with `times_fastest`."""
    fastest: dict[tuple[str, str, bool], float] = {}
    for row in rows:
        if row.p50_ms is not None:
            fastest[_alike(row)] = min(fastest.get(_alike(row), row.p50_ms.value), row.p50_ms.value)
    return tuple(
        row if row.p50_ms is None else replace(row, times_fastest=row.p50_ms.value / fastest[_alike(row)])
        for row in rows
    )


def console(record: FamilyRecord) -> tuple[Table, ...]:
    """The table that a terminal gets, and the bars."""
    table, bars = (Table(box=None, header_style="bold", pad_edge=False) for _ in range(2))
    for name in ("family", "function", "target", "numerics"):
        table.add_column(name, no_wrap=True)
    for name in ("file", "error", "p50 [95 %]", "× fastest"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in record.rows:
        times = "–" if row.times_fastest is None else f"{row.times_fastest:.2f}"
        names = (row.family, row.function, row.target, row.numerics)
        table.add_row(*names, megabytes(row.size_bytes), f"{row.error:.1g}", _latency(row.p50_ms), times)
    bars.add_column("bars", no_wrap=True)
    for line in verdicts(record.rows):
        bars.add_row(line)
    return (table, bars) if bars.row_count else (table,)


def markdown(record: FamilyRecord) -> str:
    """The record for a committed result."""
    machine = record.machine
    lines = [
        "# Every family in every format",
        "",
        "Reference sizes, random weights, one thread, arrays in to arrays out, "
        f"effort {record.effort}, {record.created}.",
        "Error: the largest difference from PyTorch with the same weights, over the largest output. Core ML: reference",
        "interpreter, not timed.",
        "",
        "| family | function | target | numerics | file | error | p50 [95 %] | × fastest | export |",
        "|---|---|---|---|---:|---:|---|---:|---:|",
    ]
    lines += [
        f"| {row.family} | {row.function} | {row.target} | {row.numerics} | {megabytes(row.size_bytes)} "
        f"| {row.error:.1g} | {_latency(row.p50_ms)} "
        f"| {'–' if row.times_fastest is None else f'{row.times_fastest:.2f}'} | {row.export_seconds:.0f} s |"
        for row in record.rows
    ]
    lines += ["", "## Bars", "", *(f"- {line}" for line in verdicts(record.rows)), ""]
    busy = [row for row in record.rows if row.quiet is False]
    if busy:
        lines += [f"The machine was busy while {len(busy)} of these were timed: medians only.", ""]
    lines += [
        f"Machine: {machine.cpu} ({machine.architecture}), {machine.usable_cores} of {machine.logical_cores} cores, "
        f"{machine.system}, Python {machine.python}"
        + (f", commit {machine.git_commit[:12]}" if machine.git_commit else "")
        + (" with changes" if machine.git_dirty else "")
        + ".",
        "",
    ]
    return "\n".join(lines)


def verdicts(rows: Sequence[FamilyRow]) -> list[str]:
    """One line a bar that was measured, and one for every function that is slow beside the fastest runtime."""
    lines = []
    int8 = [row for row in rows if "wi8" in row.numerics and row.p50_ms is not None]
    for bar in BARS:
        found = [row for row in int8 if (row.family, row.function) == (bar.family, bar.function)]
        found = [row for row in found if bar.target in (None, row.target)]
        if found:
            best = min(found, key=_p50)
            lines.append(
                f"{bar.family} {bar.function}: {_p50(best):.3g} ms in {best.target}, at most {bar.ms:.3g} ms: "
                f"{'met' if _p50(best) <= bar.ms else 'missed'}"
            )
    for row in int8:
        if _p50(row) > LONG_MS and (row.times_fastest or 0) > SLOWEST_SHARE:
            lines.append(
                f"{row.family} {row.function}: {row.target} takes {row.times_fastest:.2f} times the fastest, "
                f"above {SLOWEST_SHARE:g}"
            )
    return lines


def _alike(row: FamilyRow) -> tuple[str, str, bool]:
    return row.family, row.function, row.numerics == "fp32"


def _p50(row: FamilyRow) -> float:
    assert row.p50_ms is not None
    return row.p50_ms.value


def _latency(p50: Interval | None) -> str:
    if p50 is None:
        return "–"
    bounds = "" if p50.low is None or p50.high is None else f" [{p50.low:.3g}, {p50.high:.3g}]"
    return f"{p50.value:.3g} ms{bounds}"
