"""Tables of texts and their values; "today" is Saturday, 21 November 2026, unless a test says otherwise."""

from datetime import date

import pytest

from edgewright.data.values import (
    Language,
    normalise_amount,
    normalise_date,
    normalise_time,
    normalise_value,
    plain,
)

TODAY = date(2026, 11, 21)
WEDNESDAY = date(2026, 11, 18)

ENGLISH_DATES = {
    "2024-03-07": "2024-03-07",
    "2024/3/7": "2024-03-07",
    "March 7th": "2027-03-07",
    "March 7th, 2024": "2024-03-07",
    "MARCH 7 2024": "2024-03-07",
    "the 7th of March": "2027-03-07",
    "7 March '24": "2024-03-07",
    "7th of Jan 2018": "2018-01-07",
    "Sept. 4": "2027-09-04",
    "November 21st": "2026-11-21",
    "Nov the 20th": "2027-11-20",
    "Monday, 23 November": "2026-11-23",
    "Tuesday 23 November": None,  # a Monday
    "Tuesday 2nd": "2027-02-02",
    "03/07/2024": "2024-03-07",
    "13/07/2024": "2024-07-13",
    "3/7": "2027-03-07",
    "11/04/23": "2023-11-04",
    "11/04/70": "1970-11-04",
    "13.07.2024": "2024-07-13",
    "03.07.2024": None,
    "24/7": None,
    "31/31/2024": None,
    "February 30": None,
    "February 29": "2028-02-29",
    "February 29, 2023": None,
    "2024-13-01": None,
    "march twentieth": "2027-03-20",
    "twenty second of april": "2027-04-22",
    "may two": "2027-05-02",
    "first of february twenty seventeen": "2017-02-01",
    "march twenty four two thousand and seventeen": "2017-03-24",
    "today": "2026-11-21",
    "Today's": "2026-11-21",
    "tonight": "2026-11-21",
    "this afternoon": "2026-11-21",
    "later today": "2026-11-21",
    "last night": "2026-11-20",
    "tomorrow": "2026-11-22",
    "tomorrow morning": "2026-11-22",
    "tomorrow’s": "2026-11-22",
    "the day after tomorrow": "2026-11-23",
    "yesterday": "2026-11-20",
    "day before yesterday": "2026-11-19",
    "in 3 days": "2026-11-24",
    "in three days' time": "2026-11-24",
    "three days from now": "2026-11-24",
    "in a week": "2026-11-28",
    "in a fortnight": "2026-12-05",
    "in two months": "2027-01-21",
    "6 weeks ago": "2026-10-10",
    "a year ago": "2025-11-21",
    "last 3 days": "2026-11-18/2026-11-21",
    "next two weeks": "2026-11-21/2026-12-05",
    "Friday": "2026-11-27",
    "on Friday": "2026-11-27",
    "by fri": "2026-11-27",
    "Saturday": "2026-11-28",
    "this Saturday": "2026-11-21",
    "next Friday": "2026-11-27",
    "last Monday": "2026-11-16",
    "last Saturday": "2026-11-14",
    "Monday morning": "2026-11-23",
    "Monday next week": "2026-11-23",
    "Saturday this week": "2026-11-21",
    "last week Monday": "2026-11-09",
    "the coming Sunday": "2026-11-22",
    "this week": "2026-11-16/2026-11-22",
    "this week's": "2026-11-16/2026-11-22",
    "next week": "2026-11-23/2026-11-29",
    "last week": "2026-11-09/2026-11-15",
    "this weekend": "2026-11-21/2026-11-22",
    "next weekend": "2026-11-28/2026-11-29",
    "next month": "2026-12-01/2026-12-31",
    "this year": "2026-01-01/2026-12-31",
    "last year": "2025-01-01/2025-12-31",
    "end of the month": "2026-11-30",
    "the end of next month": "2026-12-31",
    "the beginning of March": "2027-03-01",
    "end of February 2028": "2028-02-29",
    "March": "2027-03-01/2027-03-31",
    "November": "2026-11-01/2026-11-30",
    "last March": "2026-03-01/2026-03-31",
    "March 2019": "2019-03-01/2019-03-31",
    "2016": "2016-01-01/2016-12-31",
    "two thousand and sixteen": "2016-01-01/2016-12-31",
    "the 13th": "2026-12-13",
    "the 21st": "2026-11-21",
    "the 31st": "2026-12-31",
    "10th of this month": "2026-11-10",
    "the 3rd of next month": "2026-12-03",
    "Christmas": "2026-12-25",
    "New Year's Eve": "2026-12-31",
    "New Year's Day": "2027-01-01",
    # what has no date, or not one alone
    "recently": None,
    "3 nights": None,
    "two weeks": None,
    "every Friday": None,
    "Mondays": None,
    "June 5th every year": None,
    "summer": None,
    "the following week": None,
    "before Friday": None,
    "Friday or Saturday": None,
    "end of the week": None,
    "26": None,
    "the 32nd": None,
    "the 0th": None,
    "in 9999 years": None,
    "": None,
}

