import json

from edgewright.data.rows import Row
from edgewright.data.stats import Lengths, measure

SPLITS = {
    "train": [
        Row("one two three", label="a", language="en"),
        Row("one two three", label="a", language="en"),
        Row("vier", label="b", language="de"),
        Row("quite another text of six words", label="a"),
    ],
    "test": [Row("One two, three!", label="b")],
    "empty": [],
}


def test_counts_lengths_languages_duplicates_and_majority() -> None:
    train = measure(SPLITS).splits["train"]
    assert train.rows == 4
    assert list(train.labels.items()) == [("a", 3), ("b", 1)]
    assert train.majority_share == 0.75
    assert train.words == Lengths(1, 3.0, 6, 6)
    assert train.languages == {"en": 2, "de": 1}
    assert train.duplicates == 1


def test_leaks_are_counted_by_pair_of_splits_and_by_row() -> None:
    stats = measure(SPLITS)
    assert stats.leaks == {"test+train": 2}
    assert stats.leaking_rows == {"train": 2, "test": 1, "empty": 0}


def test_the_lines_of_a_log_repeat_and_do_not_leak() -> None:
    stats = measure(SPLITS, is_log=True)
    assert stats.leaks is None and stats.leaking_rows is None
    assert "a log repeats its lines" in stats.notes[0]
    assert stats.splits == measure(SPLITS).splits and measure(SPLITS).notes == ()


def test_an_empty_split_has_no_lengths_and_no_majority() -> None:
    empty = measure(SPLITS).splits["empty"]
    assert (empty.rows, empty.words, empty.majority_share) == (0, None, None)


def test_rows_with_several_labels_count_each() -> None:
    stats = measure({"train": [Row("a", labels=("x", "y")), Row("b", labels=("x",)), Row("c", labels=())]})
    assert stats.splits["train"].labels == {"x": 2, "y": 1}


def test_the_record_is_json_without_any_text() -> None:
    record = json.dumps(measure(SPLITS).as_json())
    assert "three" not in record and "vier" not in record
    assert json.loads(record)["splits"]["test"]["rows"] == 1
