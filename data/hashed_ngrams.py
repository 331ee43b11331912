"""Words, word pairs and character n-grams, hashed: a tokenizer that has no vocabulary to train or to ship.

Source of the features: Bojanowski et al. 2017, https://arxiv.org/abs/1607.04606 (character n-grams of a word in angle
brackets, hashed into buckets). Shapes: T tokens (words) of a text, K features of a word, C characters of a word.
"""

import re
from array import array
from dataclasses import dataclass
from functools import cached_property
from sys import byteorder
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from edgewright.data.remembered import Remembered
from edgewright.data.text import DEFAULT, Normalisation, character_class, normalise, words
from edgewright.data.tokenizer_fields import (
    Window,
    check_clean,
    check_integer,
    check_shared,
    shared_json,
)
from edgewright.data.words import words_with_offsets

MOST_WORD_CHARACTERS = 64  # a longer word is cut, so that the cost of a text is linear
MOST_FEATURES = 256
LONGEST_NGRAM = 16
MOST_REMEMBERED = 2048  # words, 0.8 MB at 16 features; of the words of a test split read once, 0.72 to 0.94 are known
CHARACTER_ROWS = 512  # ids of characters are below it, in a table of their own
ASCII = 128  # characters below it are their own ids; the others share the rest of the table

# crc32(text, state of the prefix) = crc32(prefix + text). A prefix keeps the word "the" and the n-gram "the" apart.
WORD = crc32(b"w")
PAIR = crc32(b"b")
NGRAM = crc32(b"c")
SHAPE = crc32(b"s")

LOWER = Normalisation(clean=False, lowercase=True, strip_marks=False)
_LONG_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)


