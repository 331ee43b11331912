"""Linear layers that read each other: LiteRT's converter moves their biases, litert_biases.py moves them back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.quantize import quantize
from edgewright.export import litert_biases, litert_file, litert_weights
from edgewright.export.artifact import Metadata
from edgewright.export.litert import export
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes import load

NAMES = ("first.weight", "second.weight", "third.weight")


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.third = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(torch.tanh(self.second(self.first(x))))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In float32, where biases are left as the converter has them."""
    shape: tuple[int | str, ...] = ("batch", 8)
    method = Method("forward", (Described("x", "float32", shape),), (Described("y", "float32", ("batch", 4)),))
    path = tmp_path_factory.mktemp("biases") / "chain.tflite"
    export(quantize(Chain(), "fp32"), [method], path, [], Metadata("chain", "", (), "MIT", "1"))
    return path


def given_back(path: Path, module: nn.Module) -> Any:
    file = litert_file.read(path)
    layers = litert_weights.layers(file, quantize(Chain(), "fp32"), frozenset(NAMES))
    litert_biases.give_back(file, layers, module)
    return file


def biases(file: Any) -> list[np.ndarray | None]:
    """Of the products in their order; None for one without."""
    graph = file.subgraphs[0]
    found: list[np.ndarray | None] = []
    for operator in graph.operators:
        if litert_file.operator_name(file, operator) == "FULLY_CONNECTED":
            bias = int(operator.inputs[2])
            content = bytes(file.buffers[graph.tensors[bias].buffer].data) if bias >= 0 else None
            found.append(None if content is None else np.frombuffer(content, np.float32))
    return found


def test_each_layer_gets_its_own_bias_back(converted: Path, tmp_path: Path) -> None:
    before = biases(litert_file.read(converted))
    assert before[0] is None, "the converter moves no bias any more: export/litert_biases.py can go"
    file = given_back(converted, Chain())
    wanted = [layer.bias.detach().numpy() for layer in (Chain().first, Chain().second, Chain().third)]
    for bias, own in zip(biases(file), wanted, strict=True):
        assert bias is not None and np.array_equal(bias, own)
    litert_file.write(file, tmp_path / "chain.tflite")
    x = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    answers = [load("litert", path).run(x)[0] for path in (converted, tmp_path / "chain.tflite")]
    assert np.abs(answers[0] - answers[1]).max() < 1e-6


def test_biases_that_do_not_add_up_stay_where_they_are(converted: Path) -> None:
    """What the converter added there is not known: the file is right as it is."""
    other = Chain()
    with torch.no_grad():
        other.second.bias.add_(0.5)
    before, after = biases(litert_file.read(converted)), biases(given_back(converted, other))
    for one, same in zip(before, after, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(same))
