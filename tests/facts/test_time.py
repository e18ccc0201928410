"""Instants are UTC milliseconds; days are the shop's."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from habitue.errors import BadInput
from habitue.facts.time import (
    EARLIEST_MS,
    ClockConfig,
    epoch_unit,
    local_ms,
    shop_days,
    shop_hours,
    to_ms,
    why_not_at,
)

NOON = 1_323_435_000_000  # 2011-12-09T12:50:00Z


@pytest.mark.parametrize(
    "said",
    [
        "2011-12-09T12:50:00Z",
        "2011-12-09T14:50:00+02:00",
        "1323435000",
        1_323_435_000,
        1_323_435_000_000,
        1_323_435_000_000_000,
        "1323435000000000",
        1_323_435_000_000_000_000,
        1_323_435_000.0,
        datetime(2011, 12, 9, 12, 50, tzinfo=UTC),
        datetime(2011, 12, 9, 7, 50, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_one_instant_in_every_way_it_is_written(said: datetime | int | str) -> None:
    assert to_ms(said) == NOON


@pytest.mark.parametrize("said", ["2011-12-09T12:50:00", "yesterday", "", float("nan")])
def test_times_without_a_zone_or_a_meaning_are_refused(said: str | float) -> None:
    with pytest.raises(BadInput):
        to_ms(said)


@pytest.mark.parametrize(
    "said",
    [10**30, "9" * 30, "9" * 5_000, -(10**400), float("nan"), float("inf"), 1e300],
)
def test_numbers_beyond_any_unit_are_refused(said: int | float | str) -> None:
    with pytest.raises(BadInput, match="is not a time"):
        to_ms(said)


def test_a_named_unit_is_believed() -> None:
    assert to_ms(5, "s") == 5_000
    assert to_ms(5_999, "us") == 5
    assert epoch_unit(5) == "s"


@given(st.integers(631_152_000_000_000, 4_000_000_000_000_000))
def test_every_datetime_is_counted_from_1970(micros: int) -> None:
    aware = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    assert to_ms(aware) == micros // 1000
    assert to_ms(aware.isoformat()) == to_ms(aware)


@given(
    st.lists(st.integers(631_152_000_000, 4_000_000_000_000), min_size=1, max_size=20),
    st.sampled_from(["Europe/London", "Asia/Shanghai", "America/New_York", "UTC"]),
)
def test_shop_days_are_those_of_the_calendar_on_its_wall(at: list[int], zone: str) -> None:
    there = [datetime.fromtimestamp(t / 1000, UTC).astimezone(ZoneInfo(zone)) for t in at]
    assert shop_days(np.array(at), zone).tolist() == [t.toordinal() - 719_163 for t in there]
    assert shop_hours(np.array(at), zone).tolist() == [t.hour for t in there]


def test_a_summer_evening_in_london_belongs_to_the_next_day_there() -> None:
    at = to_ms("2011-07-01T23:30:00Z")
    assert shop_days(np.array([at]), "Europe/London") == shop_days(np.array([at]), "UTC") + 1
    assert local_ms(np.array([at]), "Europe/London")[0] - at == 3_600_000


def test_clocks_that_are_wrong_are_told_how() -> None:
    assert why_not_at(NOON, NOON) is None
    assert why_not_at(NOON + 300_000, NOON) is None
    assert "1 s in the future" in str(why_not_at(NOON + 1_000, NOON, max_future_ms=0))
    assert "looks like seconds" in str(why_not_at(NOON // 1000, NOON))
    assert "looks like microseconds" in str(why_not_at(NOON * 1000, NOON))
    assert "before 1990" in str(why_not_at(0, NOON))
    assert "before 1990" in str(why_not_at(-(10**18), NOON))


@given(st.integers(-(2**63), 2**63 - 1))
@example(-65_514_381_486_958)
@example(253_402_300_799_999)
def test_any_instant_is_told_or_taken(at_ms: int) -> None:
    assert (why_not_at(at_ms, NOON) is None) == (EARLIEST_MS <= at_ms <= NOON + 300_000)


def test_a_time_zone_must_exist() -> None:
    assert ClockConfig(time_zone="Asia/Shanghai").time_zone == "Asia/Shanghai"
    for wrong in ("Europe/Atlantis", "", "../etc/passwd"):
        with pytest.raises(ValidationError, match="IANA"):
            ClockConfig(time_zone=wrong)