@dataclass(frozen=True)
class HashedNgrams:
    """A row of `features` ids a word: the word, the pair with the word before (0 for the first), its n-grams, zeros.

    With `shapes`, which needs text that keeps its case, these are of the lower-cased words, and the word's shape stands
    behind the pair: names begin with capitals, and the rest of what is known of a word should not depend on them.
    Every id but 0, which is padding, is 1 + crc32(prefix + feature in UTF-8) % buckets.

    With `characters`, the ids of so many characters of the word, in its own case, stand behind the features: the code
    point below 128, else 128 + crc32(character in UTF-8) % 384. Of a longer word they are the first and the last ones.
    """

    kind: ClassVar[str] = "hashed_ngrams"

    buckets: int = 20_000
    features: int = 16  # K
    ngrams: tuple[int, ...] = (3, 4)  # lengths in characters; all of the first length come before the next
    normalisation: Normalisation = DEFAULT
    max_tokens: int = 64
    window: Window | None = None
    shapes: bool = False
    characters: int = 0  # C

    def __post_init__(self) -> None:
        check_shared(self)
        check_clean(self)
        if not isinstance(self.shapes, bool):
            raise ValueError(f"shapes is {self.shapes!r}; it must be true or false")
        if self.shapes and (self.normalisation.lowercase or self.features < 3):
            raise ValueError("shapes need normalisation.lowercase false and at least 3 features")
        check_integer("buckets", self.buckets, 1, 2**31 - 2)  # the ids are int32
        check_integer("features", self.features, 2, MOST_FEATURES)
        check_integer("characters", self.characters, 0, MOST_WORD_CHARACTERS)
        if not isinstance(self.ngrams, tuple):
            raise ValueError("ngrams must be an array of lengths, such as [3, 4]")
        for length in self.ngrams:
            check_integer("ngrams", length, 1, LONGEST_NGRAM)
        if any(short >= long for short, long in zip(self.ngrams, self.ngrams[1:], strict=False)):
            raise ValueError(f"ngrams is {list(self.ngrams)}; the lengths must be ascending, such as [3, 4]")

    @property
    def vocab_size(self) -> int:
        return self.buckets + 1

    def encode(self, text: str, limit: int | None = None) -> NDArray[np.int32]:
        """(T, K + C) int32; with `limit`, the first `limit` rows, without reading much more text than they need."""
        return self._rows(words(text, self.normalisation, limit))

    def encode_with_offsets(self, text: str, limit: int | None = None) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The same ids, and (T, 2) int64: [start, end) of each row's word in the original text (data/words.py)."""
        found, spans = words_with_offsets(text, self.normalisation, limit)
        return self._rows(found), spans

    def _rows(self, found: list[str]) -> NDArray[np.int32]:
        rows = self._shaped(found) if self.shapes else self._hashed(found)
        return np.concatenate([rows, self._spelled(found)], axis=1) if self.characters else rows

    def _shaped(self, found: list[str]) -> NDArray[np.int32]:
        rows = self._hashed([normalise(word, LOWER) for word in found])
        shapes = [crc32(shape(word[:MOST_WORD_CHARACTERS]).encode(), SHAPE) % self.buckets + 1 for word in found]
        return np.concatenate([rows[:, :2], np.array(shapes, np.int32).reshape(-1, 1), rows[:, 2:-1]], axis=1)

    def _hashed(self, found: list[str]) -> NDArray[np.int32]:
        known, buckets = self._known, self.buckets
        ids: list[bytes] = []
        pair = None  # the crc32 state after "b", the word before and a space
        for word in found:
            encoded, own, ngrams, next_pair = known[word[:MOST_WORD_CHARACTERS]]
            with_before = 0 if pair is None else crc32(encoded, pair) % buckets + 1
            ids += own, with_before.to_bytes(4, byteorder), ngrams
            pair = next_pair
        return np.frombuffer(bytearray().join(ids), np.int32).reshape(len(found), self.features)

    def _look_at(self, word: str) -> tuple[bytes, bytes, bytes, int]:
        """A word in UTF-8, the bytes of its own id and of those of its n-grams, and the crc32 state of a next pair."""
        buckets = self.buckets
        slices, filling = self._slices
        encoded = word.encode()
        own = crc32(encoded, WORD) % buckets + 1
        parts = slices[len(word) + 2]
        if len(encoded) == len(word):  # ASCII: a part of the bytes is the bytes of a part
            marked = b"<%b>" % encoded
            ngrams = [crc32(marked[part], NGRAM) % buckets + 1 for part in parts]
        else:
            bracketed = f"<{word}>"
            ngrams = [crc32(bracketed[part].encode(), NGRAM) % buckets + 1 for part in parts]
        row = array("i", ngrams + filling[len(word) + 2]).tobytes()
        return encoded, own.to_bytes(4, byteorder), row, crc32(encoded + b" ", PAIR)

    def _spelled(self, found: list[str]) -> NDArray[np.int32]:
        last = self.characters // 2
        first = self.characters - last
        flat: list[int] = []
        for word in found:
            word = word[:MOST_WORD_CHARACTERS]
            if len(word) > self.characters:
                word = word[:first] + word[len(word) - last :]
            flat += word.encode() if word.isascii() else [_character_id(character) for character in word]
            flat += [0] * (self.characters - len(word))
        return np.array(flat, dtype=np.int32).reshape(len(found), self.characters)

    def to_json(self) -> dict[str, Any]:
        own: dict[str, Any] = {"buckets": self.buckets, "features": self.features, "ngrams": list(self.ngrams)}
        if self.shapes:
            own["shapes"] = True
        if self.characters:
            own["characters"] = self.characters
        return {**shared_json(self), **own}

    @cached_property
    def _known(self) -> Remembered[str, tuple[bytes, bytes, bytes, int]]:
        """What `_look_at` says of the words met so far: texts repeat their words, and a known one costs a fifth."""
        return Remembered(self._look_at, MOST_REMEMBERED)

    @cached_property
    def _slices(self) -> tuple[list[list[slice]], list[list[int]]]:
        """For each length of a word in brackets: where its n-grams are, and the zeros that fill the row up."""
        room = self.features - 2
        slices = []
        for length in range(MOST_WORD_CHARACTERS + 3):
            parts = [slice(i, i + n) for n in self.ngrams for i in range(length - n + 1)]
            slices.append(parts[:room])
        return slices, [[0] * (room - len(parts)) for parts in slices]


def _character_id(character: str) -> int:
    if ord(character) < ASCII:
        return ord(character)
    return ASCII + crc32(character.encode()) % (CHARACTER_ROWS - ASCII)


def shape(word: str) -> str:
    """ "Xxx" of "Paris", "dd" of "2024", "xXxx" of "iPhone": capitals, digits and the rest, runs cut to two.

    A capital is a character that lower-casing changes, a digit one of 0 to 9, and "x" any other of a run of letters,
    digits and marks. A sign or an ideograph, which is a word of its own, stands for itself.
    """
    if len(word) == 1 and character_class(ord(word)) != "word":
        return word
    kinds = [
        "d" if "0" <= character <= "9" else "X" if normalise(character, LOWER) != character else "x"
        for character in word
    ]
    return _LONG_RUN.sub(r"\1\1", "".join(kinds))
