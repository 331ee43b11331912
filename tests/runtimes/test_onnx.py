"""runtimes/onnx.py: any shape runs, and a wrong array or file is one clear line."""

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.errors import DamagedFileError
from edgewright.runtimes.onnx import OnnxRunner, load


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sum of the rows of a table that the ids name."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"]),
            helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
        ],
        "sum",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(np.arange(30, dtype=np.float32).reshape(10, 3), "table"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )
    path = tmp_path_factory.mktemp("onnx") / "sum.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.fixture(scope="module")
def runner(file: Path) -> OnnxRunner:
    return load(file)


def test_any_batch_and_length_run(runner: OnnxRunner) -> None:
    assert np.array_equal(runner.run(np.array([[1]], np.int32))[0], [[3, 4, 5]])
    assert np.array_equal(runner.run(np.array([[1, 2], [0, 0]], np.int32))[0], [[9, 11, 13], [0, 2, 4]])


def test_outputs_of_earlier_calls_stay_as_they_were(runner: OnnxRunner) -> None:
    (first,) = runner.run(np.array([[1]], np.int32))
    runner.run(np.array([[9]], np.int32))
    assert np.array_equal(first, [[3, 4, 5]])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([1], np.int32), r"takes ids tensor\(int32\) \['batch', 'length'\]; given tensor\(int32\) \[1\]"),
        (np.array([[1]], np.int64), r"given tensor\(int64\) \[1, 1\]"),
        (np.array([[10]], np.int32), "idx=10 must be within"),
    ],
)
def test_a_wrong_array_names_wanted_and_given(runner: OnnxRunner, ids: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        runner.run(ids)
    assert "\n" not in str(raised.value)


def test_wrong_calls_are_refused(runner: OnnxRunner) -> None:
    ids = np.array([[1]], np.int32)
    with pytest.raises(ValueError, match="2 inputs given; this file takes 1: ids"):
        runner.run(ids, ids)
    with pytest.raises(ValueError, match="no method 'encode'; this file has 'forward'"):
        runner.run(ids, method="encode")


def test_damaged_files_are_one_clear_line(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    damaged = tmp_path / "damaged.onnx"
    contents = [whole[:cut] for cut in (0, 1, 8, len(whole) // 4, len(whole) // 2, len(whole) - 1)]
    contents += [random.Random(1).randbytes(5000), b"PK\x03\x04" + bytes(100), b"text\n" * 50]
    for content in contents:
        damaged.write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"damaged\.onnx: ONNX Runtime cannot load it") as raised:
            load(damaged)
        assert "\n" not in str(raised.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"none\.onnx: no such file"):
        load(tmp_path / "none.onnx")


@pytest.fixture
def folder(file: Path, tmp_path: Path) -> Path:
    """Two methods that do the same."""
    model = onnx.load(file)
    helper.set_model_props(model, {"methods": '["encode", "step"]'})
    for method in ("encode", "step"):
        (tmp_path / "model.onnx").mkdir(exist_ok=True)
        onnx.save(model, tmp_path / "model.onnx" / f"{method}.onnx")
    return tmp_path / "model.onnx"


def test_each_file_of_a_folder_is_a_method(folder: Path) -> None:
    runner = load(folder)
    for method in ("encode", "step"):
        assert np.array_equal(runner.run(np.array([[1]], np.int32), method=method)[0], [[3, 4, 5]])
    with pytest.raises(ValueError, match="no method 'forward'; this file has 'encode', 'step'"):
        runner.run(np.array([[1]], np.int32))


def test_a_folder_with_a_missing_or_damaged_file_is_refused(folder: Path) -> None:
    whole = (folder / "step.onnx").read_bytes()
    (folder / "step.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedFileError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        load(folder)
    (folder / "step.onnx").unlink()
    with pytest.raises(DamagedFileError, match=r"model\.onnx: step\.onnx is missing"):
        load(folder)
    (folder / "encode.onnx").unlink()
    with pytest.raises(DamagedFileError, match=r"model\.onnx: no file <method>\.onnx in it"):
        load(folder)
