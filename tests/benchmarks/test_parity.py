"""Differences from the reference are found, whatever their form."""

import numpy as np
import pytest

from edgewright.benchmarks import parity
from edgewright.compress.numerics import NUMERICS


class Embedding:
    """Logits = the sum of a table's rows; `leak` is what each padding position adds."""

    def __init__(self, leak: float = 0.0) -> None:
        self.table = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
        self.table[0] = leak

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        return (self.table[arrays[0]].sum(axis=1),)


def test_equal_logits_agree_everywhere() -> None:
    logits = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    result = parity.compare(logits, logits)
    assert (result.label_agreement, result.max_abs_logit_error, result.worst_rows) == (1.0, 0.0, ())


def test_the_worst_rows_come_first() -> None:
    reference = np.zeros((30, 2), np.float32)
    logits = reference.copy()
    logits[:, 0] = np.arange(30)
    result = parity.compare(logits, reference)
    assert result.worst_rows == tuple(range(29, 19, -1))
    assert result.max_abs_logit_error == 29


def test_a_nan_row_disagrees_and_is_the_worst() -> None:
    reference = np.eye(3, dtype=np.float32)
    logits = reference.copy()
    logits[1, 1] = np.nan
    result = parity.compare(logits, reference)
    assert result.label_agreement == pytest.approx(2 / 3)
    assert (result.non_finite_rows, result.worst_rows, result.differing_rows) == (1, (1,), (1,))
    assert result.max_abs_logit_error == 0.0


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        parity.compare(np.zeros((2, 3)), np.zeros((3, 3)))


def test_padding_that_changes_nothing_is_neutral() -> None:
    rows = [np.array([[1, 2, 3, 4]]), np.array([[5, 6, 7, 8, 9, 1, 2, 3]])]
    assert parity.padding_neutrality(Embedding(), rows, [4, 8, 16], "fp32").neutral


@pytest.mark.parametrize("leak", [0.01, float("nan")])
def test_padding_that_leaks_is_found_with_its_row_and_length(leak: float) -> None:
    check = parity.padding_neutrality(Embedding(leak), [np.array([[1, 2, 3, 4]])], [4, 8], "fp32")
    assert not check.neutral and (check.row, check.length) == (0, 8)


def test_each_numerics_has_a_tolerance() -> None:
    assert all(1e-5 < parity.padding_tolerance(numerics) < 0.05 for numerics in NUMERICS)


def test_edge_texts_hold_what_they_are_named_for() -> None:
    texts = parity.EDGE_TEXTS
    assert texts["empty"] == "" and "\0" in texts["NUL"] and len(texts["over-long"].split()) == 1000
    assert texts["composed"] != texts["decomposed"]
