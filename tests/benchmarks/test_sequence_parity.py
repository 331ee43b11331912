"""The proof of a sequence model's artifact: it tells a wrong step from a right one, and pads at the end only."""

import numpy as np
import pytest
import torch

from edgewright.benchmarks import sequence_parity
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.runtimes.stream import SequenceStream

LENGTHS = (4, 8)
INPUTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


class Drifting(PyTorchRunner):
    """A step whose state leaks a little."""

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        outputs = super().run(*arrays, method=method)
        return outputs if method == "forward" else (outputs[0], outputs[1], outputs[2] * np.float32(0.999))


@pytest.fixture
def model() -> SequenceNet:
    torch.manual_seed(0)
    return SequenceNet(SequenceNetConfig(3, 4, 5)).eval()


def compare(runner: PyTorchRunner) -> sequence_parity.Parity:
    expected = runner.run(INPUTS[None])[0][0]
    return sequence_parity.compare(SequenceStream(runner, [(1, 4)] * 2), INPUTS, expected, (*LENGTHS, 32))


def test_a_right_step_is_within_the_bounds(model: SequenceNet) -> None:
    found = compare(PyTorchRunner(model))
    bounds = sequence_parity.bounds("fp32")
    assert bounds is not None and found.step_error <= bounds[0] and found.bucket_error <= bounds[1]
    assert set(found.bucket_errors) == set(LENGTHS)  # 32 is longer than what there is
    assert sequence_parity.bounds("dynamic_wi8_afp32") is None


def test_a_state_that_leaks_is_found(model: SequenceNet) -> None:
    found = compare(Drifting(model))
    assert found.step_error > 1e-5 and found.bucket_errors[8] > found.bucket_errors[4] > 1e-6


def test_an_output_that_is_no_number_is_an_infinite_error() -> None:
    assert sequence_parity.error(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == float("inf")


def test_a_row_goes_through_the_shortest_bucket_that_holds_it(model: SequenceNet) -> None:
    seen: list[int] = []

    class Watching(PyTorchRunner):
        def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
            seen.append(arrays[0].shape[1])
            return super().run(*arrays, method=method)

    rows = INPUTS[:16].reshape(2, 8, 3)
    counted = np.array([[True] * 3 + [False] * 5, [True] * 4 + [False] * 3 + [True]])
    found = sequence_parity.whole_rows(Watching(model), rows, counted, LENGTHS)
    expected = PyTorchRunner(model).run(rows)[0]
    assert seen == [4, 8] and found.shape == (2, 8, 5)
    assert np.abs(found - expected)[counted].max() < 1e-6 and not found[0, 3:].any()
