"""runtimes/pytorch.py: the reference runner."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from edgewright.errors import DamagedFileError
from edgewright.models.checkpoint import save_model
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.runtimes.pytorch import PyTorchRunner, load


@pytest.fixture
def model() -> TextCNN:
    torch.manual_seed(0)
    return TextCNN(TextCNNConfig(vocab_size=20, classes=3, width=4, hidden=5))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Each test with the number of threads that the process had."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_gives_what_the_module_gives_in_evaluation(model: TextCNN) -> None:
    ids = np.arange(1, 9, dtype=np.int32)[None]
    (logits,) = PyTorchRunner(model.train()).run(ids)
    with torch.no_grad():
        assert np.array_equal(logits, model.eval()(torch.from_numpy(ids)).numpy())


def test_runs_another_method_and_several_outputs(model: TextCNN) -> None:
    class Two(TextCNN):
        def encode(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.embedding(ids), (ids != 0).sum(dim=1)

    rows, count = PyTorchRunner(Two(model.config)).run(np.array([[3, 4, 0]], np.int32), method="encode")
    assert rows.shape == (1, 3, 4)
    assert count.tolist() == [2]


def test_a_read_only_array_is_taken(model: TextCNN) -> None:
    ids = np.ones((1, 4), np.int32)
    ids.flags.writeable = False
    assert PyTorchRunner(model).run(ids)[0].shape == (1, 3)


@pytest.mark.parametrize(
    ("array", "method", "message"),
    [
        (np.ones((1, 4), np.int32), "encode", "TextCNN has no method 'encode'"),
        (np.ones((1, 4), np.float32), "forward", r"TextCNN.forward does not take \(float32 \(1, 4\)\): "),
        (
            np.full((1, 4), 20, np.int32),
            "forward",
            r"TextCNN.forward does not take \(int32 \(1, 4\)\): index out of range",
        ),
    ],
)
def test_wrong_inputs_are_refused(model: TextCNN, array: np.ndarray, method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PyTorchRunner(model).run(array, method=method)


def test_loads_a_checkpoint_with_so_many_threads(model: TextCNN, tmp_path: Path) -> None:
    save_model(model, "text_cnn", tmp_path / "model.safetensors")
    ids = np.arange(1, 9, dtype=np.int32)[None]
    runner = load(tmp_path / "model.safetensors", threads=2)
    assert torch.get_num_threads() == 2
    assert np.array_equal(runner.run(ids)[0], PyTorchRunner(model).run(ids)[0])


def test_a_damaged_checkpoint_changes_no_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with pytest.raises(DamagedFileError, match="no such checkpoint"):
        load(tmp_path / "model.safetensors", threads=before + 1)
    assert torch.get_num_threads() == before
