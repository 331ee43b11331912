"""Where an artifact stops giving the model's answers: eager → grid → torch.export → target's float file → target.

Each step is compared with the one before it, on the same inputs; the first large jump is the culprit.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgewright.compress.numerics import Numerics, Target, weight_bits
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.methods import Method, Tensor
from edgewright.runtimes import Runner, load
from edgewright.runtimes.pytorch import PyTorchRunner

# Largest logit error of a step relative to the largest logit. A grid of 8 bits, and 8-bit activations, cost up to some
# percent; a step that only rewrites the graph costs rounding.
REWRITE, HALF, INTEGER = 1e-4, 2e-2, 0.25


def bisect(
    model: nn.Module, quantized: QuantizedModel, artifact: Runner, target: Target, inputs: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """One row a step: step, max_abs_logit_error and label_agreement against the step before, verdict, note."""
    numerics = quantized.numerics
    steps: list[tuple[str, Runner, float, str]] = [
        ("eager fp32", PyTorchRunner(model.eval()), 0.0, "the reference"),
        (
            "weights on the grid",
            PyTorchRunner(quantized.module),
            _grid_bound(numerics),
            f"{numerics}, computed in fp32",
        ),
        ("torch.export", _Exported(quantized.module, inputs), REWRITE, "the graph that converters start from"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        if numerics != "fp32":
            note = f"the same weights through {target}'s float conversion"
            steps.append((f"{target} fp32", _float_file(quantized, target, inputs, Path(folder)), REWRITE, note))
        bound = REWRITE if numerics == "fp32" else HALF if weight_bits(numerics) == 16 else INTEGER
        steps.append((f"{target} {numerics}", artifact, bound, "the artifact in its runtime"))
        answers = [np.concatenate([runner.run(ids)[0] for ids in inputs]) for _, runner, _, _ in steps]
    rows = []
    for number, ((name, _, bound, note), logits) in enumerate(zip(steps, answers, strict=True)):
        before = answers[max(0, number - 1)]
        error = float(np.abs(logits - before).max())
        allowed = bound * max(1.0, float(np.abs(before).max()))
        rows.append(
            {
                "step": name,
                "max_abs_logit_error": error,
                "label_agreement": float((logits.argmax(axis=1) == before.argmax(axis=1)).mean()),
                "verdict": "pass" if error <= allowed else "fail",
                "note": note if error <= allowed else f"{note}: at most {allowed:.3g} is expected of this step",
            }
        )
    return rows


def _grid_bound(numerics: Numerics) -> float:
    return REWRITE if weight_bits(numerics) >= 16 else INTEGER


class _Exported:
    """The graph of torch.export for each bucket."""

    def __init__(self, module: nn.Module, inputs: Sequence[np.ndarray]) -> None:
        shapes = {ids.shape: torch.from_numpy(ids) for ids in inputs}
        with torch.no_grad():
            self._graphs = {shape: torch.export.export(module, (ids,)).module() for shape, ids in shapes.items()}

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return (self._graphs[arrays[0].shape](torch.from_numpy(arrays[0])).numpy(),)


def _float_file(quantized: QuantizedModel, target: Target, inputs: Sequence[np.ndarray], folder: Path) -> Runner:
    lengths = tuple(sorted({ids.shape[1] for ids in inputs}))
    shape: tuple[int | str, ...] = ("batch", "length", *inputs[0].shape[2:])
    classes = int(quantized.module.config.classes)  # type: ignore[union-attr,arg-type]
    method = Method(
        "forward", (Tensor("ids", "int32", shape),), (Tensor("logits", "float32", ("batch", classes)),), lengths
    )
    labels = tuple(str(i) for i in range(classes))
    path = folder / f"float{SUFFIX[target]}"
    export(target, quantize(quantized.module, "fp32"), [method], path, [], Metadata("bisect", "", labels, "", ""))
    return load(target, path)
