"""export/executorch_layers.py: the layers compute what those of the model compute."""

from pathlib import Path

import pytest
import torch
from torch import nn

from edgewright.compress.quantize import quantize
from edgewright.export import executorch
from edgewright.export.artifact import Metadata
from edgewright.export.executorch_layers import LSTMOfProducts, Norm, RowLookup
from edgewright.models.attention import RowAt, place_of
from edgewright.models.lstm import LSTM
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_a_norm_of_products_is_the_norm(shift: float, affine: bool) -> None:
    torch.manual_seed(0)
    norm = nn.LayerNorm(48, eps=1e-5, elementwise_affine=affine)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 5, 48) + shift
    with torch.no_grad():
        torch.testing.assert_close(Norm(norm)(x), norm(x), atol=2e-5, rtol=1e-5)


def test_a_looked_up_row_is_the_row() -> None:
    table = torch.randn(6, 3)
    for position in (0, 2, 5):
        place = place_of(torch.tensor([position], dtype=torch.int32), torch.arange(6.0))
        assert torch.equal(RowLookup()(table, place), RowAt()(table, place))


def test_steps_of_an_lstm_of_products_are_the_layers() -> None:
    torch.manual_seed(0)
    lstm = LSTM(6, 8)
    exchanged = LSTMOfProducts(lstm, {})
    state = other = (torch.zeros(2, 8), torch.zeros(2, 8))
    with torch.no_grad():
        for _ in range(20):
            x = torch.randn(2, 6)
            state, other = exchanged.step(x, state), lstm.step(x, other)
    torch.testing.assert_close(state, other, atol=1e-6, rtol=1e-5)


def test_a_sequence_and_its_step_share_their_weights(metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(SequenceNet(SequenceNetConfig()), "dynamic_wi8_afp32")
    methods = model.module.methods((3,))  # type: ignore[operator]
    artifact = executorch.export(model, methods, tmp_path / "a.pte", [], metadata)
    assert artifact.weight_bytes["int8"] == sum(grid.integers.size for grid in model.weights.values())
    assert artifact.left_over == {}
