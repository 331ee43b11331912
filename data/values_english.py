"""English dates and times of day. Each rule is a pattern over the whole plain text, and what it means."""

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

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_WEEKDAYS = "mon|tue|wed|thu|fri|sat|sun"
MONTH = (
    r"(?P<month>jan|january|feb|february|mar|march|apr|april|may|jun|june|jul|july|aug|august|sept?|september|oct"
    r"|october|nov|november|dec|december)\.?"
)
WEEKDAY = (
    r"(?P<weekday>mon|monday|tues?|tuesday|wed|wednesday|thu|thurs?|thursday|fri|friday|sat|saturday|sun|sunday)\.?"
)
DAY = r"(?P<day>\d{1,2})(?: ?(?:st|nd|rd|th))?"
ORDINAL = r"(?P<day>\d{1,2}) ?(?:st|nd|rd|th)"
YEAR = r"(?P<year>(?:1[6-9]|20|21) ?\d\d|'\d\d)"
COUNT = r"(?P<count>\d{1,4}|an?)"
UNIT = r"(?P<unit>day|week|fortnight|month|year)"
WHICH = r"(?P<which>this|next|last|coming|current|past)"
PART = r"(?: (?:morning|afternoon|evening|night))"
SHIFTS = {"this": 0, "current": 0, "the": 0, "next": 1, "coming": 1, "last": -1}
HOLIDAYS = {
    "christmas": (12, 25),
    "christmas day": (12, 25),
    "christmas eve": (12, 24),
    "boxing day": (12, 26),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "new year's day": (1, 1),
    "new years day": (1, 1),
    "valentine's day": (2, 14),
    "valentines day": (2, 14),
    "halloween": (10, 31),
}


def _month(match: Match[str]) -> int:
    return _MONTHS.split("|").index(match["month"][:3]) + 1


def _weekday(match: Match[str]) -> int:
    return _WEEKDAYS.split("|").index(match["weekday"][:3])


def _count(match: Match[str]) -> int:
    return int(match["count"]) if match["count"].isdigit() else 1


def _date(match: Match[str], today: date) -> Days | None:
    year = full_year(match["year"]) if match["year"] else None
    named = _weekday(match) if match["weekday"] else None
    found = next_date(today, int(match["day"]), _month(match), year, named)
    return one(found) if found else None


def _day(match: Match[str], today: date) -> Days | None:
    named = _weekday(match) if match["weekday"] else None
    if match["which"]:
        first = period(today, "month", SHIFTS[match["which"]])[0]
        found = next_date(today, int(match["day"]), first.month, first.year, named)
    else:
        found = next_date(today, int(match["day"]), None, None, named)
    return one(found) if found else None


def _near(match: Match[str], today: date) -> Days:
    days = {
        "today": 0,
        "tonight": 0,
        "tomorrow": 1,
        "yesterday": -1,
        "day after tomorrow": 2,
        "day before yesterday": -2,
    }
    return one(shifted(today, days[match["near"]], "day"))


def _weekday_alone(match: Match[str], today: date) -> Days:
    day = _weekday(match)
    match match["which"]:
        case "this" | "coming" | "current":
            return one(weekday_from(today, day))
        case "next":
            return one(weekday(today, day, 1))
        case "last" | "past":
            return one(weekday_before(today, day))
    return one(weekday_after(today, day))


def _period(match: Match[str], today: date) -> Days | None:
    shift = SHIFTS.get(match["which"])
    if match["which"] == "coming" and match["unit"] == "weekend":
        shift = 0
    return None if shift is None else period(today, match["unit"], shift)


def _edge(match: Match[str], today: date) -> Days | None:
    if match["month"]:
        days = month_of(full_year(match["year"]), _month(match)) if match["year"] else next_month(today, _month(match))
    else:
        days = period(today, match["unit"], SHIFTS[match["which"] or "the"])
    return one(days[1] if match["edge"] in ("end", "last day") else days[0])


