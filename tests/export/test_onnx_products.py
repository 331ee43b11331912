"""export/onnx_products.py: one scale for an activation, or in wide layers one for each of its rows."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.export import export, onnx_products
from edgewright.export.artifact import Metadata
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.onnx import OnnxRunner, load

WIDE, NARROW = onnx_products.WIDE, onnx_products.WIDE // 2


class Layers(nn.Module):
    """Two linear layers that read the same (B, T, D)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, 16), nn.Linear(inputs, 16)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], dim=2)


def written(inputs: int, folder: Path, all_weights: float | None = None) -> tuple[QuantizedModel, Path]:
    torch.manual_seed(0)
    layers = Layers(inputs).eval()
    if all_weights is not None:
        for layer in (layers.first, layers.second):
            nn.init.constant_(layer.weight, all_weights)
    model = quantize(layers, "dynamic_wi8_afp32")
    x, y = (Described(name, "float32", ("batch", "length", size)) for name, size in (("x", inputs), ("y", 32)))
    methods = [Method("forward", (x,), (y,), (8,))]
    artifact = export("onnx", model, methods, folder / "model.onnx", [], Metadata("layers", "", (), "MIT", "1"))
    return model, artifact.path


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[QuantizedModel, OnnxRunner]:
    model, path = written(WIDE, tmp_path_factory.mktemp("wide"))
    return model, load(path)


def activations(inputs: int) -> np.ndarray:
    """Two texts of five positions; in the first one position is a hundred times as large as the others."""
    x = np.random.default_rng(0).normal(size=(2, 5, inputs)).astype(np.float32)
    x[0, 2] *= 100
    return x


def row_errors(model: QuantizedModel, runner: OnnxRunner, x: np.ndarray) -> np.ndarray:
    """(B, T) largest error of a position, over its own largest output."""
    with torch.inference_mode():
        wanted = model.module(torch.from_numpy(x)).numpy()
    found: np.ndarray = np.abs(runner.run(x)[0] - wanted).max(axis=2) / np.abs(wanted).max(axis=2)
    return found


def test_large_positions_cost_the_others_nothing_in_wide_layers(wide: tuple[QuantizedModel, OnnxRunner]) -> None:
    assert row_errors(*wide, activations(WIDE)).max() < 0.02


def test_in_narrow_layers_they_share_a_scale(tmp_path: Path) -> None:
    """The other side of the rule: where this begins to fail, WIDE has no more meaning."""
    model, path = written(NARROW, tmp_path)
    errors = row_errors(model, load(path), activations(NARROW))
    assert errors[0, 2] < 0.02
    assert np.delete(errors[0], 2).min() > 0.05


def test_a_position_has_the_same_result_whatever_stands_beside_it(wide: tuple[QuantizedModel, OnnxRunner]) -> None:
    _, runner = wide
    x = activations(WIDE)
    alone = runner.run(x[1:, 3:4])[0]
    assert np.array_equal(runner.run(x)[0][1:, 3:4], alone)


def test_positions_of_zeros_give_the_bias(wide: tuple[QuantizedModel, OnnxRunner]) -> None:
    model, runner = wide
    bias = np.concatenate([model.module.get_parameter(f"{name}.bias").detach().numpy() for name in ("first", "second")])
    x = activations(WIDE)
    x[1, 1] = 0
    assert runner.run(x)[0][1, 1] == pytest.approx(bias, abs=1e-6)


def test_what_two_layers_read_is_quantized_once(tmp_path: Path) -> None:
    for inputs, quantizer in ((WIDE, "QuantizeLinear"), (NARROW, "DynamicQuantizeLinear")):
        folder = tmp_path / str(inputs)
        folder.mkdir()
        _, path = written(inputs, folder)
        operators = [node.op_type for node in onnx.load(path).graph.node]
        assert operators.count(quantizer) == 1


@pytest.mark.parametrize("inputs", [NARROW, WIDE])
def test_sums_of_large_products_do_not_saturate(inputs: int, tmp_path: Path) -> None:
    """Without VNNI two products of a large activation and a large signed weight do not fit into 16 bits."""
    model, path = written(inputs, tmp_path, all_weights=1.0)
    x = np.random.default_rng(0).uniform(0.9, 1.0, (1, 5, inputs)).astype(np.float32)
    assert row_errors(model, load(path), x).max() < 0.005
