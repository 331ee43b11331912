"""Hashed n-grams against a second, slow and literal reading of the specification."""

import time
from zlib import crc32

import numpy as np
import pytest

from edgewright.data.hashed_ngrams import CHARACTER_ROWS, HashedNgrams, shape
from edgewright.data.text import Normalisation, character_class, normalise, words

TEXTS = [
    "",
    "a",
    "Hello, world!",
    "Élève à Noël",
    "日本語 go 한국어",
    "x" * 200 + " y",
    "👩‍👧 <b> banana_split",
    "ß" * 70,
]


def literally(tokenizer: HashedNgrams, text: str) -> list[list[int]]:
    def hashed(feature: str) -> int:
        return 1 + crc32(feature.encode("utf-8")) % tokenizer.buckets

    rows: list[list[int]] = []
    before = None
    for given in words(text, tokenizer.normalisation):
        word = (normalise(given, Normalisation(strip_marks=False)) if tokenizer.shapes else given)[:64]
        row = [hashed("w" + word), 0 if before is None else hashed("b" + before + " " + word)]
        if tokenizer.shapes:
            row.append(hashed("s" + shape_of(given[:64])))
        for n in tokenizer.ngrams:
            bracketed = "<" + word + ">"
            row += [hashed("c" + bracketed[i : i + n]) for i in range(len(bracketed) - n + 1)]
        row = row[: tokenizer.features]
        row += [0] * (tokenizer.features - len(row))
        rows.append(row + spelled(given[:64], tokenizer.characters))
        before = word
    return rows


