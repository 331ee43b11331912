"""`report` and `compare` on records of every kind, on folders, and on what is no record."""

import json
from pathlib import Path

import pytest

from edgewright.benchmarks import bench_record, family_record, search_record, sensitivity_record
from edgewright.benchmarks import record as run_record
from edgewright.benchmarks.family_record import FamilyRecord, FamilyRow, compared
from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.reports import search_report, sensitivity_report
from edgewright.errors import DamagedFileError, EdgewrightError, UsageError
from edgewright.pipeline import bench_commands
from edgewright.pipeline.report_commands import report
from tests.benchmarks import sample_search, sample_sensitivity
from tests.benchmarks.sample_bench import sample_bench
from tests.benchmarks.sample_record import sample_record
from tests.end_to_end.runs import edgewright, inside, refused

MACHINE = sample_bench().machine


def families() -> FamilyRecord:
    step = ("hybrid_full", "step")
    rows = compared(
        [
            FamilyRow(*step, "litert", "dynamic_wi8_afp32", 1, 30_800_000, 0.01, 1.0, Interval(2.32, 2.09, 2.52)),
            FamilyRow(*step, "onnx", "dynamic_wi8_afp32", 1, 30_100_000, 0.01, 1.0, Interval(5.58)),
            FamilyRow(*step, "coreml", "weight_only_wi8_afp16", 1, 30_000_000, 0.001, 1.0),
        ]
    )
    return FamilyRecord(rows, "quick", "2026-01-05T00:00:00+00:00", MACHINE)


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_the_record_of_families_is_shown_again(tmp_path: Path) -> None:
    record = families()
    path = write(tmp_path / "families.json", run_record.plain(family_record.to_json(record)))
    done = inside("report", tmp_path)
    assert done.code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["hybrid_full", "step", "onnx", "dynamic_wi8_afp32", "30.1", "MB", "0.01", "5.58", "ms", "2.41"] in lines
    assert "hybrid_full step: 2.32 ms in litert, at most 5 ms: met" in done.stdout
    assert "onnx takes 2.41 times the fastest" in done.stdout

    page = tmp_path / "again.md"
    shown = report(path, page)
    assert page.read_text(encoding="utf-8") == family_record.markdown(record)
    assert family_record.from_json(shown.record, "shown") == record
    with pytest.raises(UsageError, match=r"families\.json has no page; give a name that ends in \.md"):
        report(path, tmp_path / "again.html")
    assert not (tmp_path / "again.html").exists()


def test_the_record_of_a_search_is_shown_again_in_every_form(tmp_path: Path) -> None:
    record = sample_search.sample()
    path = write(tmp_path / "search.json", search_record.to_json(record))
    done = edgewright("report", tmp_path)
    assert done.code == 0, done.stderr
    assert search_report.sentence(record) in done.stdout
    numbers = [line.split()[0] for line in done.stdout.splitlines() if "ngram_hybrid" in line]
    assert numbers == [str(number) for number in record.front]
    for name, made in (("again.md", search_report.markdown(record)), ("again.html", search_report.html(record))):
        assert search_record.from_json(report(path, tmp_path / name).record, "shown") == record
        assert (tmp_path / name).read_text(encoding="utf-8") == made


def test_the_record_of_sensitivity_is_shown_again_in_every_form(tmp_path: Path) -> None:
    record = sample_sensitivity.sample()
    path = write(tmp_path / "sensitivity.json", sensitivity_record.to_json(record))
    done = edgewright("report", path, "--json")
    assert sensitivity_record.from_json(done.json(), "shown") == record
    lines = [line.split() for line in edgewright("report", path).stdout.splitlines()]
    assert ["head", "4", "-0.64", "23", "4", "0.01000", "14,400"] in lines
    for name, made in (
        ("again.md", sensitivity_report.markdown(record)),
        ("again.html", sensitivity_report.html(record)),
    ):
        report(path, tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == made


def test_a_run_is_shown_with_its_steps_what_hurts_and_what_to_take(tmp_path: Path) -> None:
    record = sample_record()
    shown = report(write(tmp_path / "record.json", run_record.to_json(record)), None)
    assert len(shown.tables) == 3 and record.hurts[0] in shown.lines
    assert shown.lines[-2:] == ("verdict: fail", "recommended: executorch dynamic_wi8_afp32, onnx fp32")


def test_a_folder_stands_for_the_one_record_in_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds none of record\.json, bench\.json"):
        report(tmp_path, None)
    write(tmp_path / "bench.json", bench_record.to_json(sample_bench()))
    assert report(tmp_path, None).record["subject"] == sample_bench().subject
    write(tmp_path / "record.json", run_record.to_json(sample_record()))
    with pytest.raises(UsageError, match=r"holds record\.json and bench\.json; give the file of one record"):
        report(tmp_path, None)
    assert report(tmp_path / "record.json", None).record["recipe"] == sample_record().recipe


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": []}, "not a record of families"),
        ({"rows": 1, "kind": "bench"}, "not a bench"),
        ({"kind": "search"}, "not a record of a search, schema 1: recipe: Field required"),
        ({"kind": "sensitivity", "rows": 3}, "not a record of sensitivity, schema 1: recipe: Field required"),
        ({"kind": "sketch"}, "is of kind 'sketch', which this version does not show; it shows record.json"),
        ({"kind": ["search"]}, "is of kind"),
        ({"kind": "comparison"}, "is a comparison"),
        ({"kind": "bench"}, "not a bench"),
        ({}, "not a run record"),
        ([1], "not a run record"),
        ("text", "not a run record"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, values: object, message: str) -> None:
    path = write(tmp_path / "x.json", values)
    with pytest.raises(EdgewrightError, match=rf"x\.json: .*{message}"):
        report(path, None)


def test_files_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    refused(edgewright("report", tmp_path / "nowhere.json"), 3, "nowhere.json", "no such file")
    half = tmp_path / "half.json"
    half.write_text('{"rows": [', encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"half\.json: not readable as JSON"):
        report(half, None)


def test_compare_takes_records_of_bench_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is a folder; give the bench\.json in it"):
        bench_commands.read(tmp_path)
    path = write(tmp_path / "families.json", run_record.plain(family_record.to_json(families())))
    with pytest.raises(UsageError, match="is the record of families; give a bench"):
        bench_commands.read(path)
    path = write(tmp_path / "record.json", run_record.to_json(sample_record()))
    with pytest.raises(UsageError, match="is the record of a run; give a bench"):
        bench_commands.read(path)
