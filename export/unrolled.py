"""LSTM layers written out position by position, for runtimes that have no operator for them or only a slow one.

The input's product is taken for the whole sequence at once; what is left of a position is one product with the
recurrent weights and arithmetic on a few hundred numbers. The weights are those of the layer, under their own names:
a grid fits as it is. Both biases are one, added with the input's product.
Shapes: B batch, T positions, D input width, H hidden units.
"""

import copy

import torch
from torch import Tensor, nn

from edgewright.models.attention import FORBIDDEN
from edgewright.models.lstm import LSTM, State, cell


class UnrolledLSTM(nn.Module):
    """What models/lstm.py's LSTM computes, in evaluation; its weights are shared, not copied."""

    closed: Tensor

    def __init__(self, lstm: LSTM) -> None:
        super().__init__()
        self.hidden_size = lstm.hidden_size
        self.suffixes = lstm.directions()
        for suffix in self.suffixes:
            first, second = lstm.get_submodule(f"input{suffix}"), lstm.get_submodule(f"recurrent{suffix}")
            assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
            setattr(self, f"input{suffix}", _linear(first.weight, (first.bias + second.bias).detach()))
            setattr(self, f"recurrent{suffix}", _linear(second.weight, None))
        closed = torch.zeros(4 * lstm.hidden_size)
        closed[: lstm.hidden_size] = FORBIDDEN
        self.register_buffer("closed", closed, persistent=False)  # shuts the input gate when added to the sums

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """All outputs, from a state of zeros; see LSTM.forward."""
        directions = [self._run(x, real, suffix) for suffix in self.suffixes]
        y = torch.cat(directions, dim=2) if len(directions) > 1 else directions[0]
        return y if real is None else y * real.unsqueeze(2)

    def step(self, x: Tensor, state: State) -> State:
        """One position; see LSTM.step."""
        h, c = state
        return cell(self.get_submodule("input")(x) + self.get_submodule("recurrent")(h), c)

    def _sums(self, x: Tensor, real: Tensor | None, suffix: str) -> Tensor:
        """(B, T, 4 H): the input's part of the sums, which backwards keeps the state at 0 until a real position."""
        sums: Tensor = self.get_submodule(f"input{suffix}")(x)
        return sums if real is None or not suffix else sums + (1.0 - real).unsqueeze(2) * self.closed

    def _run(self, x: Tensor, real: Tensor | None, suffix: str) -> Tensor:
        """(B, T, H) of one direction, the outputs in the order of the positions."""
        sums = self._sums(x, real, suffix)
        recurrent = self.get_submodule(f"recurrent{suffix}")
        positions = range(x.shape[1])[:: -1 if suffix else 1]
        h, c = _first(sums[:, positions[0] : positions[0] + 1])  # (B, 1, H) each
        outputs = [h]
        for position in positions[1:]:
            h, c = cell(sums[:, position : position + 1] + recurrent(h), c)
            outputs.append(h)
        return torch.cat(outputs[::-1] if suffix else outputs, dim=1)


def unrolled(module: nn.Module, form: type[UnrolledLSTM] = UnrolledLSTM) -> nn.Module:
    """A copy in which each LSTM layer has that form; parameters and buffers are shared with `module`."""
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    made = copy.deepcopy(module, shared)  # type: ignore[arg-type]  # deepcopy takes what is in there as copied
    for name, layer in list(made.named_modules()):
        if isinstance(layer, LSTM):
            made.set_submodule(name, form(layer))
    return made


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with these very tensors."""
    with torch.device("meta"):
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    made.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight)
    if bias is not None:
        made.bias = nn.Parameter(bias)
    return made


def _first(sums: Tensor) -> State:
    """`cell` after a state of zeros, which neither the forget gate nor a product with it can change."""
    hidden = sums.shape[-1] // 4
    opened = torch.sigmoid(sums[..., : 3 * hidden])
    c = opened[..., :hidden] * torch.tanh(sums[..., 3 * hidden :])
    return opened[..., 2 * hidden :] * torch.tanh(c), c
