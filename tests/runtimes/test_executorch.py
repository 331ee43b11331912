"""runtimes/executorch.py: the right function for a shape, new arrays, and no damaged file."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
from executorch.exir.passes import MemoryPlanningPass
from torch import Tensor, nn

from edgewright.errors import DamagedFileError, UsageError
from edgewright.runtimes.executorch import ExecutorchRunner, load

LENGTHS = (4, 8)


class Scores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(50, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embedding(ids).sum(dim=1)
        return self.head(x), x


@pytest.fixture(scope="module", params=[False, True], ids=["inputs of the caller", "inputs with a place in the file"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pte file with forward_4, forward_8 and a constant, as the exporter writes them now and as it once did."""
    examples = {length: (torch.ones(1, length, dtype=torch.int32),) for length in LENGTHS}
    programs = {f"forward_{length}": torch.export.export(Scores(), example) for length, example in examples.items()}
    edge = to_edge_transform_and_lower(
        programs, partitioner=[XnnpackPartitioner()], constant_methods={"edgewright": "{}"}
    )
    path = tmp_path_factory.mktemp("executorch") / "model.pte"
    planning = MemoryPlanningPass(alloc_graph_input=request.param)
    path.write_bytes(edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=planning)).buffer)
    return path


@pytest.fixture
def runner(file: Path) -> Iterator[ExecutorchRunner]:
    yield load(file)
    gc.collect()  # a failed test's traceback may hold the runner, and with it the thread pool


@pytest.mark.parametrize("length", LENGTHS)
def test_picks_the_function_for_the_shape(runner: ExecutorchRunner, length: int) -> None:
    ids = np.arange(1, length + 1, dtype=np.int32)[None]
    outputs = runner.run(ids, method="forward")
    with torch.no_grad():
        wanted = Scores()(torch.from_numpy(ids))
    assert len(outputs) == 2
    for given, tensor in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(given, tensor.numpy(), atol=1e-5)


def test_outputs_are_new_arrays(runner: ExecutorchRunner) -> None:
    first = runner.run(np.full((1, 4), 3, np.int32))[0]
    kept = first.copy()
    runner.run(np.full((1, 4), 9, np.int32))
    assert np.array_equal(first, kept)


def test_arrays_of_any_layout_are_taken(runner: ExecutorchRunner) -> None:
    ids = np.arange(1, 5, dtype=np.int32)[None]
    strided = np.arange(1, 9, dtype=np.int32)[None]
    strided[0, ::2] = ids
    frozen = ids.copy()
    frozen.flags.writeable = False
    wanted = runner.run(ids)[0]
    assert np.array_equal(runner.run(strided[:, ::2])[0], wanted)
    assert np.array_equal(runner.run(frozen)[0], wanted)


@pytest.mark.parametrize(
    ("arrays", "method", "given"),
    [
        ([np.ones((1, 5), np.int32)], "forward", "forward(int32 (1, 5))"),
        ([np.ones((2, 4), np.int32)], "forward", "forward(int32 (2, 4))"),
        ([np.ones((1, 4), np.int64)], "forward", "forward(int64 (1, 4))"),
        ([np.ones((1, 4), np.int32)], "encode", "encode(int32 (1, 4))"),
        ([], "forward", "forward()"),
    ],
)
def test_other_inputs_are_refused_with_wanted_and_given(
    runner: ExecutorchRunner, arrays: list[np.ndarray], method: str, given: str
) -> None:
    with pytest.raises(ValueError) as caught:
        runner.run(*arrays, method=method)
    wanted = "forward(int32 (1, 4)); forward(int32 (1, 8))"
    assert str(caught.value) == f"no function takes {given}; this file has {wanted}"


def test_a_runner_outlives_the_file(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pte"
    copy.write_bytes(file.read_bytes())
    runner = load(copy)
    copy.unlink()
    gc.collect()
    assert np.isfinite(runner.run(np.ones((1, 8), np.int32))[0]).all()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(file: Path, tmp_path: Path, share: float) -> None:
    content = file.read_bytes()
    cut = tmp_path / "cut.pte"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedFileError, match=r"cut\.pte: (not a \.pte file, or )?cut off.*; get the file anew$"):
        load(cut)


def test_the_last_byte_is_missed(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pte"
    cut.write_bytes(file.read_bytes()[:-1])
    size = file.stat().st_size
    with pytest.raises(DamagedFileError, match=f"cut off, {size - 1} bytes of {size}; get the file anew$"):
        load(cut)


@pytest.mark.parametrize("content", [b"", b"TFL3" * 100, bytes(1000), np.random.default_rng(0).bytes(5000)])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    foreign = tmp_path / "foreign.pte"
    foreign.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"foreign\.pte: not a \.pte file"):
        load(foreign)


def test_a_file_whose_program_is_damaged_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    content[40:2000] = bytes(1960)
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"ExecuTorch cannot load it \([^\n]+\); get the file anew$"):
        load(damaged)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"none\.pte: No such file or directory"):
        load(tmp_path / "none.pte")


@pytest.mark.parametrize("file", [False], indirect=True)  # in processes of their own: one form is enough
def test_threads_change_only_when_no_file_is_open(file: Path) -> None:
    gc.collect()
    one = load(file, threads=1)
    with pytest.raises(UsageError, match="files are open with 1 threads; open with 2 threads in another process"):
        load(file, threads=2)
    wanted = one.run(np.ones((1, 4), np.int32))[0]
    del one
    gc.collect()
    two = load(file, threads=2)
    assert np.array_equal(two.run(np.ones((1, 4), np.int32))[0], wanted)
    del two
    gc.collect()
    load(file, threads=1)


@pytest.mark.parametrize("file", [False], indirect=True)  # in processes of their own: one form is enough
def test_predicting_loads_no_exporter_and_says_nothing(file: Path) -> None:
    code = (
        "import sys, pathlib, numpy; from edgewright.runtimes.executorch import load;"
        "load(pathlib.Path(sys.argv[1])).run(numpy.ones((1, 4), numpy.int32));"
        "sys.exit(bool({'torchao', 'executorch.exir'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
