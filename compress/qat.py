"""Training on the grid (quantization-aware training): the forward pass sees the weights as the file will store them.

The gradient passes the rounding unchanged (straight-through estimator: Bengio et al. 2013,
https://arxiv.org/abs/1308.3432; for integer weights Jacob et al. 2018, https://arxiv.org/abs/1712.05877). Weights of
4 bits are first cut at the magnitude that makes the least squared error: a scale that is shared by a whole table must
not be set by its largest weight. What comes out lies on the grid, so that exporting rounds nothing more.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import LayerGrid, Precision, layers, snapped
from edgewright.train.loop import Trained

CUTS = torch.linspace(0.2, 1.0, 33)  # shares of the largest magnitude that are tried as the cut
NUMERICS: dict[int, Numerics] = {8: "dynamic_wi8_afp32", 4: "dynamic_wi4_afp32"}


@dataclass(frozen=True, config={"extra": "forbid"})
class QatConfig:
    """The [qat] table of a recipe; what is not here is as in [distill], or else in [train]."""

    bits: Literal[8, 4] = 4  # the grid of all layers that [quantize] bits does not name
    epochs: Annotated[int, Field(ge=1)] = 5
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1


class OnGrid(nn.Module):
    """A parametrization: the weight that a file would store of a float weight."""

    def __init__(self, form: LayerGrid, cut: float | None) -> None:
        super().__init__()
        self.form = form
        self.cut = cut  # the largest magnitude; None: as large as it is

    def forward(self, weight: Tensor) -> Tensor:
        within = weight if self.cut is None else weight.clamp(-self.cut, self.cut)
        return within + (snapped(within, self.form) - within).detach()


def to_grid(
    model: nn.Module,
    config: QatConfig,
    precision: Precision,
    learn: Callable[[nn.Module, dict[str, Any]], Trained],
) -> Trained:
    """Train `model` in place with its weights on the grid, and leave weights that lie on it.

    Args:
        learn: trains a model with what differs from the recipe's settings.
    """
    forms = layers(model, NUMERICS[config.bits], precision)
    for name, form in forms.items():
        layer = model.get_submodule(name)
        parametrize.register_parametrization(layer, "weight", OnGrid(form, cut(layer.weight, form)))
    changes = {"epochs": config.epochs, "learning_rate": config.learning_rate, "warmup": config.warmup}
    trained = learn(model, changes)
    for name in forms:
        parametrize.remove_parametrizations(model.get_submodule(name), "weight", leave_parametrized=True)
    return trained


def cut(weight: Any, form: LayerGrid) -> float | None:
    """The magnitude at which to cut a weight that has one scale for all its 4-bit integers; None for any other."""
    if form.bits != 4 or form.per_row:
        return None
    values = weight.detach()
    largest = float(values.abs().max())
    errors = [
        float((snapped(values.clamp(-at, at), form) - values).square().mean()) for at in (CUTS * largest).tolist()
    ]
    return float(CUTS[errors.index(min(errors))]) * largest
