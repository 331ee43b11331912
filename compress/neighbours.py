"""Which words mean nearly the same: those whose vectors of a pretrained encoder lie nearest.

A student that was taught what its teacher says of "aircraft" in the place of "plane" knows a word that no training text
has. Source: Jiao et al. 2020, TinyBERT, https://arxiv.org/abs/1909.10351, section 4.1, which exchanges words for
their neighbours in GloVe; here the vectors are the encoder's own, of each word read alone.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from edgewright.data.tokenizer import batch
from edgewright.models import pretrained
from edgewright.models.attention import mean_of_real

MOST = 12  # neighbours of a word
LEAST_COSINE = 0.45
WORD = re.compile(r"[a-z]{2,}")  # what a piece of the vocabulary must be to be offered as a word
LONGEST = 32  # pieces that a word is read to
BATCH, ROWS = 256, 512


def neighbours(texts: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """The nearest words of each word of the texts, lower-cased and cut at blanks; the nearest first.

    They are words of the texts and whole words of the encoder's vocabulary. A word without a near one is left out.

    Args:
        folder: of a pretrained encoder (models/pretrained.py).

    Raises:
        DamagedFileError: a file of the encoder is missing or damaged.
    """
    asked = sorted({word for text in texts for word in text.lower().split()})
    tokenizer = pretrained.tokenizer(folder, LONGEST)
    offered = sorted({*asked, *(piece for piece in tokenizer.vocabulary if WORD.fullmatch(piece))})
    vectors = _vectors(offered, folder)
    place = {word: number for number, word in enumerate(offered)}
    found = {}
    for start in range(0, len(asked), ROWS):
        words = asked[start : start + ROWS]
        cosines = vectors[[place[word] for word in words]] @ vectors.T
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : MOST + 1]
        for word, row, cosine in zip(words, nearest, cosines, strict=True):
            near = [offered[i] for i in row if offered[i] != word and cosine[i] > LEAST_COSINE][:MOST]
            if near:
                found[word] = near
    return found


def _vectors(words: Sequence[str], folder: Path) -> np.ndarray:
    """(words, D) float32 of length 1: the mean of the encoder's outputs over the tokens of each word alone."""
    encoder = pretrained.encoder(folder, classes=2).eval()  # the head is not used
    tokenizer = pretrained.tokenizer(folder, LONGEST)
    ids = [tokenizer.encode(word)[:LONGEST] for word in words]
    order = np.argsort([len(one) for one in ids], kind="stable")
    vectors = np.zeros((len(words), encoder.config.width), np.float32)
    torch.set_num_threads(1)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            given = torch.from_numpy(batch([ids[row] for row in rows], max(len(ids[row]) for row in rows)))
            real = (given != 0).to(torch.float32)
            vectors[rows] = mean_of_real(encoder.encoded(given, real), real).numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
