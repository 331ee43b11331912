"""A record of sensitivity, made from a formula, for the tests of what shows it."""

import dataclasses

from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.sensitivity_record import SensitivityRecord
from edgewright.compress.quantize import Precision
from edgewright.compress.sensitivity import Choice, LayerCost

LAYERS = {
    "embedding": 640_000,
    "hidden": 12_288,
    "layers.0.attention.query": 4_096,
    "convolution": 6_144,
    "head": 28_800,
}
ROWS = 2_961
ONLY_EIGHT = "convolution"


def sample(max_drop: float = 0.005) -> SensitivityRecord:
    """Five layers, one of which has no 4 bits; the head at 4 bits costs most."""
    costs = []
    for place, (name, weights) in enumerate(LAYERS.items()):
        costs.append(_cost(name, 8, place % 2, place % 3, 1e-5 * (place + 1), weights))
        if name != ONLY_EIGHT:
            costs.append(_cost(name, 4, 3 + 5 * place, place, 2e-3 * (place + 1), weights // 2))
    choices = [_choice((ONLY_EIGHT,), 40, 8), _choice((ONLY_EIGHT, "head"), 16, 7)]
    return SensitivityRecord(
        recipe="intent_half",
        task="clinc150",
        step="distill",
        seed=1,
        effort="normal",
        numerics="dynamic_wi4_afp32",
        max_drop=max_drop,
        float_accuracy=0.9512,
        rows=ROWS,
        costs=tuple(costs),
        choices=tuple(choices),
        all_eight=_choice(tuple(LAYERS), 2, 1),
        quantize=Precision({name: 8 if name == "head" else 4 for name in LAYERS if name != ONLY_EIGHT}, "table"),
        data="intent_clinc150",
        data_fingerprint="9f2c" * 16,
        generated=False,
        created="2026-11-29T10:00:00+00:00",
        machine=dataclasses.replace(fingerprint(), git_commit="0" * 40),
    )


def _cost(name: str, bits: int, lost: int, won: int, divergence: float, stored: int) -> LayerCost:
    return LayerCost(name, bits, (won - lost) / ROWS, lost, won, divergence, stored)


def _choice(eight: tuple[str, ...], lost: int, won: int) -> Choice:
    stored = sum(weights if name in eight else weights // 2 for name, weights in LAYERS.items())
    return Choice(eight, (won - lost) / ROWS, lost, won, 1e-3 * lost, stored)
