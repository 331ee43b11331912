"""Amounts of money: a number and a currency.

Symbols follow CLDR's English names, https://cldr.unicode.org: "$" is USD, "£" GBP, "¥" JPY
unless a letter or a code says otherwise.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from re import Match


@dataclass(frozen=True)
class Amount:
    """number: a decimal string without exponent, grouping or trailing zeros. currency: ISO 4217, None if not said."""

    number: str
    currency: str | None

    def __str__(self) -> str:
        return self.number if self.currency is None else f"{self.number} {self.currency}"


SYMBOLS = {
    "us$": "USD",
    "a$": "AUD",
    "au$": "AUD",
    "c$": "CAD",
    "ca$": "CAD",
    "nz$": "NZD",
    "hk$": "HKD",
    "s$": "SGD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "₩": "KRW",
}
CODES = ("usd eur gbp jpy chf cad aud nzd cny inr krw sek nok dkk pln czk huf ron brl mxn zar sgd hkd try ils").split()
WORDS = {
    "us dollars?": "USD",
    "canadian dollars?": "CAD",
    "dollars? canadiens?": "CAD",
    "australian dollars?": "AUD",
    "dollars? americains?": "USD",
    "dollars?": "USD",
    "bucks?": "USD",
    "euros?": "EUR",
    "pounds?(?: sterling)?": "GBP",
    "quid": "GBP",
    "livres?(?: sterling)?": "GBP",
    "yens?": "JPY",
    "swiss francs?": "CHF",
    "francs? suisses?": "CHF",
}
MULTIPLIERS = {
    "k": 3,
    "m": 6,
    "mn": 6,
    "bn": 9,
    "md": 9,
    "mds": 9,
    "hundred": 2,
    "thousand": 3,
    "grand": 3,
    "mille": 3,
    "million": 6,
    "millions": 6,
    "billion": 9,
    "billions": 9,
    "milliard": 9,
    "milliards": 9,
}
DOLLARS = ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "MXN")

_NUMBER = r"(?P<number>\d{1,3}(?:[ .,']\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
_NUMBERS = (
    (r"(?P<whole>\d+(?P<groups>))(?:[.,](?P<part>\d{1,2}|\d{4,}))?", ""),
    (r"(?P<whole>\d{1,3}(?P<groups>(?:,\d{3})+))(?:\.(?P<part>\d+))?", ","),
    (r"(?P<whole>\d{1,3}(?P<groups>(?:\.\d{3})+))(?:,(?P<part>\d+))?", "."),
    (r"(?P<whole>\d{1,3}(?P<groups>(?:[ ']\d{3})+))(?:[.,](?P<part>\d+))?", " "),
)
_MULTIPLIER = rf"(?: ?(?P<multiplier>{'|'.join(sorted(MULTIPLIERS, key=len, reverse=True))})(?![a-z]))?"
_SYMBOL = "|".join(re.escape(symbol) for symbol in SYMBOLS)
_UNIT = rf"(?P<unit>{_SYMBOL}|{'|'.join(CODES)}|{'|'.join(WORDS)})"
_BEFORE = rf"(?P<before>{_SYMBOL}|{'|'.join(CODES)})"
_CENTS = r"(?: ?(?:and |et )?(?P<cents>\d\d|\d{1,2}(?= ?[cp]))(?: ?(?:cents?|centimes?|pence|p))?)?"
PATTERN = re.compile(rf"(?P<sign>-)? ?(?:{_BEFORE} ?)?{_NUMBER}{_MULTIPLIER}(?: ?(?:de |d' ?|of )?{_UNIT}{_CENTS})?")
LEADING = re.compile(r"^(?:about|around|approximately|roughly|exactly|environ|exactement) ")


def amount_of(text: str, language: str) -> Amount | None:
    """The amount that a plain text names, number words as digits; None where it names none or two are possible."""
    text = re.sub(r"^an? (?=\D)", "1 ", LEADING.sub("", text))
    match = PATTERN.fullmatch(text)
    if not match:
        return None
    number = _number(match["number"], language, scaled=match["multiplier"] is not None)
    if number is None:
        return None
    if match["multiplier"]:
        number *= 10 ** MULTIPLIERS[match["multiplier"]]
    cents = match["cents"]
    if cents:
        if match["multiplier"] or number != int(number):
            return None
        number += Decimal(int(cents)) / 100
    currency = _currency(match)
    if currency == "":
        return None
    return Amount(_written(-number if match["sign"] else number), currency)


def _currency(match: Match[str]) -> str | None:
    """The code; None where none is said, "" where two that differ are."""
    said = [_code(name) for name in (match["before"], match["unit"]) if name]
    if len(said) == 2 and said[0] != said[1]:
        return said[1] if match["before"] == "$" and said[1] in DOLLARS else ""
    return said[-1] if said else None


def _code(name: str) -> str:
    if name in SYMBOLS:
        return SYMBOLS[name]
    return next((code for pattern, code in WORDS.items() if re.fullmatch(pattern, name)), name.upper())


def _number(text: str, language: str, scaled: bool) -> Decimal | None:
    """A written number; None for "1.234" in English and "1,234" in French, which have two readings.

    scaled: "million" or the like follows, so that "1,145 milliard" can be no thousands.
    """
    for pattern, group in _NUMBERS:
        match = re.fullmatch(pattern, text)
        if match:
            decimal = "." if language == "en" else ","
            if match["part"] is None and len(match["groups"]) == 4 and group == decimal:
                return Decimal(text.replace(decimal, ".")) if scaled else None
            whole = re.sub(r"\D", "", match["whole"])
            return Decimal(f"{whole}.{match['part'] or 0}")
    return None


def _written(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
