"""Whatever is handed to the command line: one clear line, the promised exit code, nothing half-written.

Most commands run in this process; of each kind of answer one runs in its own, where nothing catches what is raised.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.data.files import read_json
from edgewright.runtimes.bundle import find
from tests.end_to_end.runs import SMALL, Done, edgewright, inside, refused


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the packaged bundle that a test may damage."""
    return Path(shutil.copytree(find("urgency"), tmp_path / "bundle"))


def edit(bundle: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    manifest = read_json(bundle / "manifest.json")
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


GOOD_ROW = b'{"text": "the printer is on fire", "label": "high"}\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("rows.jsonl", "no rows")),
        (b"\xff\xfe{}\n", ("rows.jsonl", "UTF-8")),
        (GOOD_ROW + b"not json\n", ("rows.jsonl", "line 2", "JSON")),
        (GOOD_ROW + b'{"label": "high"}\n', ("line 2", "text")),
        (GOOD_ROW + b'{"text": "a"}\n', ("line 2", "label")),
        (GOOD_ROW + b'{"text": "a", "label": "hihg"}\n', ("row 2", "unknown label 'hihg'", "did you mean 'high'")),
        (GOOD_ROW + b'{"text": 7, "label": "high"}\n', ("line 2", "text")),
        (GOOD_ROW + b"[1]\n", ("line 2",)),
    ],
)
def test_rows_that_cannot_be_used_are_named(
    bundle: Path, tmp_path: Path, content: bytes, words: tuple[str, ...]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    refused(inside("evaluate", bundle, "--data", path, "--json"), 3, *words)


def test_a_truncated_gzip_is_named(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD_ROW * 500)[:-20])
    refused(inside("evaluate", bundle, "--data", path), 3, "rows.jsonl.gz")


def test_rows_that_are_not_there_are_named(bundle: Path) -> None:
    refused(edgewright("evaluate", bundle, "--data", "nowhere.jsonl"), 3, "nowhere.jsonl")


def test_one_class_only_cannot_be_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "intent_banking77"
    folder.mkdir()
    for split in ("train", "validation", "test"):
        (folder / f"{split}.jsonl.gz").write_bytes(gzip.compress(GOOD_ROW))
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL.replace('urgency"', 'banking77"', 1).replace("[data]\ncount = 1500\n", ""), "utf-8")
    done = edgewright("run", recipe, "--build", tmp_path / "build", EDGEWRIGHT_DATA=str(tmp_path))
    # these rows are not those that were declared, which is said before anything else
    refused(done, 3, "sha256", "intent_banking77")


@pytest.mark.parametrize("text", ["x" * 1_000_000, "word " * 200_000, "é" * 500_000, "\0" * 1000])
def test_a_text_of_a_megabyte_is_answered(bundle: Path, text: str) -> None:
    done = inside("predict", bundle, "--runtime", "litert", stdin=text + "\n")
    assert done.code == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"label", "confidence", "rejected"}


def test_stdin_that_is_not_utf8_is_refused_with_its_line(bundle: Path) -> None:
    refused(edgewright("predict", bundle, stdin=b"fine\n\xff\xfe\n"), 3, "stdin, line 2", "UTF-8")


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing", "empty"])
@pytest.mark.parametrize("file", ["artifacts/litert-dynamic_wi8_afp32.tflite", "tokenizer.json"])
def test_a_damaged_file_is_never_opened(bundle: Path, file: str, damage: str) -> None:
    path = bundle / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        changed = bytes([content[middle] ^ 1])
        path.write_bytes(
            {
                "truncated": content[:middle],
                "empty": b"",
                "changed": content[:middle] + changed + content[middle + 1 :],
            }[damage]
        )
    refused(inside("predict", bundle, "hello", "--runtime", "litert"), 3, path.name)
    if damage == "changed":
        refused(inside("verify", bundle), 3, path.name, "sha256")


def test_a_folder_artifact_is_checked_file_by_file(bundle: Path) -> None:
    weights = next((bundle / "artifacts").rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-1])
    refused(inside("predict", bundle, "hello", "--runtime", "coreml"), 3, ".mlpackage", "sha256")


