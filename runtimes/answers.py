"""What an artifact says of one text: padding to a bucket, windows of a long text, one row of scores an answer.

A classifier gives one answer a text, a tagger one a word. Shapes: T tokens, K features of a token, C classes or tags.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from edgewright.data.tokenizer import Tokenizer, pad, pieces
from edgewright.runtimes import Runner


def answers_of(text: str, tokenizer: Tokenizer, lengths: Sequence[int], runner: Runner) -> np.ndarray:
    """(1, C) float32 of a classifier: the mean over the windows where the tokenizer reads long texts so, else cut.

    (T, C) of a tagger: a word that two windows hold has the scores of the one in which it stands further inside.
    """
    parts = pieces(tokenizer, text)
    outputs = [runner.run(pad_to_bucket(ids, lengths))[0] for ids in parts]  # (1, C) or (1, bucket, C)
    if outputs[0].ndim == 2:
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)
    scores = [output[0, : len(ids)] for output, ids in zip(outputs, parts, strict=True)]
    return scores[0] if tokenizer.window is None else _joined(scores, tokenizer.window.stride)


def pad_to_bucket(ids: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """(1, bucket[, K]): the shortest of the ascending `lengths` that holds the ids, or the longest, which cuts."""
    return pad(ids, lengths[min(bisect_left(lengths, len(ids)), len(lengths) - 1)])


def _joined(windows: Sequence[np.ndarray], stride: int) -> np.ndarray:
    joined = windows[0]
    for number, window in enumerate(windows[1:], start=1):
        start = number * stride
        # the words that both hold: the first half keeps what the window before said
        start += (len(joined) - start) // 2
        joined = np.concatenate([joined[:start], window[start - number * stride :]])
    return joined
