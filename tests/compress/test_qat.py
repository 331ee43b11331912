"""Training on the grid: what comes out lies on the grid that is exported, and four bits cost less than by rounding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.compress.qat import QatConfig, cut, to_grid
from edgewright.compress.quantize import LayerGrid, Precision, quantize
from edgewright.data.dataset import Dataset
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.train.labels import LabelsConfig, predict, train
from edgewright.train.loop import Trained


def rows(count: int, seed: int) -> Dataset:
    """Class = how often word 1 and word 2 occur: a task in which magnitudes matter."""
    random = np.random.default_rng(seed)
    ids = [random.integers(1, 40, 12).astype(np.int32) for _ in range(count)]
    return Dataset(ids, np.array([int(row.sum() // 60) for row in ids]).clip(max=4))


def model() -> TextCNN:
    torch.manual_seed(0)
    return TextCNN(TextCNNConfig(vocab_size=40, classes=5, width=32, hidden=32))


def loss(found: nn.Module, given: Dataset) -> float:
    logits = torch.from_numpy(np.stack(predict(found, given)))
    return float(nn.functional.cross_entropy(logits, torch.from_numpy(np.asarray(given.labels))))


@pytest.mark.parametrize("bits, precision", [(8, Precision()), (4, Precision({"embedding": 4})), (4, Precision())])
def test_the_weights_that_come_out_lie_on_the_grid_that_is_exported(
    bits: Any, precision: Precision, tmp_path: Path
) -> None:
    given = model()

    def learn(started: nn.Module, changes: dict[str, Any]) -> Trained:
        return train(started, rows(64, 0), rows(32, 1), LabelsConfig(batch_size=16, **changes), tmp_path)

    names = set(given.state_dict())
    to_grid(given, QatConfig(bits=bits, epochs=2), precision, learn)
    assert set(given.state_dict()) == names, "nothing of the training is left in the model"
    numerics: Any = "dynamic_wi4_afp32" if bits == 4 else "dynamic_wi8_afp32"
    exported = quantize(given, numerics, precision)
    for name, grid in exported.weights.items():
        assert torch.equal(given.get_parameter(name), exported.module.get_parameter(name)), f"{name} was rounded again"
        assert np.abs(grid.integers).max() == (127 if grid.bits == 8 else 7)


def test_training_on_the_grid_wins_back_what_rounding_costs(tmp_path: Path) -> None:
    training, validation = rows(600, 0), rows(300, 1)
    plain = model()
    train(plain, training, validation, LabelsConfig(epochs=15, batch_size=32, learning_rate=5e-3), tmp_path / "plain")
    precision = Precision({"embedding": 4})
    rounded = loss(quantize(plain, "dynamic_wi4_afp32", precision).module, validation)

    def learn(started: nn.Module, changes: dict[str, Any]) -> Trained:
        return train(started, training, validation, LabelsConfig(batch_size=32, **changes), tmp_path / "grid")

    to_grid(plain, QatConfig(bits=4, epochs=5, learning_rate=1e-3), precision, learn)
    assert loss(plain, validation) < rounded


def test_one_large_weight_does_not_set_the_scale_of_a_table() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(200, 16))
    with torch.no_grad():
        weight[3, 3] = 40.0
    found = cut(weight, LayerGrid(4, per_row=False))
    assert found is not None and found < 20
    assert cut(weight, LayerGrid(4, per_row=True)) is None and cut(weight, LayerGrid(8, per_row=False)) is None
