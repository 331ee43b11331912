"""The words that a BERT vocabulary was made for, by our own tables. docs/tokenizer.md, section 6, is the specification.

Source: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, and its BasicTokenizer. It differs from our own in
what holds a word together: "_" and ASCII symbols stand alone, every other symbol (€, ™, an emoji) is part of a word.
"""

import re

from edgewright.data.text import Normalisation, class_letters, normalise

_ASCII_WORDS = re.compile("[0-9A-Za-z]+|[!-/:-@\\[-`{-~]")
_ASCII_SIGNS = re.compile("[!-/:-@\\[-`{-~]")
_WORDS = re.compile("[wy]+|[ip]")  # over the class letters of a text whose ASCII signs are all punctuation
_PREFIX_PER_WORD = 16  # characters looked at first for each word asked for; a text has about six


def words(text: str, options: Normalisation, limit: int | None = None) -> list[str]:
    """The words of a text, normalised; with `limit` the first ones, without reading much more than they need."""
    assert options.clean, "words are defined on clean text only"
    if limit is None or len(text) <= limit * _PREFIX_PER_WORD:
        return _words_of(normalise(text, options))[:limit]
    found = _words_of(normalise(text[: limit * _PREFIX_PER_WORD], options))
    if len(found) <= limit:  # else the limit-th is whole, wherever the text was cut
        found = _words_of(normalise(text, options))
    return found[:limit]


def _words_of(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORDS.findall(text)
    letters = class_letters(_ASCII_SIGNS.sub("!", text))
    return [text[match.start() : match.end()] for match in _WORDS.finditer(letters)]
