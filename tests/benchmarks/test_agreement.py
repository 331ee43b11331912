import json

import numpy as np
import pytest

from edgewright.benchmarks.agreement import agree, margin

LABELS = ("yes", "no", "perhaps")


def answers(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


ONE = answers((3.0, 1.0, 0.0), (0.0, 2.0, 1.5), (1.0, 0.5, 0.25))
OTHER = answers((3.0, 1.0, 0.0), (0.0, 1.0, 1.25), (1.0, 0.5, 0.5))


def test_pairs_and_all_together_are_counted() -> None:
    found = agree({"a": ONE, "b": OTHER, "c": ONE}, rows=[4, 7, 9], labels=LABELS)
    shares = {(pair.first, pair.second): pair.label_agreement for pair in found.pairs}
    assert shares == {("a", "b"): pytest.approx(2 / 3), ("a", "c"): 1.0, ("b", "c"): pytest.approx(2 / 3)}
    assert found.all_agree == pytest.approx(2 / 3)
    assert found.n == 3


def test_only_rows_of_the_same_bits_are_identical() -> None:
    found = agree({"a": ONE, "b": np.nextafter(ONE, np.float32(9)), "c": OTHER}, rows=[0, 1, 2], labels=LABELS)
    identical = {(pair.first, pair.second): pair.identical for pair in found.pairs}
    assert identical == {("a", "b"): 0, ("a", "c"): 1, ("b", "c"): 0}


def test_a_differing_row_has_its_number_labels_and_margins() -> None:
    (row,) = agree({"a": ONE, "b": OTHER}, rows=[4, 7, 9], labels=LABELS).differing
    assert row.row == 7
    assert row.labels == {"a": "no", "b": "perhaps"}
    assert row.margins == {"a": 0.5, "b": 0.25}


def test_differing_rows_come_in_the_order_of_the_data() -> None:
    flipped = ONE[:, ::-1].copy()
    found = agree({"a": ONE, "b": flipped}, rows=[9, 2, 5], labels=LABELS)
    assert [row.row for row in found.differing] == [5, 9]


def test_one_file_agrees_with_itself() -> None:
    found = agree({"a": ONE}, rows=[0, 1, 2], labels=LABELS)
    assert (found.pairs, found.differing, found.all_agree) == ((), (), 1.0)


def test_a_margin_is_what_the_label_is_ahead_of_the_next_one() -> None:
    assert margin(ONE).tolist() == [2.0, 0.5, 0.5]
    assert margin(ONE[:, :1]).tolist() == [0.0, 0.0, 0.0]


def test_it_can_be_written_as_json() -> None:
    said = json.loads(json.dumps(agree({"a": ONE, "b": OTHER}, [4, 7, 9], LABELS).to_json()))
    assert said["pairs"][0]["max_abs_logit_difference"] == 1.0
    assert said["differing"][0]["row"] == 7


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="arrays of one shape"):
        agree({"a": ONE, "b": OTHER[:2]}, [4, 7, 9], LABELS)
