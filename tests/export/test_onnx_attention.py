"""export/onnx_attention.py and onnx_products.py: a step with a cache as few nodes, with the grid's integers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import GridWeight, QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import export, onnx_integers
from edgewright.export import onnx as exporter
from edgewright.export.artifact import Metadata
from edgewright.models.hybrid import HybridRNNTransformer
from edgewright.models.methods import Method
from edgewright.runtimes.onnx import OnnxRunner, load
from edgewright.runtimes.pytorch import PyTorchRunner
from tests.export.families import HYBRID, VOCABULARY

ROOM, LAYERS = HYBRID.max_target, HYBRID.layers
Written = tuple[QuantizedModel, Method, Path]
TOLERANCE: dict[Numerics, float] = {"fp32": 1e-5, "dynamic_wi8_afp32": 0.05, "dynamic_wi4_afp32": 0.05}


def written(numerics: Numerics, folder: Path, width: int = HYBRID.width) -> Written:
    torch.manual_seed(3)
    model = quantize(HybridRNNTransformer(replace(HYBRID, width=width)).eval(), numerics)
    _, step = model.module.methods((8,))  # type: ignore[operator]
    artifact = export("onnx", model, (step,), folder / "model.onnx", [], Metadata("hybrid", "", (), "MIT", "1"))
    return model, step, artifact.path


@pytest.fixture(scope="module", params=sorted(TOLERANCE))
def hybrid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return written(request.param, tmp_path_factory.mktemp("onnx"))


def inputs(step: Method, batch: int, position: int) -> list[np.ndarray]:
    """Random ones; the caches hold something behind the position too."""
    random = np.random.default_rng(position)
    token, _, *floats = step.inputs
    tokens = random.integers(1, VOCABULARY, step.sizes(token, None, batch)).astype(np.int32)
    states = [random.normal(size=step.sizes(tensor, None, batch)).astype(np.float32) for tensor in floats]
    return [tokens, np.array([position], np.int32), *states]


def assert_same_steps(model: QuantizedModel, step: Method, runner: OnnxRunner) -> None:
    reference = PyTorchRunner(model.module)
    for batch, position in ((1, 0), (1, 5), (2, 3), (3, ROOM - 1)):
        arrays = inputs(step, batch, position)
        given, wanted = (one.run(*arrays, method="step") for one in (runner, reference))
        for one, other in zip(given, wanted, strict=True):
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= TOLERANCE[model.numerics] * np.abs(other).max()
        for cache in given[1:]:
            assert not cache[:, :, position + 1 :].any()


def test_each_row_of_a_batch_steps_as_in_pytorch(hybrid: Written) -> None:
    model, step, path = hybrid
    assert_same_steps(model, step, load(path))


def test_heads_of_a_width_that_the_one_node_refuses_are_written_out(tmp_path: Path) -> None:
    model, step, path = written("dynamic_wi8_afp32", tmp_path, width=24)  # heads of 6
    assert "GroupQueryAttention" not in operators(path)
    assert_same_steps(model, step, load(path))


def test_a_step_of_integers_has_one_node_of_attention_a_layer_and_float_has_standard_ones(
    hybrid: Written,
) -> None:
    model, _, path = hybrid
    proto = onnx.load(path / "step.onnx")
    if model.numerics == "fp32":
        assert {node.domain for node in proto.graph.node} == {""}
    else:
        assert operators(path).count("GroupQueryAttention") == LAYERS
        assert operators(path).count("SkipLayerNormalization") == 3 * LAYERS
        assert "Softmax" not in operators(path)


def test_packed_weights_are_read_back_and_another_integer_is_noticed(tmp_path: Path) -> None:
    model, _, path = written("dynamic_wi8_afp32", tmp_path)
    proto = onnx.load(path / "step.onnx")
    names = [f"decoder.layers.1.attention.{part}.weight" for part in ("query", "key", "value")]
    for name in names:
        stored = onnx_integers.stored(proto, name)
        assert stored is not None
        assert np.array_equal(stored.integers, model.weights[name].integers)
        assert np.array_equal(stored.scales, model.weights[name].scales)
    grid = model.weights[names[1]]
    other = grid.integers.copy()
    other[3, 4] += 1 if other[3, 4] < 127 else -1
    changed = replace(model, weights={names[1]: GridWeight(other, grid.scales, 8)})
    with pytest.raises(ExportError, match=rf"{names[1]} is stored with other integers or scales"):
        exporter._check_weights([proto], changed)


def test_a_position_behind_the_room_is_refused(hybrid: Written) -> None:
    _, step, path = hybrid
    with pytest.raises(ValueError, match="this file takes token"):
        load(path).run(*inputs(step, 1, ROOM), method="step")


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path / "step.onnx").graph.node]
