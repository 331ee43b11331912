"""Number words as digits, English and French: "twenty first" becomes "21th", "deux mille dix-sept" becomes "2017".

Texts here are plain, as `values.plain` makes them: lower case, no accents, hyphens of words as spaces.
"""

from collections.abc import Callable

_ENGLISH_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_ENGLISH = {word: number for number, word in enumerate(_ENGLISH_UNITS.split())} | {
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
_ENGLISH_TENS = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
} | {"fourty": 40}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
_ENGLISH_ORDINALS = {word: number for number, word in enumerate(_ORDINALS.split(), start=1)} | {
    "fifteenth": 15,
    "sixteenth": 16,
    "seventeenth": 17,
    "eighteenth": 18,
    "nineteenth": 19,
    "twentieth": 20,
    "thirtieth": 30,
}

_FRENCH_UNITS = "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
_FRENCH = {word: number for number, word in enumerate(_FRENCH_UNITS.split())} | {"une": 1}
_FRENCH_TENS = {
    "vingt": 20,
    "trente": 30,
    "quarante": 40,
    "cinquante": 50,
    "soixante": 60,
    "septante": 70,
    "huitante": 80,
    "octante": 80,
    "nonante": 90,
}

Parsed = tuple[int, int]  # the number, and the position of the word behind it
Parse = Callable[[list[str], int, str], Parsed | None]


def digits(text: str, language: str) -> str:
    """The text with every number from 0 to 999,999 that is written in words as digits; an ordinal gets "th".

    The longest number is taken each time: "twenty four two thousand" is 24 and 2000. "thousand" and "million" behind
    digits stay; they are for amounts.
    """
    words = text.split()
    found = []
    position = 0
    while position < len(words):
        ordinal = _ordinal(words, position) if language == "en" else None
        number = _number(words, position, language)
        if ordinal is not None:
            found.append(f"{ordinal[0]}th")
            position = ordinal[1]
        elif number is not None:
            found.append(str(number[0]))
            position = number[1]
        else:
            found.append(words[position])
            position += 1
    return " ".join(found)


def _ordinal(words: list[str], at: int) -> Parsed | None:
    """Ordinals up to 99th: days of a month need 31."""
    tens = _ENGLISH_TENS.get(words[at])
    if tens is not None and at + 1 < len(words) and 1 <= _ENGLISH_ORDINALS.get(words[at + 1], 0) <= 9:
        return tens + _ENGLISH_ORDINALS[words[at + 1]], at + 2
    return (_ENGLISH_ORDINALS[words[at]], at + 1) if words[at] in _ENGLISH_ORDINALS else None


def _number(words: list[str], at: int, language: str) -> Parsed | None:
    """Thousands and what is below them."""
    thousand = "thousand" if language == "en" else "mille"
    below = _below_thousand(words, at, language)
    if below is None:
        if language == "en" and words[at : at + 2] == ["a", thousand]:
            below = 1, at + 1
        elif language == "fr" and words[at] == thousand:
            below = 1, at
        else:
            return None
    value, position = below
    if value == 0 or words[position : position + 1] != [thousand]:
        return below
    rest = _joined(words, position + 1, language, _below_thousand)
    return (value * 1000 + rest[0], rest[1]) if rest else (value * 1000, position + 1)


def _below_thousand(words: list[str], at: int, language: str) -> Parsed | None:
    hundreds = ("hundred",) if language == "en" else ("cent", "cents")
    below_hundred = _english_below_hundred if language == "en" else _french_below_hundred
    small = below_hundred(words, at)
    if small is None:
        alone = (language == "fr" and words[at : at + 1] == ["cent"]) or words[at : at + 2] == ["a", "hundred"]
        if not alone:
            return None
        small = 1, at + (language == "en")
    value, position = small
    if not 1 <= value <= 9 or words[position : position + 1] not in ([hundred] for hundred in hundreds):
        return small
    rest = _joined(words, position + 1, language, lambda words, at, _: below_hundred(words, at))
    return (value * 100 + rest[0], rest[1]) if rest else (value * 100, position + 1)


def _joined(words: list[str], at: int, language: str, parse: Parse) -> Parsed | None:
    """The number that goes on here, in English also behind "and"; zero goes on with nothing."""
    if language == "en" and words[at : at + 1] == ["and"]:
        at += 1
    rest = parse(words, at, language) if at < len(words) else None
    return rest if rest is not None and rest[0] > 0 else None


def _english_below_hundred(words: list[str], at: int) -> Parsed | None:
    word = words[at]
    if word in _ENGLISH:
        return _ENGLISH[word], at + 1
    if word not in _ENGLISH_TENS:
        return None
    unit = _ENGLISH.get(words[at + 1], 0) if at + 1 < len(words) else 0
    return (_ENGLISH_TENS[word] + unit, at + 2) if 1 <= unit <= 9 else (_ENGLISH_TENS[word], at + 1)


def _french_below_hundred(words: list[str], at: int) -> Parsed | None:
    if words[at] == "quatre" and words[at + 1 : at + 2] in (["vingt"], ["vingts"]):
        base, at, most = 80, at + 2, 19
    elif words[at] in _FRENCH_TENS:
        base, at, most = _FRENCH_TENS[words[at]], at + 1, 19 if words[at] == "soixante" else 9
        joined = words[at + 1] if words[at : at + 1] == ["et"] and at + 1 < len(words) else ""
        if joined in ("un", "une") or (joined == "onze" and base == 60):
            return base + _FRENCH[joined], at + 2
    else:
        return _french_below_twenty(words, at)
    rest = _french_below_twenty(words, at) if at < len(words) else None
    return (base + rest[0], rest[1]) if rest is not None and 1 <= rest[0] <= most else (base, at)


def _french_below_twenty(words: list[str], at: int) -> Parsed | None:
    value = _FRENCH.get(words[at])
    if value is None:
        return None
    unit = _FRENCH.get(words[at + 1], 0) if value == 10 and at + 1 < len(words) else 0
    return (10 + unit, at + 2) if 7 <= unit <= 9 else (value, at + 1)
