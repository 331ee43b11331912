"""export/unrolled.py: layers written out position by position compute what the layers compute."""

import pytest
import torch
from torch import Tensor, nn

from edgewright.export.unrolled import UnrolledLSTM, unrolled
from edgewright.models.lstm import LSTM


class Reader(nn.Module):
    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.lstm = LSTM(5, 6, bidirectional)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        return self.lstm(x, real)


@pytest.fixture(params=[False, True], ids=["one direction", "two"])
def model(request: pytest.FixtureRequest) -> Reader:
    return Reader(request.param).eval()


@pytest.mark.parametrize("length", [1, 2, 7])
def test_same_outputs_as_the_layer(model: Reader, length: int) -> None:
    x = torch.randn(3, length, 5)
    with torch.no_grad():
        torch.testing.assert_close(unrolled(model)(x), model(x), atol=1e-6, rtol=0)


def test_same_outputs_with_padding_and_exact_zeros_there(model: Reader) -> None:
    x = torch.randn(3, 7, 5)
    real = (torch.arange(7) < torch.tensor([[7], [4], [0]])).to(torch.float32)
    with torch.no_grad():
        given = unrolled(model)(x, real)
        torch.testing.assert_close(given, model(x, real), atol=1e-6, rtol=0)
    assert not given[real == 0].any()


def test_padding_changes_no_bit_of_what_stands_before_it(model: Reader) -> None:
    x, real = torch.randn(1, 7, 5), torch.tensor([[1.0, 1, 1, 1, 0, 0, 0]])
    other = torch.cat([x[:, :4], 100 * torch.randn(1, 3, 5)], dim=1)
    with torch.no_grad():
        assert torch.equal(unrolled(model)(x, real), unrolled(model)(other, real))


def test_a_step_is_the_layer_s(model: Reader) -> None:
    x, state = torch.randn(3, 5), (torch.randn(3, 6), torch.randn(3, 6))
    layer = unrolled(model).lstm
    assert isinstance(layer, UnrolledLSTM)
    with torch.no_grad():
        for given, wanted in zip(layer.step(x, state), model.lstm.step(x, state), strict=True):
            torch.testing.assert_close(given, wanted, atol=1e-6, rtol=0)


def test_weights_are_shared_under_their_names_and_the_original_stays(model: Reader) -> None:
    before = list(model.state_dict())
    shared = dict(unrolled(model).named_parameters())
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            assert shared[name] is parameter
    assert list(model.state_dict()) == before and isinstance(model.lstm, LSTM)
