"""One id a character: for dense alphabets such as Chinese, and for language models that write letter by letter.

A character is a Unicode code point of the normalised text. The vocabulary is the characters of the training texts by
frequency; everything else is one unknown id.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgewright.data.text import DEFAULT, REPLACEMENT, Normalisation, normalise
from edgewright.data.tokenizer_fields import (
    Window,
    check_integer,
    check_shared,
    check_specials,
    look_up,
    shared_json,
    short,
    specials_json,
)

PADDING, UNKNOWN = 0, 1
FIRST_CHARACTER = 2  # the id of vocabulary[0]
MOST_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Characters:
    """Ids: 0 padding, 1 unknown, 2 and up the characters of the vocabulary, then the specials."""

    kind: ClassVar[str] = "characters"
    features: ClassVar[None] = None

    vocabulary: str  # the character vocabulary[i] has the id i + 2
    normalisation: Normalisation = DEFAULT
    max_tokens: int = 128
    window: Window | None = None
    specials: tuple[str, ...] = ()  # names of the last ids, which no text gives

    def __post_init__(self) -> None:
        check_shared(self)
        check_specials(self.specials)
        if type(self.vocabulary) is not str:
            raise ValueError("vocabulary must be a string, each of its characters once")
        check_integer("the number of characters in vocabulary", len(self.vocabulary), 0, MOST_CHARACTERS)
        if any(0xD800 <= ord(character) <= 0xDFFF for character in self.vocabulary):
            raise ValueError("vocabulary holds a lone surrogate; no normalised text has one")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            twice = next(character for character, count in Counter(self.vocabulary).items() if count > 1)
            raise ValueError(f"vocabulary holds {short(twice)} twice")

    @property
    def vocab_size(self) -> int:
        return FIRST_CHARACTER + len(self.vocabulary) + len(self.specials)

    def encode(self, text: str, limit: int | None = None) -> NDArray[np.int32]:
        """(T,) int32; with `limit`, the first `limit` ids of it, without reading much more text than they need."""
        if limit is None:
            normalised = normalise(text, self.normalisation)
        else:
            # a part of a text normalises to the part of its normal form, which may be shorter: controls vanish
            normalised = normalise(text[:limit], self.normalisation)
            if len(normalised) < limit < len(text):
                normalised = normalise(text, self.normalisation)
        code_points = np.frombuffer(normalised[:limit].encode("utf-32-le"), dtype="<u4")
        return self._by_code_point[np.minimum(code_points, len(self._by_code_point) - 1)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, without padding and specials; unknown is U+FFFD.

        Raises:
            ValueError: an id is not below `vocab_size`.
        """
        return "".join(look_up(ids, self._meanings))

    def to_json(self) -> dict[str, Any]:
        return {**shared_json(self), **specials_json(self.specials), "vocabulary": self.vocabulary}

    @cached_property
    def _by_code_point(self) -> NDArray[np.int32]:
        """The id of each code point up to the highest of the vocabulary, and behind them unknown, for all others."""
        ids = np.full(max(map(ord, self.vocabulary), default=0) + 2, UNKNOWN, np.int32)
        for index, character in enumerate(self.vocabulary, FIRST_CHARACTER):
            ids[ord(character)] = index
        return ids

    @cached_property
    def _meanings(self) -> tuple[str, ...]:
        return ("", REPLACEMENT, *self.vocabulary, *("" for _ in self.specials))


def train(
    texts: Iterable[str],
    vocab_size: int = 5_000,
    min_frequency: int = 2,
    normalisation: Normalisation = DEFAULT,
    max_tokens: int = 128,
    window: Window | None = None,
    specials: tuple[str, ...] = (),
) -> Characters:
    """A tokenizer with at most `vocab_size` ids, padding, unknown and specials among them: the commonest characters.

    Characters that occur less than `min_frequency` times are left out; of two as frequent, the one with the lower code
    point comes first. So the same texts, in any order, give the same tokenizer.
    """
    check_specials(specials)
    check_integer("vocab_size", vocab_size, FIRST_CHARACTER + len(specials) + 1, MOST_CHARACTERS)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalise(text, normalisation))
    common = sorted(character for character, count in counts.items() if count >= min_frequency)
    common.sort(key=lambda character: -counts[character])  # stable: ties stay in the order of their code points
    room = vocab_size - FIRST_CHARACTER - len(specials)
    return Characters("".join(common[:room]), normalisation, max_tokens, window, specials)
