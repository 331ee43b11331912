"""Measure the packaged recipes at effort `normal` and keep what is published of it: `make results`.

    python -m edgewright.benchmarks.publish out/normal urgency intent banking

reads the finished runs under out/normal/, and writes benchmarks/results/NAME.{json,md}, the urgency bundle in
models/zoo/, and the tables in README.md. Beside a run's record.json, or without one, it takes what other commands left
there (bench.json, peers.json, search.json with the recipe that was found, sensitivity.json), as results/NAME-bench and
so on, and out/normal/families/families.json. README.md shows runs: where there is none, it stays as it is. Nothing that
is written holds a text of a data set.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from edgewright.benchmarks import bench_record, family_record, search_record, sensitivity_record
from edgewright.benchmarks.bench_record import BenchRecord
from edgewright.benchmarks.family_record import FamilyRecord
from edgewright.benchmarks.record import Baseline, Cell, RunRecord, from_json, to_json
from edgewright.benchmarks.reports import bench_report, search_report, sensitivity_report
from edgewright.benchmarks.reports.figures import times
from edgewright.benchmarks.reports.run_report import markdown
from edgewright.benchmarks.reports.scores import SCORES, Score, share
from edgewright.benchmarks.reports.standings import sentences, standings
from edgewright.benchmarks.reports.units import megabytes, milliseconds
from edgewright.benchmarks.search_record import SearchRecord
from edgewright.benchmarks.sensitivity_record import SensitivityRecord
from edgewright.compress.numerics import INT8
from edgewright.data.files import inside, read_json, write_atomically, write_json, write_text
from edgewright.errors import EdgewrightError
from edgewright.runtimes import bundle

ROOT = Path(__file__).resolve().parents[1]
ZOO = ("urgency",)  # trained on generated data; the real sets' bundles are made by whoever has the sets
RESULTS = ROOT / "benchmarks" / "results"


def publish(runs: Path, names: list[str]) -> None:
    """Keep the records of runs/NAME, in the order of `names`.

    Raises:
        EdgewrightError: a folder holds nothing to keep, or a record that is damaged.
    """
    records, peers = [], []
    for name in names:
        folder = runs / name
        beside = [kind for kind in BESIDE if (folder / f"{kind}.json").is_file()]
        if not beside or (folder / "record.json").exists():
            record = from_json(read_json(folder / "record.json"), name)
            write_json(RESULTS / f"{name}.json", to_json(record))
            write_text(RESULTS / f"{name}.md", markdown(record))
            records.append(record)
            if name in ZOO:
                _keep_bundle(folder / "bundle", name)
        for kind in beside:
            found = BESIDE[kind](folder / f"{kind}.json", f"{name}-{kind}")
            peers += [found] if isinstance(found, BenchRecord) and kind == "peers" else []
    if (measured := runs / "families" / "families.json").is_file():
        families = family_record.from_json(read_json(measured), str(measured))
        write_json(RESULTS / "families.json", family_record.to_json(families))
        write_text(RESULTS / "families.md", family_record.markdown(families))
    if records:
        write_text(ROOT / "README.md", readme_of(records, peers, committed_families()))


def _keep_bench(path: Path, name: str) -> BenchRecord:
    found = bench_record.from_json(read_json(path), str(path))
    write_json(RESULTS / f"{name}.json", bench_record.to_json(found))
    write_text(RESULTS / f"{name}.md", bench_report.markdown(found))
    return found


def _keep_search(path: Path, name: str) -> SearchRecord:
    """With the recipe that was found, under the name by which the record calls it."""
    found = search_record.from_json(read_json(path), str(path))
    if wrong := search_record.inconsistencies(found):
        raise EdgewrightError(f"{path}: {wrong[0]}; search again with this version")
    write_json(RESULTS / f"{name}.json", search_record.to_json(found))
    write_text(RESULTS / f"{name}.md", search_report.markdown(found))
    if found.found is not None:
        write_text(RESULTS / found.found, inside(path.parent, found.found).read_text(encoding="utf-8"))
    return found


def _keep_sensitivity(path: Path, name: str) -> SensitivityRecord:
    found = sensitivity_record.from_json(read_json(path), str(path))
    write_json(RESULTS / f"{name}.json", sensitivity_record.to_json(found))
    write_text(RESULTS / f"{name}.md", sensitivity_report.markdown(found))
    return found


# what other commands leave beside record.json, and what keeps it
BESIDE: dict[str, Callable[[Path, str], BenchRecord | SearchRecord | SensitivityRecord]] = {
    "bench": _keep_bench,
    "peers": _keep_bench,
    "search": _keep_search,
    "sensitivity": _keep_sensitivity,
}


def readme_of(records: list[RunRecord], peers: list[BenchRecord], families: FamilyRecord) -> str:
    """README.md with all its tables made anew."""
    labels = [record for record in records if record.kind == "single_label"]
    others = [record for record in records if record.kind != "single_label"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, made in (
        ("results", table(labels)),
        ("other kinds", other_kinds_table(others)),
        ("families", families_table(families)),
        ("peers", peers_table(peers)),
    ):
        text = with_table(text, name, made)
    return text


def committed_families() -> FamilyRecord:
    return family_record.from_json(read_json(RESULTS / "families.json"), "families.json")


def peers_table(records: list[BenchRecord]) -> str:
    """Markdown: everything that was timed in one run of `peers`, the most accurate first, ours in bold; and where
    ours loses."""
    lines = []
    for record in records:
        lines += [
            f"**{record.task}**, {record.texts} texts in turns:",
            "",
            "| | accuracy | shipped | text → label p50 | times our fastest |",
            "|---|---|---|---|---|",
        ]
        for row in standings(record):
            name = f"**{row.peer.name}**" if row.peer.ours else row.peer.name
            series = row.peer.text_to_label
            lines.append(
                f"| {name} | {share(row.peer.accuracy)} | {megabytes(row.peer.shipped_bytes)} | "
                f"{milliseconds(series.p50_ms if series else None)} | {times(row.latency)} |"
            )
        lines += ["", *(f"- {sentence}" for sentence in sentences(record)), ""]
    return "\n".join(lines).rstrip()


def table(records: list[RunRecord]) -> str:
    """Markdown: one line for each target's int8 cell, and one for the best linear baseline of each recipe."""
    lines = [
        "| recipe | target | numerics | shipped | accuracy | agreement | inference p50 | text → label p50 | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        recipe = record.recipe if record.effort == "normal" else f"{record.recipe} (effort {record.effort})"
        for cell in int8_cells(record):
            note = " (reference interpreter)" if cell.target == "coreml" else ""
            times = (
                "not verifiable here | not verifiable here"
                if cell.p50_ms is None
                else f"{milliseconds(cell.p50_ms)} | {milliseconds(cell.text_to_label_p50_ms)}"
            )
            lines.append(
                f"| {recipe} | {cell.target} | {cell.numerics} | {megabytes(cell.shipped_bytes)} | "
                f"{share(cell.accuracy)} | {share(cell.label_agreement)} | {times} | {cell.verdict}{note} |"
            )
        best = max(record.baselines, key=lambda one: ("TF-IDF" in one.name, one.accuracy or 0))
        lines.append(
            f"| {recipe} | – | {best.name} | {megabytes(best.size_bytes)} | {share(best.accuracy)} | – | – | "
            f"{milliseconds(best.text_to_label_p50_ms)} | baseline |"
        )
    return "\n".join(lines)


def other_kinds_table(records: list[RunRecord]) -> str:
    """Markdown: one line for each target's int8 cell of the runs that give no labels, and one for PyTorch's."""
    lines = [
        "| recipe | target | numerics | shipped | quality on the test split | agreement | p50 | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        recipe = record.recipe if record.effort == "normal" else f"{record.recipe} (effort {record.effort})"
        scores = SCORES[record.kind]
        for cell in int8_cells(record):
            note = " (reference interpreter)" if cell.target == "coreml" else ""
            p50 = "not verifiable here" if cell.p50_ms is None else milliseconds(cell.p50_ms)
            lines.append(
                f"| {recipe} | {cell.target} | {cell.numerics} | {megabytes(cell.shipped_bytes)} | "
                f"{_quality(scores, cell)} | {share(cell.label_agreement)} | {p50} | {cell.verdict}{note} |"
            )
        for baseline in record.baselines:
            lines.append(
                f"| {recipe} | – | {baseline.name} | {megabytes(baseline.size_bytes)} | {_quality(scores, baseline)} | "
                f"– | {milliseconds(baseline.p50_ms)} | baseline |"
            )
    return "\n".join(lines)


def _quality(scores: tuple[Score, ...], judged: Cell | Baseline) -> str:
    return ", ".join(f"{score.title} {score.text(judged)}" for score in scores if score.of(judged) is not None)


def families_table(record: FamilyRecord) -> str:
    """Markdown: the p50 of each function's int8 file by target, and what it has to keep."""
    targets = ("litert", "executorch", "onnx")
    lines = [f"| family | function | {' | '.join(targets)} | at most |", "|---|---|---:|---:|---:|---|"]
    rows = {(row.family, row.function, row.target): row for row in record.rows if "wi8" in row.numerics}
    for family, function in dict.fromkeys((row.family, row.function) for row in record.rows):
        times = [rows.get((family, function, target)) for target in targets]
        bars = [bar for bar in family_record.BARS if (bar.family, bar.function) == (family, function)]
        wanted = ", ".join(f"{bar.ms:g} ms" + (f" in {bar.target}" if bar.target else "") for bar in bars) or "–"
        shown = " | ".join(milliseconds(row.p50_ms if row else None) for row in times)
        lines.append(f"| {family} | {function} | {shown} | {wanted} |")
    return "\n".join(lines)


def int8_cells(record: RunRecord) -> list[Cell]:
    """For each target what "int8" means there, whether it passes or not."""
    return [cell for cell in record.cells if INT8.get(cell.target) == cell.numerics]  # type: ignore[call-overload]


def with_table(readme: str, name: str, new: str) -> str:
    """README.md with what stands between the two marks of that name replaced."""
    begin, end = f"<!-- {name}: made by `make results` -->", f"<!-- end of {name} -->"
    before, mark, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not (mark and closed):
        raise EdgewrightError(f"README.md: the marks {begin} and {end} are missing; put them where the table goes")
    return f"{before}{begin}\n{new}\n{end}{after}"


def _keep_bundle(source: Path, name: str) -> None:
    bundle.read(source)  # what cannot be read is not published
    write_atomically(ROOT / "models" / "zoo" / name, lambda scratch: _copy(source, scratch))


def _copy(source: Path, to: Path) -> None:
    shutil.copytree(source, to)


if __name__ == "__main__":
    publish(Path(sys.argv[1]), sys.argv[2:])
