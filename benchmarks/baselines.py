"""What a user would pick instead, on the same rows: TF-IDF with a linear classifier, and the float PyTorch model.

TF-IDF of word 1-2-grams and character 2-5-grams (inside words) under a linear support vector machine is the strongest
classifier of short texts that needs no neural network, at tens of megabytes; with words alone it is the usual one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from edgewright.benchmarks.intervals import percentiles_ms
from edgewright.benchmarks.latency import BUDGETS, Effort
from edgewright.benchmarks.record import Baseline, Interval
from edgewright.train import metrics

FLOAT_BYTES = 4


@dataclass(frozen=True)
class LinearModel:
    """A fitted pipeline; it is never stored, so `size_bytes` is what its smallest plain form would take."""

    name: str
    pipeline: object
    size_bytes: int

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) labels, of the type that the model was fitted with."""
        return self.pipeline.predict(texts)  # type: ignore[attr-defined]


def fit(texts: Sequence[str], labels: np.ndarray, characters: bool = True) -> LinearModel:
    """TF-IDF + LinearSVC on the training rows.

    size_bytes is the UTF-8 text of the vocabulary with one separator an entry, a float32 inverse document
    frequency an entry, and the float32 weights and biases: no container, no compression, no pruning.

    Args:
        labels: (N,) class numbers; rows of no class must have been left out.
        characters: word 1-2-grams and character 2-5-grams; without it words 1-2 alone.
    """
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    parts = [("words", words)]
    if characters:
        spelling = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32)
        parts.append(("characters", spelling))
    classifier = LinearSVC(random_state=0)
    pipeline = make_pipeline(FeatureUnion(parts), classifier).fit(texts, labels)
    vocabulary = sum(
        len(entry.encode("utf-8", "surrogatepass")) + 1 + FLOAT_BYTES for _, part in parts for entry in part.vocabulary_
    )
    weights = FLOAT_BYTES * (classifier.coef_.size + classifier.intercept_.size)
    name = "TF-IDF word + character, LinearSVC" if characters else "TF-IDF word, LinearSVC"
    return LinearModel(name, pipeline, vocabulary + weights)


def evaluate(model: LinearModel, texts: Sequence[str], labels: np.ndarray, classes: int, effort: Effort) -> Baseline:
    """Accuracy on the test rows, and text → label latency of single texts in this process."""
    predictions = model.predict(texts)
    return Baseline(
        name=model.name,
        accuracy=metrics.accuracy(predictions, labels),
        macro_f1=metrics.macro_f1(metrics.confusion(predictions, labels, classes)),
        size_bytes=model.size_bytes,
        text_to_label_p50_ms=text_to_label(model, texts, effort),
        note="scikit-learn; size = vocabulary text + float32 weights",
    )


def text_to_label(model: LinearModel, texts: Sequence[str], effort: Effort) -> Interval:
    """The median time of predict for one text, in blocks as in benchmarks.latency, in this process."""
    budget = BUDGETS[effort]
    blocks, number = [], 0
    for _ in range(budget.blocks):
        samples: list[int] = []
        end = time.perf_counter() + budget.seconds / budget.blocks
        while len(samples) < budget.calls / budget.blocks or time.perf_counter() < end:
            text = texts[number % len(texts)]
            start = time.perf_counter_ns()
            model.predict([text])
            samples.append(time.perf_counter_ns() - start)
            number += 1
        blocks.append(np.array(samples))
    return percentiles_ms(blocks, [50])[0]


def float_pytorch(
    accuracy: float,
    macro_f1: float,
    size_bytes: int,
    p50_ms: Interval | None,
    text_to_label_p50_ms: Interval | None = None,
) -> Baseline:
    """The reference itself as a baseline: what the artifacts were made from. Size = its float32 weights."""
    return Baseline("PyTorch fp32", accuracy, macro_f1, size_bytes, text_to_label_p50_ms, p50_ms, "eager, one thread")
