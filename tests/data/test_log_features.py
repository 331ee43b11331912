"""Features of log lines: what each column says, threads, and rows in which each line is a target once."""

import math
import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edgewright.data import log_features
from edgewright.data.log_features import NUMBERS, LogFeatures, features, scores_alone, template_of, windows
from edgewright.data.log_lines import LEVELS, splits
from edgewright.errors import DataError

LINES = [
    "2026-01-05T00:00:00.000Z INFO auth session=s1 user=u7 opened in 10ms",
    "2026-01-05T00:00:01.000Z DEBUG db heartbeat queue=4",
    "2026-01-05T00:00:02.500Z WARN gateway session=s1 POST /cart/o5 items=3 201 in 20ms",
    "2026-01-05T00:00:03.000Z INFO auth session=s2 user=u8 opened in 40ms",
    "2026-01-05T00:00:11.000Z DEBUG db heartbeat queue=9",
    "2026-01-05T00:00:12.000Z TRACE db job=copy run=r1 size=-2.5 in -7ms",
]


@pytest.fixture(scope="module")
def found() -> LogFeatures:
    return features(LINES)


def column(found: LogFeatures, name: str) -> list[float]:
    return found.values[:, found.numbers][:, NUMBERS.index(name)].tolist()


def test_each_line_has_one_template_and_its_level(found: LogFeatures) -> None:
    assert found.values.shape == (6, found.buckets + len(LEVELS) + len(NUMBERS)) and found.values.dtype == np.float32
    templates = found.values[:, found.template]
    assert templates.sum(axis=1).tolist() == [1] * 6 and set(np.unique(templates)) == {0, 1}
    assert np.array_equal(templates[0], templates[3]) and np.array_equal(templates[1], templates[4])
    assert not np.array_equal(templates[0], templates[2])
    levels = found.values[:, found.level]
    assert [LEVELS[row.argmax()] if row.any() else "none" for row in levels] == [
        "INFO", "DEBUG", "WARN", "INFO", "DEBUG", "none",
    ]  # fmt: skip


def test_templates_keep_words_and_the_status() -> None:
    assert (
        template_of("a", "session=s1 GET /orders/o7?page=3 200 in 5ms") == "a session=* GET /orders/*?page=* 200 in *"
    )
    assert template_of("a", "GET /cart 503") != template_of("a", "GET /cart 200")
    assert template_of("a", "x") != template_of("b", "x")


def test_threads_are_sessions_jobs_and_components(found: LogFeatures) -> None:
    assert found.threads.tolist() == [0, 1, 0, 2, 1, 3]


def test_numbers_are_logarithms_with_their_sign(found: LogFeatures) -> None:
    took = [math.log1p(10), 0, math.log1p(20), math.log1p(40), 0, -math.log1p(7)]
    assert column(found, "took") == pytest.approx([value / 5 for value in took])
    assert column(found, "has_took") == [1, 0, 1, 1, 0, 1]
    value = [0, math.log1p(4), math.log1p(3), 0, math.log1p(9), -math.log1p(2.5)]
    assert column(found, "value") == pytest.approx([entry / 5 for entry in value])
    assert column(found, "since_thread") == pytest.approx([0, 0, math.log1p(2.5) / 3, 0, math.log1p(10) / 3, 0])
    assert column(found, "since_template") == pytest.approx([0, 0, 0, math.log1p(3) / 3, math.log1p(10) / 3, 0])


def test_changes_are_from_the_usual_of_the_template(found: LogFeatures) -> None:
    change = math.log1p(40) - math.log1p(10)
    assert column(found, "took_change") == pytest.approx([0, 0, 0, change, 0, 0])
    assert column(found, "took_trend") == pytest.approx([0, 0, 0, change / 8, 0, 0])
    assert column(found, "value_change") == pytest.approx([0, 0, 0, 0, math.log1p(9) - math.log1p(4), 0])


