"""Amounts of money as integers: unit prices in micros, line totals in minor units, dated rates.

A micro is a millionth of a currency's unit whatever the currency (1.50 EUR = 1_500_000); a minor
unit is what ISO 4217 says it is: a cent of a euro, a whole yen, a thousandth of a dinar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.errors import BadInput
from habitue.facts.facts import Money

__all__ = [
    "EXPONENTS",
    "MICROS",
    "Rates",
    "format_minor",
    "is_currency",
    "line_total_minor",
    "line_totals_minor",
    "micros_of",
    "minor_exponent",
    "parse_price",
]

MICROS: Final = 1_000_000
"""Micros in one unit of any currency."""

# fmt: off
EXPONENTS: Final[dict[str, int]] = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}
# fmt: on
"""Digits of the minor units that are not two (ISO 4217)."""

_PRICE: Final = re.compile(r"^\s*(?:([A-Za-z]{3})\s*)?(\d+(?:\.\d+)?)(?:\s*([A-Za-z]{3}))?\s*$")


def minor_exponent(currency: str) -> int:
    """Decimal digits of the currency's minor unit (ISO 4217): 2 unless the standard says another.

    >>> minor_exponent("EUR"), minor_exponent("JPY"), minor_exponent("KWD")
    (2, 0, 3)
    """
    return EXPONENTS.get(currency, 2)


def is_currency(text: str) -> bool:
    """Whether this is written as ISO 4217 writes currencies: three capital letters.

    >>> is_currency("EUR"), is_currency("eur"), is_currency("12€")
    (True, False, False)
    """
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def micros_of(amount: Decimal | str | int | float) -> int:
    """An amount in units of its currency as micros, halves to the even micro.

    A float is read as the shortest decimal that prints it, so 0.1 is a tenth and not
    0.1000000000000000055. Raises ``BadInput`` for what is not a finite number.

    >>> micros_of("2.55"), micros_of(0.1)
    (2550000, 100000)
    """
    try:
        exact = amount if isinstance(amount, Decimal) else Decimal(str(amount).strip())
        return int((exact * MICROS).to_integral_value(ROUND_HALF_EVEN))
    except (InvalidOperation, OverflowError, ValueError):
        raise BadInput(
            f"{amount!r} is not an amount of money.", remedy="Write it as digits, such as 15.00."
        ) from None


def parse_price(text: str, default_currency: str | None = None) -> Money:
    """A Merchant Center price, such as "15.00 USD", as micros of its currency.

    Raises ``BadInput`` for anything else: a decimal comma and thousands separators mean different
    amounts in different places, so they are refused and not guessed.

    >>> parse_price("15.00 USD")
    Money(micros=15000000, currency='USD')
    """
    match = _PRICE.match(text)
    if match is None:
        raise BadInput(
            f"{text!r} is not a price.",
            remedy='Write digits, a point and the ISO currency, such as "15.00 USD".',
        )
    before, digits, after = match.groups()
    said = before or after
    if before and after and before.upper() != after.upper():
        raise BadInput(f"{text!r} names two currencies.", remedy="Name one.")
    currency = said.upper() if said else default_currency
    if currency is None:
        raise BadInput(
            f"{text!r} has no currency.", remedy='Add the ISO code ("15.00 USD") or set a default.'
        )
    return Money(micros=micros_of(digits), currency=currency)


def line_total_minor(price_micros: int, quantity: float, currency: str) -> int:
    """Unit price times quantity in minor units, exact, halves to the even unit.

    >>> line_total_minor(2_550_000, 6, "GBP")
    1530
    """
    exact = Decimal(price_micros) * Decimal(str(quantity)) / 10 ** (6 - minor_exponent(currency))
    return int(exact.to_integral_value(ROUND_HALF_EVEN))


def line_totals_minor(
    price_micros: NDArray[np.int64], quantity: NDArray[np.float64], currency: str
) -> NDArray[np.int64]:
    """``line_total_minor`` for whole columns of one currency.

    Exact for whole quantities while a total stays under 2**63 micros (nine billion units of a
    currency); other quantities are rounded from their nearest double.
    """
    step = 10 ** (6 - minor_exponent(currency))
    whole = quantity == np.rint(quantity)
    pieces = np.where(whole, quantity, 0).astype(np.int64)
    product = price_micros.astype(np.int64) * pieces
    floor, rest = np.divmod(product, step)
    up = (rest * 2 > step) | ((rest * 2 == step) & (floor % 2 == 1))
    parts = np.rint(price_micros * np.where(whole, 0.0, quantity) / step).astype(np.int64)
    total: NDArray[np.int64] = np.where(whole, floor + up, parts)
    return total


def format_minor(minor: int, currency: str) -> str:
    """A line total as text.

    >>> format_minor(-1530, "GBP"), format_minor(1530, "JPY")
    ('-15.30 GBP', '1530 JPY')
    """
    digits = minor_exponent(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f} {currency}"


@dataclass(frozen=True, slots=True)
class Rates:
    """What one unit of each currency was worth in the shop's base currency, day by day.

    A rate holds from its day (UTC) until the next one. Build it with ``Rates.of``.
    """

    base: str
    days: Mapping[str, NDArray[np.int64]]  # currency -> days since 1970, ascending
    worth: Mapping[str, NDArray[np.float64]]  # currency -> units of base for one unit, per day

    @classmethod
    def of(cls, base: str, rows: Iterable[tuple[date, str, Decimal | str | float]] = ()) -> Rates:
        """Rates from rows (day, currency, worth of one unit in ``base``), in any order.

        >>> Rates.of("EUR", [(date(2024, 1, 1), "USD", "0.90")]).micros(
        ...     np.array([10_000_000]), "USD", np.array([1_704_153_600_000]))
        array([9000000])
        """
        by_currency: dict[str, dict[int, float]] = {}
        for day, currency, worth in rows:
            value = float(worth)
            if not (value > 0 and np.isfinite(value)):
                raise BadInput(
                    f"The rate of {currency} on {day} is {worth!r}.",
                    remedy="Rates are positive: units of the base currency for one unit.",
                    field="rate",
                )
            by_currency.setdefault(currency, {})[(day - date(1970, 1, 1)).days] = value
        ordered = {currency: sorted(table.items()) for currency, table in by_currency.items()}
        return cls(
            base,
            {c: np.array([day for day, _ in table], np.int64) for c, table in ordered.items()},
            {c: np.array([worth for _, worth in table]) for c, table in ordered.items()},
        )

    def micros(
        self, amount: NDArray[np.int64], currency: str, at_ms: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Unit prices in ``currency`` as micros of the base currency, each at its own day."""
        if currency == self.base:
            return amount
        return np.rint(amount * self._worth_at(currency, at_ms)).astype(np.int64)

    def minor(
        self, amount: NDArray[np.int64], currency: str, at_ms: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Line totals in ``currency`` as minor units of the base currency, each at its own day."""
        if currency == self.base:
            return amount
        scale = 10.0 ** (minor_exponent(self.base) - minor_exponent(currency))
        return np.rint(amount * self._worth_at(currency, at_ms) * scale).astype(np.int64)

    def _worth_at(self, currency: str, at_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        days = self.days.get(currency)
        if days is None:
            raise BadInput(
                f"There is no rate from {currency} to {self.base}.",
                remedy=f"Add dated rates for {currency} to the settings.",
                field="currency",
            )
        place = np.searchsorted(days, at_ms // 86_400_000, side="right") - 1
        if len(place) and int(place.min()) < 0:
            first = date.fromordinal(date(1970, 1, 1).toordinal() + int(days[0]))
            raise BadInput(
                f"The first rate from {currency} to {self.base} is of {first}.",
                remedy="Add an earlier one: amounts older than that cannot be converted.",
                field="currency",
            )
        worth: NDArray[np.float64] = self.worth[currency][place]
        return worth
