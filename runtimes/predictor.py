"""Text in, label out: tokenizer, padding to a bucket, the artifact, and what the manifest says about its scores."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgewright.data.tokenizer import pieces
from edgewright.errors import UsageError
from edgewright.runtimes import Runner, Runtime
from edgewright.runtimes.answers import answers_of, pad_to_bucket
from edgewright.runtimes.bundle import Bundle


@dataclass(frozen=True)
class Prediction:
    """label: the most probable label, or the reject label below the threshold. confidence: its calibrated
    probability (of the most probable label also where that was rejected)."""

    label: str
    confidence: float
    rejected: bool


@dataclass(frozen=True)
class Event:
    """What `on_prediction` is told; it never holds the text. `tokens` are those that the model saw."""

    prediction: Prediction
    tokens: int
    windows: int


class Predictor:
    """A bundle with one loaded artifact."""

    def __init__(
        self,
        bundle: Bundle,
        runner: Runner,
        runtime: Runtime,
        numerics: str,
        on_prediction: Callable[[Event], None] | None = None,
    ) -> None:
        self.bundle = bundle
        self.runner = runner
        self.runtime = runtime
        self.numerics = numerics
        self.tokenizer = bundle.tokenizer()
        self._on_prediction = on_prediction

    def encode(self, text: str) -> tuple[np.ndarray, ...]:
        """The graph's inputs for the text, or for its first window: one (1, bucket[, K]) int32 array."""
        return (pad_to_bucket(pieces(self.tokenizer, text)[0], self.bundle.lengths),)

    def logits(self, text: str) -> np.ndarray:
        """(C,) float32; of a long text see `answers_of`."""
        return answers_of(text, self.tokenizer, self.bundle.lengths, self.runner)[0]

    def predict(self, text: str) -> Prediction:
        """Raises UsageError when `text` is no str."""
        if not isinstance(text, str):
            raise UsageError(f"predict takes a text (str), not {type(text).__name__}")
        prediction = decide(self.logits(text), self.bundle)
        if self._on_prediction is not None:
            parts = pieces(self.tokenizer, text)
            self._on_prediction(Event(prediction, sum(len(ids) for ids in parts), len(parts)))
        return prediction


def decide(logits: np.ndarray, bundle: Bundle) -> Prediction:
    """The label of (C,) logits: softmax at the bundle's temperature, argmax, threshold."""
    scaled = logits / np.float64(bundle.temperature)
    best = int(scaled.argmax())
    scaled -= scaled[best]
    confidence = 1.0 / float(np.exp(scaled, out=scaled) @ _ones(len(scaled)))  # a third less time than with sum()
    if bundle.reject_label is not None and bundle.threshold is not None and confidence < bundle.threshold:
        return Prediction(bundle.reject_label, confidence, rejected=True)
    return Prediction(bundle.labels[best], confidence, rejected=False)


@functools.cache
def _ones(count: int) -> np.ndarray:
    return np.ones(count)
