"""Magnitude pruning of single weights: most become zero, in steps that grow while the model learns to do without.

The share of zeros follows the cubic schedule of Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878; the smallest
magnitudes of each layer go. Evaluated is always the model with all of its zeros, so that the epoch that is chosen is
one of the sparse model. A sparse file is smaller only where the format stores zeros apart (Core ML); no runtime here
computes faster with it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgewright.compress.prune import PruneConfig
from edgewright.compress.quantize import QUANTIZED
from edgewright.train.loop import Trained

EVERY = 16  # steps between two choices of the weights that are zero


class Sparse(nn.Module):
    """A parametrization: the weight without its smallest magnitudes."""

    step: Tensor
    threshold: Tensor

    def __init__(self, sparsity: float, steps: int) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.steps = steps  # in which it grows from 0
        # both belong to the state of an interrupted training
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return weight * kept(weight, self.sparsity)
        if int(self.step) % EVERY == 0:
            done = min(1.0, (int(self.step) + EVERY) / self.steps)
            self.threshold.copy_(_threshold(weight, self.sparsity * (1 - (1 - done) ** 3)))
        self.step.add_(1)
        return weight * (weight.detach().abs() > self.threshold)


def sparsify(
    model: nn.Module, config: PruneConfig, steps: int, learn: Callable[[nn.Module, dict[str, Any]], Trained]
) -> Trained:
    """Train `model` in place, and leave weights of which config.sparsity are zero in each layer.

    Args:
        steps: how many the training takes in all; in the share config.ramp of them the zeros grow to their number.
        learn: trains a model with what differs from the recipe's settings.
    """
    found = [layer for layer in model.modules() if isinstance(layer, QUANTIZED)]
    growing = max(1, round(config.ramp * steps))
    for layer in found:
        parametrize.register_parametrization(layer, "weight", Sparse(config.sparsity, growing).eval())
    trained = learn(model, {})
    model.eval()
    for layer in found:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return trained


def kept(weight: Tensor, sparsity: float) -> Tensor:
    """(as the weight) bool: all but the `sparsity` share of the smallest magnitudes, exactly so many."""
    count = round(sparsity * weight.numel())
    mask = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[weight.detach().abs().flatten().argsort(stable=True)[:count]] = False
    return mask.reshape(weight.shape)


def share_of_zeros(model: nn.Module) -> float:
    """Of the weights that `sparsify` prunes."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, QUANTIZED)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def _threshold(weight: Tensor, sparsity: float) -> Tensor:
    count = round(sparsity * weight.numel())
    if count == 0:
        return torch.full((), -1.0, device=weight.device)
    return weight.detach().abs().flatten().kthvalue(count).values
