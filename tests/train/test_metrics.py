"""The metrics agree with scikit-learn where it has them, and with hand-counted cases where it has not."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score

from edgewright.train import metrics


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """500 rows of 7 classes; class 5 is never a label and class 6 neither a label nor a prediction."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 500)
    predictions = np.where(random.random(500) < 0.7, labels, random.integers(0, 6, 500))
    return predictions, labels


def test_macro_f1_is_that_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray]) -> None:
    predictions, labels = rows
    ours = metrics.macro_f1(metrics.confusion(predictions, labels, classes=7))
    assert ours == pytest.approx(f1_score(labels, predictions, average="macro"), abs=1e-12)


def test_class_scores_are_those_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray]) -> None:
    predictions, labels = rows
    precision, recall, f1, n = precision_recall_fscore_support(
        labels, predictions, labels=np.arange(7), zero_division=0.0
    )
    for c, score in enumerate(metrics.per_class(metrics.confusion(predictions, labels, classes=7))):
        assert (score.n, score.precision or 0.0, score.recall or 0.0, score.f1) == pytest.approx(
            (n[c], precision[c], recall[c], f1[c])
        )


def test_a_class_without_rows_has_no_recall_rather_than_zero() -> None:
    absent = metrics.per_class(metrics.confusion(np.array([0, 0]), np.array([0, 0]), classes=2))[1]
    assert absent.recall is None and absent.precision is None


def test_confusion_has_true_classes_as_rows() -> None:
    counts = metrics.confusion(np.array([1, 1, 0]), np.array([0, 1, 0]), classes=2)
    assert counts.tolist() == [[1, 1], [0, 1]]


def test_softmax_survives_large_logits_and_honours_the_temperature() -> None:
    assert metrics.softmax(np.array([[1e4, 0.0]], np.float32)).tolist() == [[1.0, 0.0]]
    assert metrics.softmax(np.array([[2.0, 0.0]]), temperature=2)[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    # two rows at 0.9, one of them right: gap 0.4; two at 0.6, both right: gap 0.4
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    assert metrics.calibration_error(probabilities, np.array([0, 1, 1, 1])) == pytest.approx(0.4)


def test_a_sure_and_right_classifier_has_no_calibration_error() -> None:
    assert metrics.calibration_error(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])) == 0


def test_out_of_scope_counts_rejections_by_hand() -> None:
    confidence = np.array([0.9, 0.2, 0.8, 0.3, 0.95])
    predictions = np.array([0, 1, 1, 0, 0])
    labels = np.array([0, 1, 0, metrics.REJECT, metrics.REJECT])
    scores = metrics.out_of_scope(confidence, predictions, labels, threshold=0.5)
    # rejected: rows 1 (in scope) and 3 (of no class); kept and right: row 0 of three
    assert (scores.n, scores.recall, scores.precision) == (2, 0.5, 0.5)
    assert scores.in_scope_accuracy == pytest.approx(1 / 3)


def test_the_chosen_threshold_is_the_best_of_all() -> None:
    random = np.random.default_rng(5)
    labels = np.where(random.random(300) < 0.3, metrics.REJECT, random.integers(0, 3, 300))
    predictions = np.where(labels == metrics.REJECT, 0, labels)
    confidence = np.round(np.clip(random.normal(np.where(labels == metrics.REJECT, 0.4, 0.7), 0.2), 0, 1), 2)

    def right(threshold: float) -> int:
        rejected = confidence < threshold
        return int(np.where(rejected, labels == metrics.REJECT, predictions == labels).sum())

    chosen = metrics.choose_threshold(confidence, predictions, labels)
    assert right(chosen) == max(right(t) for t in np.linspace(0, 1.005, 202))


def test_without_rows_of_no_class_nothing_is_rejected() -> None:
    assert metrics.choose_threshold(np.array([0.1, 0.9]), np.array([0, 1]), np.array([1, 1])) == 0


def test_arrays_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="as many values as labels"):
        metrics.accuracy(np.array([1, 2]), np.array([1]))


@pytest.mark.parametrize("levels", [2, 10, 1_000_000])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_auc_is_that_of_scikit_learn(levels: int, share: float) -> None:
    random = np.random.default_rng(7)
    labels = random.random(5_000) < share
    labels[:2] = (False, True)
    scores = np.floor((random.random(5_000) + 0.2 * labels) * levels)
    assert metrics.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([1.0, 2.0, 3.0], [0, 0, 1], 1.0),
        ([3.0, 2.0, 1.0], [0, 0, 1], 0.0),
        ([1.0, 1.0, 1.0], [0, 1, 1], 0.5),
        ([1.0, 1.0, 2.0], [0, 1, 1], 0.75),
        ([-np.inf, 0.0, np.inf, np.inf], [0, 1, 1, 0], 0.625),
    ],
)
def test_auc_by_hand(scores: list[float], labels: list[int], expected: float) -> None:
    assert metrics.auc(np.array(scores), np.array(labels)) == expected


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "a row of each of the two labels"),
        ([1.0, np.nan], [0, 1], "1 scores are not numbers"),
        ([1.0, 2.0], [0, 2], "must be 0 and 1"),
        ([1.0], [0, 1], "as many values as labels"),
    ],
)
def test_auc_of_wrong_arrays_is_refused(scores: list[float], labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.auc(np.array(scores), np.array(labels))