def test_a_line_does_not_depend_on_what_follows_it() -> None:
    lines = [line.text for line in splits(1_000, seed=1)["test"]]
    assert np.array_equal(features(lines[:100]).values, features(lines).values[:100])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "log line 2: not of the form 'TIME LEVEL COMPONENT MESSAGE'"),
        ("2026-01-05T00:00:00Z INFO auth", "log line 2: not of the form"),
        ("2026-01-05T00:00:00Z info auth secret", "log line 2: not of the form"),
        ("yesterday INFO auth secret", "log line 2: its time is not ISO 8601"),
    ],
)
def test_a_line_of_another_form_is_named_but_not_shown(line: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as raised:
        features([LINES[0], line])
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("length", [1, 2, 3, 32])
def test_every_line_is_a_target_once_after_the_line_before_it(length: int) -> None:
    found = features(line.text for line in splits(1_000, seed=1)["test"])
    rows = windows(found, length)
    there = rows.lines >= 0
    assert sorted(rows.lines[there].tolist()) == list(range(len(found.threads)))
    assert np.array_equal(rows.targets[there], found.values[rows.lines[there]])
    assert not rows.targets[~there].any() and not rows.inputs[~there].any()
    last: dict[int, int] = {}
    before = {}
    for line, thread in enumerate(found.threads.tolist()):
        before[line] = last.get(thread, -1)
        last[thread] = line
    for row, place in zip(*np.nonzero(there), strict=True):
        previous = before[int(rows.lines[row, place])]
        expected = found.values[previous] if previous >= 0 else np.zeros(found.values.shape[1])
        assert np.array_equal(rows.inputs[row, place], expected)


def test_strange_lines_give_finite_numbers() -> None:
    strange = [
        f"2026-01-05T00:00:00 INFO a n={'9' * 400} in {'9' * 400}ms",
        "2026-01-05T00:00:01+02:00 INFO a " + "x" * 1_000_000,  # a quadratic search for digits would take hours
        "1970-01-01T00:00:00Z FATAL a \0 \u2028 =1 =-0.5 ms",
    ]
    assert np.isfinite(features(strange).values).all()


def test_what_was_silent_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers(lines: list[str]) -> list[list[float]]:
        return [column(features(lines), name) for name in ("since_thread", "since_template", "took_change")]

    def line(second: int, word: str) -> str:
        return f"2026-01-05T00:00:{second:02}.000Z INFO auth {word} in {second}ms"

    words = ["opened", "closed", "opened", *"abc", "opened"]
    lines = [line(second, word) for second, word in enumerate(words)]
    whole = numbers(lines)
    monkeypatch.setattr(log_features, "MOST_TEMPLATES", 4)
    assert numbers(lines) == whole  # opened, a, b and c are the last four
    monkeypatch.setattr(log_features, "MOST_TEMPLATES", 3)
    (_, since_template, took_change), (_, all_since, all_changes) = numbers(lines), whole
    assert since_template[:-1] == all_since[:-1] and took_change[:-1] == all_changes[:-1]
    assert since_template[-1] == took_change[-1] == 0 != all_since[-1]
    reader = log_features.LogReader()
    for number in range(20):
        reader.read(line(number, "x" * number + "y"))
    assert len(reader._known) == 3


def test_of_a_very_long_line_only_the_beginning_is_read_and_kept() -> None:
    start = "2026-01-05T00:00:00Z ERROR job trace "
    reader = log_features.LogReader()
    rows = [reader.read(start + "x" * length + " took 9 ms")[0] for length in (5_000, 1_000_000)]
    assert np.array_equal(rows[0][: reader.buckets], rows[1][: reader.buckets])
    assert [len(template) <= log_features.MOST_CHARACTERS for template in reader._known] == [True]


def test_no_lines_are_no_rows() -> None:
    assert features([]).values.shape == (0, features(LINES).values.shape[1])
    assert windows(features([]), 4).inputs.shape[:2] == (0, 4)
    with pytest.raises(ValueError, match="length is 0"):
        windows(features(LINES), 0)


def test_unusual_lines_score_higher_even_without_their_order() -> None:
    made = splits(10_000, seed=2)
    normal = features(line.text for line in made["train"])
    scores = scores_alone(features(line.text for line in made["test"]), normal)
    anomalous = np.array([line.anomaly is not None for line in made["test"]])
    assert roc_auc_score(anomalous, scores) > 0.8
