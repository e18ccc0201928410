"""How the pages say things: prices, ages, and what a shopper did."""

from __future__ import annotations

from typing import Final

from habitue.facts.money import minor_exponent

__all__ = ["DEEDS", "ago", "count", "money", "money_minor"]

_SIGNS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "CNY": "¥"}

DEEDS: Final = {
    "view_item": "looked at",
    "select_item": "picked",
    "add_to_cart": "put in the cart",
    "remove_from_cart": "took out of the cart",
    "add_to_wishlist": "wished for",
    "purchase": "bought",
    "refund": "gave back",
    "rate": "rated",
    "review": "reviewed",
    "like": "liked",
    "not_interested": "turned down",
}
"""What a kind of action is called in a sentence about the shopper."""


def money(micros: int | None, currency: str) -> str:
    """A unit price as people read it.

    >>> money(18_900_000, "EUR")
    '€18.90'
    """
    if micros is None:
        return ""
    digits = minor_exponent(currency) if currency else 2
    amount = f"{micros / 1_000_000:,.{digits}f}"
    sign = _SIGNS.get(currency)
    return f"{sign}{amount}" if sign else f"{amount} {currency}".strip()


def money_minor(minor: int, currency: str) -> str:
    """A line total as people read it.

    >>> money_minor(3780, "EUR")
    '€37.80'
    """
    digits = minor_exponent(currency) if currency else 2
    return money(minor * 10 ** (6 - digits), currency)


def ago(at_ms: int, now_ms: int) -> str:
    """How long since, in the coarsest unit that says something.

    >>> ago(0, 90_000), ago(0, 3 * 86_400_000), ago(0, 500)
    ('1 min ago', '3 days ago', 'just now')
    """
    seconds = max(0, now_ms - at_ms) // 1000
    for size, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        n = seconds // size
        if n:
            return f"{n} {unit}{'s' if unit == 'day' and n > 1 else ''} ago"
    return "just now"


def count(n: int) -> str:
    """A number with its thousands parted.

    >>> count(338214)
    '338,214'
    """
    return f"{n:,}"
