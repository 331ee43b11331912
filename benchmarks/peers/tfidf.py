"""TF-IDF under a linear support vector machine: the strongest classifier of short texts without a neural network.

With words 1-2 alone it is the usual one; with character 2-5-grams (inside words) beside them the strong one, at tens
of megabytes. Stored as plain text and float32 arrays, and restored into scikit-learn's own classes.

scikit-learn is imported where it is used: it takes as long as PyTorch, and every run reads this module.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.benchmarks.peers import LABELS, Rows, read_labels
from edgewright.data.files import write_bytes, write_json
from edgewright.errors import DamagedFileError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

WEIGHTS = "weights.npz"
NEVER = -2.0  # the score of a class without a training row: a plane lies at about -1 from the texts of other classes
WORDS: dict[str, Any] = {"ngram_range": (1, 2)}
CHARACTERS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}
# the file of each part's vocabulary: one entry a line, in the order of the columns; an entry never holds a line break
PARTS: dict[str, dict[str, Any]] = {"words.txt": WORDS, "characters.txt": CHARACTERS}


class TfidfPeer:
    """The restored vectorizers and classifier."""

    def __init__(self, vectorizers: "Sequence[TfidfVectorizer]", classifier: "LinearSVC", classes: int) -> None:
        self._vectorizers = vectorizers
        self._classifier = classifier
        self._classes = classes  # of the task; the classifier has those that it was fitted on

    def labels(self, texts: Sequence[str]) -> np.ndarray:
        return self._classifier.predict(self._features(texts))

    def label(self, text: str) -> int:
        return int(self.labels([text])[0])

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """(N, C) float32: how far on the right side of each class's plane a text lies; NEVER where none was fitted."""
        found = self._classifier.decision_function(self._features(texts))
        if found.ndim == 1:  # of two classes scikit-learn gives the second one's
            found = np.stack([-found, found], axis=1)
        scores = np.full((len(texts), self._classes), NEVER, np.float32)
        scores[:, self._classifier.classes_] = found
        return scores

    def _features(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import hstack

        parts = [vectorizer.transform(texts) for vectorizer in self._vectorizers]
        return parts[0] if len(parts) == 1 else hstack(parts, format="csr")


def fit(training: Rows, names: Sequence[str], folder: Path, characters: bool = True) -> None:
    """Fill `folder` with the vocabularies, the weights and the labels.

    Args:
        characters: word 1-2-grams and character 2-5-grams; without it words 1-2 alone.
    """
    from scipy.sparse import hstack
    from sklearn.svm import LinearSVC

    files = list(PARTS) if characters else ["words.txt"]
    vectorizers = [_vectorizer(PARTS[file]) for file in files]
    features = hstack([vectorizer.fit_transform(training.texts) for vectorizer in vectorizers], format="csr")
    classifier = LinearSVC(random_state=0).fit(features, training.labels)
    arrays: dict[str, Any] = {
        # (F, C): in this order a prediction reads the rows of the features that a text has, and copies nothing
        "weights": np.ascontiguousarray(classifier.coef_.T, np.float32),
        "bias": np.asarray(classifier.intercept_, np.float32),
        "classes": classifier.classes_.astype(np.int64),  # a label without a training row has no column
    }
    for file, vectorizer in zip(files, vectorizers, strict=True):
        entries = vectorizer.get_feature_names_out()
        # an entry may hold half a surrogate pair
        write_bytes(folder / file, "\n".join(entries).encode("utf-8", "surrogatepass"))
        arrays[file] = vectorizer.idf_.astype(np.float32)
    np.savez(folder / WEIGHTS, **arrays)
    write_json(folder / LABELS, list(names))


def load(folder: Path, threads: int = 1) -> TfidfPeer:
    """What `fit` left; scikit-learn predicts with one thread whatever `threads` says."""
    from sklearn.svm import LinearSVC

    classes = len(read_labels(folder))
    try:
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            arrays = dict(stored)
        vectorizers = [_restored(folder / file, arrays[file]) for file in PARTS if file in arrays]
        classifier = LinearSVC()
        classifier.classes_, classifier.intercept_ = arrays["classes"], arrays["bias"]
        classifier.coef_ = arrays["weights"].T
    except (OSError, ValueError, KeyError) as error:
        raise DamagedFileError(f"{folder}: no stored TF-IDF model ({error}); make it anew") from error
    return TfidfPeer(vectorizers, classifier, classes)


def _vectorizer(settings: dict[str, Any], **more: Any) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **settings, **more)


def _restored(path: Path, idf: np.ndarray) -> "TfidfVectorizer":
    entries = path.read_bytes().decode("utf-8", "surrogatepass").split("\n")
    vectorizer = _vectorizer(PARTS[path.name], vocabulary={entry: column for column, entry in enumerate(entries)})
    vectorizer.idf_ = idf
    return vectorizer