def _month_alone(match: Match[str], today: date) -> Days:
    month = _month(match)
    if match["which"] == "last":
        return month_of(today.year - (month >= today.month), month)
    if match["which"] == "next":
        return month_of(today.year + (month <= today.month), month)
    return next_month(today, month)


def _holiday(match: Match[str], today: date) -> Days | None:
    month, day = HOLIDAYS[match["holiday"]]
    found = next_date(today, day, month, full_year(match["year"]) if match["year"] else None)
    return one(found) if found else None


def _span(match: Match[str], today: date) -> Days:
    other = shifted(today, _count(match) * (1 if match["which"] in ("next", "coming") else -1), match["unit"])
    return min(today, other), max(today, other)


DATES: tuple[tuple[str, Rule], ...] = (
    (rf"(?:{WEEKDAY} )?(?:the )?{MONTH} (?:the )?{DAY}(?: (?:of )?{YEAR})?", _date),
    (rf"(?:{WEEKDAY} )?(?:the )?{DAY} (?:of )?{MONTH}(?: (?:of )?{YEAR})?", _date),
    (rf"(?:{WEEKDAY} )?(?:the )?{ORDINAL}(?: (?:of )?(?P<which>this|the|next|last) month)?", _day),
    (r"(?P<weekday>)the (?P<day>\d{1,2})(?P<which>)", _day),
    (rf"(?P<near>today|tonight|tomorrow|yesterday){PART}?", _near),
    (r"(?:the )?(?P<near>day after tomorrow|day before yesterday)", _near),
    (r"(?:(?:later|earlier|early|late) )(?P<near>today|tomorrow|yesterday)", _near),
    (rf"this{PART}", lambda match, today: one(today)),
    (r"last (?:night|evening)", lambda match, today: one(shifted(today, -1, "day"))),
    (rf"(?:(?:the )?{WHICH} )?{WEEKDAY}{PART}?", _weekday_alone),
    (
        rf"{WEEKDAY} (?:of )?(?P<which>this|next|last) week",
        lambda match, today: one(weekday(today, _weekday(match), SHIFTS[match["which"]])),
    ),
    (
        rf"(?P<which>this|next|last) week(?: on)? {WEEKDAY}",
        lambda match, today: one(weekday(today, _weekday(match), SHIFTS[match["which"]])),
    ),
    (rf"(?:the )?{WHICH} (?P<unit>week|weekend|month|year)", _period),
    (r"(?:the )?weekend", lambda match, today: period(today, "weekend")),
    (rf"in {COUNT} {UNIT}s?(?:'? time)?", lambda match, today: one(shifted(today, _count(match), match["unit"]))),
    (rf"{COUNT} {UNIT}s? from (?:now|today)", lambda match, today: one(shifted(today, _count(match), match["unit"]))),
    (rf"{COUNT} {UNIT}s? ago", lambda match, today: one(shifted(today, -_count(match), match["unit"]))),
    (rf"(?:the )?(?P<which>last|past|next|coming) (?P<count>\d{{1,4}}) {UNIT}s?", _span),
    (
        rf"(?:the )?(?P<edge>end|start|beginning|first day|last day) of (?:(?:the |(?P<which>this|next|last) )"
        rf"(?P<unit>month|year)|{MONTH}(?: {YEAR})?)",
        _edge,
    ),
    (rf"{MONTH},? (?:of )?{YEAR}", lambda match, today: month_of(full_year(match["year"]), _month(match))),
    (rf"(?:(?P<which>this|next|last) )?{MONTH}", _month_alone),
    (r"(?P<year>(?:1[6-9]|20|21) ?\d\d)", lambda match, today: period(date(full_year(match["year"]), 1, 1), "year")),
    (rf"(?P<holiday>{'|'.join(HOLIDAYS)})(?: {YEAR})?", _holiday),
)
LEADING = r"(?:on|by|for|until|till|from|since) "
POSSESSIVE = r"(?:'s|s')$|(?<=today)s$|(?<=tomorrow)s$|(?<=yesterday)s$|(?<=this week)s$"


