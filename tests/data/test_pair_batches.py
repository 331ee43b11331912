"""Pairs as a model learns them: shifted replies, cut ones, and batches that lose nothing."""

import numpy as np
import pytest

from edgewright.data.characters import Characters
from edgewright.data.dialogues import Pair
from edgewright.data.pair_batches import EncodedPairs, batch_count, batches, encode, in_order
from edgewright.data.tokenizer import special_id

WORDS = Characters("abcdefgh |", specials=("start", "end"))
START, END = special_id(WORDS, "start"), special_id(WORDS, "end")


def many(count: int) -> EncodedPairs:
    random = np.random.default_rng(0)
    return EncodedPairs(
        [random.integers(2, 9, random.integers(1, 20)).astype(np.int32) for _ in range(count)],
        [np.array([START, number + 20, END], np.int32) for number in range(count)],
    )


def test_a_reply_stands_between_start_and_end_and_a_cut_one_has_no_end() -> None:
    pairs = [Pair("ab", "cd"), Pair("ab", "cdefgh"), Pair("ab", "cde", ("gh",))]
    encoded = encode(pairs, WORDS, 4, 4)
    assert [WORDS.decode(ids) for ids in encoded.sources] == ["ab", "ab", "| ab"]
    assert [ids.tolist()[0] for ids in encoded.targets] == [START] * 3
    assert [WORDS.decode(ids) for ids in encoded.targets] == ["cd", "cdef", "cde"]
    assert [int(ids[-1]) == END for ids in encoded.targets] == [True, False, True]


def test_what_is_wanted_is_what_is_given_one_later() -> None:
    encoded = encode([Pair("a", "bc"), Pair("abc", "d")], WORDS, 8, 8)
    (batch,) = in_order(encoded, 2)
    b, c, d = (int(WORDS.encode(letter)[0]) for letter in "bcd")
    assert batch.given.tolist() == [[START, b, c], [START, d, END]]
    assert batch.wanted.tolist() == [[b, c, END], [d, END, 0]]
    assert batch.source.shape == (2, 3) and not batch.source[0, 1:].any()


@pytest.mark.parametrize("rows", [1, 64, 777])
def test_an_epoch_has_every_pair_once_in_an_order_of_its_own(rows: int) -> None:
    pairs = many(rows)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(row[0]) - 20 for batch in batches(pairs, 16, seed, epoch) for row in batch.wanted]

    assert sorted(order(0, 0)) == list(range(rows))
    assert order(0, 0) == order(0, 0)
    assert rows == 1 or (order(0, 0) != order(0, 1) and order(0, 0) != order(1, 0))
    assert len(list(batches(pairs, 16, 0, 0))) == batch_count(rows, 16)


def test_pairs_of_a_batch_have_similar_lengths() -> None:
    padding = [float((batch.source == 0).mean()) for batch in batches(many(800), 16, 0, 0)]
    assert np.mean(padding) < 0.1


def test_an_empty_prompt_is_one_position_of_padding() -> None:
    (batch,) = in_order(EncodedPairs([np.zeros(0, np.int32)], [np.array([START, END], np.int32)]), 1)
    assert batch.source.tolist() == [[0]]


def test_what_cannot_be_encoded_is_said() -> None:
    with pytest.raises(ValueError, match="no special 'start'"):
        encode([Pair("a", "b")], Characters("ab"), 4, 4)
    with pytest.raises(ValueError, match="target_length is 0"):
        encode([Pair("a", "b")], WORDS, 4, 0)
