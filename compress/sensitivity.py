"""Which layer can be stored in how few bits: each is put on a coarser grid alone, and the answers are looked at.

The choice is greedy, as in Dong et al. 2019 (HAWQ, https://arxiv.org/abs/1905.03696) but with the measured cost in the
place of a curvature: all layers begin at 4 bits, and the one that costs most for the bytes it saves goes to 8 until
the whole model is accurate enough. Costs of layers do not add up, so the whole is measured after each step.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgewright.compress.quantize import LayerGrid, Precision, layers, snapped
from edgewright.errors import UsageError
from edgewright.train.metrics import softmax

Answer = Callable[[nn.Module], np.ndarray]  # the (N, C) logits of a model on the rows that it is judged by


@dataclass(frozen=True)
class LayerCost:
    """One layer alone at so many bits, all others float32.

    accuracy: of the whole model on validation, the difference to float32: the rows `won`, which only this one gets
    right, less the rows `lost`, which only float32 does. divergence: mean Kullback-Leibler divergence of the
    probabilities from those of float32, which also sees what changes no label. stored_bytes: of this layer's weight
    with its scales.
    """

    layer: str
    bits: int
    accuracy: float
    lost: int
    won: int
    divergence: float
    stored_bytes: int


@dataclass(frozen=True)
class Choice:
    """All layers on the grid together: those at 8 bits, and what the whole model is beside float32, as in LayerCost."""

    eight: tuple[str, ...]
    accuracy: float
    lost: int
    won: int
    divergence: float
    weight_bytes: int


@dataclass(frozen=True)
class Sensitivity:
    """costs: of each layer at 8 and, where it can, at 4 bits. choices: from all at 4 bits on; the last one is chosen.

    float_accuracy: of the float32 model on the same rows. all_eight: what is saved is saved against it.
    """

    float_accuracy: float
    rows: int
    costs: tuple[LayerCost, ...]
    choices: tuple[Choice, ...]
    all_eight: Choice
    precision: Precision


@dataclass(frozen=True)
class _Judged:
    accuracy: float
    lost: int
    won: int
    divergence: float


def measure(
    model: nn.Module,
    answer: Answer,
    labels: np.ndarray,
    most_drop: float = 0.005,
    embedding_scales: Literal["table", "row"] = "table",
) -> Sensitivity:
    """The cost of each layer, and the bits that save most within `most_drop` of float32's accuracy.

    Args:
        labels: (N,) the class of each row that `answer` answers.
        most_drop: a share of 1. Where even 8 bits everywhere cost more, that is what is chosen.
    """
    plain = answer(model)
    right = plain.argmax(axis=1) == labels
    eight = layers(model, "dynamic_wi8_afp32", Precision({}, embedding_scales))
    four = {name: form for name in eight if (form := _four(model, name, embedding_scales)) is not None}

    def judged(forms: Mapping[str, LayerGrid]) -> _Judged:
        found = answer(on_grid(model, forms))
        also_right = found.argmax(axis=1) == labels
        lost, won = int((right & ~also_right).sum()), int((also_right & ~right).sum())
        return _Judged((won - lost) / len(labels), lost, won, divergence(plain, found))

    costs = tuple(
        LayerCost(name, form.bits, **vars(judged({name: form})), stored_bytes=stored_bytes(model, name, form))
        for name in eight
        for form in (eight[name], *([four[name]] if name in four else []))
    )
    cost_of = {cost.layer: cost.divergence for cost in costs if cost.bits == 4}
    saved = {name: stored_bytes(model, name, eight[name]) - stored_bytes(model, name, four[name]) for name in four}
    forms = eight | four
    choices = [_choice(model, forms, judged)]
    for name in sorted(four, key=lambda name: cost_of[name] / saved[name], reverse=True):
        if choices[-1].accuracy >= -most_drop:
            break
        forms[name] = eight[name]
        choices.append(_choice(model, forms, judged))
    bits = {name: forms[name].bits for name in four}
    return Sensitivity(
        float_accuracy=float(right.mean()),
        rows=len(labels),
        costs=costs,
        choices=tuple(choices),
        all_eight=_choice(model, eight, judged),
        precision=Precision(bits, embedding_scales),
    )


def on_grid(model: nn.Module, forms: Mapping[str, LayerGrid]) -> nn.Module:
    """A copy of `model` whose named layers have the weights that a file would store, all others float32."""
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for name, form in forms.items():
            weight = copied.get_parameter(f"{name}.weight")
            weight.copy_(snapped(weight, form))
    return copied


def stored_bytes(model: nn.Module, name: str, form: LayerGrid) -> int:
    """Of one layer's integers and its scales, 4 bytes each, 2 each in blocks."""
    weight = model.get_parameter(f"{name}.weight")
    integers = weight.numel() * form.bits // 8
    if form.block is not None:
        return integers + 2 * (weight.numel() // form.block)
    return integers + 4 * (len(weight) if form.per_row else 1)


def divergence(plain: np.ndarray, found: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence, in nats, of the probabilities of (N, C) logits from those of `plain`."""
    before, after = softmax(plain, 1.0), np.maximum(softmax(found, 1.0), 1e-12)
    return float((before * np.log(np.maximum(before, 1e-12) / after)).sum(axis=1).mean())


def _four(model: nn.Module, name: str, scales: Literal["table", "row"]) -> LayerGrid | None:
    try:
        return layers(model, "dynamic_wi4_afp32", Precision({name: 4}, scales))[name]
    except UsageError:  # a convolution, a width that does not divide
        return None


def _choice(
    model: nn.Module, forms: Mapping[str, LayerGrid], judged: Callable[[Mapping[str, LayerGrid]], _Judged]
) -> Choice:
    total = sum(stored_bytes(model, name, form) for name, form in forms.items())
    eight = tuple(name for name, form in forms.items() if form.bits == 8)
    return Choice(eight, **vars(judged(forms)), weight_bytes=total)
