"""Static embeddings: one vector a word piece, taken once out of a sentence encoder, under a linear classifier.

As model2vec does it, with its own package: each piece of MiniLM's vocabulary goes through the encoder alone, PCA to 256
dimensions, weights by rank, float16. A text is the mean of its vectors. The classifier is a logistic regression whose
strength is chosen on validation.
Source: https://github.com/MinishLab/model2vec (Tulkens and van Dongen 2024).
"""

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgewright.benchmarks.peers import LABELS, Rows, read_labels
from edgewright.data.files import write_json
from edgewright.errors import DamagedFileError

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a folder that is not there must not be looked for on a hub

from model2vec import StaticModel

HEAD = "head.npz"
NEEDED = ("model.safetensors", "tokenizer.json", "config.json")  # the rest of what model2vec saves is for readers
ENCODER = "all-MiniLM-L6-v2"
UNUSED = r"\[unused\d+\]"  # model2vec's own default
STRENGTHS = (3.0, 10.0, 30.0)  # of the logistic regression (C); vectors have length 1, so it is loosely bound


class StaticPeer:
    """The vectors, and the classifier's weights (D, C) and bias (C,)."""

    def __init__(self, model: StaticModel, weights: np.ndarray, bias: np.ndarray) -> None:
        self._model = model
        self._weights = weights
        self._bias = bias

    def labels(self, texts: Sequence[str]) -> np.ndarray:
        vectors = self._model.encode(list(texts), use_multiprocessing=False)
        return np.asarray((vectors @ self._weights + self._bias).argmax(axis=1))

    def label(self, text: str) -> int:
        return int((self._model.encode(text) @ self._weights + self._bias).argmax())  # type: ignore[arg-type]


def distil(folder: Path, remove: str = UNUSED) -> None:
    """The vectors of MiniLM's word pieces, for any task; about a minute.

    Args:
        remove: a regular expression; pieces that match it get no vector.
    """
    # only here: a prediction needs neither torch nor transformers
    from model2vec.distill import distill

    from edgewright.benchmarks.peers.minilm_training import weights_folder

    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
        model = distill(str(weights_folder()), device="cpu", token_remove_pattern=remove)
    model.config["tokenizer_name"] = ENCODER  # it is the path of a folder on this machine
    model.save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in NEEDED:
            path.unlink()


def fit(distilled: Path, training: Rows, validation: Rows, names: Sequence[str], folder: Path) -> None:
    """Fill `folder` with the vectors, a classifier over them, and the labels."""
    from sklearn.linear_model import LogisticRegression  # only here: see `distil`

    model = StaticModel.from_pretrained(distilled)
    vectors, held_out = (model.encode(list(rows.texts), use_multiprocessing=False) for rows in (training, validation))
    tried = [LogisticRegression(C=strength, max_iter=300).fit(vectors, training.labels) for strength in STRENGTHS]
    best = max(tried, key=lambda one: float((one.predict(held_out) == validation.labels).mean()))
    weights, bias = np.zeros((vectors.shape[1], len(names)), np.float32), np.full(len(names), -np.inf, np.float32)
    if len(best.classes_) == 2:  # scikit-learn then has one column, the score of the second class
        weights[:, best.classes_[1]] = best.coef_[0]
        bias[best.classes_] = 0, best.intercept_[0]
    else:
        weights[:, best.classes_], bias[best.classes_] = best.coef_.T, best.intercept_
    for name in NEEDED:
        (folder / name).write_bytes((distilled / name).read_bytes())
    np.savez(folder / HEAD, weights=weights, bias=bias)
    write_json(folder / LABELS, list(names))


def load(folder: Path, threads: int = 1) -> StaticPeer:
    """What `fit` left; for one text model2vec works with one thread whatever `threads` says."""
    read_labels(folder)
    try:
        with np.load(folder / HEAD, allow_pickle=False) as stored:
            weights, bias = stored["weights"], stored["bias"]
        for name in NEEDED:
            (folder / name).stat()
        return StaticPeer(StaticModel.from_pretrained(folder), weights, bias)
    except (OSError, ValueError, KeyError) as error:
        raise DamagedFileError(f"{folder}: no stored static embeddings ({error}); make them anew") from error
