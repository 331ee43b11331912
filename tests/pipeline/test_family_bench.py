"""`edgewright families`: what is exported, compared and timed, what is cached, and what the record says of bars."""

import dataclasses
import json
from pathlib import Path

import pytest

from edgewright.benchmarks import family_record
from edgewright.benchmarks.family_record import BARS, FamilyRow, compared, from_json, verdicts
from edgewright.benchmarks.record import Interval
from edgewright.errors import DamagedFileError
from edgewright.pipeline.family_bench import REFERENCES
from tests.end_to_end.runs import inside, refused


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def measure(folder: Path) -> list[FamilyRow]:
    done = inside(
        *("families", "sequence_net", "--target", "litert", "--target", "coreml", "--effort", "rapid", "--json"),
        *("--out", folder / "out", "--build", folder / "build"),
    )
    assert done.code == 0, done.stderr[-2000:]
    return list(from_json(done.json(), "stdout").rows)


def test_each_function_of_each_file_is_compared_and_timed(folder: Path) -> None:
    rows = measure(folder)
    assert {(row.target, row.numerics) for row in rows} == {
        *(("litert", "fp32"), ("litert", "dynamic_wi8_afp32")),
        *(("coreml", "fp32"), ("coreml", "weight_only_wi8_afp16")),
    }
    assert {row.function for row in rows} == {"forward_5", "step"}
    for row in rows:
        assert row.parameters == 7_282 and row.size_bytes > 7_282
        assert row.error < (1e-5 if row.numerics == "fp32" else 0.05)
        assert (row.p50_ms is None) == (row.target == "coreml")
        assert row.times_fastest == (None if row.target == "coreml" else 1.0)
    page = (folder / "out" / "families.md").read_text(encoding="utf-8")
    assert "| sequence_net | step | litert | dynamic_wi8_afp32 |" in page
    assert "sequence_net step: " in page and "at most 0.005 ms: " in page
    assert json.loads((folder / "out" / "families.json").read_text(encoding="utf-8"))["schema"] == 1


def test_unknown_names_are_refused_before_any_work() -> None:
    refused(inside("families", "sequencenet"), 2, "'sequencenet' is none of text_cnn")
    refused(inside("families", "--target", "tflite"), 2, "'tflite' is none of executorch")


def row(target: str, ms: float, **changes: object) -> FamilyRow:
    made = FamilyRow("hybrid_full", "step", target, "dynamic_wi8_afp32", 1, 1, 0.0, 1.0, Interval(ms))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_bars_and_slow_runtimes_are_told() -> None:
    rows = compared([row("litert", 4.0), row("onnx", 9.0), row("executorch", 7.0)])
    assert [one.times_fastest for one in rows] == [1.0, 2.25, 1.75]
    assert verdicts(rows) == [
        "hybrid_full step: 4 ms in litert, at most 5 ms: met",
        "hybrid_full step: onnx takes 2.25 times the fastest, above 2",
    ]
    assert verdicts(compared([row("onnx", 5.5)]))[0].endswith("missed")


def test_every_bar_is_about_something_that_is_measured() -> None:
    for bar in BARS:
        build, lengths = REFERENCES[bar.family]
        functions = [name for method in build().methods(lengths) for name, _ in method.functions()]
        assert bar.function in functions


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(DamagedFileError, match=r"x\.json: not a record of families"):
        family_record.from_json({"rows": 1}, "x.json")
