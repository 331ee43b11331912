"""One command takes a recipe to four verified, timed artifacts; what it leaves can be used and replayed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import edgewright as package
from edgewright.data.files import read_json
from edgewright.runtimes.opening import open_classifier
from edgewright.runtimes.predictor import Predictor
from tests.end_to_end.runs import SMALL, Run, edgewright, inside, refused

TARGETS = ("executorch", "litert", "coreml", "onnx")
INT8 = {
    "executorch": "dynamic_wi8_afp32",
    "litert": "dynamic_wi8_afp32",
    "coreml": "weight_only_wi8_afp16",
    "onnx": "dynamic_wi8_afp32",
}


def test_the_run_passes_and_says_so_in_the_promised_json(small_run: Run) -> None:
    record = small_run.record
    assert small_run.done.code == 0, small_run.done.stderr[-3000:]
    assert (record["schema"], record["recipe"], record["task"], record["verdict"]) == (1, "small", "urgency", "pass")
    assert [(c["target"], c["numerics"]) for c in record["cells"]] == [
        (target, numerics) for target in TARGETS for numerics in ("fp32", INT8[target])
    ]
    promised = {"target", "numerics", "verdict", "reason", "size_bytes", "shipped_bytes", "accuracy", "macro_f1"}
    promised |= {"metrics", "label_agreement", "max_abs_logit_error", "p50_ms", "p99_ms", "load_ms"}
    promised |= {"peak_memory_bytes", "runtime", "gates"}
    for cell in record["cells"]:
        assert promised <= set(cell)
        assert cell["metrics"]["out_of_scope"] is None  # the task rejects nothing
        assert all({"name", "bound", "measured", "verdict"} <= set(gate) for gate in cell["gates"])
    assert read_json(small_run.out / "record.json") == record


@pytest.mark.parametrize("target", TARGETS)
def test_every_artifact_gives_pytorchs_answers(small_run: Run, target: str) -> None:
    exact, small = small_run.cell(target, "fp32"), small_run.cell(target, INT8[target])
    assert exact["label_agreement"] >= 0.999 and exact["max_abs_logit_error"] < 1e-3
    assert small["label_agreement"] >= 0.97 and abs(small["accuracy"] - exact["accuracy"]) <= 0.02
    # the tiny table leaves the graph itself a large share of the file
    assert small["size_bytes"] < 0.8 * exact["size_bytes"]


@pytest.mark.parametrize("target", ["executorch", "litert", "onnx"])
def test_times_are_measured_with_intervals(small_run: Run, target: str) -> None:
    for numerics in ("fp32", INT8[target]):
        cell = small_run.cell(target, numerics)
        for name in ("p50_ms", "p99_ms", "text_to_label_p50_ms"):
            assert 0 < cell[name]["low"] <= cell[name]["value"] <= cell[name]["high"]
        assert cell["load_ms"]["value"] > 0 and cell["peak_memory_bytes"] >= 0
        assert cell["p50_ms"]["value"] <= cell["text_to_label_p50_ms"]["value"]


def test_core_ml_is_the_reference_interpreter_and_times_are_null(small_run: Run) -> None:
    cell = small_run.cell("coreml", "fp32")
    assert cell["runtime"] == "MIL reference interpreter (not Apple's runtime)"
    assert cell["p50_ms"] is None and cell["load_ms"] is None and cell["peak_memory_bytes"] is None
    assert {gate["verdict"] for gate in cell["gates"] if gate["name"].endswith("_ms")} == {"not_verifiable"}


def test_baselines_stand_beside_the_cells(small_run: Run) -> None:
    names = [baseline["name"] for baseline in small_run.record["baselines"]]
    assert names == ["PyTorch fp32", "TF-IDF word, LinearSVC"]
    assert all(0.4 < baseline["accuracy"] <= 1 for baseline in small_run.record["baselines"])


def test_the_report_is_one_file_that_needs_nothing_else(small_run: Run) -> None:
    page = (small_run.out / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3 and "<script" not in page
    for outside in ('src="http', 'href="http', "@import", "url(http"):
        assert outside not in page
    assert "generated" in page and "reference interpreter" in page


def test_no_text_of_a_row_is_in_the_record_or_in_the_markdown(small_run: Run) -> None:
    from edgewright.data import tasks

    texts = [row.text for row in tasks.rows(tasks.find("urgency"), "test", 1500, None) if row.text]
    for name in ("record.json", "report.md"):
        content = (small_run.out / name).read_text(encoding="utf-8")
        assert not [text for text in texts if len(text) > 20 and text in content]


def test_a_second_run_makes_nothing_again(small_run: Run) -> None:
    recipe = small_run.out.parent / "small.toml"
    done = inside("run", recipe, "--build", small_run.build, "--effort", "rapid", "--plan", "--json")
    steps = done.json()
    assert len(steps) >= 20 and all(step["cached"] for step in steps)


def test_a_changed_recipe_says_what_it_would_make_and_why(small_run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL.replace("epochs = 6", "epochs = 7"), encoding="utf-8")
    done = inside("run", recipe, "--build", small_run.build, "--effort", "rapid", "--plan", "--json")
    steps = {step["stage"]: step for step in done.json()}
    assert steps["tokenizer"]["cached"] and not steps["train-seed0"]["cached"]
    assert steps["train-seed0"]["reason"] == "changed: setting train"
    assert not steps["export-onnx-fp32"]["cached"]


def test_the_bundle_is_verified_from_its_files_alone(small_run: Run, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(small_run.bundle, moved)
    done = edgewright("verify", moved, "--json")
    checks = done.json()
    assert done.code == 0 and {check["runtime"] for check in checks} == set(TARGETS)
    assert {check["verdict"] for check in checks} == {"pass"}


def test_predict_answers_alike_from_python_the_shell_and_stdin(small_run: Run) -> None:
    text = "the server is down, call me now"
    predictor = package.load(small_run.bundle, "litert")
    assert isinstance(predictor, Predictor)
    inside = predictor.predict(text)
    shell = edgewright("predict", small_run.bundle, text, "--runtime", "litert", "--json").json()
    assert shell["label"] == inside.label and shell["confidence"] == pytest.approx(inside.confidence)
    lines = edgewright("predict", small_run.bundle, "--runtime", "litert", stdin=f"{text}\n\nthanks\n").stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) == 3 and rows[0]["label"] == inside.label


@pytest.mark.parametrize("runtime", TARGETS)
def test_every_runtime_of_the_bundle_predicts(small_run: Run, runtime: str) -> None:
    predictor = open_classifier(small_run.bundle, runtime)
    reference = open_classifier(small_run.bundle, "litert")
    for text in ("", "a", "URGENT!!! everything is broken", "merci beaucoup", "x " * 5000):
        assert np.abs(predictor.logits(text) - reference.logits(text)).max() < 0.5
        assert predictor.predict(text).label in ("low", "medium", "high", "critical")


def test_on_prediction_never_sees_the_text(small_run: Run) -> None:
    events: list[object] = []
    predictor = package.load(small_run.bundle, "onnx", on_prediction=events.append)
    assert isinstance(predictor, Predictor)
    predictor.predict("a secret sentence")
    assert len(events) == 1 and "secret" not in repr(events)


def test_evaluate_measures_the_bundle_on_a_file(small_run: Run, tmp_path: Path) -> None:
    from edgewright.data import tasks

    rows = [row for row in tasks.rows(tasks.find("urgency"), "test", 1500, None)][:60]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in rows), "utf-8")
    answers = inside("evaluate", small_run.bundle, "--data", path, "--runtime", "all", "--json").json()
    assert {answer["runtime"] for answer in answers} == set(TARGETS)
    for answer in answers:
        assert set(answer) == {"runtime", "numerics", "n", "accuracy", "macro_f1", "label_agreement", "out_of_scope"}
        assert answer["n"] == 60 and answer["accuracy"] > 0.5 and answer["label_agreement"] >= 0.95


def test_report_renders_a_record_again(small_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "again.html"
    assert inside("report", small_run.out / "record.json", "--out", path).code == 0
    assert "<svg" in path.read_text(encoding="utf-8")


def test_bisect_follows_an_artifact_step_by_step(small_run: Run) -> None:
    recipe = small_run.out.parent / "small.toml"
    more = ("--build", small_run.build, "--effort", "rapid", "--json")
    done = inside("bisect", recipe, "--target", "onnx", "--numerics", "dynamic_wi8_afp32", *more)
    rows = done.json()
    assert done.code == 0
    assert [row["step"] for row in rows] == [
        "eager fp32",
        "weights on the grid",
        "torch.export",
        "onnx fp32",
        "onnx dynamic_wi8_afp32",
    ]


def test_a_gate_that_is_not_met_fails_the_run_with_1_and_says_which(small_run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    strict = SMALL.replace("min_accuracy = 0.5", "min_accuracy = 0.999")
    recipe.write_text(strict, encoding="utf-8")
    more = ("--out", tmp_path / "out", "--build", small_run.build, "--effort", "rapid", "--json")
    done = inside("run", recipe, *more)
    record = done.json()
    assert done.code == 1 and record["verdict"] == "fail" and record["bundle"] is None
    assert all("min_accuracy is" in cell["reason"] for cell in record["cells"])
    assert not (tmp_path / "out" / "bundle").exists()


def test_a_recipe_that_loosens_a_gate_says_so_in_the_report(small_run: Run) -> None:
    gates = [gate for cell in small_run.record["cells"] for gate in cell["gates"] if gate["name"] == "min_accuracy"]
    assert gates and all("loosens min_accuracy to 0.5" in gate["loosened"] for gate in gates)
    assert "loosens min_accuracy" in (small_run.out / "report.html").read_text(encoding="utf-8")


def test_an_output_folder_that_cannot_be_written_is_named(small_run: Run, tmp_path: Path) -> None:
    recipe = small_run.out.parent / "small.toml"
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    done = inside("run", recipe, "--out", blocked / "out", "--build", small_run.build, "--effort", "rapid")
    refused(done, 3, "file")
