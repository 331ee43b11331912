"""Words of a text with their places in it, for taggers: where the tokenizer's words stand in the original text.

Normalisation changes lengths (a decomposed accent, a zero-width space, a Hangul syllable), so places in the normalised
text are of no use to a caller. Here every place is a pair of character positions of the text as it was given.
Shapes: T words.
"""

import re

import numpy as np
from numpy.typing import NDArray

from edgewright.data.text import DEFAULT, Normalisation, character_class, normalise
from edgewright.data.text import words as words_of

_PLAIN_WORDS = re.compile("[0-9A-Z_a-z]+|[!-/:-@\\[-^`{-~]")  # the words of printable ASCII
_UNUSUAL = re.compile("[^ -~]")  # what normalisation may drop or make longer; every other character stays one
_PREFIX_PER_WORD = 16  # characters looked at first for each word asked for; a text has about six


def words_with_offsets(
    text: str, options: Normalisation = DEFAULT, limit: int | None = None
) -> tuple[list[str], NDArray[np.int64]]:
    """The very list of `text.words`, and (T, 2) int64: [start, end) of each word in the original text.

    Spans ascend and do not overlap, and `text[start:end]` normalises to the word. Marks that normalisation drops
    behind a word belong to it (the accent of a decomposed "é"); control characters between two words, such as the
    joiner of an emoji sequence, belong to neither. With `limit`, the first `limit` words.
    """
    if limit is not None and len(text) > limit * _PREFIX_PER_WORD:
        found, spans = words_with_offsets(text[: limit * _PREFIX_PER_WORD], options)
        if len(found) <= limit:  # else the limit-th is whole, wherever the text was cut
            found, spans = words_with_offsets(text, options)
        return found[:limit], spans[:limit]
    if text.isascii() and text.isprintable():
        matches = list(_PLAIN_WORDS.finditer(normalise(text, options)))[:limit]
        places = [match.span() for match in matches]
        return [match[0] for match in matches], np.array(places, np.int64).reshape(-1, 2)

    found = words_of(text, options)
    lengths = np.ones(len(text), np.int64)  # of each character's normal form
    for match in _UNUSUAL.finditer(text):
        lengths[match.start()] = len(normalise(match[0], options))
    origin = np.repeat(np.arange(len(text)), lengths)  # of each character of the normalised text
    normalised = normalise(text, options)
    spans = np.empty((len(found), 2), np.int64)
    position = 0
    for row, word in zip(spans, found, strict=True):
        position = normalised.index(word, position)  # only spaces are passed over
        last = position + len(word)
        end = int(origin[last - 1]) + 1
        while end < len(text) and lengths[end] == 0 and character_class(ord(text[end])) != "control":
            end += 1
        row[:] = origin[position], end
        position = last
    return found[:limit], spans[:limit]
