"""The record keeps its promises to scripts that read it."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from edgewright.benchmarks.record import Cell, RunRecord, from_json, to_json
from edgewright.data.files import read_json, write_json
from edgewright.errors import DamagedFileError

CELL_KEYS = (
    *("target", "numerics", "verdict", "reason", "size_bytes", "shipped_bytes", "accuracy", "macro_f1", "metrics"),
    *("label_agreement", "max_abs_logit_error", "p50_ms", "p99_ms", "load_ms", "peak_memory_bytes", "runtime", "gates"),
)


def test_a_record_read_back_is_the_same(record: RunRecord, tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", to_json(record))
    assert from_json(read_json(tmp_path / "record.json")) == record


def test_the_keys_that_scripts_rely_on_are_there(record: RunRecord) -> None:
    value = to_json(record)
    assert next(iter(value)) == "schema" and value["schema"] == 1
    assert {"recipe", "task", "verdict", "bundle", "report", "cells", "baselines"} <= set(value)
    cell = value["cells"][0]
    assert set(CELL_KEYS) <= set(cell)
    assert set(cell["p50_ms"]) == {"value", "low", "high"}
    assert set(cell["gates"][0]) >= {"name", "bound", "measured", "verdict"}


def test_what_was_not_measured_is_null_and_not_zero() -> None:
    value = to_json(RunRecord("r", "t", "pass", None, None, (Cell("onnx", "fp16", "unsupported", reason="no"),)))
    cell = value["cells"][0]
    assert all(cell[name] is None for name in ("size_bytes", "accuracy", "p50_ms", "load_ms", "peak_memory_bytes"))


def test_a_nan_is_not_written(record: RunRecord, tmp_path: Path) -> None:
    broken = dataclasses.replace(record.cells[0], accuracy=float("nan"))
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "record.json", to_json(dataclasses.replace(record, cells=(broken,))))
    assert not (tmp_path / "record.json").exists()


def test_keys_of_a_later_version_are_ignored(record: RunRecord) -> None:
    assert from_json(to_json(record) | {"energy": {"joules": 1}}) == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema"),
        ({"verdict": "passed"}, "verdict"),
        ({"cells": [{"target": "onnx"}]}, "cells.0.numerics"),
    ],
)
def test_a_foreign_record_is_refused_with_its_place(record: RunRecord, change: dict[str, object], message: str) -> None:
    with pytest.raises(DamagedFileError, match=f"^base.json: not a run record.*{re.escape(message)}"):
        from_json(to_json(record) | change, where="base.json")


def test_a_record_holds_no_text(record: RunRecord) -> None:
    assert "server" not in json.dumps(to_json(record))
