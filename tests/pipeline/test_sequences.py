"""Sequences through the whole pipeline: log lines that are generated, in all four formats; text where it is here."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import edgewright as package
from edgewright.data import log_lines
from edgewright.data.files import read_json, sha256, write_json
from edgewright.errors import DamagedFileError, UsageError
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline import sequence_tables
from edgewright.pipeline.sequence_data import Logs, pair_surprises
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.opening import open_predictor
from edgewright.runtimes.stream import LogStream, open_stream, stream_of
from tests.end_to_end.conftest import real_data
from tests.end_to_end.runs import Run, inside, refused, run

__all__ = ["real_data"]

TARGETS = ("executorch", "litert", "coreml", "onnx")
TINY = """
name = "tiny"
task = "log_anomalies"
[data]
count = 3_000
[model]
family = "sequence_net"
hidden_size = 8
[train]
epochs = 3
length = 16
batch_size = 16
learning_rate = 2e-2
[export]
lengths = [16]
[export.numerics]
executorch = ["fp32"]
litert = ["int8"]
coreml = ["fp32"]
onnx = ["int8"]
[gates]
min_auc = 0.6
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("tiny")
    recipe = folder / "tiny.toml"
    recipe.write_text(TINY, encoding="utf-8")
    return run(recipe, folder)


def test_every_artifact_is_proved_and_judged(tiny: Run) -> None:
    assert tiny.done.code == 0, tiny.done.stderr[-3000:]
    assert tiny.record["verdict"] == "pass" and tiny.record["kind"] == "sequence"
    for cell in tiny.record["cells"]:
        assert cell["accuracy"] is None and 0.6 < cell["metrics"]["auc"] <= 1
        assert set(cell["metrics"]["by_anomaly"]) == set(log_lines.ANOMALIES)
        gates = {gate["name"]: gate for gate in cell["gates"]}
        assert {"min_auc", "max_auc_drop"} <= set(gates)
        if cell["numerics"] == "fp32":
            assert gates["max_step_error"]["bound"] == 1e-5 and gates["max_bucket_error"]["bound"] == 1e-6
        assert (cell["target"] == "coreml") == (cell["p50_ms"] is None)
        if cell["p50_ms"] is not None:
            assert 0 < cell["p50_ms"]["value"] < cell["metrics"]["sequence_p50_ms"]["value"]


def test_the_report_names_the_figures_that_there_are(tiny: Run) -> None:
    page = (tiny.out / "report.md").read_text(encoding="utf-8")
    assert "| AUC | AUC, line by line |" in page and "bits" not in page and "**Generated data**" in page
    assert [one["name"] for one in tiny.record["baselines"]] == ["PyTorch fp32", "each line alone"]
    assert "<svg" in (tiny.out / "report.html").read_text(encoding="utf-8")


def test_the_bundle_needs_no_tokenizer_and_is_verified_from_its_files(tiny: Run, tmp_path: Path) -> None:
    manifest = read_json(tiny.bundle / "manifest.json")
    assert not (tiny.bundle / "tokenizer.json").exists() and manifest["task"]["kind"] == "sequence"
    assert [method["name"] for method in manifest["methods"]] == ["forward", "step"]
    checks = inside("verify", tiny.bundle, "--json")
    assert checks.code == 0 and [check["verdict"] for check in checks.json()] == ["pass"] * 5

    changed = tmp_path / "changed"
    shutil.copytree(tiny.bundle, changed)
    vectors = [json.loads(line) for line in (changed / "golden.jsonl").read_text("utf-8").splitlines()]
    vectors[0]["ids"][0] += 1
    vectors[0]["logits"][3][0] += 1
    (changed / "golden.jsonl").write_text("\n".join(map(json.dumps, vectors)) + "\n", encoding="utf-8")
    manifest["files"]["golden.jsonl"] = sha256(changed / "golden.jsonl")
    write_json(changed / "manifest.json", manifest)
    done = inside("verify", changed, "--json")
    assert done.code == 1
    for check in done.json():
        assert "golden vector 1 gives other ids" in check["problems"] and "off by 1" in check["problems"][1]


def test_a_log_is_scored_alike_in_every_runtime(tiny: Run) -> None:
    texts = [line.text for line in log_lines.generate(200, 77, anomalies=True)]
    scores = []
    for target in TARGETS:
        stream = open_stream(tiny.bundle, target)
        assert isinstance(stream, LogStream)
        scores.append([stream.score(text) for text in texts])
    assert np.isfinite(scores).all()
    spread = np.std(scores[0])
    assert max(np.abs(np.array(one) - scores[0]).mean() for one in scores) < 0.05 * spread


def test_load_gives_the_stream_and_generate_says_that_it_is_no_text(tiny: Run) -> None:
    stream = package.load(tiny.bundle, "onnx")
    assert isinstance(stream, LogStream)
    with pytest.raises(UsageError, match="kind 'sequence' makes no predictions"):
        package.load(tiny.bundle, "onnx", on_prediction=print)
    refused(inside("generate", tiny.bundle, "a line"), 2, "it writes nothing", "edgewright predict")


def test_commands_that_need_labels_refuse_in_one_line(tiny: Run, tmp_path: Path) -> None:
    refused(inside("bench", tiny.bundle), 2, "bench is for tasks with labels or tags")
    with pytest.raises(UsageError, match="kind 'sequence' is read position by position"):
        open_predictor(tiny.bundle)


