"""The report of a run: the same record as a console table, as Markdown and as one self-contained HTML page.

Only the page holds texts (`Details`), because it stays on the machine that has the data. It needs no network and no
script; its plots are inline SVG.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from edgewright.benchmarks.record import Cell, GateResult, Interval, RunRecord, Verdict
from edgewright.benchmarks.reports import plots, steps
from edgewright.benchmarks.reports.scores import Score, scores_of, share
from edgewright.benchmarks.reports.units import megabytes, milliseconds
from edgewright.train import metrics

TEMPLATES = Path(__file__).parent / "templates"
MATRIX_CLASSES = 25  # more classes than that make no readable matrix: the most confused ones are shown
CONFUSED_CLASSES = 12
CONFUSED_PAIRS = 12
WIDE, PHONE = 920, 340  # pixels that a plot is drawn for; the style sheet shows one of the two

WORDS: dict[Verdict, str] = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "inconclusive",
    "not_verifiable": "not verifiable here",
    "unsupported": "unsupported",
}
STYLES: dict[Verdict, str] = {
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
    "not_verifiable": "cyan",
    "unsupported": "dim",
}


@dataclass(frozen=True)
class Difference:
    """A text on which an artifact and PyTorch differ."""

    artifact: str
    row: int
    text: str
    label: str
    pytorch: str
    answer: str
    max_abs_logit_error: float


@dataclass(frozen=True)
class SampleReply:
    """A test message and what is answered to it. others: the artifacts that answer something else than PyTorch."""

    row: int
    context: tuple[str, ...]
    message: str
    response: str  # of the data
    pytorch: str
    others: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Details:
    """What the page shows and the record must not hold, or need not."""

    labels: tuple[str, ...]
    confusion: np.ndarray | None = None  # (C, C) counts, true class x predicted class
    confusion_of: str = ""
    differences: tuple[Difference, ...] = ()  # the largest first
    replies: tuple[SampleReply, ...] = ()


def console(record: RunRecord) -> Table:
    """One line a cell, for rich; unsupported cells and what gates say about the others come last in `reasons`."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("target", "numerics"):
        table.add_column(name, no_wrap=True)
    main = scores_of(record)[0]
    for name in ("shipped", main.title, "agreement"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("p50 [95 %]", "load"):
        table.add_column(name, no_wrap=True)
    table.add_column("verdict")
    for cell in made(record):
        table.add_row(
            cell.target,
            cell.numerics,
            megabytes(cell.shipped_bytes),
            main.text(cell),
            share(cell.label_agreement),
            latency(cell),
            milliseconds(cell.load_ms),
            Text(verdict(cell), style=STYLES[cell.verdict]),
        )
    return table


def reasons(record: RunRecord) -> list[str]:
    """One line for each cell that is no plain pass: "onnx fp16: unsupported: …"."""
    return [
        f"{cell.target} {cell.numerics}: {WORDS[cell.verdict]}: {cell.reason}" for cell in record.cells if cell.reason
    ]


def lines(record: RunRecord) -> list[str]:
    """What stands below the table on a console: reasons, what hurts, the verdict, and what to take."""
    return [*reasons(record), *record.hurts, "", f"verdict: {record.verdict}", *recommendation(record)]


def recommendation(record: RunRecord) -> list[str]:
    """One line: what to take of the run, and what not and why; none for a record that does not say it."""
    said = record.recommended
    if said is None:
        return []
    if said.without:
        tables = " and ".join(f"[{name}]" for name in said.without)
        why = "; ".join(f"[{name}]: {reason}" for name, reason in zip(said.without, said.reasons, strict=True))
        return [f"recommended: the model of step {said.step}, which is the recipe without {tables}. {why}"]
    if said.artifacts:
        return [f"recommended: {', '.join(said.artifacts)}"]
    passing = any(cell.verdict == "pass" for cell in record.cells)
    return [f"recommended: nothing: no artifact passes{' and is as fast as fp32' if passing else ''}"]


def bundle(record: RunRecord) -> str:
    """Where the bundle lies; and that it holds what is not recommended, where it does."""
    if record.bundle is None:
        return "none: no cell may ship"
    said = record.recommended
    return record.bundle if said is None or not said.without else f"{record.bundle} (of the whole recipe)"


def markdown(record: RunRecord) -> str:
    """The record for a README, a pull request or a committed result; it holds no text of a data set."""
    return environment(escape=False).get_template("report.md.j2").render(**_context(record))


def html(record: RunRecord, details: Details) -> str:
    """The whole page. Every value is escaped by the template, texts of users above all."""
    page = environment(escape=True)
    context = _context(record) | {
        "details": details,
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "latency_plot": _both(_latency_plot, record),
        "text_plot": _both(_text_plot, record),
        "size_plot": _both(_size_plot, record),
        "steps_plot": _both(steps.plot, record),
        "confusion_plot": "",
        "confusion_note": "",
        "confused": [],
        "classes": [],
    }
    if details.confusion is not None:
        context |= _confusion(details.confusion, details.labels)
    return page.get_template("report.html.j2").render(**context)


def made(record: RunRecord) -> list[Cell]:
    """The cells that have, or should have, an artifact."""
    return [cell for cell in record.cells if cell.verdict != "unsupported"]


def verdict(cell: Cell) -> str:
    """As a person reads it; Core ML's is always that of the reference interpreter, not of Apple's runtime."""
    interpreted = cell.target == "coreml" and cell.verdict in ("pass", "fail", "inconclusive")
    return WORDS[cell.verdict] + (" (reference interpreter)" if interpreted else "")


def latency(cell: Cell) -> str:
    if cell.p50_ms is None:
        return "not verifiable here" if cell.target == "coreml" else "–"
    return milliseconds(cell.p50_ms, bounds=True)


def bound(gate: GateResult) -> str:
    """≤ 0.50 MB; the sign comes from the gate's name."""
    sign = {"min": "≥ ", "max": "≤ "}.get(gate.name.partition("_")[0], "")
    return sign + _in_unit(gate.name, gate.bound)


def measured(gate: GateResult) -> str:
    return "–" if gate.measured is None else _in_unit(gate.name, gate.measured)


def _in_unit(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return megabytes(value)
    if name.endswith("_ms"):
        return milliseconds(Interval(value))
    # a share; small differences keep two digits, since three decimals would make nothing of them
    return share(value) if 0.01 <= value <= 1 else f"{value:.2g}"


def operators(counts: dict[str, int] | None) -> str:
    """conv_1d × 2, linear × 1; a dash where there are none."""
    return ", ".join(f"{name} × {count}" for name, count in (counts or {}).items()) or "–"


def visible(text: str) -> str:
    """The text with what a page cannot show made visible: ␀ for a NUL, � for half a surrogate pair."""
    return text.translate(_PICTURES).encode("utf-8", "surrogatepass").decode("utf-8", "replace")


# Control characters but the tab and the line ends, which the page shows as what they are.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {127: 0x2421}


def most_confused(counts: np.ndarray, labels: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Pairs of different classes by the rows that went from one to the other."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(labels)) for place in order]
    return [
        {"label": labels[i], "answer": labels[j], "n": int(wrong[i, j]), "share": wrong[i, j] / counts[i].sum()}
        for i, j in pairs
        if wrong[i, j]
    ]


def environment(escape: bool) -> Environment:
    """What renders the templates; escape: for HTML."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"megabytes": megabytes, "share": share, "milliseconds": milliseconds, "measured": measured}
    made.filters["bound"] = bound
    made.filters["visible"] = visible
    made.globals |= {"steps": steps}
    made.globals |= {"latency": latency, "verdict": verdict, "operators": operators, "words": WORDS}
    return made


def _context(record: RunRecord) -> dict[str, Any]:
    cells = made(record)
    gates = [(cell, gate) for cell in cells for gate in cell.gates]
    passing = [cell for cell in cells if cell.verdict == "pass"] or cells
    timed = [cell for cell in passing if cell.p50_ms is not None]
    return {
        "record": record,
        "cells": cells,
        "unsupported": [cell for cell in record.cells if cell.verdict == "unsupported"],
        "gates": gates,
        "gates_passed": [(cell, gate) for cell, gate in gates if gate.verdict == "pass"],
        "gates_not_passed": [(cell, gate) for cell, gate in gates if gate.verdict != "pass"],
        "loosened": [(cell, gate) for cell, gate in gates if gate.loosened],
        "scores": scores_of(record),
        "most_accurate": _best(passing, scores_of(record)[0]),
        "spans": _spans(_best(passing, scores_of(record)[0])),
        "smallest": min((c for c in passing if c.shipped_bytes is not None), key=_shipped, default=None),
        "fastest": min(timed, key=_p50, default=None),
        "recommendation": [line[:1].upper() + line[1:] for line in recommendation(record)],
        "noisy": [cell for cell in cells if cell.timing is not None and not cell.timing.quiet],
    }


def _both(plot: Any, record: RunRecord) -> Markup:
    """A plot for each of the two layouts; nothing where there is nothing to draw."""
    wide, narrow = plot(record, WIDE), plot(record, PHONE)
    return Markup(f'<div class="wide">{wide}</div><div class="phone">{narrow}</div>' if wide else "")


def _latency_plot(record: RunRecord, width: int) -> str:
    rows = [
        plots.Bar(
            f"{cell.target} {cell.numerics}",
            cell.target,
            cell.p50_ms,
            mark=cell.empty_call_ms.value if cell.empty_call_ms else None,
        )
        for cell in made(record)
        if cell.p50_ms is not None
    ]
    rows += [plots.Bar(b.name, "baseline", b.p50_ms) for b in record.baselines if b.p50_ms is not None]
    return plots.bars(rows, "Latency of one inference, p50", "ms", width) if rows else ""


def _text_plot(record: RunRecord, width: int) -> str:
    rows = [
        plots.Bar(
            f"{cell.target} {cell.numerics}",
            cell.target,
            cell.text_to_label_p50_ms,
            mark=cell.encode_p50_ms.value if cell.encode_p50_ms else None,
        )
        for cell in made(record)
        if cell.text_to_label_p50_ms is not None
    ]
    if not rows:
        return ""
    rows += [
        plots.Bar(b.name, "baseline", b.text_to_label_p50_ms)
        for b in record.baselines
        if b.text_to_label_p50_ms is not None
    ]
    return plots.bars(rows, "Text to label, p50", "ms", width)


def _size_plot(record: RunRecord, width: int) -> str:
    main = scores_of(record)[0]
    points = [
        plots.Point(f"{cell.target} {cell.numerics}", cell.target, cell.shipped_bytes / 1e6, value)
        for cell in made(record)
        if cell.shipped_bytes and (value := main.of(cell)) is not None
    ]
    points += [
        plots.Point(b.name, "baseline", b.size_bytes / 1e6, value)
        for b in record.baselines
        if b.size_bytes and (value := main.of(b)) is not None
    ]
    if not points:
        return ""
    return plots.scatter(points, f"Size against {main.title}", "MB shipped (logarithmic)", main.title, width)


def _confusion(counts: np.ndarray, labels: tuple[str, ...]) -> dict[str, Any]:
    note = ""
    shown = list(range(len(labels)))
    if len(labels) > MATRIX_CLASSES:
        shown = _confused_classes(counts, labels)
        note = f"{len(shown)} of {len(labels)} classes: those of the pairs that are most confused."
    part, names = counts[np.ix_(shown, shown)], [labels[i] for i in shown]
    totals = counts.sum(axis=1)[shown]
    title = "Confusion matrix"
    # a matrix of many classes has cells of a few pixels on a phone: it may be scrolled there
    phone = max(PHONE, 150 + 24 * len(names)) if len(names) > 6 else PHONE
    drawn = [plots.confusion(part, totals, names, title, width) for width in (WIDE, phone)]
    scores = metrics.per_class(counts)
    rows = [
        {"label": label, "n": score.n, "precision": score.precision, "recall": score.recall, "f1": score.f1}
        for label, score in zip(labels, scores, strict=True)
    ]
    return {
        "confusion_plot": Markup(f'<div class="wide">{drawn[0]}</div><div class="phone scroll">{drawn[1]}</div>'),
        "confusion_note": note,
        "confused": most_confused(counts, labels, CONFUSED_PAIRS),
        "classes": sorted(rows, key=lambda row: (row["n"] == 0, row["f1"])),
    }


def _confused_classes(counts: np.ndarray, labels: Sequence[str]) -> list[int]:
    """The classes of the most confused pairs, in the order of their names, so that likes stand together."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    chosen: list[int] = []
    for place in np.argsort(-wrong, axis=None, kind="stable"):
        new = [i for i in divmod(int(place), len(labels)) if i not in chosen]
        if len(chosen) + len(new) > CONFUSED_CLASSES:
            break
        chosen += new
    return sorted(chosen, key=lambda i: labels[i])


def _best(cells: list[Cell], main: Score) -> Cell | None:
    """The cell with the best main score."""
    found = [(value, cell) for cell in cells if (value := main.of(cell)) is not None]
    best = min if main.lowest else max
    return best(found, key=lambda one: one[0])[1] if found else None


def _spans(cell: Cell | None) -> list[dict[str, Any]]:
    """Of a tagger's best cell: one row for each source of the rows, then one for each type of entity."""
    if cell is None:
        return []
    return [
        {"group": group, "name": name, **figures}
        for group, key in (("source", "by_source"), ("type", "by_type"))
        for name, figures in cell.metrics.get(key, {}).items()
    ]


def _shipped(cell: Cell) -> int:
    return cell.shipped_bytes or 0


def _p50(cell: Cell) -> float:
    return cell.p50_ms.value if cell.p50_ms else math.inf
