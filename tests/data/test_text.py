"""Our tables against Unicode 14, for every code point, and what a user may rely on in normalised text."""

import hashlib
import random
import re
import unicodedata
from itertools import product
from pathlib import Path

import pytest

from edgewright.data import make_text_tables
from edgewright.data.text import (
    CLASS_LETTERS,
    UNCHANGED,
    Normalisation,
    character_class,
    class_letters,
    normalise,
    tables,
    words,
)

ROOT = Path(__file__).parents[2]
EVERY_OPTION = [Normalisation(*flags) for flags in product([False, True], repeat=3)]
STRIP_ONLY = Normalisation(clean=False, lowercase=False, strip_marks=True)
SURROGATES = range(0xD800, 0xE000)
CODE_POINTS = [c for c in range(0x110000) if c not in SURROGATES]

unicode_14 = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="compares with Python 3.11's unicodedata, which is Unicode 14.0.0"
)


def moved_or_dropped(character: str) -> bool:
    return unicodedata.category(character) == "Mn" or unicodedata.combining(character) != 0


@unicode_14
def test_the_committed_tables_are_what_the_script_makes() -> None:
    assert make_text_tables.TABLES.read_text(encoding="utf-8") == make_text_tables.tables()


def test_the_specification_names_the_tables_by_their_sha256() -> None:
    digest = hashlib.sha256(make_text_tables.TABLES.read_bytes()).hexdigest()
    assert f"`{digest}`" in (ROOT / "docs/tokenizer.md").read_text(encoding="utf-8")
    assert tables().unicode == "14.0.0"


def test_the_tables_are_small() -> None:
    assert make_text_tables.TABLES.stat().st_size < 150_000


@unicode_14
def test_lower_case_is_unicodes_for_every_code_point() -> None:
    options = Normalisation(clean=False, lowercase=True, strip_marks=False)
    # one at a time: str.lower looks at a sigma's neighbours, ours does not
    assert [c for c in CODE_POINTS if normalise(chr(c), options) != chr(c).lower()] == []


@unicode_14
def test_stripping_is_nfd_without_marks_for_every_code_point() -> None:
    def expected(code_point: int) -> str:
        decomposed = unicodedata.normalize("NFD", chr(code_point))
        return "".join(character for character in decomposed if not moved_or_dropped(character))

    assert [c for c in CODE_POINTS if normalise(chr(c), STRIP_ONLY) != expected(c)] == []


@unicode_14
def test_only_a_few_spacing_marks_are_stripped_besides_the_non_spacing_ones() -> None:
    moved = [c for c in CODE_POINTS if unicodedata.combining(chr(c)) and unicodedata.category(chr(c)) != "Mn"]
    assert {unicodedata.category(chr(c)) for c in moved} == {"Mc"}
    assert len(moved) == 25
    assert normalise("".join(map(chr, moved)), STRIP_ONLY) == ""


@unicode_14
def test_classes_follow_the_categories_for_every_code_point() -> None:
    expected_of = {"L": "word", "N": "word", "M": "word", "P": "punctuation", "S": "symbol", "Z": "space"}
    wrong = []
    for code_point in CODE_POINTS:
        character = chr(code_point)
        category = unicodedata.category(character)
        expected = expected_of.get(category[0]) or ("control" if category in ("Cc", "Cf") else "symbol")
        if character.isspace():
            expected = "space"
        elif character == "_":
            expected = "word"
        elif re.match("CJK (UNIFIED|COMPATIBILITY) IDEOGRAPH-", unicodedata.name(character, "")):
            expected = "ideograph"
        if character_class(code_point) != expected:
            wrong.append(hex(code_point))
    assert wrong == []


@pytest.mark.parametrize("options", EVERY_OPTION, ids=str)
def test_normalising_twice_changes_nothing(options: Normalisation) -> None:
    assigned = [*range(0x32400), *range(0xE0000, 0xE0200), 0x10FFFF]  # all that Unicode 14 has, and more
    once = normalise("".join(map(chr, assigned)), options)
    assert normalise(once, options) == once


@pytest.mark.parametrize("options", EVERY_OPTION, ids=str)
def test_the_short_way_for_ascii_agrees_with_the_tables(options: Normalisation) -> None:
    for code_point in range(128):
        alone = chr(code_point)
        beside_non_ascii = normalise("\u4e00" + alone, options)  # takes the way of the tables
        assert normalise(alone, options) == beside_non_ascii[1:]


