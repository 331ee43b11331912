"""Metrics of one artifact, or of the reference, over rows: logits in, figures out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgewright.runtimes import Runner
from edgewright.train import metrics
from edgewright.train.metrics import REJECT, ClassScore, OutOfScope


@dataclass(frozen=True)
class Evaluation:
    """accuracy, macro_f1, calibration_error and classes are over the rows that belong to a class; rows labelled
    REJECT only count in out_of_scope. confusion: (C, C) counts, true class x predicted class."""

    n: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    classes: list[ClassScore]
    confusion: np.ndarray
    out_of_scope: OutOfScope | None

    def to_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """For `Cell.metrics`: the figures that have no field of their own there."""
        return {
            "n": self.n,
            "calibration_error": self.calibration_error,
            "out_of_scope": asdict(self.out_of_scope) if self.out_of_scope else None,
            "per_class": {
                label: {"n": score.n, "precision": score.precision, "recall": score.recall, "f1": score.f1}
                for label, score in zip(labels, self.classes, strict=True)
            },
        }


def run_rows(runner: Runner, rows: Iterable[tuple[np.ndarray, ...]], method: str = "forward") -> np.ndarray:
    """(N, C) float32 logits, one call a row, as a device would do it."""
    return np.concatenate([runner.run(*arrays, method=method)[0] for arrays in rows])


def evaluate(
    logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0, threshold: float | None = None
) -> Evaluation:
    """All metrics of (N, C) logits.

    Args:
        labels: (N,) class numbers, or REJECT.
        temperature, threshold: as chosen on validation; out_of_scope needs the threshold.

    Raises:
        ValueError: no row belongs to a class, or the arrays differ in length.
    """
    if len(logits) != len(labels):
        raise ValueError(f"as many rows as labels are needed: {len(logits)} and {len(labels)}")
    known = labels != REJECT
    if not known.any():
        raise ValueError("no row belongs to a class: there is nothing to evaluate")
    # a NaN logit is a wrong answer, not the class that argmax happens to give
    finite = np.isfinite(logits).all(axis=1)
    probabilities = metrics.softmax(np.where(finite[:, None], logits, 0), temperature)
    predictions = probabilities.argmax(axis=1)
    predictions[~finite] = (labels[~finite] + 1) % logits.shape[1]
    counts = metrics.confusion(predictions[known], labels[known], logits.shape[1])
    outside = None
    if threshold is not None and not known.all():
        outside = metrics.out_of_scope(probabilities.max(axis=1), predictions, labels, threshold)
    return Evaluation(
        n=int(known.sum()),
        accuracy=metrics.accuracy(predictions[known], labels[known]),
        macro_f1=metrics.macro_f1(counts),
        calibration_error=metrics.calibration_error(probabilities[known], labels[known]),
        classes=metrics.per_class(counts),
        confusion=counts,
        out_of_scope=outside,
    )
