"""Several rows a call: each row answers what it answers alone, as far as the runtime's rounding allows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgewright.benchmarks.batched import batched_artifact
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.quantize import quantize
from edgewright.data import tokenizer
from edgewright.data.wordpiece import WordPiece
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.checkpoint import save_model
from edgewright.models.methods import Method, Tensor
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.runtimes import bundle as reader
from edgewright.runtimes import load
from edgewright.runtimes.bundle import Bundle, BundleArtifact
from tests import small_bundle

LENGTH = 8
BATCH = 5
VOCABULARY = 60
LABELS = ("one", "two", "three")
PER_ROW: tuple[Target, ...] = ("litert", "executorch")  # where a row's range of activations is its own
INT8: Numerics = "dynamic_wi8_afp32"
EXTRA = {"litert": "litert_torch", "executorch": "executorch", "onnx": "onnxruntime"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a small text_cnn, with its ONNX files: the other targets' are made by what is tested."""
    pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    model = TextCNN(TextCNNConfig(vocab_size=VOCABULARY, classes=len(LABELS), width=16, hidden=16)).eval()
    save_model(model, "text_cnn", folder / "reference.safetensors")
    tokenizer.save(WordPiece(("down", "server", "the"), max_tokens=LENGTH), folder / "tokenizer.json")
    ids, logits = Tensor("ids", "int32", ("batch", "length")), Tensor("logits", "float32", ("batch", len(LABELS)))
    method = Method("forward", (ids,), (logits,), (LENGTH,))
    about = Metadata("small", "", LABELS, "MIT", "0.1.0")
    numerics: tuple[Numerics, ...] = ("fp32", INT8)
    shipped = [
        export("onnx", quantize(model, kind), [method], folder / f"{kind}{SUFFIX['onnx']}", [], about)
        for kind in numerics
    ]
    return reader.read(small_bundle.write(folder, shipped, [method], LABELS))


@pytest.fixture(scope="module")
def urgency() -> Bundle:
    """The zoo's n-gram hybrid, as trained."""
    return reader.read(reader.zoo()["urgency"])


def artifact(bundle: Bundle, target: Target, numerics: Numerics) -> BundleArtifact:
    """The bundle's own where it has it; for a target that is exported anew the description is enough."""
    own = [a for a in bundle.artifacts if (a.target, a.numerics) == (target, numerics)]
    return own[0] if own else replace(bundle.artifacts[0], target=target, numerics=numerics)


def rows(*sizes: int) -> np.ndarray:
    """Random ids (sizes) with padding; the rows after the first have fewer and fewer tokens."""
    ids = np.random.default_rng(0).integers(1, VOCABULARY, sizes, dtype=np.int32)
    for number, row in enumerate(ids):
        row[max(1, sizes[1] - number) :] = 0
    return ids


@pytest.mark.parametrize("target", ["litert", "executorch", "onnx"])
def test_float_rows_answer_what_they_answer_alone(small: Bundle, target: Target, tmp_path: Path) -> None:
    pytest.importorskip(EXTRA[target], reason=f"needs edgewright[{target}]")
    one, several = (batched_artifact(small, artifact(small, target, "fp32"), n, LENGTH, tmp_path) for n in (1, BATCH))
    assert one is not None and several is not None
    ids, alone = rows(BATCH, LENGTH), load(target, one)
    (together,) = load(target, several).run(ids)
    assert together.shape == (BATCH, len(LABELS))
    assert np.abs(together - np.concatenate([alone.run(row[None])[0] for row in ids])).max() <= 1e-5


@pytest.mark.parametrize("target", PER_ROW)
def test_int8_rows_have_ranges_of_their_own(small: Bundle, target: Target, tmp_path: Path) -> None:
    pytest.importorskip(EXTRA[target], reason=f"needs edgewright[{target}]")
    path = batched_artifact(small, artifact(small, target, INT8), BATCH, LENGTH, tmp_path)
    assert path is not None
    assert moved_by_its_neighbours(path, target) == 0


def moved_by_its_neighbours(path: Path, target: Target) -> float:
    """How far the first row's logits move when the other rows of the call are others."""
    runner, ids = load(target, path), rows(BATCH, LENGTH)
    others = ids.copy()
    others[1:] = ids[1:, ::-1] % (VOCABULARY // 2)
    return float(np.abs(runner.run(ids)[0][0] - runner.run(others)[0][0]).max())


def test_one_range_for_all_rows_would_be_noticed(small: Bundle) -> None:
    assert moved_by_its_neighbours(artifact(small, "onnx", INT8).path, "onnx") > 0


def test_int8_rows_share_one_range_in_onnx_and_keep_their_label(urgency: Bundle, tmp_path: Path) -> None:
    """If this fails because the rows no longer differ, ONNX Runtime quantizes by row: say so in batched.py."""
    pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")
    own = urgency.artifact("onnx", INT8)
    path = batched_artifact(urgency, own, BATCH, 16, tmp_path)
    assert path == own.path
    runner, ids = load("onnx", own.path), golden_rows(urgency, 16)
    (together,) = runner.run(ids)
    alone = np.concatenate([runner.run(row[None])[0] for row in ids])
    assert 1e-5 < np.abs(together - alone).max() < 0.05 * np.abs(alone).max()
    assert np.array_equal(together.argmax(axis=1), alone.argmax(axis=1))


@pytest.mark.parametrize("target", PER_ROW)
def test_the_shipped_int8_file_gives_the_rows_of_the_batched_one(
    urgency: Bundle, target: Target, tmp_path: Path
) -> None:
    pytest.importorskip(EXTRA[target], reason=f"needs edgewright[{target}]")
    own = urgency.artifact(target, INT8)
    path = batched_artifact(urgency, own, BATCH, 16, tmp_path)
    assert path is not None
    shipped, ids = urgency.runner(own), golden_rows(urgency, 16)
    (together,) = load(target, path).run(ids)
    assert np.abs(together - np.concatenate([shipped.run(row[None])[0] for row in ids])).max() <= 1e-5


def golden_rows(bundle: Bundle, length: int) -> np.ndarray:
    """(BATCH, length, features) of the bundle's first golden texts that are not empty."""
    found = [np.array(golden.ids, np.int32)[:length] for golden in bundle.golden() if len(golden.ids) > 2][:BATCH]
    ids = np.zeros((BATCH, length, found[0].shape[1]), np.int32)
    for row, tokens in zip(ids, found, strict=True):
        row[: len(tokens)] = tokens
    return ids


@pytest.mark.parametrize(
    ("target", "numerics"),
    [("coreml", "weight_only_wi8_afp16"), ("litert", "static_wi8_ai8"), ("executorch", "fp16")],
)
def test_what_cannot_be_made_for_several_rows_is_none(
    urgency: Bundle, target: Target, numerics: Numerics, tmp_path: Path
) -> None:
    assert batched_artifact(urgency, artifact(urgency, target, numerics), BATCH, 16, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_without_its_checkpoint_has_no_batched_file(urgency: Bundle, tmp_path: Path) -> None:
    bare = replace(urgency, manifest={**urgency.manifest, "reference": None})
    assert batched_artifact(bare, urgency.artifact("litert"), BATCH, 16, tmp_path) is None


def test_no_rows_is_a_mistake_of_the_caller(urgency: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch is 0 and length 16"):
        batched_artifact(urgency, urgency.artifact("onnx"), 0, 16, tmp_path)
