"""Span scores against seqeval's documented examples and against counts made by hand."""

import pytest

from edgewright.train.span_metrics import SpanScore, span_report

# The example of seqeval's README: one PER right; the MISC differs by one word.
TRUE = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
PREDICTED = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]


def test_the_example_of_seqeval() -> None:
    report = span_report(TRUE, PREDICTED)
    assert report.micro == SpanScore(true=2, predicted=2, right=1)
    assert (report.micro.precision, report.micro.recall, report.micro.f1) == (0.5, 0.5, 0.5)
    assert {name: score.f1 for name, score in report.by_type.items()} == {"MISC": 0.0, "PER": 1.0}
    assert report.macro_f1 == 0.5


def test_the_strict_example_of_seqeval() -> None:
    # README, "strict mode": the prediction is I- only; by default it is right, as IOB2 it is no entity
    true, predicted = [["B-NP", "I-NP", "O"]], [["I-NP", "I-NP", "O"]]
    assert span_report(true, predicted).micro.f1 == 1.0
    assert span_report(true, predicted, strict=True).micro == SpanScore(1, 0, 0)


def test_a_span_is_right_in_its_own_text_only() -> None:
    report = span_report([["B-A", "O"], ["O", "O"]], [["O", "O"], ["B-A", "O"]])
    assert report.micro == SpanScore(1, 1, 0)


def test_scores_by_group() -> None:
    true = [["B-A", "B-B"], ["B-A", "O"], ["O", "O"]]
    predicted = [["B-A", "B-A"], ["B-A", "O"], ["O", "O"]]
    report = span_report(true, predicted, groups=["one", "two", "three"])
    assert report.by_group == {"one": SpanScore(2, 2, 1), "three": SpanScore(0, 0, 0), "two": SpanScore(1, 1, 1)}
    assert list(report.by_group) == ["one", "three", "two"]
    assert report.micro == SpanScore(3, 3, 2)
    assert report.by_type == {"A": SpanScore(2, 3, 2), "B": SpanScore(1, 0, 0)}
    assert report.by_type["A"].f1 == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))


def test_what_is_not_there_has_no_score() -> None:
    score = span_report([["O"]], [["O"]]).micro
    assert (score.precision, score.recall, score.f1) == (None, None, None)
    missed = span_report([["B-A"]], [["O"]]).micro
    assert (missed.precision, missed.recall, missed.f1) == (None, 0.0, 0.0)
    assert span_report([], []).macro_f1 is None


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="text 1 has 2 true tags and 1 predicted ones"):
        span_report([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="2 texts are true and 1 predicted"):
        span_report([["O"], ["O"]], [["O"]])
