"""Offsets of words into the original text."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.text import HANGUL_FIRST, HANGUL_LAST, Normalisation, normalise, tables, words
from edgewright.data.words import words_with_offsets
from tests.data.test_tokenizer_golden import TEXTS

OPTIONS = [Normalisation(), Normalisation(lowercase=False), Normalisation(strip_marks=False)]

# what changes lengths, or is dropped
NASTY = (
    "aZ_9 .,\n\t\0\u200b\u200d\u00ad\ufe0f\u0301\u0327éÉİßﬁ가한日\u2028👍🏽🇫\ud800\u1fb3\u0344"
    "\U0002f800\u20dd\u302e\U0001d15e"
)


def nasty_texts(count: int, most: int = 40) -> Iterator[str]:
    """Half of the characters are drawn from NASTY, half from all there are."""
    draws = random.Random(count)
    for _ in range(count):
        length = draws.randrange(most)
        yield "".join(
            draws.choice(NASTY) if draws.random() < 0.5 else chr(draws.randrange(0x110000)) for _ in range(length)
        )


def check(text: str, options: Normalisation) -> None:
    found, spans = words_with_offsets(text, options)
    assert found == words(text, options)
    assert spans.shape == (len(found), 2) and spans.dtype == np.int64
    assert [normalise(text[start:end], options) for start, end in spans] == found
    flat = spans.reshape(-1)
    assert (np.diff(flat) >= 0).all() and (spans[:, 0] < spans[:, 1]).all()
    assert not len(flat) or (flat[0] >= 0 and flat[-1] <= len(text))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("text", [*EDGE_TEXTS.values(), *TEXTS.values()], ids=[*EDGE_TEXTS, *TEXTS])
def test_each_span_normalises_to_its_word(text: str, options: Normalisation) -> None:
    check(text, options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_each_span_of_any_text_normalises_to_its_word(options: Normalisation) -> None:
    for text in nasty_texts(2000):
        check(text, options)


def test_a_limit_gives_the_first_words() -> None:
    for text in nasty_texts(100):
        found, spans = words_with_offsets(text * 30)
        for limit in (0, 1, 2, 3, 10, 50):
            first, first_spans = words_with_offsets(text * 30, limit=limit)
            assert first == found[:limit]
            assert np.array_equal(first_spans, spans[:limit])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Call Zoé", ["Call", "Zoé"]),
        ("cafe\u0301 au lait", ["cafe\u0301", "au", "lait"]),
        ("\u0301a", ["a"]),
        ("soft\u00adhyphen\u200b, end", ["soft\u00adhyphen", ",", "end"]),
        ("❤\ufe0f ok", ["❤\ufe0f", "ok"]),
        ("👩\u200d💻!", ["👩", "💻", "!"]),
        ("서울 3시", ["서울", "3시"]),
        ("日本\tgo", ["日", "本", "go"]),
        ("at 5\u00a0pm\r\n", ["at", "5", "pm"]),
        ("", []),
    ],
)
def test_marks_belong_to_their_word_and_controls_to_none(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in words_with_offsets(text)[1]] == parts


def test_no_character_becomes_two_words() -> None:
    longer = [chr(code) for code, becomes in {**tables().lower, **tables().base}.items() if len(becomes) > 1]
    longer += [chr(code) for code in range(HANGUL_FIRST, HANGUL_LAST + 1)]
    assert len(longer) > 11_172
    for options in OPTIONS:
        assert [character for character in longer if len(words(character, options)) > 1] == []


@pytest.mark.parametrize("text", [*EDGE_TEXTS.values(), *TEXTS.values()], ids=[*EDGE_TEXTS, *TEXTS])
def test_ids_with_offsets_are_the_ids(text: str) -> None:
    tokenizer = HashedNgrams()
    ids, spans = tokenizer.encode_with_offsets(text)
    assert ids.dtype == np.int32 and np.array_equal(ids, tokenizer.encode(text))
    assert len(spans) == len(ids)
    first, first_spans = tokenizer.encode_with_offsets(text, limit=3)
    assert np.array_equal(first, ids[:3]) and np.array_equal(first_spans, spans[:3])
