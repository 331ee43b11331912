"""Number words and their digits."""

import pytest

from edgewright.data.values import Language
from edgewright.data.values_numbers import digits

NUMBERS: dict[Language, dict[str, str]] = {
    "en": {
        "zero": "0",
        "nineteen": "19",
        "twenty one": "21",
        "twenty first": "21th",
        "third": "3th",
        "one hundred": "100",
        "a hundred and five": "105",
        "nine hundred ninety nine thousand nine hundred and ninety nine": "999999",
        "a thousand and one": "1001",
        "twelve thousand three hundred": "12300",
        "twenty four two thousand": "24 2000",
        "nine thirty pm": "9 30 pm",
        "five and six": "5 and 6",
        "thousand": "thousand",
        "one zero": "1 0",
    },
    "fr": {
        "zero": "0",
        "vingt et un": "21",
        "vingt deux": "22",
        "soixante et onze": "71",
        "soixante dix sept": "77",
        "quatre vingts": "80",
        "quatre vingt un": "81",
        "quatre vingt onze": "91",
        "quatre vingt dix neuf": "99",
        "septante deux": "72",
        "cent un": "101",
        "deux cents": "200",
        "mille neuf cent quatre vingt quatre": "1984",
        "neuf cent quatre vingt dix neuf mille neuf cent quatre vingt dix neuf": "999999",
        "vingt et quart": "20 et quart",
        "trois et": "3 et",
    },
}


@pytest.mark.parametrize(
    ("language", "words", "shown"), [(key, *case) for key in NUMBERS for case in NUMBERS[key].items()]
)
def test_number_words(language: Language, words: str, shown: str) -> None:
    assert digits(words, language) == shown
