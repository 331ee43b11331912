"""What an entity's text means: dates as ISO 8601, times as HH:MM, amounts as number and currency; English and French.

A text that no rule covers whole has no value (None): a missing value is seen, a wrong one is believed. The rules and
what they choose where people differ ("next Friday") are listed in docs/entities.md.
"""

import re
from datetime import date
from typing import Literal

from edgewright.data import values_english, values_french
from edgewright.data.text import normalise
from edgewright.data.values_amounts import Amount, amount_of
from edgewright.data.values_calendar import full_year, next_date
from edgewright.data.values_numbers import digits

__all__ = ["Amount", "Language", "normalise_amount", "normalise_date", "normalise_time", "normalise_value", "plain"]

Language = Literal["en", "fr"]

LONGEST = 100  # characters; a longer text is no date, time or amount, and patterns stay cheap

_ISO = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})")
_NUMERIC = re.compile(r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?:(?P=mark)(?P<year>\d{4}|\d{2}))?")


def normalise_value(type: str, text: str, today: date, language: Language) -> str | None:
    """The value of an entity of type DATE, TIME or MONEY; None for another type and for an unknown value."""
    if type == "DATE":
        return normalise_date(text, today, language)
    if type == "TIME":
        return normalise_time(text, language)
    if type == "MONEY":
        amount = normalise_amount(text, language)
        return None if amount is None else str(amount)
    return None


def normalise_date(text: str, today: date, language: Language) -> str | None:
    """ "2026-11-27", or "2026-11-23/2026-11-29" where the text names more than one day, first and last included.

    today: what "tomorrow" and a missing year are reckoned from.
    """
    if not _readable(text):
        return None
    shown = plain(text)
    try:
        found = _numeric_date(shown, today, language)
        if found is not None:
            return found.isoformat()
        rules = values_english if language == "en" else values_french
        days = rules.days_of(_numbered(shown, language), today)
    except (ValueError, OverflowError):  # a date that the calendar does not have
        return None
    if days is None:
        return None
    return days[0].isoformat() if days[0] == days[1] else f"{days[0].isoformat()}/{days[1].isoformat()}"


def normalise_time(text: str, language: Language) -> str | None:
    """ "17:30", of the 24-hour clock. Without am, pm or a part of the day an hour stands as it is written."""
    if not _readable(text):
        return None
    rules = values_english if language == "en" else values_french
    found = rules.time_of(digits(plain(text), language))
    return None if found is None else f"{found[0]:02}:{found[1]:02}"


def normalise_amount(text: str, language: Language) -> Amount | None:
    """The number and the currency; the currency is None where the text says none."""
    if not _readable(text):
        return None
    return amount_of(digits(plain(text), language), language)


def plain(text: str) -> str:
    """Lower case without accents, single spaces, straight apostrophes, no hyphen in words, no comma before a space."""
    shown = normalise(re.sub("[\u2019\u02bc]", "'", text))
    shown = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", re.sub(r"[\u2010-\u2012\u2212]", "-", shown))
    shown = re.sub(r",(?=\s)", " ", shown)
    return " ".join(shown.split()).strip(' .,;:!?()"')


def _readable(text: str) -> bool:
    """Short, and without digits of another script, which a pattern's \\d would take."""
    return len(text) <= LONGEST and not re.search(r"(?![0-9])\d", text)


def _numbered(text: str, language: Language) -> str:
    """Digits for number words; French says "quinze jours" and "huit jours" for two weeks and for one."""
    if language == "fr":
        text = re.sub(r"\bquinze jours\b", "2 semaines", re.sub(r"\bhuit jours\b", "1 semaine", text))
    return digits(text, language)


def _numeric_date(text: str, today: date, language: Language) -> date | None:
    """Year first, or month first in English and day first in French, unless only the other order is a date."""
    match = _ISO.fullmatch(text)
    if match:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    match = _NUMERIC.fullmatch(text)
    if text == "24/7" or not match or (not match["year"] and match["mark"] != "/"):
        return None
    month, day = int(match["one"]), int(match["two"])
    if language == "en" and match["mark"] == "." and month != day and max(month, day) <= 12:
        return None  # dots are written by people who put the day first, and by others
    if language == "fr" or month > 12:
        month, day = day, month
    if language == "fr" and month > 12 >= day:
        month, day = day, month
    year = full_year(match["year"]) if match["year"] else None
    return next_date(today, day, month, year)
