"""runtimes/litert.py: each signature runs, and a wrong array or file is one clear line."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.quantize import quantize
from edgewright.errors import DamagedFileError
from edgewright.export import litert, litert_file
from edgewright.export.artifact import Metadata
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.litert import LitertRunner, load


class Sum(nn.Module):
    """The sum of the rows of a table that the ids name, at once or one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 3)
        self.table.weight = nn.Parameter(torch.arange(30, dtype=torch.float32).reshape(10, 3))

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids).sum(dim=1)

    def step(self, token: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        total = total + self.table(token).squeeze(1)
        return total * 2.0, total


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    method = Method(
        "forward",
        (Described("ids", "int32", ("batch", "length")),),
        (Described("logits", "float32", ("batch", 3)),),
        lengths=(1, 2),
    )
    total = Described("total", "float32", ("batch", 3))
    step = Method(
        "step",
        (Described("token", "int32", ("batch", 1)), total),
        (Described("twice", "float32", ("batch", 3)), Described("sum", "float32", ("batch", 3))),
        state=(("total", "sum"),),
    )
    path = tmp_path_factory.mktemp("litert") / "sum.tflite"
    litert.export(quantize(Sum(), "fp32"), [method, step], path, [], Metadata("sum", "", (), "MIT", "0"))
    return path


@pytest.fixture(scope="module")
def runner(file: Path) -> LitertRunner:
    return load(file)


def test_the_signature_of_the_length_runs(runner: LitertRunner) -> None:
    assert np.array_equal(runner.run(np.array([[1]], np.int32))[0], [[3, 4, 5]])
    assert np.array_equal(runner.run(np.array([[1, 2]], np.int32))[0], [[9, 11, 13]])


def test_a_step_goes_by_its_name_alone_and_takes_its_own_state(runner: LitertRunner) -> None:
    total = np.zeros((1, 3), np.float32)
    for token in (1, 2):
        twice, total = runner.run(np.array([[token]], np.int32), total, method="step")
        assert np.array_equal(twice, 2 * total)
    assert np.array_equal(total, [[9, 11, 13]])


def test_outputs_of_earlier_calls_stay_as_they_were(runner: LitertRunner) -> None:
    (first,) = runner.run(np.array([[1]], np.int32))
    runner.run(np.array([[9]], np.int32))
    assert np.array_equal(first, [[3, 4, 5]])


def test_an_array_that_is_not_contiguous_is_read_right(runner: LitertRunner) -> None:
    assert np.array_equal(runner.run(np.array([[1, 7, 2, 7]], np.int32)[:, ::2])[0], [[9, 11, 13]])


def test_a_wrong_shape_names_wanted_and_given(runner: LitertRunner) -> None:
    wanted = r"no signature takes forward\(\(1, 3\)\); this file has forward\(\(1, 1\)\); forward\(\(1, 2\)\); step"
    with pytest.raises(ValueError, match=wanted):
        runner.run(np.zeros((1, 3), np.int32))
    with pytest.raises(ValueError, match=r"no signature takes encode\(\(1, 1\)\)"):
        runner.run(np.zeros((1, 1), np.int32), method="encode")
    with pytest.raises(ValueError, match=r"no signature takes forward\(\)"):
        runner.run()


def test_a_wrong_type_or_id_is_a_value_error(runner: LitertRunner) -> None:
    with pytest.raises(ValueError, match="forward takes int32 here, not int64"):
        runner.run(np.zeros((1, 1), np.int64))
    with pytest.raises(ValueError, match="index out of bounds"):
        runner.run(np.full((1, 1), 10, np.int32))
    assert np.array_equal(runner.run(np.array([[1]], np.int32))[0], [[3, 4, 5]])


def test_loading_prints_nothing(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(file)
    assert capfd.readouterr() == ("", "")


def test_damaged_files_are_one_clear_line(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    damaged = tmp_path / "damaged.tflite"
    contents = [whole[:cut] for cut in (0, 1, 8, 100, len(whole) // 4, len(whole) // 2, len(whole) - 1)]
    noise = random.Random(1).randbytes(5000)
    contents += [noise, whole[:8] + noise, b"text\n" * 50]
    for content in contents:
        damaged.write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"damaged\.tflite: ") as raised:
            load(damaged)
        assert "\n" not in str(raised.value)


def test_a_file_that_we_did_not_write_is_refused(file: Path, tmp_path: Path) -> None:
    foreign = litert_file.read(file)
    for tensor in foreign.subgraphs[0].tensors:
        tensor.name = b"tensor"
    litert_file.write(foreign, tmp_path / "foreign.tflite")
    with pytest.raises(DamagedFileError, match="is not of our making"):
        load(tmp_path / "foreign.tflite")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"none\.tflite: No such file"):
        load(tmp_path / "none.tflite")
