"""Text normalisation and splitting by our own tables, so that every language gives the same tokens.

No function of the platform's Unicode is used here, except on ASCII, where a test proves it equal. The specification,
for other languages, is docs/tokenizer.md; the tables are text_tables.json (Unicode 14, made by make_text_tables.py).
"""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgewright.data.remembered import Remembered

REPLACEMENT = "\ufffd"  # stands for a lone surrogate

# Hangul syllables decompose by arithmetic (The Unicode Standard, section 3.12)
HANGUL_FIRST, HANGUL_LAST = 0xAC00, 0xD7A3
LEADING, VOWEL, TRAILING = 0x1100, 0x1161, 0x11A7
VOWELS, TRAILINGS = 21, 28

CLASS_LETTERS = {"space": "s", "control": "c", "word": "w", "ideograph": "i", "punctuation": "p", "symbol": "y"}
MOST_REMEMBERED = 1 << 16  # characters per lazy table: bounds what a hostile text can make us keep

_ASCII_WORDS = re.compile("[0-9A-Z_a-z]+|[^ 0-9A-Z_a-z]")  # for clean text, where the only space is U+0020
_WORDS = re.compile("w+|[ipyc]")  # over the class letters of a text
_PREFIX_PER_WORD = 16  # characters looked at first for each word asked for; a text has about six


@dataclass(frozen=True)
class Normalisation:
    """What `normalise` does besides replacing lone surrogates, which it always does."""

    clean: bool = True  # drop control characters, turn every space into U+0020
    lowercase: bool = True
    strip_marks: bool = True  # "é" becomes "e", and so do its composed and decomposed forms

    def __post_init__(self) -> None:
        for name in ("clean", "lowercase", "strip_marks"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"normalisation.{name} is {getattr(self, name)!r}; it must be true or false")


DEFAULT = Normalisation()
UNCHANGED = Normalisation(clean=False, lowercase=False, strip_marks=False)


@dataclass(frozen=True)
class Tables:
    """The content of text_tables.json, decoded."""

    unicode: str
    starts: list[int]  # ascending; each class run begins at one of these ...
    classes: list[str]  # ... and this is its class, up to the next start
    lower: dict[int, str]
    base: dict[int, str]  # marks become ""; Hangul syllables are not in it


def normalise(text: str, options: Normalisation = DEFAULT) -> str:
    """The text with lone surrogates replaced, cleaned, lower-cased and stripped, as the options say.

    Every character is mapped on its own, so a part of a text normalises to the part of its normal form; doing it twice
    changes nothing.
    """
    if text.isascii() and (not options.clean or text.isprintable()):
        return text.lower() if options.lowercase else text
    return text.translate(_normal_forms(options))


def words(text: str, options: Normalisation = DEFAULT, limit: int | None = None) -> list[str]:
    """The words of a text, normalised: runs of letters, digits, marks and "_"; any other visible character alone.

    An ideograph is a word of its own, since Chinese has no spaces between words. With `limit`, the first
    `limit` words, without reading much more of the text than they need.
    """
    assert options.clean, "words are defined on clean text only"
    if limit is None or len(text) <= limit * _PREFIX_PER_WORD:
        return _words_of(normalise(text, options))[:limit]
    found = _words_of(normalise(text[: limit * _PREFIX_PER_WORD], options))
    if len(found) <= limit:  # else the limit-th is whole, wherever the text was cut
        found = _words_of(normalise(text, options))
    return found[:limit]


def class_letters(text: str) -> str:
    """One letter of CLASS_LETTERS for each character of the text, but U+0020 for itself.

    A regular expression over this string splits by our classes.
    """
    return text.translate(_class_letters())


def character_class(code_point: int) -> str:
    """One of the keys of CLASS_LETTERS."""
    found = tables()
    return found.classes[bisect_right(found.starts, code_point) - 1]


@cache
def tables() -> Tables:
    content = json.loads(Path(__file__).with_name("text_tables.json").read_text(encoding="utf-8"))
    tabled = ("space", "control", "word", "ideograph", "punctuation")
    starts, classes = _class_runs({name: _ranges(content[name]) for name in tabled})
    base = _mapping(content["base"])
    for start, end in _ranges(content["mark"]):
        base.update(dict.fromkeys(range(start, end), ""))
    return Tables(content["unicode"], starts, classes, _mapping(content["lower"]), base)


def _words_of(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORDS.findall(text)
    return [text[match.start() : match.end()] for match in _WORDS.finditer(class_letters(text))]


@cache
def _normal_forms(options: Normalisation) -> Remembered[int, str]:
    return Remembered(lambda code_point: _normal_form(code_point, options), MOST_REMEMBERED)


@cache
def _class_letters() -> Remembered[int, str]:
    def letter(code_point: int) -> str:
        return " " if code_point == 0x20 else CLASS_LETTERS[character_class(code_point)]

    return Remembered(letter, MOST_REMEMBERED)


def _normal_form(code_point: int, options: Normalisation) -> str:
    if 0xD800 <= code_point <= 0xDFFF:
        return REPLACEMENT
    if options.clean:
        kind = character_class(code_point)
        if kind in ("space", "control"):
            return " " if kind == "space" else ""
    becomes = chr(code_point)
    if options.lowercase:
        becomes = tables().lower.get(code_point, becomes)
    if options.strip_marks:
        becomes = "".join(_base(ord(character)) for character in becomes)
    return becomes


def _base(code_point: int) -> str:
    if HANGUL_FIRST <= code_point <= HANGUL_LAST:
        syllable, trailing = divmod(code_point - HANGUL_FIRST, TRAILINGS)
        leading, vowel = divmod(syllable, VOWELS)
        return chr(LEADING + leading) + chr(VOWEL + vowel) + (chr(TRAILING + trailing) if trailing else "")
    return tables().base.get(code_point, chr(code_point))


def _ranges(counts: list[int]) -> list[tuple[int, int]]:
    """(first, one past the last) from counts that are alternately out and in."""
    ranges = []
    end = 0
    for out, inside in zip(counts[::2], counts[1::2], strict=True):
        ranges.append((end + out, end + out + inside))
        end += out + inside
    return ranges


def _mapping(rows: list[list[int]]) -> dict[int, str]:
    mapping = {}
    code_point = 0
    for distance, *becomes in rows:
        code_point += distance
        mapping[code_point] = "".join(map(chr, becomes))
    return mapping


def _class_runs(ranges: dict[str, list[tuple[int, int]]]) -> tuple[list[int], list[str]]:
    """Where each run of one class starts, from U+0000 on, and its class; what no range holds is a symbol."""
    starts, classes = [], []
    end = 0
    for start, stop, name in sorted((*pair, name) for name, pairs in ranges.items() for pair in pairs):
        if start > end:
            starts.append(end)
            classes.append("symbol")
        starts.append(start)
        classes.append(name)
        end = stop
    return [*starts, end], [*classes, "symbol"]
