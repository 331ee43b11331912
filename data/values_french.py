"""French dates and times of day. Each rule is a pattern over the whole plain text, and what it means."""

import re
from collections.abc import Callable
from datetime import date
from re import Match

from edgewright.data.values_calendar import (
    Days,
    full_year,
    month_of,
    next_date,
    next_month,
    one,
    period,
    shifted,
    weekday,
    weekday_after,
    weekday_before,
    weekday_from,
)

Rule = Callable[[Match[str], date], Days | None]

_MONTHS = "janvier|fevrier|mars|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre".split("|")
_SHORT_MONTHS = {"janv": 1, "fevr": 2, "fev": 2, "avr": 4, "juil": 7, "sept": 9, "oct": 10, "nov": 11, "dec": 12}
_WEEKDAYS = "lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche".split("|")
MONTH = rf"(?P<month>{'|'.join([*_MONTHS, *_SHORT_MONTHS])})\.?"
WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})"
DAY = r"(?P<day>\d{1,2}|1 ?er|premier)"
YEAR = r"(?P<year>(?:1[6-9]|20|21)\d\d|'\d\d)"
UNIT = r"(?P<unit>jour|semaine|mois|an|annee)"
NEXT = r"(?P<which>prochaine?|qui vient|derniere?|passee?)"
PART = r"(?: (?:matin|soir|apres midi|midi))"
UNITS = {"jour": "day", "semaine": "week", "mois": "month", "an": "year", "annee": "year", "week end": "weekend"}
HOLIDAYS = {
    "noel": (12, 25),
    "jour de noel": (12, 25),
    "veille de noel": (12, 24),
    "reveillon de noel": (12, 24),
    "jour de l'an": (1, 1),
    "saint sylvestre": (12, 31),
    "saint valentin": (2, 14),
    "fete nationale": (7, 14),
}


def _month(match: Match[str]) -> int:
    name = match["month"]
    return _MONTHS.index(name) + 1 if name in _MONTHS else _SHORT_MONTHS[name]


def _weekday(match: Match[str]) -> int:
    return _WEEKDAYS.index(match["weekday"])


def _shift(word: str | None) -> int:
    return 0 if not word else -1 if word.startswith(("dernier", "passe")) else 1


def _date(match: Match[str], today: date) -> Days | None:
    year = full_year(match["year"]) if match["year"] else None
    named = _weekday(match) if match["weekday"] else None
    day = int(match["day"]) if match["day"].isdigit() else 1
    found = next_date(today, day, _month(match), year, named)
    return one(found) if found else None


def _day(match: Match[str], today: date) -> Days | None:
    named = _weekday(match) if match["weekday"] else None
    day = int(match["day"]) if match["day"].isdigit() else 1
    if match["of"]:
        first = period(today, "month", _shift(match["which"]))[0]
        found = next_date(today, day, first.month, first.year, named)
    else:
        found = next_date(today, day, None, None, named)
    return one(found) if found else None


def _near(match: Match[str], today: date) -> Days:
    days = {"aujourd'hui": 0, "ce jour": 0, "demain": 1, "apres demain": 2, "hier": -1, "avant hier": -2}
    return one(shifted(today, days[match["near"]], "day"))


def _weekday_alone(match: Match[str], today: date) -> Days:
    day = _weekday(match)
    if match["this"]:
        return one(weekday_from(today, day))
    return one(weekday_before(today, day) if _shift(match["which"]) < 0 else weekday_after(today, day))


def _edge(match: Match[str], today: date) -> Days | None:
    if match["month"]:
        days = month_of(full_year(match["year"]), _month(match)) if match["year"] else next_month(today, _month(match))
    else:
        days = period(today, UNITS[match["unit"]], _shift(match["which"]))
    return one(days[1] if match["edge"].endswith("fin") or "dernier" in match["edge"] else days[0])


def _holiday(match: Match[str], today: date) -> Days | None:
    month, day = HOLIDAYS[match["holiday"]]
    found = next_date(today, day, month, full_year(match["year"]) if match["year"] else None)
    return one(found) if found else None


def _span(match: Match[str], today: date) -> Days:
    other = shifted(today, int(match["count"]) * (1 if match["way"] == "prochain" else -1), UNITS[match["unit"]])
    return min(today, other), max(today, other)


