"""SequenceNet: the shapes of its reference, torch.nn.LSTM's numbers, and 1,000 steps that give the whole sequence."""

import torch
from torch import nn

from edgewright.models.lstm import LSTM
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig


def made(**settings: bool) -> SequenceNet:
    torch.manual_seed(0)
    return SequenceNet(SequenceNetConfig(10, 32, 50, **settings)).eval()


def test_the_reference_shapes() -> None:
    assert made()(torch.randn(1, 5, 10)).shape == (1, 5, 50)
    assert made(many_to_one=True)(torch.randn(3, 5, 10)).shape == (3, 50)


def test_it_computes_torchs_lstm_with_a_linear_head() -> None:
    torch.manual_seed(1)
    theirs, head = nn.LSTM(10, 32, batch_first=True), nn.Linear(32, 50)
    model = made()
    model.lstm, model.head = LSTM.from_torch(theirs), head
    x = torch.randn(2, 17, 10)
    with torch.no_grad():
        assert torch.allclose(model(x), head(theirs(x)[0]), atol=1e-6)


def test_many_to_one_is_the_last_of_many() -> None:
    x = torch.randn(2, 9, 10)
    with torch.no_grad():
        assert torch.allclose(made(many_to_one=True)(x), made()(x)[:, -1], atol=1e-6)


def test_a_thousand_steps_give_the_whole_sequence() -> None:
    model, x = made(), torch.randn(1, 1000, 10)
    with torch.no_grad():
        whole, state = model(x), model.zero_state()
        for t in range(1000):
            y, state = model.forward_step(x[:, t], state)
            assert (y - whole[:, t]).abs().max() <= 1e-6


def test_what_stands_behind_a_position_does_not_change_it() -> None:
    model, x = made(), torch.randn(1, 8, 10)
    with torch.no_grad():
        assert torch.allclose(model(x)[:, :5], model(x[:, :5]), atol=1e-6)


def test_its_methods_name_the_state() -> None:
    forward, step = made().methods((5, 16))
    assert [name for name, _ in forward.functions()] == ["forward_5", "forward_16"]
    assert step.functions() == [("step", None)] and step.state == (("h", "h_next"), ("c", "c_next"))