def test_a_bundle_of_a_newer_schema_is_refused(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest.update(schema=2))
    refused(inside("predict", bundle, "hello"), 3, "schema 2 is newer than 1", "upgrade")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "artifacts/../../x.tflite"])
def test_a_path_that_leaves_the_bundle_is_refused(bundle: Path, path: str) -> None:
    edit(bundle, lambda manifest: manifest["artifacts"][0].update(file=path))
    refused(inside("predict", bundle, "hello"), 3, "leaves the folder")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("task"), ("manifest.json", "'task' is a required property")),
        (lambda m: m["postprocess"].update(temperature=0), ("postprocess/temperature",)),
        (lambda m: m["methods"][0].update(name="other"), ("no method 'forward'",)),
        (lambda m: m["files"].pop("tokenizer.json"), ("tokenizer.json",)),
        (lambda m: m["task"].update(labels="abc"), ("task/labels",)),
    ],
)
def test_a_malformed_manifest_says_where(bundle: Path, change: Callable[[dict], None], words: tuple[str, ...]) -> None:  # type: ignore[type-arg]
    edit(bundle, change)
    refused(inside("predict", bundle, "hello"), 3, *words)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    refused(edgewright("predict", tmp_path / "nowhere", "hello"), 2, "no such bundle")
    refused(inside("predict", tmp_path, "hello"), 3, "manifest.json", "no such file")


def test_an_unknown_runtime_or_numerics_lists_what_there_is(bundle: Path) -> None:
    refused(inside("predict", bundle, "hello", "--runtime", "tflite"), 2, "unknown runtime 'tflite'", "litert")
    refused(inside("predict", bundle, "hello", "--runtime", "onnx", "--numerics", "fp16"), 2, "no artifact")


def test_a_missing_extra_is_answered_before_any_work_with_the_install_command(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL, encoding="utf-8")
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from edgewright.cli import main;"
        f"sys.argv = ['edgewright', 'run', {str(recipe)!r}, '--build', {str(tmp_path / 'build')!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    refused(Done(done.returncode, done.stdout, done.stderr), 3, "onnxruntime", "pip install 'edgewright[onnx]'")
    assert not (tmp_path / "build").exists()


def test_a_bundle_without_an_installed_runtime_says_which_to_install(bundle: Path) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from edgewright.cli import main;"
        f"sys.argv = ['edgewright', 'predict', {str(bundle)!r}, 'hello', '--runtime', 'onnx']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    refused(Done(done.returncode, done.stdout, done.stderr), 3, "pip install 'edgewright[onnx]'")


def test_a_wrong_command_line_exits_with_2() -> None:
    for arguments in (("predcit", "urgency"), ("run",), ("run", "urgency", "--effort", "slow"), ("run", "nowhere")):
        done = edgewright(*arguments)
        assert done.code == 2 and "Traceback" not in done.stderr, done.stderr


def test_a_kill_in_the_middle_of_training_costs_only_the_unfinished_stage(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL.replace("epochs = 6", "epochs = 400"), encoding="utf-8")
    command = [sys.executable, "-m", "edgewright", "train", str(recipe), "--build", str(tmp_path / "build")]
    command += ["--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    state = tmp_path / "build" / "unfinished"
    deadline = time.monotonic() + 300  # a busy machine takes a minute to import PyTorch
    while not list(state.glob("*/state.safetensors")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it had a state"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path.name.split("-")[0] for path in (tmp_path / "build").iterdir() if not path.name.startswith(".")}
    assert "train" not in made and {"data", "tokenizer", "unfinished"} <= made
    plan = inside("run", recipe, "--build", tmp_path / "build", "--effort", "quick", "--plan", "--json").json()
    assert {step["stage"]: step["cached"] for step in plan if step["stage"] in ("tokenizer", "train-seed0")} == {
        "tokenizer": True,
        "train-seed0": False,
    }


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_said_in_one_line_and_leaves_no_stage(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine forbids mounts")
    try:
        recipe = tmp_path / "small.toml"
        recipe.write_text(SMALL.replace("epochs = 6", "epochs = 1"), encoding="utf-8")
        done = edgewright("train", recipe, "--build", disk / "build", "--out", tmp_path / "out")
        refused(done, 3, "the disk is full; free some space")
        assert not list((disk / "build").glob("train-*"))
    finally:
        subprocess.run(["umount", str(disk)])
