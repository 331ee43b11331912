"""The scores of TF-IDF under a linear classifier, which teach a student."""

from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks.peers import Rows, tfidf

TEXTS = ["the server is down", "server down again", "pay the bill", "a bill to pay", "hello there", "hello you"]


@pytest.mark.parametrize("classes", [2, 3])
def test_the_largest_score_is_the_label(classes: int, tmp_path: Path) -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])[: 2 * classes]
    texts = TEXTS[: 2 * classes]
    tfidf.fit(Rows(texts, labels), ["down", "pay", "hello"][:classes], tmp_path)
    peer = tfidf.load(tmp_path)
    scores = peer.scores(texts)
    assert scores.shape == (len(texts), classes) and scores.dtype == np.float32
    assert (scores.argmax(axis=1) == peer.labels(texts)).all() and (peer.labels(texts) == labels).all()


def test_a_class_that_was_never_fitted_is_the_least_likely(tmp_path: Path) -> None:
    tfidf.fit(Rows(TEXTS, np.array([0, 0, 1, 1, 3, 3])), ["down", "pay", "never", "hello"], tmp_path)
    scores = tfidf.load(tmp_path).scores(TEXTS)
    assert scores.shape == (6, 4) and (scores.argmin(axis=1) == 2).all()
