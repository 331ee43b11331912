"""The layer of models/lstm.py as MIL's own `lstm` operator, which a device runs as a whole.

MIL orders the gates as models/lstm.py does and takes the same weights, so that they go into the program as they are,
each under its own name. The layer is exchanged for a torch operator of ours, which the converter below translates.
A package is made for one row; both directions read forwards, the second one a sequence whose real positions stand in
reverse, as MIL's own `reverse` would begin at the padding.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.export.coreml_tools import Builder, operator_inputs, register_torch_op
from edgewright.models.lstm import LSTM

_OPERATOR = "edgewright::mil_lstm"


@torch.library.custom_op(_OPERATOR, mutates_args=())
def _mil_lstm(x: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, recurrent_bias: Tensor) -> Tensor:
    """Stands in a traced graph for (1, T, D) → (1, T, H) from a state of zeros; only its shape is ever computed."""
    return x.new_zeros(x.shape[0], x.shape[1], recurrent.shape[1])


@register_torch_op(torch_alias=[_OPERATOR])  # type: ignore[untyped-decorator]
def edgewright_mil_lstm(context: Any, node: Any) -> None:
    x, weight, recurrent, bias, recurrent_bias = operator_inputs(context, node, expected=5)
    zeros = np.zeros((1, recurrent.val.shape[1]), np.float32)
    outputs, _, _ = Builder.lstm(
        x=Builder.transpose(x=x, perm=[1, 0, 2]),  # positions first
        initial_h=zeros,
        initial_c=zeros,
        weight_ih=weight,
        weight_hh=recurrent,
        bias=bias.val + recurrent_bias.val,
        output_sequence=True,
    )
    context.add(Builder.transpose(x=outputs, perm=[1, 0, 2], name=node.name))


class _MilLSTM(nn.Module):
    """An LSTM layer for one row. Positions are counted by sums, exact up to 2048 also in float16."""

    def __init__(self, layer: LSTM) -> None:
        super().__init__()
        self.directions = layer.directions()
        self.step = layer.step
        for name, part in layer.named_children():  # under their names, as the grid's weights have them
            setattr(self, name, part)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        outputs = [self._run(x, "")]
        if len(self.directions) == 2:
            order = _backwards(torch.ones_like(x[:, :, 0]) if real is None else real)
            reverse = self._run(x.index_select(1, order), "_reverse")
            outputs.append(reverse.index_select(1, order))
        y = torch.cat(outputs, dim=2) if len(outputs) == 2 else outputs[0]
        return y if real is None else y * real.unsqueeze(2)

    def _run(self, x: Tensor, suffix: str) -> Tensor:
        layer, recurrent = self.get_submodule(f"input{suffix}"), self.get_submodule(f"recurrent{suffix}")
        return torch.ops.edgewright.mil_lstm(x, layer.weight, recurrent.weight, layer.bias, recurrent.bias)


def _backwards(real: Tensor) -> Tensor:
    """(T,) int32: what takes each place when the real positions of (1, T) are read backwards; padding reads place 0."""
    behind = real.sum(dim=1, keepdim=True) - real.cumsum(dim=1)  # (1, T): the real positions behind each one
    return (behind * real).to(torch.int32)[0]


def with_mil_lstm(module: nn.Module) -> nn.Module:
    """A copy of `module` with each LSTM layer exchanged; it can be traced and converted, but does not compute."""
    made = copy.deepcopy(module)
    for name, layer in list(made.named_modules()):
        if isinstance(layer, LSTM):
            parent, _, child = name.rpartition(".")
            setattr(made.get_submodule(parent), child, _MilLSTM(layer))
    return made
