"""SequenceNet: an LSTM with a linear head, over a whole sequence or one position at a time.

For signals and characters that arrive one by one: `forward` for training and for recorded sequences, `step` for live
ones, with the state handed in and out. The LSTM is torch.nn.LSTM's, see models/lstm.py.
Shapes: B batch, T positions, I inputs, H hidden units, O outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgewright.models import methods
from edgewright.models.lstm import LSTM, State
from edgewright.models.methods import Method


@dataclass(frozen=True)
class SequenceNetConfig:
    input_size: int = 10
    hidden_size: int = 32
    output_size: int = 50
    many_to_one: bool = False  # one output, after the last position, instead of one a position


class SequenceNet(nn.Module):
    def __init__(self, config: SequenceNetConfig) -> None:
        super().__init__()
        self.config = config
        self.lstm = LSTM(config.input_size, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, config.output_size)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of a sequence, from a state of zeros.

        Args:
            x: (B, T, I) float32. What stands behind a position does not change its output, so a sequence may be
                filled up at its end, unless only the last output is wanted (many_to_one).

        Returns:
            (B, T, O) float32; (B, O) with many_to_one.
        """
        y = self.lstm(x)  # (B, T, H)
        return self.head(y[:, -1] if self.config.many_to_one else y)

    def forward_step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The output of one position.

        Args:
            x: (B, I) float32.
            state: h and c, (B, H) each, of the position before; zeros before the first, see `zero_state`.

        Returns:
            (B, O) float32, and the state after this position.
        """
        h, c = self.lstm.step(x, state)
        return self.head(h), (h, c)

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`forward_step` without nesting, as files offer it: (y, h, c)."""
        y, (h, c) = self.forward_step(x, (h, c))
        return y, h, c

    def zero_state(self, batch: int = 1) -> State:
        zeros = torch.zeros(batch, self.config.hidden_size)
        return zeros, zeros

    def example_inputs(self, length: int = 5, batch: int = 1) -> tuple[Tensor, ...]:
        """(x,) of shape (batch, length, I)."""
        size = batch * length * self.config.input_size
        return (torch.linspace(-1, 1, size).sin().reshape(batch, length, self.config.input_size),)

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`forward` for sequences of these lengths, and `step`."""
        config = self.config
        whole: tuple[int | str, ...] = ("batch",) if config.many_to_one else ("batch", "length")
        h, c = (methods.Tensor(name, "float32", ("batch", config.hidden_size)) for name in ("h", "c"))
        h_next, c_next = (methods.Tensor(f"{state.name}_next", "float32", state.shape) for state in (h, c))
        return (
            Method(
                "forward",
                (methods.Tensor("x", "float32", ("batch", "length", config.input_size)),),
                (methods.Tensor("y", "float32", (*whole, config.output_size)),),
                lengths,
            ),
            Method(
                "step",
                (methods.Tensor("x", "float32", ("batch", config.input_size)), h, c),
                (methods.Tensor("y", "float32", ("batch", config.output_size)), h_next, c_next),
                state=(("h", "h_next"), ("c", "c_next")),
            ),
        )