def spelled(word: str, room: int) -> list[int]:
    kept = list(word)
    while len(kept) > room:  # what is left out lies in the middle; of an odd number the first half has one more
        del kept[(room + 1) // 2]
    ids = [ord(c) if ord(c) < 128 else 128 + crc32(c.encode("utf-8")) % 384 for c in kept]
    return ids + [0] * (room - len(ids))


def shape_of(word: str) -> str:
    if len(word) == 1 and character_class(ord(word)) != "word":
        return word
    shape = ""
    for character in word:
        lower = normalise(character, Normalisation(strip_marks=False))
        kind = "d" if character in "0123456789" else "x" if lower == character else "X"
        shape += "" if shape.endswith(2 * kind) else kind
    return shape


@pytest.mark.parametrize(
    "tokenizer",
    [
        HashedNgrams(normalisation=Normalisation(lowercase=False), shapes=True),
        HashedNgrams(features=3, normalisation=Normalisation(lowercase=False, strip_marks=False), shapes=True),
        HashedNgrams(),
        HashedNgrams(buckets=1, features=2, ngrams=()),
        HashedNgrams(buckets=97, features=40, ngrams=(1, 2, 16)),
        HashedNgrams(buckets=2**31 - 2, features=256, ngrams=(3, 4, 5)),
        HashedNgrams(normalisation=Normalisation(lowercase=False, strip_marks=False)),
        HashedNgrams(characters=12),
        HashedNgrams(features=2, ngrams=(), characters=1),
        HashedNgrams(normalisation=Normalisation(lowercase=False, strip_marks=False), shapes=True, characters=7),
        HashedNgrams(normalisation=Normalisation(strip_marks=False), characters=64),
    ],
    ids=str,
)
def test_ids_are_what_the_specification_says(tokenizer: HashedNgrams) -> None:
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert ids.shape == (len(words(text)), tokenizer.features + tokenizer.characters)
        assert ids.tolist() == literally(tokenizer, text)


def test_the_example_of_the_specification() -> None:
    ids = HashedNgrams(buckets=20000, features=8, ngrams=(3, 4)).encode("Ab é")
    assert ids.tolist() == [[3702, 0, 8632, 10089, 13761, 0, 0, 0], [11770, 10670, 11181, 0, 0, 0, 0, 0]]


def test_the_example_of_characters_of_the_specification() -> None:
    kept = Normalisation(lowercase=False, strip_marks=False)
    tokenizer = HashedNgrams(features=2, ngrams=(), normalisation=kept, characters=5)
    ids = tokenizer.encode("Zoé Alexander")[:, 2:]
    assert ids.tolist() == [[90, 111, 190, 0, 0], [65, 108, 101, 101, 114]]
    assert np.array_equal(tokenizer.encode("Zoé Alexander", limit=1)[:, 2:], ids[:1])
    assert np.array_equal(tokenizer.encode_with_offsets("Zoé Alexander")[0][:, 2:], ids)


def test_ids_of_characters_fit_into_their_table() -> None:
    tokenizer = HashedNgrams(features=2, ngrams=(), normalisation=Normalisation(strip_marks=False), characters=64)
    text = " ".join(chr(code) for code in range(0x21, 0x3000) if character_class(code) != "space")
    ids = tokenizer.encode(text)[:, 2]
    assert ids.min() == 0x21 and ids.max() < CHARACTER_ROWS  # "!" is the first that is seen


def test_without_characters_a_tokenizer_is_the_file_that_it_was() -> None:
    assert "characters" not in HashedNgrams().to_json()
    assert HashedNgrams(characters=3).to_json()["characters"] == 3


def test_composed_and_decomposed_text_have_the_same_ids() -> None:
    tokenizer = HashedNgrams()
    assert np.array_equal(
        tokenizer.encode("Élève à Noël 한국"), tokenizer.encode("E\u0301le\u0300ve a\u0300 Noe\u0308l 한국")
    )


def test_case_and_marks_matter_where_they_are_kept() -> None:
    kept = HashedNgrams(normalisation=Normalisation(lowercase=False, strip_marks=False))
    assert not np.array_equal(kept.encode("été"), kept.encode("ete"))
    assert not np.array_equal(kept.encode("Ete"), kept.encode("ete"))


def test_no_feature_after_the_64th_character_counts() -> None:
    tokenizer = HashedNgrams(features=200)
    assert np.array_equal(tokenizer.encode("a" * 64 + "b"), tokenizer.encode("a" * 64 + "c" * 1000))
    assert not np.array_equal(tokenizer.encode("a" * 63 + "b"), tokenizer.encode("a" * 63 + "c"))


def test_tokenizers_with_the_same_settings_are_equal() -> None:
    used = HashedNgrams()
    used.encode("some text")
    assert used == HashedNgrams() and hash(used) == hash(HashedNgrams())


def test_a_text_of_a_megabyte_takes_seconds_at_most() -> None:
    tokenizer = HashedNgrams()
    for text in ("some words, and more. " * 45_000, "a" * 1_000_000, "é!" * 100_000):
        start = time.perf_counter()
        tokenizer.encode(text)
        assert time.perf_counter() - start < 10  # 0.5 s on a 2-core machine; quadratic cost would be hours


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("Paris", "Xxx"),
        ("iPhone12", "xXxxdd"),
        ("2024", "dd"),
        ("I", "X"),
        ("é", "x"),
        ("É", "X"),
        ("!", "!"),
        ("日", "日"),
    ],
)
def test_the_shape_of_a_word(word: str, wanted: str) -> None:
    assert shape(word) == wanted


def test_with_shapes_only_the_shape_depends_on_capitals() -> None:
    tokenizer = HashedNgrams(normalisation=Normalisation(lowercase=False), shapes=True)
    one, other = tokenizer.encode("meet Zoé IN paris"), tokenizer.encode("MEET zoé in Paris")
    same = one == other
    assert same[:, [0, 1, *range(3, 16)]].all() and not same[:, 2].any()


def test_shapes_need_the_case_that_lower_casing_removes() -> None:
    with pytest.raises(ValueError, match=r"shapes need normalisation\.lowercase false"):
        HashedNgrams(shapes=True)
