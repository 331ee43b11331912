"""What `edgewright families` does with what it measured: files, and lines for a person."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.benchmarks import family_record
from edgewright.benchmarks.family_record import FamilyRecord
from edgewright.data.files import write_json, write_text
from edgewright.pipeline import family_bench
from edgewright.pipeline.bench_commands import make_folder
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort


def measure(
    names: Sequence[str], targets: Sequence[Any], effort: Effort, build: Path, out: Path, reporter: Reporter
) -> FamilyRecord:
    """families.json and families.md in `out`."""
    family_bench.check(names, targets)
    make_folder(out)
    record = family_bench.bench(names, targets, effort, build, reporter)
    write_json(out / "families.json", to_json(record))
    write_text(out / "families.md", family_record.markdown(record))
    return record


def to_json(record: FamilyRecord) -> dict[str, Any]:
    return family_record.to_json(record)


def lines(record: FamilyRecord) -> list[str]:
    """One line a function of a file, then one a bar."""
    found = []
    for row in record.rows:
        latency = f"{row.p50_ms.value:8.4f} ms" if row.p50_ms else "not timed  "
        found.append(
            f"{row.family:<19}{row.function:<12}{row.target:<11} {row.numerics:<22} "
            f"{row.size_bytes / 1e6:8.3f} MB  error {row.error:8.1g}  {latency}"
        )
    return [*found, *family_record.verdicts(record.rows)]
