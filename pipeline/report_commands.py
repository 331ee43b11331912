"""What `edgewright report` does: a record of any kind as tables, as Markdown or as a page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from edgewright.benchmarks import bench_record, family_record, search_record, sensitivity_record
from edgewright.benchmarks import record as run_record
from edgewright.benchmarks.reports import bench_report, run_report, search_report, sensitivity_report, steps
from edgewright.benchmarks.reports.run_report import Details
from edgewright.data.files import read_json, write_text
from edgewright.errors import UsageError

FILES = ("record.json", "bench.json", "peers.json", "families.json", "search.json", "sensitivity.json")
FORMS = (".html", ".md")  # what --out may end in


@dataclass(frozen=True)
class Shown:
    """A record as JSON values, as tables with lines below them, and as files; html: None where it has no page."""

    record: dict[str, Any]
    tables: tuple[Table, ...]
    lines: tuple[str, ...]
    markdown: Callable[[], str]
    html: Callable[[], str] | None


def report(path: Path, out: Path | None) -> Shown:
    """A record that an earlier command wrote, also to `out` where that is given; its HTML holds no texts.

    path: the file, or the folder that holds one of FILES.

    Raises:
        DamagedFileError: it is no record. UsageError: the folder holds none, or several; the file is of another kind;
            `out` is neither .html nor .md, or .html of a record that has no page.
    """
    if out is not None and out.suffix not in FORMS:
        raise UsageError(f"--out {out}: the name must end in {' or '.join(FORMS)}")
    path = _record_in(path) if path.is_dir() else path
    shown = _shown(read_json(path), path)
    if out is not None:
        form = shown.markdown if out.suffix == ".md" else shown.html
        if form is None:
            raise UsageError(f"--out {out}: {path.name} has no page; give a name that ends in .md")
        write_text(out, form())
    return shown


def _record_in(folder: Path) -> Path:
    found = [folder / name for name in FILES if (folder / name).exists()]
    if len(found) != 1:
        have = f"holds {' and '.join(path.name for path in found)}" if found else f"holds none of {', '.join(FILES)}"
        raise UsageError(f"{folder}: {have}; give the file of one record")
    return found[0]


def _shown(given: Any, path: Path) -> Shown:
    values = given if isinstance(given, dict) else {}
    if "cells" in values:  # of a run, whose kind is its task's
        return _run(given, str(path))
    match values.get("kind"):
        case None if "rows" in values:
            return _families(given, str(path))
        case None:
            return _run(given, str(path))  # which says what a run lacks
        case "bench" | "peers":
            return _bench(given, str(path))
        case "search":
            return _search(given, str(path))
        case "sensitivity":
            return _sensitivity(given, str(path))
        case "comparison":
            raise UsageError(f"{path}: is a comparison, whose page edgewright compare --out writes; give a record")
        case kind:
            raise UsageError(
                f"{path}: is of kind {kind!r}, which this version does not show; it shows {', '.join(FILES)}"
            )


def _run(values: Any, place: str) -> Shown:
    found = run_record.from_json(values, place)
    labels = tuple(next((cell.metrics.get("per_class", {}) for cell in found.cells if cell.metrics), {}))
    return Shown(
        run_record.to_json(found),
        (run_report.console(found), *steps.console(found)),
        tuple(run_report.lines(found)),
        lambda: run_report.markdown(found),
        lambda: run_report.html(found, Details(labels)),
    )


def _bench(values: Any, place: str) -> Shown:
    found = bench_record.from_json(values, place)
    return Shown(
        bench_record.to_json(found),
        bench_report.console(found),
        (),
        lambda: bench_report.markdown(found),
        lambda: bench_report.html(found),
    )


def _families(values: Any, place: str) -> Shown:
    found = family_record.from_json(values, place)
    return Shown(
        family_record.to_json(found),
        family_record.console(found),
        (),
        lambda: family_record.markdown(found),
        None,
    )


def _search(values: Any, place: str) -> Shown:
    found = search_record.from_json(values, place)
    return Shown(
        search_record.to_json(found),
        search_report.console(found),
        (search_report.sentence(found),),
        lambda: search_report.markdown(found),
        lambda: search_report.html(found),
    )


def _sensitivity(values: Any, place: str) -> Shown:
    found = sensitivity_record.from_json(values, place)
    return Shown(
        sensitivity_record.to_json(found),
        sensitivity_report.console(found),
        (sensitivity_report.sentence(found),),
        lambda: sensitivity_report.markdown(found),
        lambda: sensitivity_report.html(found),
    )