FRENCH_DATES = {
    "2024-03-07": "2024-03-07",
    "7 mars 2024": "2024-03-07",
    "le 7 mars": "2027-03-07",
    "1er mars": "2027-03-01",
    "le premier janvier": "2027-01-01",
    "le vingt et un novembre": "2026-11-21",
    "lundi 23 novembre": "2026-11-23",
    "mardi 23 novembre": None,
    "le 14 juil. 2025": "2025-07-14",
    "03/07/2024": "2024-07-03",
    "07/13/2024": "2024-07-13",
    "3/7": "2027-07-03",
    "3.7.24": "2024-07-03",
    "30 février": None,
    "aujourd'hui": "2026-11-21",
    "aujourd’hui": "2026-11-21",
    "ce soir": "2026-11-21",
    "demain": "2026-11-22",
    "demain matin": "2026-11-22",
    "après-demain": "2026-11-23",
    "hier": "2026-11-20",
    "hier soir": "2026-11-20",
    "avant-hier": "2026-11-19",
    "dans 3 jours": "2026-11-24",
    "dans trois jours": "2026-11-24",
    "d'ici deux semaines": "2026-12-05",
    "dans une semaine": "2026-11-28",
    "dans quinze jours": "2026-12-05",
    "dans 15 jours": "2026-12-06",
    "dans deux mois": "2027-01-21",
    "il y a un an": "2025-11-21",
    "il y a 10 jours": "2026-11-11",
    "les 3 derniers mois": "2026-08-21/2026-11-21",
    "lundi": "2026-11-23",
    "lundi prochain": "2026-11-23",
    "vendredi dernier": "2026-11-20",
    "lundi dernier": "2026-11-16",
    "ce samedi": "2026-11-21",
    "mardi matin": "2026-11-24",
    "lundi en huit": "2026-11-30",
    "lundi de la semaine prochaine": "2026-11-23",
    "la semaine prochaine": "2026-11-23/2026-11-29",
    "cette semaine": "2026-11-16/2026-11-22",
    "la semaine dernière": "2026-11-09/2026-11-15",
    "ce week-end": "2026-11-21/2026-11-22",
    "le mois prochain": "2026-12-01/2026-12-31",
    "l'année dernière": "2025-01-01/2025-12-31",
    "fin du mois": "2026-11-30",
    "la fin du mois prochain": "2026-12-31",
    "fin mars": "2027-03-31",
    "début avril 2028": "2028-04-01",
    "mars": "2027-03-01/2027-03-31",
    "en août 2025": "2025-08-01/2025-08-31",
    "2016": "2016-01-01/2016-12-31",
    "le 3": "2026-12-03",
    "le 10 de ce mois": "2026-11-10",
    "Noël": "2026-12-25",
    "le jour de l'an": "2027-01-01",
    "pour vendredi": "2026-11-27",
    "le lundi": None,
    "tous les jours": None,
    "bientôt": None,
    "deux semaines": None,
    "la semaine suivante": None,
    "avant vendredi": None,
    "lundi ou mardi": None,
    "mi-mars": None,
}

ENGLISH_TIMES = {
    "5 pm": "17:00",
    "5pm": "17:00",
    "5 p.m.": "17:00",
    "5 10 p . m .": "17:10",
    "5:30 PM": "17:30",
    "12 am": "00:00",
    "12:15 pm": "12:15",
    "0:25 am": "00:25",
    "17:30": "17:30",
    "09:05": "09:05",
    "at 8:45": "08:45",
    "half past six": "06:30",
    "half past six in the evening": "18:30",
    "quarter to 4 in the afternoon": "15:45",
    "a quarter past nine": "09:15",
    "quarter to 12 in the morning": "11:45",
    "ten minutes to one": "00:50",
    "20 to 2 in the afternoon": "13:40",
    "5 past 11 evening": "23:05",
    "nine to five": None,
    "eight am": "08:00",
    "nine thirty pm": "21:30",
    "eight hundred am": "08:00",
    "1430": "14:30",
    "2 o'clock in the afternoon": "14:00",
    "six o’clock": "06:00",
    "afternoon 12:30": "12:30",
    "15 35 afternoon": "15:35",
    "six in the evening": "18:00",
    "eight at night": "20:00",
    "2 at night": "02:00",
    "noon": "12:00",
    "midnight": "00:00",
    "around 3 pm": "15:00",
    "15 am": None,
    "0:45 pm": None,
    "12 in the morning": None,
    "25:00": None,
    "5:75": None,
    "5 am in the evening": None,
    "morning": None,
    "five minutes": None,
    "one hour": None,
    "after six pm": None,
    "three and five": None,
    "": None,
}

