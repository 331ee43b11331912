"""Entries are computed once each, and no more of them are kept than was said."""

from edgewright.data import text
from edgewright.data.hashed_ngrams import MOST_REMEMBERED, HashedNgrams
from edgewright.data.remembered import Remembered


def test_what_was_asked_for_once_is_not_computed_again_until_there_is_no_room() -> None:
    computed = []

    def double(number: int) -> int:
        computed.append(number)
        return 2 * number

    remembered = Remembered(double, most=2)
    assert [remembered[number] for number in (1, 2, 3, 1, 2, 3)] == [2, 4, 6, 2, 4, 6]
    assert computed == [1, 2, 3, 3]
    assert remembered == {1: 2, 2: 4}


def test_a_hostile_text_cannot_make_the_tables_grow_without_end() -> None:
    every = "".join(map(chr, [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]))
    text.normalise(every)
    text.class_letters(every)
    assert len(text._normal_forms(text.DEFAULT)) == text.MOST_REMEMBERED
    assert len(text._class_letters()) == text.MOST_REMEMBERED


def test_a_tokenizer_gives_the_same_ids_for_words_that_it_has_no_room_to_remember() -> None:
    many = " ".join(f"word{number}" for number in range(MOST_REMEMBERED + 50))
    full = HashedNgrams()
    first = full.encode(many)
    assert len(full._known) == MOST_REMEMBERED
    assert (full.encode(many) == first).all()
    last = f"word{MOST_REMEMBERED + 48} word{MOST_REMEMBERED + 49}"
    assert (full.encode(last) == HashedNgrams().encode(last)).all()
    assert (full.encode(last)[1] == first[-1]).all()
    assert len(full._known) == MOST_REMEMBERED


def test_of_a_very_long_word_only_what_is_read_is_remembered() -> None:
    tokenizer = HashedNgrams()
    tokenizer.encode("a" * 1_000_000)
    assert list(tokenizer._known) == ["a" * 64]


def test_the_ids_of_a_text_are_the_callers_own() -> None:
    tokenizer = HashedNgrams()
    ids = tokenizer.encode("hello hello")
    wanted = ids.copy()
    ids[:] = 7
    assert (tokenizer.encode("hello hello") == wanted).all()