def test_the_package_that_keeps_its_state_is_proved_and_shipped(tiny: Run, tmp_path: Path) -> None:
    cell = tiny.cell("coreml", "fp32")
    gates = {gate["name"]: gate for gate in cell["gates"]}
    assert gates["max_kept_state_error"]["measured"] <= 1e-6
    assert 0 < gates["max_state_rounding"]["measured"] <= 5e-3
    assert cell["metrics"]["state_package_steps"] >= 200
    assert not any("state" in name for name in tiny.cell("executorch", "fp32")["metrics"])

    (said,) = read_json(tiny.bundle / "manifest.json")["state_packages"]
    path = tiny.bundle / "artifacts" / "coreml-fp32-state.mlpackage"
    assert (said["target"], said["numerics"], said["state"], said["method"]) == ("coreml", "fp32", "inside", "step")
    assert said["minimum_ios"] == 18 and tiny.bundle / said["file"] == path
    assert said["sha256"] == sha256(path) and said["size_bytes"] == cell["metrics"]["state_package_bytes"]
    opened = bundles.read(tiny.bundle)
    assert [artifact.path.name for artifact in opened.artifacts if artifact.target == "coreml"] == [
        "coreml-fp32.mlpackage"
    ]

    kept = stream_of(opened, opened.state_runner(opened.state_packages[0]))
    other = open_stream(tiny.bundle, "coreml")
    assert isinstance(kept, LogStream) and isinstance(other, LogStream)
    texts = [line.text for line in log_lines.generate(100, 77, anomalies=True)]  # of several threads, in turns
    assert [kept.score(text) for text in texts] == pytest.approx([other.score(text) for text in texts], abs=0.02)

    half = tmp_path / "half"
    shutil.copytree(tiny.bundle, half)
    weights = next((half / "artifacts" / path.name).rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-1])
    opened = bundles.read(half)
    with pytest.raises(DamagedFileError, match=r"coreml-fp32-state\.mlpackage: truncated or changed"):
        opened.state_runner(opened.state_packages[0])
    shutil.rmtree(half / "artifacts" / path.name)
    with pytest.raises(DamagedFileError, match=r"coreml-fp32-state\.mlpackage: the file is missing"):
        opened.state_runner(opened.state_packages[0])


def test_export_writes_the_package_that_keeps_its_state_too(tiny: Run, tmp_path: Path) -> None:
    recipe, build = tiny.out.parent / "tiny.toml", tiny.build
    done = inside("export", recipe, "--out", tmp_path, "--build", build, "--effort", "rapid", "--json")
    assert done.code == 0, done.stderr
    kept = [row for row in done.json() if row.get("state") == "inside"]
    assert [row["file"] for row in kept] == [str(tmp_path / "coreml-fp32-state.mlpackage")]
    assert kept[0]["sha256"] == sha256(tmp_path / "coreml-fp32-state.mlpackage")


def wrong(tmp_path: Path, old: str, new: str) -> recipes.Recipe:
    assert old in TINY
    path = tmp_path / "wrong.toml"
    path.write_text(TINY.replace(old, new), encoding="utf-8")
    return recipes.read(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3", "epoch = 3", "unknown key 'epoch'; did you mean 'epochs'"),
        ("hidden_size = 8", "input_size = 8", "'input_size' follows from the tokenizer and the labels"),
        ("hidden_size = 8", "hidden_size = 0", "hidden_size: must be at least 1"),
        ("hidden_size = 8", "many_to_one = true", "many_to_one: this task asks for an output at each position"),
        ("lengths = [16]", "lengths = [16, 256]", "at most 128"),
        (
            'family = "sequence_net"\nhidden_size = 8',
            'family = "text_cnn"',
            "text_cnn learns tasks of kind 'single_label'",
        ),
        ("[train]", '[tokenizer]\nkind = "characters"\n[train]', "reads log lines without one; remove it"),
        ('"log_anomalies"', '"text_en"', "reads characters; kind must be characters"),
        ('"log_anomalies"', '"urgency"', "sequence_net learns tasks of kind 'sequence', not 'single_label'"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sequence_tables.check(wrong(tmp_path, old, new))


def test_the_packaged_recipes_are_right_at_every_effort() -> None:
    for name in ("logs", "text_en", "text_fr"):
        for effort in recipes.EFFORTS:
            sequence_tables.check(recipes.read(recipes.find(name)).for_effort(effort))


def test_pairs_of_characters_are_counted() -> None:
    from edgewright.data.plain_text import windows_of

    ids = np.array([2, 3, 2, 3, 2, 4], np.int32)
    found = pair_surprises(ids, windows_of(np.array([2, 3, 4, 1], np.int32), 4), 5)
    # 2 is followed by 3 twice and by 4 once, 3 by 2 twice; 5 ids, each once more than seen; 1 is unknown
    assert found[0].tolist() == pytest.approx([-np.log(3 / 8), -np.log(1 / 7), 0, 0])


def test_anomalies_are_judged_against_normal_lines_of_the_rows_alone() -> None:
    subject = Logs(3_000, 0)
    whole, part = (subject.held_out("test", 16, most) for most in (None, 20))
    assert len(part) == 20 < len(whole)
    lines = int(part.counted(slice(None)).sum())
    assert subject.figures("test", part, np.ones((20, 16)))["lines"] == lines < 600


@pytest.mark.slow
def test_text_is_learnt_and_written(real_data: Path, tmp_path: Path) -> None:
    done = run("text_en", tmp_path)
    assert done.done.code == 0, done.done.stderr[-3000:]
    pairs = next(one for one in done.record["baselines"] if one["name"] == "pairs of characters")
    for cell in done.record["cells"]:
        assert cell["metrics"]["bits"] < pairs["metrics"]["bits"] and cell["label_agreement"] > 0.9
    stream = open_stream(done.bundle, "litert")
    assert len(stream.write("The ", 100, 0.7, seed=1)) == 100  # type: ignore[union-attr]