def test_the_short_way_for_ascii_words_agrees_with_the_classes() -> None:
    chance = random.Random(0)
    for _ in range(500):
        text = "".join(chr(chance.randrange(128)) for _ in range(40))
        assert words(text) == words(text + "\u4e00")[:-1]


@unicode_14
@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("lowercase", [False, True])
def test_equivalent_texts_have_one_normal_form(clean: bool, lowercase: bool) -> None:
    """NFC and NFD of random text, rich in marks, Hangul and the spacing marks that canonical ordering moves."""
    options = Normalisation(clean=clean, lowercase=lowercase, strip_marks=True)
    chance = random.Random(1)
    changed = [c for c in CODE_POINTS if unicodedata.normalize("NFD", chr(c)) != chr(c)]
    marks = [c for c in CODE_POINTS if unicodedata.combining(chr(c))]
    pools = [changed, marks, range(0x1100, 0x1200), range(0xAC00, 0xD7A4), range(0x20, 0x250)]
    for _ in range(2000):
        text = "".join(chr(chance.choice(chance.choice(pools))) for _ in range(20))
        forms = {normalise(unicodedata.normalize(form, text), options) for form in ("NFC", "NFD")}
        assert forms == {normalise(text, options)}, ascii(text)


def test_every_single_code_point_has_one_normal_form_in_nfc_and_nfd() -> None:
    for code_point in CODE_POINTS:
        nfd = unicodedata.normalize("NFD", chr(code_point))
        if len(nfd) > 1 or ord(nfd) != code_point:
            assert normalise(nfd) == normalise(chr(code_point)), hex(code_point)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a\0b\x07c", "abc"),  # control characters vanish
        ("a\r\n\tb\u2028c\u00a0d", "a   b c d"),  # each space is one U+0020
        ("soft\u00adhyphen \ufeffbom", "softhyphen bom"),
        ("ÉLÈVE Ångström", "eleve angstrom"),
        ("İstanbul IŞIK ısı", "istanbul isik ısı"),
        ("Straße GROẞ", "straße groß"),
        ("ΟΔΟΣ", "οδοσ"),  # no final sigma: characters are mapped alone
        ("ﬁn ①", "ﬁn ①"),  # compatibility forms stay
        ("\ud83d alone", "\ufffd alone"),
        ("한", "\u1112\u1161\u11ab"),
        ("\U00020000é", "\U00020000e"),
    ],
)
def test_normal_form_of(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_unchanged_keeps_everything_but_lone_surrogates() -> None:
    text = "".join(map(chr, CODE_POINTS))
    assert normalise(text, UNCHANGED) == text
    assert normalise("".join(map(chr, SURROGATES)), UNCHANGED) == "\ufffd" * len(SURROGATES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("It's 5 €!", ["it", "'", "s", "5", "€", "!"]),
        ("snake_case x2", ["snake_case", "x2"]),
        ("日本go語", ["日", "本", "go", "語"]),
        ("👩‍👧👍🏽", ["👩", "👧", "👍", "🏽"]),  # the joiner is a control character
        ("e\u0301te\u0301 été", ["ete", "ete"]),
        ("\U0001fae8\ue000", ["\U0001fae8", "\ue000"]),  # unknown to Unicode 14, private use
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
    ],
)
def test_words_of(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "sample", ["plain words, and more. ", "été à Noël ; ", "\u0301\0", "日本", "x" * 40, " " * 300 + "é"]
)
def test_a_limit_gives_the_first_words(sample: str) -> None:
    text = sample * 50
    for limit in (0, 1, 2, 7, 49, 1000):
        assert words(text, limit=limit) == words(text)[:limit]


def test_a_limit_reads_little_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counted(text: str, options: Normalisation) -> str:
        read.append(len(text))
        return normalise(text, options)

    monkeypatch.setattr("edgewright.data.text.normalise", counted)
    words("some words " * 100_000, limit=32)
    assert sum(read) < 2000


def test_class_letters_keep_the_length() -> None:
    text = "".join(map(chr, CODE_POINTS))
    letters = class_letters(text)
    assert len(letters) == len(text)
    assert set(letters) == {*CLASS_LETTERS.values(), " "}


def test_an_option_that_is_no_boolean_is_refused() -> None:
    with pytest.raises(ValueError, match=r"normalisation.lowercase is 1; it must be true or false"):
        Normalisation(lowercase=1)  # type: ignore[arg-type]
