"""The check with tflite-runtime: what it runs, what it says where it cannot, and what its record holds."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks import old_tflite
from edgewright.benchmarks.batched import batched_artifact
from edgewright.data.files import read_json
from edgewright.errors import EdgewrightError, UsageError
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle

pytest.importorskip("ai_edge_litert", reason="needs edgewright[litert]")

COMMITTED = Path(__file__).parents[2] / "benchmarks" / "results" / "tflite-runtime.json"


@pytest.fixture(scope="module")
def urgency() -> Bundle:
    return bundles.read(bundles.zoo()["urgency"])


def test_every_golden_vector_is_run_in_every_signature(urgency: Bundle) -> None:
    inputs = old_tflite.golden_inputs(urgency)
    assert list(inputs) == [f"forward_{length}" for length in urgency.lengths]
    golden = urgency.golden()
    for length in urgency.lengths:
        ids = inputs[f"forward_{length}"]
        assert ids.shape == (len(golden), length, 16) and ids.dtype == np.int32
        for row, vector in zip(ids, golden, strict=True):
            assert np.array_equal(row[: len(vector.ids)], np.array(vector.ids).reshape(-1, 16)[:length])
            assert not row[len(vector.ids) :].any()


def test_a_process_that_dies_is_told_in_one_line(urgency: Bundle) -> None:
    """This Python has no tflite-runtime: the worker cannot even say its version."""
    inputs = {"forward_16": old_tflite.golden_inputs(urgency)["forward_16"][:2]}
    old, said = old_tflite.run(Path(sys.executable), urgency.artifact("litert").path, inputs)
    assert (old.imports, old.loads, old.runs) == (False, False, False)
    assert old.max_abs_difference is None and old.label_agreement is None
    assert old.error is not None and "\n" not in old.error
    assert old.error.startswith("the process exit code 1: ") and "tflite-runtime" in old.error
    assert list(said) == ["error"]


def test_without_an_index_the_reason_is_one_line_and_no_half_environment_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        EdgewrightError, match=r"^tflite-runtime==2\.14\.\* numpy<2: pip cannot install them \("
    ) as raised:
        old_tflite.environment(tmp_path / "old", (old_tflite.RUNTIME, old_tflite.NUMPY[0]))
    assert "\n" not in str(raised.value) and "tflite-runtime" in str(raised.value).partition("(")[2]
    assert not (tmp_path / "old").exists()


def test_an_environment_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    assert old_tflite.environment(tmp_path, ("no such package",)) == python


def test_a_missing_file_is_told_before_anything_is_installed(urgency: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.tflite: no such file"):
        old_tflite.check(urgency, [tmp_path / "none.tflite"], tmp_path / "venvs")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bundle_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert old_tflite.main([str(tmp_path / "none"), "--out", str(tmp_path / "out.json")]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "no such bundle" in captured.err


def test_the_committed_record_holds_figures_and_bare_names() -> None:
    record = read_json(COMMITTED)
    assert (record["schema"], record["kind"], record["subject"]) == (1, "old_tflite", "intent")
    old, new = record["environments"]
    assert old["tflite_runtime"] == new["tflite_runtime"] == "2.14.0"
    assert old["numpy"].startswith("1.") and new["numpy"].startswith("2.")
    files = [f"litert-{n}.tflite" for n in ("dynamic_wi8_afp32", "fp16", "fp32", "static_wi8_ai8")]
    for environment in (old, new):
        assert sorted(one["file"] for one in environment["files"]) == files
    for one in old["files"]:
        assert (one["label_agreement"] is None) == (not one["runs"]) == (one["error"] is not None)
    assert [one["loads"] for one in new["files"]] == [False] * 4
    assert "/" not in "".join(one["error"] or "" for environment in (old, new) for one in environment["files"])


@pytest.mark.slow
def test_float_files_run_and_int8_files_are_refused(urgency: Bundle, tmp_path: Path) -> None:
    """A file that is accepted is answered wrongly: docs/decisions/0007-ai-edge-litert.md."""
    pytest.importorskip("litert_torch", reason="needs edgewright[litert]")
    try:
        python = old_tflite.environment(tmp_path / "venv", (old_tflite.RUNTIME, old_tflite.NUMPY[0]))
    except EdgewrightError as error:
        pytest.skip(f"needs a package index: {error}")
    inputs = {"forward_16": old_tflite.golden_inputs(urgency)["forward_16"]}
    int8 = urgency.artifact("litert", "dynamic_wi8_afp32")
    float_file = batched_artifact(urgency, replace(int8, numerics="fp32"), 1, 16, tmp_path)
    assert float_file is not None

    old, said = old_tflite.run(python, float_file, inputs)
    assert said["tflite-runtime"] == "2.14.0" and said["numpy"].startswith("1.")
    assert old.error is None and old.calls == len(urgency.golden()) and old.label_agreement == 1
    assert old.max_abs_difference is not None and old.max_abs_difference <= 1e-4

    old, _ = old_tflite.run(python, int8.path, inputs)
    assert old.error is not None and "FULLY_CONNECTED" in old.error and not old.loads
