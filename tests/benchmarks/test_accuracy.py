"""Metrics of an artifact from its logits."""

import numpy as np
import pytest

from edgewright.benchmarks.accuracy import evaluate
from edgewright.train.metrics import REJECT


def test_rows_of_no_class_count_in_out_of_scope_only() -> None:
    logits = np.array([[9.0, 0], [0, 9.0], [9.0, 0], [0.1, 0]], np.float32)
    result = evaluate(logits, np.array([0, 1, 1, REJECT]), threshold=0.9)
    assert result.n == 3 and result.accuracy == pytest.approx(2 / 3)
    assert result.out_of_scope is not None
    assert (result.out_of_scope.n, result.out_of_scope.recall, result.out_of_scope.precision) == (1, 1.0, 1.0)


def test_a_nan_logit_is_a_wrong_answer() -> None:
    logits = np.array([[np.nan, np.nan], [0, 1.0]], np.float32)
    assert evaluate(logits, np.array([0, 1])).accuracy == 0.5


def test_temperature_changes_the_confidence_and_not_the_answers() -> None:
    logits = np.array([[4.0, 0], [0, 4.0], [4.0, 0]], np.float32)
    labels = np.array([0, 1, 1])
    sharp, soft = evaluate(logits, labels), evaluate(logits, labels, temperature=5.0)
    assert sharp.accuracy == soft.accuracy and sharp.calibration_error > soft.calibration_error


def test_figures_by_class_carry_the_label_names() -> None:
    value = evaluate(np.eye(2, dtype=np.float32), np.array([0, 1])).to_json(["low", "high"])
    assert value["per_class"]["high"] == {"n": 1, "precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_rows_without_any_class_are_refused() -> None:
    with pytest.raises(ValueError, match="no row belongs to a class"):
        evaluate(np.zeros((1, 2), np.float32), np.array([REJECT]))
