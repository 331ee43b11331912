"""`edgewright compare-weights` on bundles: a ready one, changed copies of it, and what cannot be compared."""

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.benchmarks.agreement import agree
from edgewright.data import files
from edgewright.errors import DamagedFileError, EdgewrightError, UsageError
from edgewright.pipeline import compare_commands
from edgewright.pipeline.compare_commands import Compared, compare_weights
from edgewright.pipeline.progress import Reporter
from edgewright.runtimes.bundle import zoo
from tests.end_to_end.runs import inside, refused

ZOO = zoo()["urgency"]
QUIET = Reporter(quiet=True)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the bundle that may be changed."""
    return Path(shutil.copytree(ZOO, tmp_path / "bundle"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest; the checksums of the artifacts are taken anew."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    for entry in manifest["artifacts"]:
        entry["sha256"] = files.sha256(bundle / entry["file"])
    files.write_json(bundle / "manifest.json", manifest)


def keep_only(*targets: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        manifest["artifacts"] = [entry for entry in manifest["artifacts"] if entry["target"] in targets]

    return change


def flip_one_integer(bundle: Path) -> None:
    """In the middle of the LiteRT file's largest constant, the embedding."""
    path = bundle / "artifacts/litert-dynamic_wi8_afp32.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.fixture(scope="module")
def whole() -> Compared:
    return compare_weights(ZOO, None, QUIET)


def test_a_ready_bundle_stores_the_same_weights_in_all_four_files(whole: Compared) -> None:
    assert whole.equal
    assert whole.lines == ("equal: 5 weights, 0 differing integers, equal scales in 4 files",)
    said = json.loads(json.dumps(whole.to_json()))
    assert [file["name"] for file in said["files"]] == ["executorch", "litert", "coreml", "onnx"]
    assert {cell["state"] for layer in said["layers"] for cell in layer["cells"].values()} == {"equal"}
    assert said["schema"] == 1


def test_one_changed_integer_is_told_and_fails(copied: Path) -> None:
    flip_one_integer(copied)
    edit(copied, keep_only("litert", "coreml"))
    done = inside("compare-weights", copied)
    assert done.code == 1
    assert "1 of 262176 integers differ" in done.stdout
    assert done.stdout.splitlines()[-1] == "not equal: litert: embedding.weight: 1 of 262176 integers differ"


def test_a_file_that_is_not_the_one_of_the_manifest_is_not_read(copied: Path) -> None:
    flip_one_integer(copied)
    refused(inside("compare-weights", copied), 3, "litert-dynamic_wi8_afp32.tflite", "changed")


def test_a_bundle_of_one_file_is_compared_with_the_grid(copied: Path) -> None:
    edit(copied, keep_only("onnx"))
    compared = compare_weights(copied, None, QUIET)
    assert compared.equal
    assert compared.lines[-1] == "equal to the grid: 5 weights of onnx; there is no second file"


@pytest.mark.parametrize(
    ("numerics", "words"),
    [
        ("fp16", "fp16 has no grid of integers: it stores every weight as floats"),
        ("sparse_wfp16_afp16", "it stores every weight as floats"),
        ("palette_w6_afp16", "a palette"),
        ("palette_w4_afp16", "a palette"),
    ],
)
def test_what_has_no_grid_is_not_equal_and_says_so(copied: Path, numerics: str, words: str) -> None:
    def change(manifest: dict[str, Any]) -> None:
        keep_only("coreml")(manifest)
        manifest["artifacts"][0]["numerics"] = numerics

    edit(copied, change)
    compared = compare_weights(copied, None, QUIET)
    assert not compared.equal
    assert compared.lines[-1].startswith("not equal: coreml: ") and words in compared.lines[-1]


def test_a_file_of_eight_bits_does_not_pass_for_one_of_four(copied: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        keep_only("coreml", "onnx")(manifest)
        manifest["artifacts"][0]["numerics"] = "weight_only_wi4_afp16"

    edit(copied, change)
    compared = compare_weights(copied, None, QUIET)
    assert not compared.equal
    assert "bag.weight: 8 bits, not the grid's, and 1 more" in compared.lines[-1]


def test_a_missing_library_is_one_line_and_no_verdict(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(copied, keep_only("litert", "coreml"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    for name in [name for name in sys.modules if name.startswith("edgewright.export.") and "litert" in name]:
        monkeypatch.delitem(sys.modules, name)
    compared = compare_weights(copied, None, QUIET)
    assert not compared.equal
    assert [file.verdict for file in compared.comparison.files] == ["not_verifiable", "pass"]
    assert compared.lines[-1].startswith("not verifiable: litert: reading the weights of litert needs ai_edge_litert")
    assert "pip install 'edgewright[litert]'" in compared.lines[-1]


def test_a_bundle_without_its_reference_has_no_grid(copied: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        del manifest["reference"]

    edit(copied, change)
    with pytest.raises(EdgewrightError, match="has no float reference"):
        compare_weights(copied, None, QUIET)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "artifacts/onnx-dynamic_wi8_afp32.onnx").unlink()
    with pytest.raises(DamagedFileError, match=r"onnx-dynamic_wi8_afp32\.onnx: the file is missing"):
        compare_weights(copied, None, QUIET)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Labelled rows of our own."""
    texts = [
        ("the server is down and every customer is calling, act now", "critical"),
        ("please answer when you find the time, no hurry", "low"),
        ("can you send the figures before noon", "medium"),
        ("la facture doit partir ce soir", "high"),
    ]
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts)
    return path


def test_rows_show_how_the_labels_agree(rows: Path) -> None:
    done = inside("compare-weights", "urgency", "--data", rows, "--json")
    said = done.json()
    agreement = said["agreement"]
    assert agreement["n"] == 4
    assert len(agreement["pairs"]) == 6
    assert any("bit-identical logits on" in line for line in said["lines"])
    assert done.code == (0 if agreement["all_agree"] >= 0.995 else 1)
    assert "server" not in done.stdout + done.stderr


def test_too_few_rows_with_one_label_fail(whole: Compared) -> None:
    one = np.eye(4, dtype=np.float32)
    other = one[[1, 0, 2, 3]]
    agreement = agree({"litert": one, "onnx": other}, [0, 1, 2, 3], ("a", "b", "c", "d"))
    judged = compare_commands.judged(whole.comparison, agreement, least=0.995)
    assert not judged.equal
    assert judged.lines[-1].endswith("equal scales in 4 files, but too many labels differ")
    assert "0.5000 (2 of 4 answers differ; at least 0.995 is asked for)" in judged.lines[-2]
    assert compare_commands.judged(whole.comparison, agreement, least=0.5).equal
    assert not compare_commands.judged(replace(whole.comparison, verdict="fail"), agreement, least=0.5).equal


def test_a_share_that_is_none_is_refused(rows: Path) -> None:
    with pytest.raises(UsageError, match=r"--min-agreement: 99\.5 is no share"):
        compare_weights(ZOO, rows, QUIET, min_agreement=99.5)


def test_the_grid_follows_what_the_manifest_says_of_single_layers(copied: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        keep_only("onnx")(manifest)
        manifest["quantization"] = {"bits": {}, "embedding_scales": "row"}

    edit(copied, change)
    compared = compare_weights(copied, None, QUIET)
    assert not compared.equal
    states = {layer.name: layer.cells["onnx"].state for layer in compared.comparison.layers}
    assert {name for name, state in states.items() if state != "equal"} == {"embedding.weight"}