DATES: tuple[tuple[str, Rule], ...] = (
    (rf"(?:le )?(?:{WEEKDAY} )?(?:le )?{DAY} {MONTH}(?: {YEAR})?", _date),
    (rf"(?:le )?{WEEKDAY} (?:le )?{DAY}(?P<of> (?:du|de ce) mois(?: {NEXT})?)?", _day),
    (rf"(?P<weekday>)le {DAY}(?P<of> (?:du|de ce) mois(?: {NEXT})?)?", _day),
    (rf"(?P<weekday>){DAY}(?P<of> (?:du|de ce) mois(?: {NEXT})?)", _day),
    (rf"(?P<near>aujourd'hui|ce jour|apres demain|demain|avant hier|hier)(?: (?:au|en))?{PART}?", _near),
    (r"(?:ce|cet|cette) (?:matin|midi|soir|apres midi)", lambda match, today: one(today)),
    (rf"(?:(?P<this>ce) )?{WEEKDAY}{PART}?(?P<which>)", _weekday_alone),  # "le lundi" is every Monday
    (rf"(?P<this>)(?:le )?{WEEKDAY}{PART}? {NEXT}{PART}?", _weekday_alone),
    (
        rf"(?:le )?{WEEKDAY} de (?:la semaine {NEXT}|cette semaine)",
        lambda match, today: one(weekday(today, _weekday(match), _shift(match["which"]))),
    ),
    (
        rf"(?:le )?{WEEKDAY} en (?P<weeks>8|15)",
        lambda match, today: one(shifted(weekday_after(today, _weekday(match)), int(match["weeks"]) // 7, "week")),
    ),
    (
        rf"(?:la |le |l')?(?P<unit>semaine|mois|annee|an|week end) {NEXT}",
        lambda match, today: period(today, UNITS[match["unit"]], _shift(match["which"])),
    ),
    (
        r"(?:ce|cette) (?P<unit>semaine|mois|annee|week end)(?: ci)?",
        lambda match, today: period(today, UNITS[match["unit"]]),
    ),
    (
        rf"(?:dans|d'ici) (?P<count>\d{{1,4}}) {UNIT}e?s?",
        lambda match, today: one(shifted(today, int(match["count"]), UNITS[match["unit"]])),
    ),
    (
        rf"il y a (?P<count>\d{{1,4}}) {UNIT}e?s?",
        lambda match, today: one(shifted(today, -int(match["count"]), UNITS[match["unit"]])),
    ),
    (rf"(?:les |ces )?(?P<count>\d{{1,4}}) (?P<way>prochain|dernier)e?s {UNIT}e?s?", _span),
    (
        rf"(?:la |le |l')?(?P<edge>fin|debut|dernier jour|premier jour)(?: du| de l'| de| d')? ?"
        rf"(?:(?P<unit>mois|annee)(?: {NEXT})?|{MONTH}(?: {YEAR})?)",
        _edge,
    ),
    (rf"(?:en )?{MONTH} {YEAR}", lambda match, today: month_of(full_year(match["year"]), _month(match))),
    (rf"(?:en )?{MONTH}", lambda match, today: next_month(today, _month(match))),
    (r"(?:en )?(?P<year>(?:1[6-9]|20|21)\d\d)", lambda match, today: period(date(int(match["year"]), 1, 1), "year")),
    (rf"(?:a |le |la )?(?P<holiday>{'|'.join(HOLIDAYS)})(?: {YEAR})?", _holiday),
)
LEADING = r"(?:pour|depuis|jusqu'au|jusqu'a|des|d'ici|au|du|a) "


def days_of(text: str, today: date) -> Days | None:
    """The days that a plain text names, number words as digits; None where no rule fits the whole of it."""
    for shown in (text, re.sub(f"^{LEADING}", "", text)):
        for pattern, rule in DATES:
            match = re.fullmatch(pattern, shown)
            if match:
                return rule(match, today)
    return None


_CLOCK = r"(?P<hour>\d{1,2})(?: ?h(?:eures?)?(?: ?(?P<minute>\d{1,2})(?: ?(?:min|minutes|mn))?)?|:(?P<colon>\d{2}))"
_MORE = r"(?: (?P<more>et demie?|et quart|moins (?:le |un )?quart|moins \d{1,2}))?"
_PARTS = r"(?: (?P<part>du matin|de l'apres midi|du soir|de la nuit))?"
TIME = rf"(?:{_CLOCK}|(?P<name>midi|minuit)){_MORE}{_PARTS}"


def time_of(text: str) -> tuple[int, int] | None:
    """Hour and minute that a plain text names, number words as digits; None where it names none."""
    text = re.sub(r"^(?:a|vers|des|depuis|jusqu'a) | (?:pile|precises?)$", "", text)
    match = re.fullmatch(TIME, text)
    if not match:
        return None
    if match["name"]:
        hour = 12 if match["name"] == "midi" else 0
    else:
        hour = int(match["hour"])
    minute = int(match["minute"] or match["colon"] or 0)
    part = match["part"]
    if hour > 23 or minute > 59 or (part == "du matin" and hour > 11):
        return None
    if hour == 12 and part in ("du soir", "de la nuit"):  # midnight is "minuit"
        return None
    if part == "de la nuit" and 9 <= hour <= 11:
        hour += 12
    if part in ("de l'apres midi", "du soir") and 1 <= hour <= 11:
        hour += 12
    minutes = hour * 60 + minute + _more(match["more"] or "")
    return divmod(minutes % (24 * 60), 60)


def _more(words: str) -> int:
    """Minutes that "et demie", "et quart", "moins le quart" and "moins 10" add."""
    if words.startswith("moins"):
        return -15 if words.endswith("quart") else -int(words.rpartition(" ")[2])
    return {"": 0, "et quart": 15}.get(words, 30)