def days_of(text: str, today: date) -> Days | None:
    """The days that a plain text names, number words as digits; None where no rule fits the whole of it."""
    text = re.sub(POSSESSIVE, "", re.sub(f"^{LEADING}", "", text))
    for pattern, rule in DATES:
        match = re.fullmatch(pattern, text)
        if match:
            return rule(match, today)
    return None


_CLOCK = r"(?P<hour>\d{1,2})(?:[:.h ](?P<minute>\d{2}))?"
_PARTS = r"(?P<part>morning|afternoon|evening|night)"
# "5 to 11" without "minutes" may be a range of hours; "20 to 2" and "25 to 2" hardly are
_PAST = (
    r"(?:(?P<before>half|quarter|a quarter|\d{1,2} minutes?|20|25|\d{1,2}(?= past| after)) "
    r"(?P<way>past|after|to|till|before) )"
)
TIMES = (
    rf"{_PAST}?{_CLOCK}(?: ?oclock)? ?(?P<marker>am|pm)?(?:,? (?:in the |at |this )?{_PARTS})?",
    rf"(?:in the |this )?{_PARTS},? (?:at )?{_PAST}?{_CLOCK}(?: ?oclock)? ?(?P<marker>am|pm)?",
    r"(?P<hour>\d{1,2})(?P<minute>\d\d)(?: ?hours)?(?P<before>)(?P<way>) ?(?P<marker>am|pm)?(?P<part>)",
)


def time_of(text: str) -> tuple[int, int] | None:
    """Hour and minute that a plain text names, number words as digits; None where it names none."""
    text = re.sub(r"\b([ap]) ?\.? ?m\b ?\.?", r"\1m", re.sub(r"\bo ?['\"`]? ?clock\b", "oclock", text)).strip()
    text = re.sub(r"^(?:at|by|until|till|from|since|around|about|exactly) ", "", text)
    if text in ("noon", "midday", "12 noon", "12:00 noon"):
        return 12, 0
    if text in ("midnight", "12 midnight", "12:00 midnight"):
        return 0, 0
    for pattern in TIMES:
        match = re.fullmatch(pattern, text)
        if match and not (match["before"] and match["minute"]):
            part = match["part"]
            if match["way"] in ("to", "till", "before") and (match["hour"], part) == ("12", "morning"):
                part = "afternoon"  # "quarter to 12 in the morning" is before noon
            hour = _hour(int(match["hour"]), match["marker"], part)
            minute = int(match["minute"] or 0)
            if hour is None or minute > 59:
                return None
            return (hour, minute) if not match["before"] else _past(hour, match["before"], match["way"])
    return None


def _hour(hour: int, marker: str | None, part: str | None) -> int | None:
    """Of the 24-hour clock. Without am, pm or a part of the day the hour stands as it is written."""
    if hour > 23:
        return None
    said = marker or {"morning": "am", "afternoon": "pm"}.get(part or "")
    if marker and part and said != {"morning": "am", "afternoon": "pm", "evening": "pm"}.get(part, marker):
        return None
    if hour > 12 or (hour == 0 and said == "am"):  # "15:35 in the afternoon" is said, "15 am" is a mistake
        return None if said == "am" and hour else hour
    if hour == 0:
        return None if said else 0
    if said == "am":
        return None if hour == 12 and not marker else hour % 12  # "12 in the morning": midnight or noon?
    if said == "pm":
        return hour % 12 + 12
    if part == "evening":
        return hour + 12 if hour < 12 else None
    if part == "night":
        return hour % 12 if hour == 12 or hour < 6 else hour + 12
    return hour


def _past(hour: int, before: str, way: str) -> tuple[int, int] | None:
    minutes = 30 if before == "half" else 15 if before.endswith("quarter") else int(before.split()[0])
    if minutes > 59:
        return None
    if way in ("past", "after"):
        return hour, minutes
    return divmod((hour * 60 - minutes) % (24 * 60), 60) if minutes != 30 else None
