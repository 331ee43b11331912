"""Replies through a runtime are those of PyTorch: the tokens, the texts, and what is said of a call."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgewright.compress.quantize import quantize
from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.files import read_json, sha256, write_json
from edgewright.data.sampling import Sampling
from edgewright.data.tokenizer import pad, save
from edgewright.errors import EdgewrightError, UsageError
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.hybrid import HybridConfig, HybridRNNTransformer
from edgewright.pipeline import generate_commands
from edgewright.runtimes import load
from edgewright.runtimes.bundle import zoo
from edgewright.runtimes.generator import Generator, open_generator, shapes_of
from edgewright.runtimes.pytorch import PyTorchRunner

TOKENIZER = ByteBPE((), specials=("start", "end"))  # bytes as tokens
LENGTHS = (8, 16)
ROOM = 12
TEXTS = ["hello", "where is it", "a", "", "a prompt that is longer than the largest bucket", "été", "two  words"]


@pytest.fixture(scope="module")
def model() -> HybridRNNTransformer:
    torch.manual_seed(1)
    config = HybridConfig(TOKENIZER.vocab_size, 32, 1, 16, 2, layers=2, heads=4, feedforward=64, max_target=ROOM)
    made = HybridRNNTransformer(config).eval()
    with torch.no_grad():  # untrained, it would say the same to every prompt
        made.encoder.output.weight.mul_(10)
    return made


@pytest.fixture(scope="module")
def generator(model: HybridRNNTransformer) -> Generator:
    return of(model, PyTorchRunner(model))


def of(model: HybridRNNTransformer, runner: Any) -> Generator:
    return Generator(runner, shapes_of([asdict(method) for method in model.methods(LENGTHS)]), TOKENIZER)


def source(prompts: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([pad(ids[-LENGTHS[-1] :], LENGTHS[-1]) for ids in prompts]))


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"beams": 3}, {"temperature": 0.9, "top_k": 9, "top_p": 0.8, "repetition_penalty": 1.3}],
)
def test_row_by_row_gives_what_the_models_own_batch_gives(
    model: HybridRNNTransformer, generator: Generator, settings: dict[str, Any]
) -> None:
    prompts = [TOKENIZER.encode(text) for text in TEXTS]
    wanted = model.generate(source(prompts), generator.start, generator.end, ROOM, **settings, seed=5)
    beams = settings.get("beams", 1)
    sampling = Sampling(**{name: value for name, value in settings.items() if name != "beams"})
    decoded, _ = generator.generate(prompts, ROOM, sampling, beams, seed=5)
    assert decoded.ids.tolist() == wanted.tolist()
    assert len({tuple(row) for row in wanted.tolist()}) > 2, "prompts matter"


@pytest.fixture(scope="module")
def exported(model: HybridRNNTransformer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    folder = tmp_path_factory.mktemp("exported")

    @cache
    def file(target: Any) -> Path:
        path = folder / f"model{SUFFIX[target]}"
        metadata = Metadata("tiny", "", (), "MIT", "1")
        export(target, quantize(model, "fp32"), model.methods(LENGTHS), path, [], metadata)
        return path

    return file


@pytest.mark.parametrize(
    "target", ["onnx", *(pytest.param(target, marks=pytest.mark.slow) for target in ("litert", "executorch", "coreml"))]
)
def test_greedy_tokens_in_a_runtime_are_pytorchs(
    model: HybridRNNTransformer, target: Any, exported: Callable[[Any], Path]
) -> None:
    prompts = [TOKENIZER.encode(text) for text in TEXTS]
    wanted = model.generate(source(prompts), *ends(), ROOM, temperature=0.0)
    decoded, _ = of(model, load(target, exported(target))).generate(prompts)
    assert decoded.ids.tolist() == wanted.tolist()


@pytest.fixture
def bundle(model: HybridRNNTransformer, exported: Callable[[Any], Path], tmp_path: Path) -> Path:
    """A bundle of kind "generation" with the ONNX artifact."""
    manifest = read_json(zoo()["urgency"] / "manifest.json")
    manifest["task"] = {"name": "reply", "kind": "generation", "labels": [], "reject_label": None}
    manifest["methods"] = [json.loads(json.dumps(asdict(method))) for method in model.methods(LENGTHS)]
    for method in manifest["methods"]:
        del method["batch"]
    artifact = tmp_path / "artifacts" / f"onnx{SUFFIX['onnx']}"
    artifact.parent.mkdir()
    (shutil.copytree if exported("onnx").is_dir() else shutil.copyfile)(exported("onnx"), artifact)
    manifest["artifacts"] = [
        manifest["artifacts"][0]
        | {"target": "onnx", "numerics": "fp32", "file": f"artifacts/{artifact.name}", "sha256": sha256(artifact)}
    ]
    save(TOKENIZER, tmp_path / "tokenizer.json")
    (tmp_path / "golden.jsonl").write_text("", encoding="utf-8")
    manifest["files"] = {name: sha256(tmp_path / name) for name in ("tokenizer.json", "golden.jsonl")}
    manifest["reference"] = None
    write_json(tmp_path / "manifest.json", manifest)
    return tmp_path


def test_a_bundle_gives_the_reply_that_the_model_gives(generator: Generator, bundle: Path) -> None:
    opened = open_generator(bundle)
    assert (opened.runtime, opened.numerics) == ("onnx", "fp32")
    for text in TEXTS:
        wanted = generator.generate_reply(text, context="before")
        found = opened.generate_reply(text, context="before")
        assert (found.text, found.ids, found.ended) == (wanted.text, wanted.ids, wanted.ended)
        assert found.score == pytest.approx(wanted.score, abs=1e-3)
    said = generate_commands.generate(str(bundle), "hello", ["before"], 5, Sampling(2.0), seed=3)
    assert said["text"] == generator.generate_reply("hello", "before", 5, 2.0, seed=3).text
    assert said["runtime"] == "onnx" and said["statistics"]["prompt_tokens"] == len("before | hello")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["methods"].pop(), "has the methods encode; a model that writes replies has encode and step"),
        (lambda m: m["task"].update(kind="tags"), "of kind 'tags' writes no replies"),
    ],
)
def test_a_bundle_that_writes_no_replies_is_refused(bundle: Path, change: Callable[[Any], Any], message: str) -> None:
    manifest = read_json(bundle / "manifest.json")
    change(manifest)
    write_json(bundle / "manifest.json", manifest)
    with pytest.raises(EdgewrightError, match=message):
        open_generator(bundle)


def ends() -> tuple[int, int]:
    return TOKENIZER.vocab_size - 2, TOKENIZER.vocab_size - 1


def test_a_reply_is_the_text_of_its_ids_and_context_stands_before_the_message(generator: Generator) -> None:
    plain = generator.generate_reply("hello")
    assert plain.text == TOKENIZER.decode(plain.ids).strip() and len(plain.ids) <= ROOM
    assert plain.ended == (plain.ids[-1] == generator.end)
    prefixed = generator.generate_reply("it", context=["a", "b"])
    assert prefixed.ids == generator.generate_reply("a | b | it").ids != generator.generate_reply("it").ids
    assert generator.generate_reply("hello", max_length=3).ids == plain.ids[:3]
    assert generator.generate_reply("hello", temperature=2.0, seed=1) is not None
    drawn = [generator.generate_reply("hello", temperature=2.0, seed=seed).ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_parts_are_the_text(generator: Generator, text: str) -> None:
    for sampling in (Sampling(0.0), Sampling(3.0)):  # hot: many bytes that are no UTF-8, or part of a character
        seed = 7
        parts = list(generator.stream(text, sampling=sampling, seed=seed))
        whole = generator.generate_reply(text, temperature=sampling.temperature, seed=seed).text
        assert "".join(parts) == whole and all(parts)


def test_statistics_say_what_there_was(generator: Generator) -> None:
    reply = generator.generate_reply("hello", temperature=2.0, seed=3, max_length=6)
    said = reply.statistics
    assert (said.prompt_tokens, said.tokens) == (5, len(reply.ids))
    assert said.cache_bytes == 2 * 2 * 4 * ROOM * 8 * 4  # layers, keys and values, heads, room, width of a head, bytes
    assert said.first_token_ms > 0 and said.tokens_per_second is not None and said.tokens_per_second > 0
    assert generator.generate_reply("hello", beams=4).statistics.cache_bytes == 4 * said.cache_bytes
    assert generator.generate_reply("hello", max_length=1).statistics.tokens_per_second is None


@pytest.mark.parametrize("max_length", [0, ROOM + 1])
def test_a_length_that_the_model_has_no_room_for_is_refused(generator: Generator, max_length: int) -> None:
    with pytest.raises(UsageError, match=f"max_length is {max_length}; this model writes 1 to {ROOM} tokens"):
        generator.generate_reply("hello", max_length=max_length)
    with pytest.raises(UsageError, match="max_length"):
        list(generator.stream("hello", max_length=max_length))


def test_what_is_no_text_is_refused(generator: Generator) -> None:
    with pytest.raises(UsageError, match="takes a text"):
        generator.generate_reply(b"hello")  # type: ignore[arg-type]


def test_methods_of_another_kind_of_model_are_refused(model: HybridRNNTransformer) -> None:
    methods = [asdict(method) for method in model.methods(LENGTHS)]
    with pytest.raises(ValueError, match="has the methods step; a model that writes replies has encode and step"):
        shapes_of(methods[1:])
    methods[1]["state"] = methods[1]["state"][:-1]
    with pytest.raises(ValueError, match="it should take token, position, crossed and its state"):
        shapes_of(methods)


def test_a_tokenizer_without_start_and_end_is_refused(model: HybridRNNTransformer) -> None:
    with pytest.raises(ValueError, match="no special 'start'"):
        Generator(PyTorchRunner(model), of(model, PyTorchRunner(model)).shapes, ByteBPE(()))


def test_a_classifier_writes_no_replies() -> None:
    with pytest.raises(UsageError, match="of kind 'single_label' writes no replies; use edgewright predict"):
        open_generator("urgency")
