"""Transfer texts: as many as asked for, the same for the same seed, and made of what they should be made of."""

from collections import Counter
from dataclasses import replace

import pytest

from edgewright.data.transfer import Transfer, transfer_texts

TEXTS = ["the server is down today", "no mail since this morning", "please send the invoice again", "pay my bill"]
LABELS = [0, 0, 1, 1]
NOTHING = Transfer(count=200, drop=0, insert=0, substitute=0, typos=0)  # so that all are spliced


def test_as_many_as_asked_for_and_the_same_for_the_same_seed() -> None:
    how = Transfer(count=500)
    made = transfer_texts(TEXTS, LABELS, how)
    assert len(made) == 500 and all(made)
    assert made == transfer_texts(TEXTS, LABELS, how)
    assert made != transfer_texts(TEXTS, LABELS, replace(how, seed=1))
    assert len(set(made)) > 200


def test_a_splice_is_of_two_texts_of_one_class() -> None:
    words = {
        label: {word for text, own in zip(TEXTS, LABELS, strict=True) if own == label for word in text.split()}
        for label in (0, 1)
    }
    made = transfer_texts(TEXTS, LABELS, NOTHING)
    assert all(set(text.split()) <= words[0] or set(text.split()) <= words[1] for text in made)
    assert any(text not in TEXTS for text in made)


def test_dropping_leaves_a_part_of_a_text_in_its_order() -> None:
    made = transfer_texts(TEXTS, LABELS, replace(NOTHING, drop=1.0, rate=0.5))
    lengths = Counter(len(text.split()) for text in made)
    assert lengths[1] and lengths[2], "about half of the words are left out"

    def is_part(text: str, whole: str) -> bool:
        rest = iter(whole.split())
        return all(word in rest for word in text.split())

    assert all(any(is_part(text, whole) for whole in TEXTS) for text in made)


def test_words_are_exchanged_for_similar_ones_only() -> None:
    similar = {"server": ["machine", "computer"], "bill": ["invoice"]}
    made = transfer_texts(TEXTS, LABELS, replace(NOTHING, similar=1.0), similar)
    every = {word for text in TEXTS for word in text.split()} | {"machine", "computer"}
    found = {word for text in made for word in text.split()}
    assert found <= every and {"machine", "computer"} <= found
    assert "machine" not in " ".join(transfer_texts(TEXTS, LABELS, replace(NOTHING, similar=1.0), {}))


def test_typos_change_words() -> None:
    plain = transfer_texts(TEXTS, LABELS, NOTHING)
    slipped = transfer_texts(TEXTS, LABELS, replace(NOTHING, typos=0.5))
    known = {word for text in plain for word in text.split()}
    assert {word for text in slipped for word in text.split()} - known


def test_a_text_of_blanks_is_no_source() -> None:
    assert all(transfer_texts([*TEXTS, "   "], [*LABELS, 1], replace(NOTHING, insert=0.5)))


def test_shares_are_of_one_whole() -> None:
    with pytest.raises(ValueError, match="together at most 1"):
        Transfer(similar=0.6, drop=0.5)
