"""Metrics of one artifact, or of the reference, over rows: logits in, figures out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgewright.data.viterbi import viterbi
from edgewright.runtimes import Runner
from edgewright.train import metrics
from edgewright.train.metrics import REJECT, ClassScore, OutOfScope
from edgewright.train.span_metrics import SpanScore, span_report


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


@dataclass(frozen=True)
class TagEvaluation:
    """accuracy: share of words with the right tag after decoding. span_f1: of all spans, seqeval's micro average;
    macro_f1: the mean over the types of entities. confusion: (C, C) counts of words, true tag x decoded tag."""

    accuracy: float
    macro_f1: float
    span_f1: float
    metrics: dict[str, Any]
    confusion: np.ndarray


def evaluate_tags(
    scores: np.ndarray,
    labels: np.ndarray,
    counts: Sequence[int],
    names: Sequence[str],
    decoding: tuple[np.ndarray, np.ndarray, np.ndarray],
    groups: Sequence[str] | None = None,
) -> TagEvaluation:
    """All metrics of a tagger's (N, C) scores of N words, which belong to texts of `counts` words.

    Args:
        labels: (N,) tag numbers. decoding: what data/viterbi.py takes beside the scores.
        groups: the set that each text is from; `metrics` then holds the figures by set.

    Raises:
        ValueError: the scores do not fit the labels.
    """
    if len(scores) != len(labels) or sum(counts) != len(labels):
        raise ValueError(f"as many words as labels are needed: {len(scores)}, {len(labels)} and {sum(counts)}")
    ends = np.cumsum(counts)[:-1]
    # a NaN score is no answer: the word is outside
    finite = np.where(np.isfinite(scores).all(axis=1, keepdims=True), scores, np.eye(1, len(names)))
    paths = [viterbi(rows, *decoding) for rows in np.split(finite, ends)]
    decoded = np.concatenate(paths) if paths else labels[:0]
    true, found = ([[names[tag] for tag in tags] for tags in rows] for rows in (np.split(labels, ends), paths))
    report = span_report(true, found, groups)
    return TagEvaluation(
        accuracy=metrics.accuracy(decoded, labels),
        macro_f1=report.macro_f1 or 0.0,
        span_f1=report.micro.f1 or 0.0,
        metrics={
            "n": len(counts),
            "words": len(labels),
            "precision": report.micro.precision,
            "recall": report.micro.recall,
            "by_type": {name: _span_json(score) for name, score in report.by_type.items()},
            "by_source": {name: _span_json(score) for name, score in report.by_group.items()},
        },
        confusion=metrics.confusion(decoded, labels, len(names)),
    )


def _span_json(score: SpanScore) -> dict[str, Any]:
    return {"n": score.true, "precision": score.precision, "recall": score.recall, "f1": score.f1}
