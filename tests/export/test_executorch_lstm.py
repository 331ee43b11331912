"""export/executorch_lstm.py: the operator computes models/lstm.py's layer, in PyTorch and in the file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import executorch, executorch_weights
from edgewright.export.artifact import Artifact, Metadata
from edgewright.export.executorch_graph import lowerable
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.executorch import load

INPUT, HIDDEN, BATCH, LENGTHS = 16, 32, 2, (1, 7)


class Layer(nn.Module):
    """An LSTM layer as a model."""

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = LSTM(INPUT, HIDDEN, bidirectional)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        return self.lstm(x, real)


def inputs(length: int) -> tuple[Tensor, Tensor]:
    """The second row of the batch ends in padding, which is noise here."""
    torch.manual_seed(length)
    real = torch.ones(BATCH, length)
    real[1, (length + 1) // 2 :] = 0
    return torch.randn(BATCH, length, INPUT), real


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("numerics", ["fp32", "dynamic_wi8_afp32", "dynamic_wi4_afp32"])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_operator_is_the_layer(bidirectional: bool, numerics: Numerics, length: int) -> None:
    model = quantize(Layer(bidirectional), numerics)
    with torch.no_grad():
        given = lowerable(model.module, model.weights)(*inputs(length))
        torch.testing.assert_close(given, model.module(*inputs(length)), atol=1e-6, rtol=1e-5)


# both directions, numerics, and how far the outputs may be off
BOTH_INT8 = (True, "dynamic_wi8_afp32", 0.02)


@pytest.fixture(
    scope="module",
    params=[(True, "fp32", 1e-6), BOTH_INT8, (False, "dynamic_wi4_afp32", 0.02)],
    ids=lambda parameters: f"{1 + parameters[0]}-{parameters[1]}",
)
def exported(
    request: pytest.FixtureRequest, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory
) -> tuple[QuantizedModel, Artifact, float]:
    """A layer, its file for two lengths, and the tolerance."""
    bidirectional, numerics, tolerance = request.param
    model = quantize(Layer(bidirectional), numerics)
    x = Described("x", "float32", ("batch", "length", INPUT))
    real = Described("real", "float32", ("batch", "length"))
    y = Described("y", "float32", ("batch", "length", HIDDEN * (1 + bidirectional)))
    method = Method("forward", (x, real), (y,), LENGTHS, batch=BATCH)
    path = tmp_path_factory.mktemp("lstm") / "a.pte"
    return model, executorch.export(model, [method], path, [], metadata), tolerance


def test_the_file_computes_the_layer_at_any_length(exported: tuple[QuantizedModel, Artifact, float]) -> None:
    model, artifact, tolerance = exported
    runner = load(artifact.path)
    for length in LENGTHS:
        x, real = inputs(length)
        with torch.no_grad():
            wanted = model.module(x, real).numpy()
        given = runner.run(x.numpy(), real.numpy())[0]
        assert np.abs(given - wanted).max() <= tolerance * np.abs(wanted).max()
        assert not given[1, (length + 1) // 2 :].any()  # exactly zero at padding


def test_the_layer_is_one_operator_of_the_delegate(exported: tuple[QuantizedModel, Artifact, float]) -> None:
    _, artifact, _ = exported
    assert artifact.delegated["lstm"] == 1
    assert artifact.left_over == {}


def test_weights_are_stored_once_for_all_positions_and_lengths(
    exported: tuple[QuantizedModel, Artifact, float],
) -> None:
    model, artifact, _ = exported
    for bits in (8, 4):
        integers = sum(grid.integers.size for grid in model.weights.values() if grid.bits == bits)
        assert artifact.weight_bytes.get(f"int{bits}", 0) == integers * bits // 8
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    assert artifact.size_bytes < (4 * parameters if not model.weights else 2 * parameters) + 30_000  # and the graphs


@pytest.mark.parametrize("exported", [BOTH_INT8], indirect=True)
def test_a_changed_recurrent_integer_is_noticed(
    exported: tuple[QuantizedModel, Artifact, float], tmp_path: Path
) -> None:
    model, artifact, _ = exported
    content = artifact.path.read_bytes()
    place = content.find(model.weights["lstm.recurrent_reverse.weight"].integers.tobytes())
    changed = tmp_path / "changed.pte"
    changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ExportError, match=r"layer lstm\.recurrent_reverse: .* with other integers \(1 of 4096\)"):
        executorch_weights.check(model, executorch_weights.read(changed))
