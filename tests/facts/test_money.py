"""Money is exact, and says its currency."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadInput
from habitue.facts import Money
from habitue.facts.feeds.typed import total_minor
from habitue.facts.money import (
    Rates,
    format_minor,
    line_total_minor,
    line_totals_minor,
    micros_of,
    minor_exponent,
    parse_price,
)


@pytest.mark.parametrize(
    ("text", "micros", "currency"),
    [
        ("15.00 USD", 15_000_000, "USD"),
        ("15 usd", 15_000_000, "USD"),
        ("EUR 0.99", 990_000, "EUR"),
        ("  1299JPY ", 1_299_000_000, "JPY"),
        ("0.000001 BHD", 1, "BHD"),
    ],
)
def test_prices_as_merchant_center_writes_them(text: str, micros: int, currency: str) -> None:
    assert parse_price(text) == Money(micros=micros, currency=currency)


@pytest.mark.parametrize(
    "text",
    ["15,00 USD", "1,299.00 USD", "$15", "15.00", "", "USD", "-3 EUR", "EUR 3 USD", "1e3 EUR"],
)
def test_prices_that_could_mean_two_things_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_price(text)


def test_a_bare_number_takes_the_default_currency() -> None:
    assert parse_price("15.00", "GBP") == Money(micros=15_000_000, currency="GBP")


def test_minor_units_follow_iso_4217() -> None:
    assert [minor_exponent(c) for c in ("EUR", "JPY", "KRW", "KWD", "CLF")] == [2, 0, 0, 3, 4]


def test_line_totals_by_hand() -> None:
    assert line_total_minor(2_550_000, 6, "GBP") == 1530  # 6 x 2.55 = 15.30
    assert line_total_minor(1_299_000_000, 2, "JPY") == 2598
    assert line_total_minor(1_250, 3, "KWD") == 4  # 0.00375 dinar: 3.75 fils, nearest is 4
    assert line_total_minor(5_000, 1, "EUR") == 0  # half a cent goes to the even cent
    assert line_total_minor(15_000, 1, "EUR") == 2
    assert line_total_minor(3_990_000, 0.75, "EUR") == 299  # 2.9925, a scale's weight


@given(st.integers(0, 10**10), st.integers(1, 10**5), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_columns_and_single_lines_agree(price: int, pieces: int, currency: str) -> None:
    exact = Decimal(price) * pieces / 10 ** (6 - minor_exponent(currency))
    expected = int(exact.to_integral_value(ROUND_HALF_EVEN))
    assert line_total_minor(price, pieces, currency) == expected
    column = line_totals_minor(np.array([price]), np.array([float(pieces)]), currency)
    assert column.tolist() == [expected]
    frame = pl.DataFrame({"p": [price], "q": [float(pieces)], "c": [currency]})
    for unit in (currency, pl.col("c")):
        assert frame.select(total_minor(pl.col("p"), pl.col("q"), unit)).item() == expected


@given(st.integers(-(10**15), 10**15))
def test_what_is_written_as_a_decimal_is_read_back(micros: int) -> None:
    assert micros_of(Decimal(micros).scaleb(-6)) == micros


def test_floats_are_the_decimals_they_print() -> None:
    assert micros_of(0.1) == 100_000
    assert micros_of(2.55) == 2_550_000
    for nothing in ("", "abc", float("nan"), float("inf"), "1_0x"):
        with pytest.raises(BadInput):
            micros_of(nothing)


def test_totals_are_written_with_their_digits() -> None:
    assert format_minor(-1530, "GBP") == "-15.30 GBP"
    assert format_minor(5, "KWD") == "0.005 KWD"


DAY = 86_400_000
JAN_1 = 1_704_067_200_000  # 2024-01-01


def _rates() -> Rates:
    return Rates.of(
        "EUR",
        [
            (date(2024, 1, 3), "USD", "0.80"),
            (date(2024, 1, 1), "USD", "0.90"),
            (date(2024, 1, 1), "JPY", Decimal("0.0064")),
        ],
    )


def test_an_amount_takes_the_rate_of_its_own_day() -> None:
    at = np.array([JAN_1, JAN_1 + 2 * DAY - 1, JAN_1 + 2 * DAY, JAN_1 + 900 * DAY])
    ten_dollars = np.full(4, 10_000_000)
    assert _rates().micros(ten_dollars, "USD", at).tolist() == [9_000_000] * 2 + [8_000_000] * 2
    assert _rates().minor(np.full(4, 1000), "USD", at).tolist() == [900, 900, 800, 800]


def test_minor_units_of_different_size_are_converted() -> None:
    assert _rates().minor(np.array([1000]), "JPY", np.array([JAN_1])).tolist() == [640]


def test_the_base_currency_stays_as_it_is() -> None:
    amount = np.array([7])
    assert _rates().micros(amount, "EUR", np.array([0])) is amount


def test_a_missing_rate_says_which() -> None:
    with pytest.raises(BadInput, match="no rate from GBP to EUR"):
        _rates().minor(np.array([1]), "GBP", np.array([JAN_1]))
    with pytest.raises(BadInput, match="2024-01-01"):
        _rates().minor(np.array([1]), "USD", np.array([JAN_1 - 1]))
    with pytest.raises(BadInput, match="positive"):
        Rates.of("EUR", [(date(2024, 1, 1), "USD", 0)])
