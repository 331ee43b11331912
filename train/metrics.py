"""Figures of a classifier from its logits and the true labels: NumPy in, numbers out.

Shapes: N rows, C classes. A label is a class number, or REJECT for a row that belongs to no class (`oos`).
"""

from dataclasses import dataclass

import numpy as np

REJECT = -1


@dataclass(frozen=True)
class ClassScore:
    """One class; precision is None where it was never predicted, recall where the rows hold none of it."""

    n: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True)
class OutOfScope:
    """How well a confidence threshold keeps rows of no class out.

    recall: share of the rows of no class that were rejected; precision: share of the rejected rows that are of
    no class, None when nothing was rejected; in_scope_accuracy: share of the other rows that were kept and right.
    """

    n: int
    threshold: float
    recall: float
    precision: float | None
    in_scope_accuracy: float | None


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(N, C) probabilities in float64."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of equal entries of two (N,) arrays; N must not be 0."""
    _check(predictions, labels)
    return float(np.mean(predictions == labels))


def confusion(predictions: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(C, C) int64 counts: row = true class, column = predicted class. No label may be REJECT."""
    _check(predictions, labels)
    cells = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def per_class(counts: np.ndarray) -> list[ClassScore]:
    """Scores of each class of a confusion matrix; f1 is 0 where a class was never hit, as in scikit-learn."""
    scores = []
    for c in range(len(counts)):
        hits, true, predicted = int(counts[c, c]), int(counts[c].sum()), int(counts[:, c].sum())
        scores.append(
            ClassScore(
                n=true,
                precision=hits / predicted if predicted else None,
                recall=hits / true if true else None,
                f1=2 * hits / (true + predicted) if true + predicted else 0.0,
            )
        )
    return scores


def macro_f1(counts: np.ndarray) -> float:
    """Mean F1 over the classes that occur as a label or as a prediction (scikit-learn's `average="macro"`)."""
    occurs = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    return float(np.mean([score.f1 for score, there in zip(per_class(counts), occurs, strict=True) if there]))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: |accuracy - confidence| in bins of equal width, weighted by their rows.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 2.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    _check(confidence, labels)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins are open below, closed above
    gaps = np.bincount(place, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def out_of_scope(confidence: np.ndarray, predictions: np.ndarray, labels: np.ndarray, threshold: float) -> OutOfScope:
    """What a threshold does: a row with a confidence below it is rejected. Needs a row labelled REJECT."""
    _check(predictions, labels)
    outside, rejected = labels == REJECT, confidence < threshold
    assert outside.any(), "out_of_scope needs a row labelled REJECT"
    right = ~rejected & (predictions == labels)
    return OutOfScope(
        n=int(outside.sum()),
        threshold=threshold,
        recall=float(rejected[outside].mean()),
        precision=float(outside[rejected].mean()) if rejected.any() else None,
        in_scope_accuracy=float(right[~outside].mean()) if (~outside).any() else None,
    )


def choose_threshold(confidence: np.ndarray, predictions: np.ndarray, labels: np.ndarray) -> float:
    """The confidence threshold with the most right answers, rejection of a REJECT row counted as one.

    It lies midway between two confidences that occur. Choose it on validation rows. Without a REJECT row it is 0.
    """
    _check(predictions, labels)
    if not (labels == REJECT).any():
        return 0.0
    order = np.argsort(confidence, kind="stable")
    levels, outside, right = confidence[order], (labels == REJECT)[order], (predictions == labels)[order]
    # gains[k]: right answers when the k least confident rows are rejected
    gains = np.concatenate([[0], np.cumsum(outside)]) + np.concatenate([np.cumsum(right[::-1])[::-1], [0]])
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [np.nextafter(levels[-1], 2)]])
    # rows of equal confidence are rejected together or not at all
    possible = np.concatenate([[True], levels[1:] > levels[:-1], [True]])
    return float(edges[np.flatnonzero(possible)[np.argmax(gains[possible])]])


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: how often a row labelled true scores higher than one labelled false, ties half.

    Args:
        scores: (N,) numbers, higher for what should be true; infinities count as ties among themselves.
        labels: (N,) booleans, or 0 and 1.

    Raises:
        ValueError: the labels are all the same, are not 0 and 1, or a score is NaN.
    """
    _check(scores, labels)
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("the labels of an area under the curve must be 0 and 1")
    positive = labels.astype(bool)
    if positive.all() or not positive.any():
        raise ValueError("an area under the curve needs a row of each of the two labels")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} scores are not numbers")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]  # from 1; equal scores share their mean rank
    hits = int(positive.sum())
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(labels) - hits)))


def _check(values: np.ndarray, labels: np.ndarray) -> None:
    if len(values) != len(labels) or not len(labels):
        raise ValueError(f"as many values as labels are needed, and at least one: {len(values)} and {len(labels)}")
