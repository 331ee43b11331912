"""`predict` on bundles that read a stream: scores of log lines, bits of characters, and what is refused."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgewright import cli_output as show
from edgewright.compress.quantize import quantize
from edgewright.data import log_lines, tokenizer
from edgewright.data.characters import Characters
from edgewright.data.files import read_json, sha256, write_json
from edgewright.data.log_features import BUCKETS
from edgewright.data.sequence_rows import line_inputs, line_outputs
from edgewright.errors import DamagedFileError, DataError, EdgewrightError, UsageError
from edgewright.export import export
from edgewright.export.artifact import Metadata
from edgewright.models import checkpoint
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.pipeline import predict_commands
from edgewright.pipeline.predict_commands import CharactersRead, LineScore
from edgewright.runtimes.stream import CharacterStream, LogStream, open_stream
from tests import small_bundle
from tests.end_to_end.runs import edgewright, inside, refused

pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")

TOKENIZER = Characters("abc", specials=("end",))
MakeBundle = Callable[[str, int, int], Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> MakeBundle:
    def make(reads: str, inputs: int, outputs: int) -> Path:
        folder = tmp_path_factory.mktemp(reads)
        torch.manual_seed(5)
        model = SequenceNet(SequenceNetConfig(inputs, 8, outputs)).eval()
        methods = model.methods((4,))
        metadata = Metadata("tiny", "for tests", (), "MIT", "1")
        artifact = export("onnx", quantize(model, "fp32"), methods, folder / "onnx-fp32.onnx", [], metadata)
        checkpoint.save_model(model, "sequence_net", folder / "reference.safetensors")
        if reads == "characters":
            tokenizer.save(TOKENIZER, folder / "tokenizer.json")
        said = {"decoding": "sequence", "temperature": 1.0, "threshold": None, "windows": "state", "reads": reads}
        return small_bundle.write(folder, [artifact], methods, (), "sequence", said)

    return make


@pytest.fixture(scope="module")
def logs(make: MakeBundle) -> Path:
    return make("log_lines", line_inputs(BUCKETS), line_outputs(BUCKETS))


@pytest.fixture(scope="module")
def text(make: MakeBundle) -> Path:
    return make("characters", TOKENIZER.vocab_size, TOKENIZER.vocab_size)


LINES = [line.text for line in log_lines.generate(40, 3, anomalies=True)]


def test_the_lines_of_a_log_are_one_stream_from_a_file_as_from_stdin(logs: Path, tmp_path: Path) -> None:
    stream = open_stream(logs)
    assert isinstance(stream, LogStream)
    expected = [stream.score(line) for line in LINES]
    file = tmp_path / "shop.log"
    file.write_text("\n".join(LINES), encoding="utf-8")  # the last line without its end
    found = list(predict_commands.predict(str(logs), None, file))
    assert found == [LineScore(number, score) for number, score in enumerate(expected, start=1)]
    assert len({score for score in expected}) > 30

    piped = edgewright("predict", logs, "--json", stdin="\r\n".join(LINES) + "\r\n")
    assert piped.code == 0, piped.stderr
    rows = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [row["line"] for row in rows] == list(range(1, 41))
    assert [row["score"] for row in rows] == pytest.approx(expected)
    assert show.prediction_lines(found[0]).split() == ["1", f"{expected[0]:.3f}"]


def test_the_bits_of_a_text_are_those_of_its_characters_one_by_one(text: Path, tmp_path: Path) -> None:
    stream = open_stream(text)
    assert isinstance(stream, CharacterStream)
    given = [TOKENIZER.vocab_size - 1, 2, 3, TOKENIZER.vocab_size - 1, 4, 1, TOKENIZER.vocab_size - 1]
    outputs = stream.stream.steps(np.eye(TOKENIZER.vocab_size, dtype=np.float32)[given]).astype(np.float64)
    likely = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    bits = [-likely[place, token] / np.log(2) for place, token in enumerate(given[1:])]
    del bits[4]  # "x" is in no vocabulary

    file = tmp_path / "text.txt"
    file.write_text("ab\ncx\n", encoding="utf-8")
    first, second, whole = predict_commands.predict(str(text), None, file)
    for answer, expected in (
        (first, CharactersRead(1, 3, 0, float(np.mean(bits[:3])))),
        (second, CharactersRead(2, 2, 1, float(np.mean(bits[3:])))),
        (whole, CharactersRead(None, 5, 1, float(np.mean(bits)))),
    ):
        assert answer.bits == pytest.approx(expected.bits, rel=1e-4)
        assert dataclasses.replace(answer, bits=expected.bits) == expected
    shown = f"2 {np.mean(bits[3:]):.3f} bits a character characters 2 unknown 1"
    assert show.prediction_lines(second).split() == shown.split()
    assert show.prediction_lines(whole).split()[0] == "all"


def test_after_a_text_the_likeliest_characters_are_named(text: Path) -> None:
    (answer,) = ask(text, "ab")
    stream = open_stream(text)
    assert isinstance(stream, CharacterStream)
    stream.next("")
    scores = stream.next("ab").astype(np.float64)
    shares = np.exp(scores) / np.exp(scores).sum()
    assert answer.line is None and answer.characters == 2
    names = [one.character for one in answer.next]
    assert set(names) == {"a", "b", "c", "\n"}
    assert [one.probability for one in answer.next] == pytest.approx(sorted(shares[2:], reverse=True))
    assert f"next  {names[0]!r} 0." in inside("predict", text, "ab").stdout


def ask(bundle: Path, text: str | None = None, file: Path | None = None, runtime: str | None = None) -> list[Any]:
    return list(predict_commands.predict(str(bundle), text, file, runtime))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{LINES[0]}\n\n".encode(), "log line 2: not of the form 'TIME LEVEL COMPONENT MESSAGE'"),
        (b"", "there is no line to score"),
        (b"\xff\n", r"x\.log, line 1: is not UTF-8"),
    ],
)
def test_a_file_that_is_no_log_is_refused(logs: Path, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.log"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        ask(logs, file=file)


def test_wrong_arguments_are_one_clear_line(logs: Path, text: Path, tmp_path: Path) -> None:
    refused(inside("predict", logs, stdin="a line\n"), 3, "log line 1: not of the form")
    refused(inside("predict", logs, "--file", tmp_path / "nowhere.log"), 3, "nowhere.log: No such file")
    with pytest.raises(IsADirectoryError):
        ask(logs, file=tmp_path)
    with pytest.raises(UsageError, match="give TEXT or a file, not both"):
        ask(logs, "a line", tmp_path)
    with pytest.raises(UsageError, match="no artifact for litert; it holds onnx fp32"):
        ask(logs, "a line", runtime="litert")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match="there is no line to read"):
        ask(text, file=tmp_path / "empty.txt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["postprocess"].pop("reads"), "reads numbers, not text; use .*open_stream"),
        (lambda m: m["methods"].pop(), "has no method 'step'"),
        (lambda m: m["methods"][1]["inputs"].pop(1), "it should take one input and its state"),
        (lambda m: m["postprocess"].update(reads="smells"), "postprocess/reads"),
        (lambda m: m["postprocess"].update(reads="characters"), r"tokenizer\.json"),
        (lambda m: m.update(state_packages=[{"target": "coreml"}]), "state_packages/0"),
    ],
)
def test_half_a_bundle_says_what_is_wrong(
    logs: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    bundle = Path(shutil.copytree(logs, tmp_path / "bundle"))
    manifest = read_json(bundle / "manifest.json")
    change(manifest)
    write_json(bundle / "manifest.json", manifest)
    with pytest.raises(EdgewrightError, match=message):
        ask(bundle, LINES[0])


def test_an_artifact_that_changed_is_never_opened(logs: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(logs, tmp_path / "bundle"))
    step = bundle / "artifacts" / "onnx-fp32.onnx" / "step.onnx"
    step.write_bytes(step.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match=r"onnx-fp32\.onnx: truncated or changed: sha256"):
        ask(bundle, LINES[0])
    step.unlink()
    with pytest.raises(DamagedFileError, match=r"onnx-fp32\.onnx: truncated or changed: sha256"):
        ask(bundle, LINES[0])
    manifest = read_json(bundle / "manifest.json")
    manifest["artifacts"][0]["sha256"] = sha256(bundle / "artifacts" / "onnx-fp32.onnx")
    write_json(bundle / "manifest.json", manifest)
    with pytest.raises(DamagedFileError, match=r"onnx-fp32\.onnx"):
        ask(bundle, LINES[0])
