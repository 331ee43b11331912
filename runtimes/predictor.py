"""Text in, label out: tokenizer, padding to a bucket, the artifact, and what the manifest says about its scores."""

import importlib.util
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.data.tokenizer import Tokenizer, pad, pieces
from edgewright.errors import MissingExtraError, UsageError
from edgewright.runtimes import RUNTIMES, Runner, Runtime
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle

# Tried in this order when the caller names no runtime: the fastest first; Core ML is a reference interpreter here.
PREFERENCE: tuple[Runtime, ...] = ("litert", "onnx", "executorch", "coreml")
LIBRARY = {"litert": "ai_edge_litert", "onnx": "onnxruntime", "executorch": "executorch", "coreml": "coremltools"}


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
        """(C,) float32; see `logits_of`."""
        return logits_of(text, self.tokenizer, self.bundle.lengths, self.runner)

    def predict(self, text: str) -> Prediction:
        """Raises UsageError when `text` is no str."""
        if not isinstance(text, str):
            raise UsageError(f"predict takes a text (str), not {type(text).__name__}")
        prediction = decide(self.logits(text), self.bundle)
        if self._on_prediction is not None:
            parts = pieces(self.tokenizer, text)
            self._on_prediction(Event(prediction, sum(len(ids) for ids in parts), len(parts)))
        return prediction


def logits_of(text: str, tokenizer: Tokenizer, lengths: Sequence[int], runner: Runner) -> np.ndarray:
    """(C,) float32 of one text; the mean over its windows where the tokenizer reads long texts so, else cut."""
    outputs = [runner.run(pad_to_bucket(ids, lengths))[0][0] for ids in pieces(tokenizer, text)]
    return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)


def pad_to_bucket(ids: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """(1, bucket[, K]): the shortest of the ascending `lengths` that holds the ids, or the longest, which cuts."""
    return pad(ids, lengths[min(bisect_left(lengths, len(ids)), len(lengths) - 1)])


def decide(logits: np.ndarray, bundle: Bundle) -> Prediction:
    """The label of (C,) logits: softmax at the bundle's temperature, argmax, threshold."""
    scaled = logits.astype(np.float64) / bundle.temperature
    best = int(scaled.argmax())
    confidence = float(1.0 / np.exp(scaled - scaled[best]).sum())
    if bundle.reject_label is not None and bundle.threshold is not None and confidence < bundle.threshold:
        return Prediction(bundle.reject_label, confidence, rejected=True)
    return Prediction(bundle.labels[best], confidence, rejected=False)


def open_predictor(
    bundle: str | Path | Bundle,
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Event], None] | None = None,
) -> Predictor:
    """A ready predictor; `edgewright.load` is this function.

    Args:
        bundle: a folder, or the name of a bundle of the zoo ("urgency").
        runtime: "litert", "onnx", "executorch" or "coreml"; by default the first of these that is installed and
            that the bundle has an artifact for.
        numerics: as in the manifest; by default the smallest artifact.
    """
    opened = bundle if isinstance(bundle, Bundle) else bundles.read(bundles.find(bundle))
    chosen = _runtime(opened, runtime)
    artifact = opened.artifact(chosen, numerics)
    return Predictor(opened, opened.runner(artifact, threads), chosen, artifact.numerics, on_prediction)


def _runtime(bundle: Bundle, asked: str | None) -> Runtime:
    if asked is not None:
        for runtime in RUNTIMES:
            if runtime == asked and runtime != "pytorch":
                return runtime
        raise UsageError(f"unknown runtime '{asked}'; one of {', '.join(PREFERENCE)}")
    have = {artifact.target for artifact in bundle.artifacts}
    for runtime in PREFERENCE:
        if runtime in have and importlib.util.find_spec(LIBRARY[runtime]) is not None:
            return runtime
    raise MissingExtraError(
        f"{bundle.path}: no runtime is installed for its artifacts: pip install 'edgewright[litert]'"
        f" (or one of {', '.join(sorted(have))})"
    )
