"""An LSTM layer of one or two directions, in plain linear layers that every exporter can take apart.

Source: Hochreiter and Schmidhuber 1997, with forget gates (Gers et al. 2000); the equations and the two biases are
those of torch.nn.LSTM. Only the rows of the gates stand in another order: input, forget, output, cell, so that one
sigmoid covers three gates in one slice. On the processor of a desk the whole sequence runs in PyTorch's fused
operator; exporters exchange the layer for the form that their runtime runs fastest, exactly equivalent.
Shapes: B batch, T positions, D input width, H hidden units.
"""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # h and c, (B, H) each

# rows of input, forget, cell, output (PyTorch) as input, forget, output, cell (here); its own inverse
GATES = (0, 1, 3, 2)


class LSTM(nn.Module):
    """The layer. `reverse` marks the parameters of the direction from the last real position to the first."""

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        for suffix in self.directions():
            setattr(self, f"input{suffix}", nn.Linear(input_size, 4 * hidden_size))
            setattr(self, f"recurrent{suffix}", nn.Linear(hidden_size, 4 * hidden_size))
        bound = hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)  # as torch.nn.LSTM does

    @property
    def width(self) -> int:
        """The width of an output."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def directions(self) -> tuple[str, ...]:
        """The suffixes of the parameters' names, one a direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """All outputs, from a state of zeros.

        Args:
            x: (B, T, D) float32.
            real: (B, T) float32, 1 at real positions and 0 at the padding behind them. None: all are real.

        Returns:
            (B, T, H), or (B, T, 2 H) with the forward direction first. Where `real` is given, padding gives 0 and
            changes nothing at real positions: the backward direction starts at the last of them.
        """
        outputs = [self._run(x, "")]
        if self.bidirectional:
            order = backwards(x, real)
            outputs.append(_reordered(self._run(_reordered(x, order), "_reverse"), order))
        y = torch.cat(outputs, dim=2) if self.bidirectional else outputs[0]
        return y if real is None else y * real.unsqueeze(2)

    def step(self, x: Tensor, state: State) -> State:
        """One position of the forward direction: (B, D) and the state before it give the state after it."""
        h, c = state
        return cell(self.get_submodule("input")(x) + self.get_submodule("recurrent")(h), c)

    def _run(self, x: Tensor, suffix: str) -> Tensor:
        zeros = x.new_zeros(1, x.shape[0], self.hidden_size)
        parameters = [
            _swap_gates(getattr(self.get_submodule(f"{part}{suffix}"), kind))
            for kind in ("weight", "bias")
            for part in ("input", "recurrent")
        ]
        # has biases, layers, dropout, training, bidirectional, batch first
        return torch.lstm(x, (zeros, zeros), parameters, True, 1, 0.0, self.training, False, True)[0]

    @classmethod
    def from_torch(cls, lstm: nn.LSTM) -> "LSTM":
        """The same layer as a torch.nn.LSTM of one layer with batch_first; parameters are copied."""
        assert lstm.num_layers == 1 and lstm.bias and not lstm.proj_size, "one layer with biases, without projection"
        made = cls(lstm.input_size, lstm.hidden_size, lstm.bidirectional)
        with torch.no_grad():
            for ours, theirs in made._pairs(lstm):
                ours.copy_(_swap_gates(theirs))
        return made.train(lstm.training)

    def to_torch(self) -> nn.LSTM:
        """The same layer as a torch.nn.LSTM with batch_first; parameters are copied."""
        made = nn.LSTM(self.input_size, self.hidden_size, batch_first=True, bidirectional=self.bidirectional)
        with torch.no_grad():
            for ours, theirs in self._pairs(made):
                theirs.copy_(_swap_gates(ours))
        return made.train(self.training)

    def _pairs(self, lstm: nn.LSTM) -> list[tuple[Tensor, Tensor]]:
        """Our parameters beside those of a torch.nn.LSTM."""
        return [
            (getattr(self.get_submodule(f"{ours}{suffix}"), kind), getattr(lstm, f"{kind}_{theirs}_l0{suffix}"))
            for suffix in self.directions()
            for kind in ("weight", "bias")
            for ours, theirs in (("input", "ih"), ("recurrent", "hh"))
        ]


def cell(gates: Tensor, c: Tensor) -> State:
    """The state after a position.

    Args:
        gates: (..., 4 H) sums before the sigmoid and tanh, in the order input, forget, output, cell.
        c: (..., H) of the position before.
    """
    hidden = c.shape[-1]
    opened = torch.sigmoid(gates[..., : 3 * hidden])
    new = opened[..., :hidden] * torch.tanh(gates[..., 3 * hidden :])
    c = opened[..., hidden : 2 * hidden] * c + new
    return opened[..., 2 * hidden :] * torch.tanh(c), c


def backwards(x: Tensor, real: Tensor | None) -> Tensor:
    """(B, T) int64: for each position the one that takes its place when the real positions are read backwards.

    Positions of padding keep their place, so applying the order twice gives the original.
    """
    positions = torch.arange(x.shape[1], device=x.device)
    if real is None:
        return (x.shape[1] - 1 - positions).expand(x.shape[0], -1)
    count = real.sum(dim=1, keepdim=True).to(torch.int64)
    return torch.where(positions < count, count - 1 - positions, positions)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2]))


def _swap_gates(values: Tensor) -> Tensor:
    """Rows in PyTorch's order of gates from ours, and the other way round."""
    parts = values.chunk(4)
    return torch.cat([parts[gate] for gate in GATES])
