"""models/lstm.py beside torch.nn.LSTM: the same numbers, step by step and backwards, also behind padding."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from edgewright.models.lstm import GATES, LSTM, cell


@pytest.fixture(params=[False, True], ids=["forward", "both ways"])
def pair(request: pytest.FixtureRequest) -> tuple[LSTM, nn.LSTM]:
    torch.manual_seed(0)
    theirs = nn.LSTM(6, 5, batch_first=True, bidirectional=request.param)
    return LSTM.from_torch(theirs), theirs


def real_of(counts: list[int], length: int) -> Tensor:
    return (torch.arange(length) < torch.tensor(counts).unsqueeze(1)).float()


def test_the_outputs_are_those_of_torch(pair: tuple[LSTM, nn.LSTM]) -> None:
    ours, theirs = pair
    x = torch.randn(3, 7, 6)
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x)[0], atol=1e-6)
        assert ours(x).shape[2] == ours.width


def test_padding_is_what_packing_is_in_torch(pair: tuple[LSTM, nn.LSTM]) -> None:
    ours, theirs = pair
    x, counts = torch.randn(4, 7, 6), [7, 1, 4, 5]
    packed = pack_padded_sequence(x, torch.tensor(counts), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        wanted, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=7)
        given = ours(x, real_of(counts, 7))
    assert torch.allclose(given, wanted, atol=1e-6)
    assert (given[1, 1:] == 0).all()


def test_a_text_of_padding_alone_gives_zeros(pair: tuple[LSTM, nn.LSTM]) -> None:
    ours, _ = pair
    assert (ours(torch.randn(2, 4, 6), torch.zeros(2, 4)) == 0).all()


def test_steps_give_what_the_whole_sequence_gives() -> None:
    torch.manual_seed(1)
    lstm, x = LSTM(6, 5), torch.randn(2, 9, 6)
    h = c = torch.zeros(2, 5)
    with torch.no_grad():
        whole = lstm(x)
        for t in range(9):
            h, c = lstm.step(x[:, t], (h, c))
            assert torch.allclose(h, whole[:, t], atol=1e-6)


def test_the_cell_follows_the_published_equations() -> None:
    torch.manual_seed(2)
    i, f, o, g, c = torch.randn(5, 3, 4)
    after = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h, made = cell(torch.cat([i, f, o, g], dim=-1), c)
    assert torch.allclose(made, after) and torch.allclose(h, torch.sigmoid(o) * torch.tanh(after))


def test_weights_come_back_as_they_went(pair: tuple[LSTM, nn.LSTM]) -> None:
    ours, theirs = pair
    back = ours.to_torch().state_dict()
    assert all(torch.equal(back[name], value) for name, value in theirs.state_dict().items())
    assert [GATES[gate] for gate in GATES] == [0, 1, 2, 3]


def test_it_learns_through_every_parameter(pair: tuple[LSTM, nn.LSTM]) -> None:
    ours, _ = pair
    ours(torch.randn(2, 5, 6), real_of([5, 3], 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in ours.parameters())
