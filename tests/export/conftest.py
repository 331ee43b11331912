"""Small models that stand in for trained ones, and what an exporter is told about them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.export.artifact import Metadata
from edgewright.models.methods import Method, Tensor
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig

VOCABULARY = 200
CLASSES = 5
LENGTHS = (8, 16)


@dataclass(frozen=True)
class Tiny:
    """A model with what an exporter needs beside it, and inputs to compare on."""

    module: nn.Module
    method: Method
    calibration: list[tuple[np.ndarray, ...]]  # batch 1, each length; with padding, as real texts have
    inputs: list[np.ndarray]  # others than those of the calibration


def trained_a_little(model: nn.Module, method: Method) -> nn.Module:
    """`model` fitted to tell the class from the first id, so that its weights and logits are no longer random."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for ids in random_ids(method, count=60, seed=3, batch=32):
        batch = torch.from_numpy(ids)
        target = batch.reshape(len(batch), -1)[:, 0].long() - 1
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(batch), target)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotation is missing
        optimiser.step()
    return model.eval()


def random_ids(method: Method, count: int, seed: int, batch: int = 1) -> list[np.ndarray]:
    """`count` int32 id arrays, lengths in turn from the method's: the class (1 to 5) first, 0 at the end."""
    random = np.random.default_rng(seed)
    arrays = []
    for index in range(count):
        length = method.lengths[index % len(method.lengths)]
        sizes = {"batch": batch, "length": length}
        shape = [sizes[s] if isinstance(s, str) else s for s in method.inputs[0].shape]
        ids = random.integers(CLASSES + 1, VOCABULARY, shape, dtype=np.int32)
        for row in ids:
            row[0] = random.integers(1, CLASSES + 1)
            row[random.integers(1, length + 1) :] = 0
        arrays.append(ids)
    return arrays


def method_for(model: nn.Module) -> Method:
    """The Method of a text_cnn or an ngram_hybrid."""
    features = (model.config.features,) if isinstance(model, NgramHybrid) else ()
    assert isinstance(model, NgramHybrid | TextCNN)
    return Method(
        "forward",
        (Tensor("ids", "int32", ("batch", "length", *features)),),
        (Tensor("logits", "float32", ("batch", model.config.classes)),),
        LENGTHS,
    )


def tiny(model: nn.Module) -> Tiny:
    method = method_for(model)
    trained_a_little(model, method)
    return Tiny(
        model,
        method,
        calibration=[(ids,) for ids in random_ids(method, count=32, seed=1)],
        inputs=random_ids(method, count=16, seed=2),
    )


@pytest.fixture(scope="session")
def tiny_text_cnn() -> Tiny:
    torch.manual_seed(0)
    return tiny(TextCNN(TextCNNConfig(vocab_size=VOCABULARY, classes=CLASSES, width=32, hidden=16)))


@pytest.fixture(scope="session")
def tiny_ngram_hybrid() -> Tiny:
    torch.manual_seed(0)
    config = NgramHybridConfig(vocab_size=VOCABULARY, features=4, classes=CLASSES, width=32, hidden=16, bag_hidden=32)
    return tiny(NgramHybrid(config))


@pytest.fixture(params=["tiny_text_cnn", "tiny_ngram_hybrid"])
def tiny_model(request: pytest.FixtureRequest) -> Tiny:
    """Each family in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def method_of() -> Callable[[nn.Module], Method]:
    return method_for


@pytest.fixture(scope="session")
def metadata() -> Metadata:
    return Metadata(
        name="tiny",
        description="A model for tests.",
        labels=("one", "two", "three", "four", "fünf"),
        license="MIT",
        version="0.1.0",
    )
