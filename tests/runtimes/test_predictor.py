"""From logits to a label: temperature, softmax, threshold."""

import dataclasses

import numpy as np
import pytest

from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle
from edgewright.runtimes.predictor import decide


def bundle(**changes: object) -> Bundle:
    found = bundles.read(bundles.zoo()["urgency"])
    plain = {"labels": ("low", "high", "none"), "temperature": 1.0, "threshold": None, "reject_label": None}
    return dataclasses.replace(found, **{**plain, **changes})  # type: ignore[arg-type]


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = np.exp(logits.astype(np.float64) / temperature)
    return np.asarray(scaled / scaled.sum())


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_confidence_is_the_softmax_at_the_bundles_temperature(temperature: float) -> None:
    for logits in np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32):
        answer = decide(logits, bundle(temperature=temperature))
        probabilities = softmax(logits, temperature)
        assert answer.label == ("low", "high", "none")[int(logits.argmax())] and not answer.rejected
        assert answer.confidence == pytest.approx(probabilities.max(), rel=1e-12)


def test_large_logits_are_no_infinities() -> None:
    answer = decide(np.array([9000.0, 9001.0, -9000.0], np.float32), bundle(temperature=0.5))
    assert answer.label == "high" and answer.confidence == pytest.approx(1 / (1 + np.exp(-2)))


def test_below_the_threshold_the_reject_label_is_answered_with_the_confidence_of_what_was_rejected() -> None:
    logits = np.array([0.1, 0.3, 0.2], np.float32)
    confidence = decide(logits, bundle()).confidence
    rejected = decide(logits, bundle(threshold=confidence + 0.01, reject_label="none"))
    assert (rejected.label, rejected.confidence, rejected.rejected) == ("none", confidence, True)
    kept = decide(logits, bundle(threshold=confidence, reject_label="none"))
    assert (kept.label, kept.rejected) == ("high", False)


def test_the_logits_are_the_callers_own() -> None:
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    decide(logits, bundle(temperature=2.0))
    assert logits.tolist() == [1.0, 2.0, 3.0]
