"""Every cell of the table at the default sizes of the first families, and the full hybrid; `make test-slow`.

All families at their reference sizes, in fp32 and int8, are measured by `edgewright families`.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgewright.compress.numerics import NUMERICS, SUPPORT, TARGETS, Numerics, Target, weight_bits
from edgewright.compress.quantize import quantize
from edgewright.data.decoding import decode
from edgewright.data.sampling import Sampling
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models import MODELS
from edgewright.models.hybrid import HybridConfig, HybridRNNTransformer
from edgewright.models.methods import Method, Tensor
from edgewright.runtimes import Runner, load
from edgewright.runtimes.generator import RunnerSteps, shapes_of
from edgewright.runtimes.pytorch import PyTorchRunner

LENGTHS = (16, 64)
CELLS = [(target, numerics) for numerics in NUMERICS for target in TARGETS if SUPPORT[numerics, target].supported]


@pytest.fixture(scope="module", params=["ngram_hybrid", "text_cnn"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return MODELS[request.param].module(MODELS[request.param].config()).eval()


def inputs(model: Any) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    arrays = []
    for number in range(24):
        (ids,) = model.example_inputs(LENGTHS[number % 2])
        ids = random.integers(1, model.config.vocab_size, ids.shape, dtype=np.int32)
        ids[:, random.integers(1, ids.shape[1] + 1) :] = 0
        arrays.append(ids)
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize(("target", "numerics"), CELLS)
def test_a_model_of_full_size_keeps_its_answers(model: Any, target: Target, numerics: Numerics, tmp_path: Path) -> None:
    importlib.import_module(f"edgewright.export.{target}")
    features = tuple(model.example_inputs()[0].shape[2:])
    method = Method(
        "forward",
        (Tensor("ids", "int32", ("batch", "length", *features)),),
        (Tensor("logits", "float32", ("batch", model.config.classes)),),
        LENGTHS,
    )
    calls = inputs(model)
    quantized = quantize(model, numerics)
    path = tmp_path / f"full{SUFFIX[target]}"
    labels = tuple(f"label {i}" for i in range(model.config.classes))
    artifact = export(
        target, quantized, [method], path, [(ids,) for ids in calls], Metadata("full", "", labels, "MIT", "1")
    )
    assert artifact.size_bytes < {32: 4.2, 16: 2.2, 8: 1.1, 4: 1.1}[weight_bits(numerics)] * 1_000_000

    runner = load(target, path)
    answers = np.concatenate([runner.run(ids)[0] for ids in calls])
    with torch.inference_mode():
        expected = np.concatenate([quantized.module(torch.from_numpy(ids)).numpy() for ids in calls])
    largest = np.abs(expected).max()
    bound = {32: 1e-5, 16: 5e-3, 8: 5e-2, 4: 0.3}[weight_bits(numerics)]
    assert np.abs(answers - expected).max() <= bound * largest


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_full_hybrid_writes_the_tokens_that_pytorch_writes(target: Target, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = HybridRNNTransformer(HybridConfig()).eval()
    with torch.no_grad():  # untrained, it would say the same to every prompt
        model.encoder.output.weight.mul_(30)
    methods = model.methods((16,))
    path = tmp_path / f"full{SUFFIX[target]}"
    export(target, quantize(model, "fp32"), methods, path, [], Metadata("full", "", (), "MIT", "1"))
    assert greedy(load(target, path), methods) == greedy(PyTorchRunner(model), methods)


def greedy(runner: Runner, methods: Sequence[Method]) -> list[list[int]]:
    """16 tokens after each of 10 prompts."""
    random = np.random.default_rng(0)
    prompts = [random.integers(3, 1000, random.integers(1, 17)).astype(np.int32) for _ in range(10)]
    shapes = shapes_of([dataclasses.asdict(method) for method in methods])
    decoded = decode(RunnerSteps(runner, shapes, prompts), len(prompts), 1, 2, 16, Sampling(temperature=0.0))
    written: list[list[int]] = decoded.ids.tolist()
    assert len({tuple(row) for row in written}) > 1
    return written
