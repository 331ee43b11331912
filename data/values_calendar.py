"""Arithmetic of days for relative dates. Weeks are ISO 8601's: they begin on Monday (0) and end on Sunday (6)."""

from calendar import monthrange
from datetime import date, timedelta

Days = tuple[date, date]  # first and last


def one(day: date) -> Days:
    return day, day


def shifted(today: date, count: int, unit: str) -> date:
    """`count` units after today; "month" and "year" keep the day of the month, or take the last there is."""
    if unit == "day":
        return today + timedelta(days=count)
    if unit == "week":
        return today + timedelta(weeks=count)
    if unit == "fortnight":
        return today + timedelta(weeks=2 * count)
    year, month = divmod(today.year * 12 + today.month - 1 + count * (12 if unit == "year" else 1), 12)
    return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))


def month_of(year: int, month: int) -> Days:
    return date(year, month, 1), date(year, month, monthrange(year, month)[1])


def period(today: date, unit: str, shift: int = 0) -> Days:
    """The whole week, weekend, month or year that is `shift` after the one of today."""
    if unit in ("week", "weekend"):
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=shift)
        return (monday + timedelta(days=5) if unit == "weekend" else monday), monday + timedelta(days=6)
    if unit == "month":
        day = shifted(today, shift, "month")
        return month_of(day.year, day.month)
    return date(today.year + shift, 1, 1), date(today.year + shift, 12, 31)


def weekday(today: date, day: int, week: int) -> date:
    """That weekday in the week that is `week` after the one of today."""
    return period(today, "week", week)[0] + timedelta(days=day)


def weekday_after(today: date, day: int) -> date:
    """The first such weekday after today, never today."""
    return today + timedelta(days=(day - today.weekday() - 1) % 7 + 1)


def weekday_before(today: date, day: int) -> date:
    return today - timedelta(days=(today.weekday() - day - 1) % 7 + 1)


def weekday_from(today: date, day: int) -> date:
    """The first such weekday, today included."""
    return today + timedelta(days=(day - today.weekday()) % 7)


def next_month(today: date, month: int) -> Days:
    """The whole of that month: this one, or the next one of the name."""
    return month_of(today.year + (month < today.month), month)


def next_date(today: date, day: int, month: int | None, year: int | None, named: int | None = None) -> date | None:
    """The date of that day, where month or year are missing the first from today on.

    None: there is no such date (30 February), or it does not fall on the weekday that the text names. A weekday with
    a day alone ("Tuesday 2nd") looks a year ahead.
    """
    if year is not None and month is not None:
        found = date(year, month, day) if 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1] else None
        return found if found is None or named is None or found.weekday() == named else None
    for shift in range(12 * 9 if month is not None else 12):  # 9 years: 29 February
        first = shifted(today.replace(day=1), shift, "month")
        if (month is not None and first.month != month) or not 1 <= day <= monthrange(first.year, first.month)[1]:
            continue
        found = first.replace(day=day)
        if found < today:
            continue
        if named is None or found.weekday() == named:
            return found
        if month is not None:
            return None
    return None


def full_year(text: str) -> int:
    """2024 of "2024", "20 24", "24" and "'24"; two digits are 1969 to 2068, as POSIX has it."""
    number = int(text.replace(" ", "").lstrip("'"))
    return number if number >= 100 else number + (2000 if number < 69 else 1900)