FRENCH_TIMES = {
    "17h30": "17:30",
    "17 h 30": "17:30",
    "17:30": "17:30",
    "9h": "09:00",
    "à 9 heures": "09:00",
    "vingt heures": "20:00",
    "vingt et une heures quinze": "21:15",
    "dix-sept heures trente": "17:30",
    "huit heures et demie": "08:30",
    "8 heures et quart": "08:15",
    "neuf heures moins le quart": "08:45",
    "minuit moins dix": "23:50",
    "3 heures de l'après-midi": "15:00",
    "8 heures du soir": "20:00",
    "6 heures du matin": "06:00",
    "onze heures de la nuit": "23:00",
    "midi": "12:00",
    "midi et demi": "12:30",
    "minuit": "00:00",
    "14h précises": "14:00",
    "24h": None,
    "25h": None,
    "17h75": None,
    "13h du matin": None,
    "12 heures du soir": None,
    "17": None,
    "dix minutes": None,
    "le matin": None,
}


@pytest.mark.parametrize(("text", "value"), ENGLISH_DATES.items())
def test_english_dates(text: str, value: str | None) -> None:
    assert normalise_date(text, TODAY, "en") == value


@pytest.mark.parametrize(("text", "value"), FRENCH_DATES.items())
def test_french_dates(text: str, value: str | None) -> None:
    assert normalise_date(text, TODAY, "fr") == value


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("Wednesday", "en", "2026-11-25"),
        ("this Wednesday", "en", "2026-11-18"),
        ("this Monday", "en", "2026-11-23"),
        ("Friday", "en", "2026-11-20"),
        ("next Friday", "en", "2026-11-27"),
        ("Friday next week", "en", "2026-11-27"),
        ("vendredi prochain", "fr", "2026-11-20"),
        ("vendredi de la semaine prochaine", "fr", "2026-11-27"),
        ("mercredi", "fr", "2026-11-25"),
    ],
)
def test_weekdays_in_the_middle_of_a_week(text: str, language: Language, value: str) -> None:
    assert normalise_date(text, WEDNESDAY, language) == value


def test_months_keep_the_day_or_take_the_last_there_is() -> None:
    assert normalise_date("in a month", date(2027, 1, 31), "en") == "2027-02-28"
    assert normalise_date("a year ago", date(2028, 2, 29), "en") == "2027-02-28"
    assert normalise_date("in two months", date(2026, 12, 5), "en") == "2027-02-05"


@pytest.mark.parametrize(("text", "value"), ENGLISH_TIMES.items())
def test_english_times(text: str, value: str | None) -> None:
    assert normalise_time(text, "en") == value


@pytest.mark.parametrize(("text", "value"), FRENCH_TIMES.items())
def test_french_times(text: str, value: str | None) -> None:
    assert normalise_time(text, "fr") == value


def test_each_type_has_its_own_rules() -> None:
    assert normalise_value("DATE", "tomorrow", TODAY, "en") == "2026-11-22"
    assert normalise_value("TIME", "5 pm", TODAY, "en") == "17:00"
    assert normalise_value("MONEY", "1 234,50 €", TODAY, "fr") == "1234.5 EUR"
    assert normalise_value("TIME", "tomorrow", TODAY, "en") is None
    assert normalise_value("PERSON", "April", TODAY, "en") is None


def test_plain_text() -> None:
    assert plain("  Après-demain,\u00a0L’ÉTÉ. ") == "apres demain l'ete"


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("text", ["1" * 100, "9,999" * 20, "one " * 25, "in " * 33, "\0", "\ud83d", "٣/٤/٢٠٢٤", "½"])
def test_odd_texts_have_no_value_and_raise_nothing(text: str, language: Language) -> None:
    assert normalise_date(text, TODAY, language) is None
    assert normalise_time(text, language) is None
    amount = normalise_amount(text, language)
    assert amount is None or set(amount.number) == {"1"}


def test_the_ends_of_the_calendar() -> None:
    assert normalise_date("tomorrow", date.max, "en") is None
    assert normalise_date("yesterday", date.min, "en") is None
    assert normalise_date("next month", date.max, "en") is None
