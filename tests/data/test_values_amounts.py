"""Tables of texts and the amounts of money in them."""

import pytest

from edgewright.data.values import Amount, normalise_amount

ENGLISH_AMOUNTS = {
    "$1,234.56": "1234.56 USD",
    "$ 23": "23 USD",
    "$13.00": "13 USD",
    "€1.234,56": "1234.56 EUR",
    "£20": "20 GBP",
    "41.55 £": "41.55 GBP",
    "320 €": "320 EUR",
    "3,50 €": "3.5 EUR",
    "¥5000": "5000 JPY",
    "C$ 15": "15 CAD",
    "US$ 15": "15 USD",
    "20 USD": "20 USD",
    "EUR 20": "20 EUR",
    "$20 CAD": "20 CAD",
    "twenty dollars": "20 USD",
    "one thousand one hundred and forty dollars": "1140 USD",
    "a hundred pounds": "100 GBP",
    "a dollar": "1 USD",
    "50 bucks": "50 USD",
    "5k": "5000",
    "$1.5k": "1500 USD",
    "5 grand": "5000",
    "2 million euros": "2000000 EUR",
    "$3.2bn": "3200000000 USD",
    "three hundred thousand dollars": "300000 USD",
    "5 dollars and 20 cents": "5.2 USD",
    "1,234,567": "1234567",
    "832": "832",
    "about $40": "40 USD",
    "-$5": "-5 USD",
    "$20 EUR": None,
    "$1.234": None,
    "1,234,56 dollars": None,
    "$5 or $6": None,
    "less than $20": None,
    "dollars": None,
    "a lot of money": None,
    "twenty minutes": None,
    "": None,
}

FRENCH_AMOUNTS = {
    "1 234,56 €": "1234.56 EUR",
    "1\u202f234,56\u00a0€": "1234.56 EUR",
    "1.234,56 euros": "1234.56 EUR",
    "1,234.56 $": "1234.56 USD",
    "12,50€": "12.5 EUR",
    "12€50": "12.5 EUR",
    "1.500 €": "1500 EUR",
    "vingt euros": "20 EUR",
    "un euro": "1 EUR",
    "quatre-vingt-dix-neuf euros": "99 EUR",
    "deux mille trois cents euros": "2300 EUR",
    "mille euros": "1000 EUR",
    "3,5 M€": "3500000 EUR",
    "250 k€": "250000 EUR",
    "deux millions d'euros": "2000000 EUR",
    "1,2 milliard d’euros": "1200000000 EUR",
    "13 millions d' euros": "13000000 EUR",
    "1,145 milliard de dollars": "1145000000 USD",
    "20 euros et 50 centimes": "20.5 EUR",
    "100 francs suisses": "100 CHF",
    "50 livres sterling": "50 GBP",
    "20 dollars canadiens": "20 CAD",
    "1,234 €": None,
    "quelques euros": None,
    "10 à 20 euros": None,
}


def shown(amount: Amount | None) -> str | None:
    return None if amount is None else str(amount)


@pytest.mark.parametrize(("text", "value"), ENGLISH_AMOUNTS.items())
def test_english_amounts(text: str, value: str | None) -> None:
    assert shown(normalise_amount(text, "en")) == value


@pytest.mark.parametrize(("text", "value"), FRENCH_AMOUNTS.items())
def test_french_amounts(text: str, value: str | None) -> None:
    assert shown(normalise_amount(text, "fr")) == value


def test_an_amount_is_a_decimal_string_and_a_code() -> None:
    assert normalise_amount("$0.10", "en") == Amount("0.1", "USD")
    assert normalise_amount("1728", "en") == Amount("1728", None)
