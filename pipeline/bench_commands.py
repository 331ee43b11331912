"""What `bench`, `compare` and `peers` read and write: records and their reports."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgewright.benchmarks import bench_record
from edgewright.benchmarks.bench_record import BenchRecord
from edgewright.benchmarks.compare import Comparison
from edgewright.benchmarks.record import plain
from edgewright.benchmarks.reports import bench_report, compare_report
from edgewright.data.files import read_json, write_json, write_text
from edgewright.errors import UsageError

MOST_THREADS = 64


def read(path: Path) -> BenchRecord:
    """The bench record in a file.

    Raises:
        DamagedFileError: it is missing, no JSON, or no such record. UsageError: it is that of a run or of families.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the bench.json in it, or the peers.json")
    given = read_json(path)
    other = None
    if isinstance(given, dict) and "cells" in given:
        other = "a run"
    elif isinstance(given, dict) and "rows" in given:
        other = "families"
    if other:
        raise UsageError(f"{path}: is the record of {other}; give a bench.json, which edgewright bench --out writes")
    return bench_record.from_json(given, str(path))


def thread_counts(given: str) -> tuple[int, ...]:
    """(1, 2, 4) of "1,2,4".

    Raises:
        UsageError: something else stands there.
    """
    parts = given.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= MOST_THREADS for part in parts):
        raise UsageError(f"--threads: '{given}' is no list of numbers from 1 to {MOST_THREADS}, such as 1,2,4")
    return tuple(sorted({int(part) for part in parts}))


def make_folder(out: Path) -> Path:
    """The folder for what will be measured, made now: one that cannot be written is told before the work.

    Raises:
        OSError: it cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    return out


def write(record: BenchRecord, folder: Path) -> None:
    """bench.json, bench.md and bench.html (of the peers: peers.…) in `folder`."""
    write_json(folder / f"{record.kind}.json", bench_record.to_json(record))
    write_text(folder / f"{record.kind}.md", bench_report.markdown(record))
    write_text(folder / f"{record.kind}.html", bench_report.html(record))


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values, without the two records: these lie in files of their own."""
    values = {key: value for key, value in plain(asdict(comparison)).items() if key not in ("base", "new")}
    return {"schema": bench_record.SCHEMA, "kind": "comparison"} | {
        "base": _origin(comparison.base),
        "new": _origin(comparison.new),
        **values,
    }


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """compare.json, compare.md and compare.html in `folder`."""
    write_json(folder / "compare.json", comparison_json(comparison))
    write_text(folder / "compare.md", compare_report.markdown(comparison))
    write_text(folder / "compare.html", compare_report.html(comparison))


def _origin(record: BenchRecord) -> dict[str, Any]:
    return {
        "subject": record.subject,
        "created": record.created,
        "effort": record.effort,
        "git_commit": record.machine.git_commit,
    }
