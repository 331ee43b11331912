"""Magnitude pruning: exactly so many zeros, grown on a schedule, kept through training and its interruption."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.compress.prune import PruneConfig
from edgewright.compress.quantize import QUANTIZED
from edgewright.compress.sparsify import EVERY, Sparse, kept, share_of_zeros, sparsify
from edgewright.data.dataset import Dataset, batch_count
from edgewright.models import checkpoint
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.train.labels import LabelsConfig, train
from edgewright.train.loop import Trained


def rows(count: int, seed: int) -> Dataset:
    """Texts whose label is one of their ids."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    ids = [np.concatenate([[label + 1], random.integers(5, 40, 5)]).astype(np.int32) for label in labels]
    return Dataset(ids, labels)


CONFIG = LabelsConfig(epochs=4, batch_size=16, learning_rate=0.01)
TRAINING, VALIDATION = rows(400, 0), rows(100, 1)
STEPS = 4 * batch_count(400, 16)


def model() -> TextCNN:
    torch.manual_seed(0)
    return TextCNN(TextCNNConfig(vocab_size=40, width=16, hidden=16))


def learnt(made: nn.Module, folder: Path, sparsity: float = 0.75, stop_after: int | None = None) -> Trained:
    def progress(done: int, total: int, text: str) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    return sparsify(
        made,
        PruneConfig(sparsity=sparsity),
        STEPS,
        lambda one, _: train(one, TRAINING, VALIDATION, CONFIG, folder, progress),
    )


def test_each_layer_ends_with_exactly_so_many_zeros_and_still_answers(tmp_path: Path) -> None:
    made = model()
    trained = learnt(made, tmp_path)
    for layer in made.modules():
        if isinstance(layer, QUANTIZED):
            zeros = int((layer.weight == 0).sum())
            assert zeros == round(0.75 * layer.weight.numel())
    assert share_of_zeros(made) == pytest.approx(0.75, abs=1e-3)
    assert trained.best.score > 0.9
    checkpoint.save_model(made, "text_cnn", tmp_path / "model.safetensors")  # no parametrization is left
    loaded: Any = checkpoint.load_model(tmp_path / "model.safetensors")
    assert torch.equal(loaded(*made.example_inputs()), made(*made.example_inputs()))


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, stopped, resumed = model(), model(), model()
    learnt(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learnt(stopped, tmp_path / "stopped", stop_after=2)
    learnt(resumed, tmp_path / "stopped")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_zeros_grow_by_the_cubic_schedule() -> None:
    sparse = Sparse(0.8, steps=4 * EVERY)
    weight = torch.randn(5_000, generator=torch.Generator().manual_seed(0))
    shares = [float((sparse(weight) == 0).float().mean()) for _ in range(6 * EVERY)][::EVERY]
    wanted = [0.8 * (1 - (1 - min(1, step / 4)) ** 3) for step in range(1, 7)]
    assert shares == pytest.approx(wanted, abs=1e-3)
    sparse.eval()
    assert float((Sparse(0.8, 1000).eval()(weight) == 0).float().mean()) == pytest.approx(0.8)  # all, from the start


def test_the_smallest_magnitudes_go_and_of_equal_ones_exactly_enough() -> None:
    weight = torch.tensor([[3.0, -0.1, 0.2], [-5.0, 0.1, 1.0]])
    assert kept(weight, 0.5).tolist() == [[True, False, False], [True, False, True]]
    assert int(kept(torch.ones(10), 0.3).sum()) == 7
    assert kept(weight, 0.0).all()


def test_no_gradient_reaches_a_weight_that_is_zero() -> None:
    weight = torch.tensor([1.0, 0.01, -2.0, 0.02], requires_grad=True)
    Sparse(0.5, 1)(weight).sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [1.0, 0.0, 1.0, 0.0]
