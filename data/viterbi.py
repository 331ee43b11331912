"""The best sequence of tags, outside of the graph: the highest sum of scores and of transitions between neighbours.

Source: Forney 1973, "The Viterbi algorithm", https://doi.org/10.1109/PROC.1973.9030. For other languages:
docs/entities.md and tests/golden/viterbi.json. Shapes: T words, C tags.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def argmax(scores: ArrayLike) -> NDArray[np.int64]:
    """(T,) tag numbers: the best of each word by itself, of equal ones the first."""
    return np.argmax(np.asarray(scores), axis=-1).astype(np.int64)


def viterbi(
    scores: ArrayLike, transitions: ArrayLike, start: ArrayLike | None = None, end: ArrayLike | None = None
) -> NDArray[np.int64]:
    """(T,) tag numbers of the path y with the highest start[y_0] + Σ scores[t, y_t] + Σ transitions[y_t-1, y_t] + end.

    Args:
        scores: (T, C) finite; T may be 0.
        transitions: (C, C), from the row's tag to the column's; -inf forbids.
        start, end: (C,) for the first and the last tag; None is zeros.

    Computed in float64, with the additions in the order of the code. Of two equal paths the one with the lower tag
    number at the last place where they differ wins.
    """
    score = np.asarray(scores, np.float64)
    step = np.asarray(transitions, np.float64)
    words, count = score.shape
    first = np.zeros(count) if start is None else np.asarray(start, np.float64)
    last = np.zeros(count) if end is None else np.asarray(end, np.float64)
    if step.shape != (count, count) or first.shape != (count,) or last.shape != (count,):
        raise ValueError(f"{count} tags, but transitions {step.shape}, start {first.shape} and end {last.shape}")
    if not np.isfinite(score).all():
        raise ValueError("the scores hold a NaN or an infinity: no path is best")
    if not words:
        return np.empty(0, np.int64)
    easy = argmax(score)
    bonus = np.concatenate([first[easy[:1]], step[easy[:-1], easy[1:]], last[easy[-1:]]])
    if not bonus.any() and max(first.max(), step.max(), last.max()) <= 0:
        return easy  # no path has a higher score anywhere: usual where transitions only forbid
    path = np.empty(words, np.int64)
    came_from = np.empty((words, count), np.int64)
    best = first + score[0]  # (C,): of all paths that end here in this tag
    into = np.ascontiguousarray(step.T)  # from the column's tag to the row's
    for t in range(1, words):
        sums = best + into  # (C, C)
        came_from[t] = sums.argmax(axis=1)
        best = sums.max(axis=1) + score[t]
    path[-1] = (best + last).argmax()
    for t in range(words - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def bio_transitions(labels: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(transitions (C, C), start (C,)): 0 where a tag may follow, -inf where not.

    "I-X" may follow "B-X" and "I-X" alone, and no text begins with it; all else is free. Add them to what a CRF learnt
    to decode well-formed tags only.
    """
    inside = np.array([label.startswith("I-") for label in labels])
    kinds = [label[2:] for label in labels]  # "" of "O"
    same = np.array([[before == after for after in kinds] for before in kinds]).reshape(len(labels), len(labels))
    return np.where(inside & ~same, -np.inf, 0.0), np.where(inside, -np.inf, 0.0)
