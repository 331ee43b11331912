"""Measure the packaged recipes at effort `normal` and keep what is published of it: `make results`.

    python -m edgewright.benchmarks.publish out/normal urgency intent banking

reads the finished runs under out/normal/, and writes benchmarks/results/NAME.{json,md}, the urgency bundle in
models/zoo/, and the table in README.md. Nothing that is written holds a text of a data set.
"""

import shutil
import sys
from pathlib import Path

from edgewright.benchmarks.record import Cell, RunRecord, from_json, to_json
from edgewright.benchmarks.report import markdown, megabytes, milliseconds, share
from edgewright.compress.numerics import INT8
from edgewright.data.files import read_json, write_atomically, write_json, write_text
from edgewright.errors import EdgewrightError
from edgewright.runtimes import bundle

ROOT = Path(__file__).resolve().parents[1]
ZOO = ("urgency",)  # trained on generated data; the real sets' bundles are made by whoever has the sets
BEGIN, END = "<!-- results: made by `make results` -->", "<!-- end of results -->"


def publish(runs: Path, names: list[str]) -> None:
    """Keep the records of runs/NAME, in the order of `names`."""
    records = []
    for name in names:
        record = from_json(read_json(runs / name / "record.json"), name)
        write_json(ROOT / "benchmarks" / "results" / f"{name}.json", to_json(record))
        write_text(ROOT / "benchmarks" / "results" / f"{name}.md", markdown(record))
        records.append(record)
        if name in ZOO:
            _keep_bundle(runs / name / "bundle", name)
    readme = ROOT / "README.md"
    write_text(readme, with_table(readme.read_text(encoding="utf-8"), table(records)))


def table(records: list[RunRecord]) -> str:
    """Markdown: one line for each target's int8 cell, and one for the best linear baseline of each task."""
    lines = [
        "| task | target | numerics | shipped | accuracy | agreement | inference p50 | text → label p50 | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        for cell in int8_cells(record):
            note = " (reference interpreter)" if cell.target == "coreml" else ""
            times = (
                "not verifiable here | not verifiable here"
                if cell.p50_ms is None
                else f"{milliseconds(cell.p50_ms)} | {milliseconds(cell.text_to_label_p50_ms)}"
            )
            lines.append(
                f"| {record.task} | {cell.target} | {cell.numerics} | {megabytes(cell.shipped_bytes)} | "
                f"{share(cell.accuracy)} | {share(cell.label_agreement)} | {times} | {cell.verdict}{note} |"
            )
        best = max(record.baselines, key=lambda one: ("TF-IDF" in one.name, one.accuracy or 0))
        lines.append(
            f"| {record.task} | – | {best.name} | {megabytes(best.size_bytes)} | {share(best.accuracy)} | – | – | "
            f"{milliseconds(best.text_to_label_p50_ms)} | baseline |"
        )
    return "\n".join(lines)


def int8_cells(record: RunRecord) -> list[Cell]:
    """For each target what "int8" means there, whether it passes or not."""
    return [cell for cell in record.cells if INT8.get(cell.target) == cell.numerics]  # type: ignore[call-overload]


def with_table(readme: str, new: str) -> str:
    """README.md with the table between its two marks replaced."""
    before, mark, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise EdgewrightError(f"README.md: the marks {BEGIN} and {END} are missing; put them where the table goes")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def _keep_bundle(source: Path, name: str) -> None:
    bundle.read(source)  # what cannot be read is not published
    write_atomically(ROOT / "models" / "zoo" / name, lambda scratch: _copy(source, scratch))


def _copy(source: Path, to: Path) -> None:
    shutil.copytree(source, to)


if __name__ == "__main__":
    publish(Path(sys.argv[1]), sys.argv[2:])
