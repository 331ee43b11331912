"""Text → label is timed through a whole bundle, its parts apart."""

from pathlib import Path

import pytest

from edgewright.benchmarks import latency, load_time
from edgewright.benchmarks.empty_graph import LENGTH, empty_graph, empty_inputs
from edgewright.benchmarks.job_files import write_inputs, write_texts
from edgewright.benchmarks.latency import Job
from edgewright.data import files, tokenizer
from edgewright.data.wordpiece import WordPiece
from edgewright.errors import UsageError
from edgewright.export.artifact import describe
from edgewright.models.methods import Method, Tensor
from tests import small_bundle

pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose logits are the padded ids themselves: 16 of them, for 16 labels."""
    folder = tmp_path_factory.mktemp("bundled")
    tokenizer.save(WordPiece(("down", "server", "the"), max_tokens=LENGTH), folder / "tokenizer.json")
    files.write_bytes(folder / "reference.safetensors", b"unused")
    artifact = empty_graph("onnx", folder)
    assert artifact is not None
    labels = [f"label {i}" for i in range(LENGTH)]
    method = Method(
        "forward",
        (Tensor("ids", "int32", ("batch", "length")),),
        (Tensor("logits", "float32", ("batch", LENGTH)),),
        (LENGTH,),
    )
    return small_bundle.write(folder, [describe("onnx", "fp32", artifact, {}, {}, {})], [method], labels)


def test_the_parts_of_text_to_label_are_timed_apart_and_together(bundled: Path, tmp_path: Path) -> None:
    texts = write_texts(["the server is down", "the server is down " * 4], tmp_path / "texts.json")
    series = latency.measure([Job("text", "onnx", bundled, texts=texts, numerics="fp32")], "rapid")["text"]
    assert set(series) == {"encode", "inference", "text_to_label"}
    parts = series["encode"].series.p50_ms.value + series["inference"].series.p50_ms.value
    # the whole adds the softmax and the label; on two texts of different length the medians do not just add up
    assert 0.5 * parts < series["text_to_label"].series.p50_ms.value < 20 * parts
    assert all(len(one.blocks_ns) >= 10 for one in series.values())


def test_lengths_are_timed_beside_the_texts_on_the_same_artifact(bundled: Path, tmp_path: Path) -> None:
    texts = write_texts(["the server is down"], tmp_path / "texts.json")
    inputs = write_inputs({"length 16": [empty_inputs()]}, tmp_path / "lengths.npz")
    job = Job("text", "onnx", bundled, inputs=inputs, texts=texts, numerics="fp32")
    series = latency.measure([job], "rapid")["text"]
    assert set(series) == {"encode", "inference", "text_to_label", "length 16"}


def test_a_cold_start_from_a_bundle_ends_with_a_label(bundled: Path, tmp_path: Path) -> None:
    texts = write_texts(["the server is down"], tmp_path / "texts.json")
    found = load_time.measure(Job("text", "onnx", bundled, texts=texts, numerics="fp32"), "rapid")
    assert 1 < found.load_ms.value + found.import_ms.value < found.process_ms.value


def test_numerics_that_the_bundle_lacks_are_explained(bundled: Path, tmp_path: Path) -> None:
    job = Job("text", "onnx", bundled, texts=write_texts(["a"], tmp_path / "texts.json"), numerics="fp16")
    with pytest.raises(UsageError, match=r"^benchmark of text: .*no artifact for onnx fp16"):
        latency.measure([job], "rapid")
