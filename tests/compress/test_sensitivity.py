"""Sensitivity: a layer that cannot bear four bits is found, and gets eight."""

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.compress import sensitivity
from edgewright.compress.quantize import LayerGrid, quantize
from edgewright.data.dataset import Dataset
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.train.labels import predict


@pytest.fixture(scope="module")
def model() -> TextCNN:
    torch.manual_seed(0)
    made = TextCNN(TextCNNConfig(vocab_size=60, classes=6, width=32, hidden=32)).eval()
    with torch.no_grad():  # in each block one weight that forces a coarse grid on the others
        made.head.weight[:, ::32] *= 60
    return made


@pytest.fixture(scope="module")
def found(model: TextCNN) -> sensitivity.Sensitivity:
    return sensitivity.measure(model, answer, labels(model), most_drop=0.01)


ROWS = Dataset(
    [np.random.default_rng(n).integers(1, 60, 10).astype(np.int32) for n in range(300)], np.zeros(300, np.int64)
)


def answer(one: nn.Module) -> np.ndarray:
    return np.stack(predict(one, ROWS))


def labels(model: nn.Module) -> np.ndarray:
    return answer(model).argmax(axis=1)


def test_every_layer_is_measured_alone_at_the_bits_that_it_can_have(
    model: TextCNN, found: sensitivity.Sensitivity
) -> None:
    assert found.float_accuracy == 1 and found.rows == 300
    bits: dict[str, set[int]] = {}
    for cost in found.costs:
        bits.setdefault(cost.layer, set()).add(cost.bits)
    layers = {name.removesuffix(".weight") for name in quantize(model, "dynamic_wi8_afp32").weights}
    assert set(bits) == layers
    assert all(
        own == ({8} if isinstance(model.get_submodule(name), nn.Conv1d) else {8, 4}) for name, own in bits.items()
    )
    assert all(cost.divergence >= 0 and cost.accuracy == -cost.lost / 300 for cost in found.costs)
    assert all(cost.won == 0 for cost in found.costs), "float32 is right on every row"


def test_the_layer_that_cannot_bear_four_bits_is_given_eight(found: sensitivity.Sensitivity) -> None:
    cost = {(one.layer, one.bits): one.divergence for one in found.costs}
    assert cost["head", 4] > 5 * cost["head", 8]
    assert found.precision.bits["head"] == 8
    drops = [choice.accuracy for choice in found.choices]
    assert drops[-1] >= -0.01 and all(drop < -0.01 for drop in drops[:-1])
    sizes = [choice.weight_bytes for choice in found.choices]
    assert sizes == sorted(sizes), "each step gives bits back"
    eight = {cost.layer: cost.stored_bytes for cost in found.costs if cost.bits == 8}
    assert found.all_eight.weight_bytes == sum(eight.values()) and set(found.all_eight.eight) == set(eight)


def test_the_float_model_is_left_as_it_was(model: TextCNN) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sensitivity.on_grid(model, {"head": LayerGrid(4, per_row=True, block=32)})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
