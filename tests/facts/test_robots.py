"""Shoppers at rates no person has are marked, and nobody else is."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.facts import ActionKind
from habitue.facts.cleaning.robots import RobotConfig, robots
from tests.facts.tables import counts, imported, mapping

VIEW, BUY, RATE = (
    int(kind) for kind in (ActionKind.view_item, ActionKind.purchase, ActionKind.rate)
)
T = 1_599_955_200_000  # a midnight, UTC
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def acts(times: list[int], who: str = "r", kind: int = VIEW, items: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "shopper": [who] * len(times),
            "at_ms": [T + time for time in times],
            "kind": pl.Series([kind] * len(times), dtype=pl.UInt8),
            "item": [f"i{n % items}" for n in range(len(times))],
        }
    )


def found(frame: pl.DataFrame, config: RobotConfig | None = None) -> dict[str, set[str]]:
    said = robots(frame, config or RobotConfig())
    return {
        row["shopper"]: {test for test in ("pace", "reach", "hours", "pause") if row[test]}
        for row in said.iter_rows(named=True)
    }


def test_two_seconds_a_page_for_ten_minutes_is_no_person() -> None:
    quick = acts([2_000 * n for n in range(300)])
    assert found(quick) == {"r": {"pace"}}
    assert found(quick.head(299)) == {}
    assert found(acts([2_010 * n for n in range(300)])) == {}  # 601 seconds


def test_a_thousand_items_in_a_day_is_no_person() -> None:
    browsing = [20_000 * n for n in range(1_000)]
    assert found(acts(browsing, items=1_000)) == {"r": {"reach"}}
    assert found(acts(browsing, items=999)) == {}
    two_days = [time + (DAY if n >= 500 else 0) for n, time in enumerate(browsing)]
    assert found(acts(two_days, items=1_000)) == {}


def test_every_hour_of_a_day_is_no_person() -> None:
    assert found(acts([HOUR * n for n in range(22)])) == {"r": {"hours"}}
    assert found(acts([HOUR * n for n in range(21)])) == {}


def test_sixteen_hours_without_a_pause_is_no_person() -> None:
    steady = [30 * MINUTE * n for n in range(33)]
    assert found(acts(steady)) == {"r": {"pause"}}
    assert found(acts(steady[:-1])) == {}
    rested = [time + (MINUTE if n >= 16 else 0) for n, time in enumerate(steady)]
    assert found(acts(rested)) == {}


def test_an_order_of_many_lines_and_an_hour_of_rating_are_people() -> None:
    order = acts([0] * 800, kind=BUY, items=800)
    rating = acts([1_000 * n for n in range(2_000)], kind=RATE, items=2_000)
    burst = acts([0] * 400, items=400)  # a page that loads everything at once is one moment
    assert found(pl.concat([order, rating, burst])) == {}


def test_rates_are_each_shoppers_own() -> None:
    halves = [acts([2_000 * n for n in range(150)], who) for who in ("a", "b")]
    assert found(pl.concat(halves)) == {}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400)), min_size=1, max_size=120),
    st.integers(2, 6),
    st.integers(1, 3),
)
def test_pace_equals_counting_every_window(
    said: list[tuple[int, int]], per_minute: int, minutes: int
) -> None:
    frame = pl.concat([acts([second * 1000], who=f"s{who}") for who, second in said])
    config = RobotConfig(
        per_minute=per_minute, minutes=minutes, items_a_day=10_000, hours_a_day=25,
        longest_hours=1_000,
    )  # fmt: skip
    expected = set()
    for who in range(3):
        seconds = {second for one, second in said if one == who}
        for begin in seconds:
            inside = sum(begin <= second < begin + minutes * 60 for second in seconds)
            if inside >= per_minute * minutes:
                expected.add(f"s{who}")
    assert found(frame, config) == {who: {"pace"} for who in expected}


CLICKS = """
[action]
kind = "view_item"
shopper = "who"
item = "what"
at = { column = "at", unit = "ms" }
[cleaning]
duplicates = "ignore"
"""


def clicks(who: str, every_ms: int, n: int) -> list[dict[str, Any]]:
    return [{"who": who, "what": f"i{k}", "at": T + every_ms * k} for k in range(n)]


def test_an_import_flags_them_and_says_how_many() -> None:
    rows = clicks("crawler", 1_000, 700) + clicks("anna", 60_000, 20)
    result = imported(rows, mapping(CLICKS))
    assert counts(result) == {"robot_pace": 700}
    (said,) = result.report.found
    assert (said.becomes, said.examples) == ("flagged", (0, 1, 2, 3, 4))
    assert said.reason == (
        "keeps up 30 pages a minute for 10 minutes, as no person does (shoppers: 1)"
    )
    marked = [json.loads(extra or "{}") for extra in result.actions["extra"].to_pylist()]
    assert [mark.get("robot_pace") for mark in marked] == [True] * 700 + [None] * 20


@pytest.mark.parametrize("also", ["find_robots = false", "[cleaning.robots]\nper_minute = 100"])
def test_a_mapping_may_know_better(also: str) -> None:
    assert counts(imported(clicks("monitor", 1_000, 700), mapping(CLICKS + also))) == {}
