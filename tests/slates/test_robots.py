"""Robots are found as they act, by the bounds training has, and what they do counts for nobody."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.facts import ActionKind
from habitue.facts.cleaning.robots import RobotConfig, robots
from habitue.slates.counters import Counters
from habitue.slates.robots import LiveRobots
from habitue.store.contract import ActionColumns

T = 1_700_000_000_000 // 86_400_000 * 86_400_000
MINUTE, HOUR = 60_000, 3_600_000
SHORT = RobotConfig(per_minute=4, minutes=2, hours_a_day=3, longest_hours=2, pause_minutes=10)


def acts(at_ms: list[int], shopper: int = 0, kind: str = "view_item") -> ActionColumns:
    """One shopper's actions at these times, on one item after the other of ten."""
    n = len(at_ms)
    return ActionColumns(
        seq=np.arange(1, n + 1), at_ms=np.array(at_ms, np.int64),
        kind=np.full(n, int(ActionKind[kind]), np.uint8),
        shopper_row=np.full(n, shopper, np.int32), item_row=np.arange(n, dtype=np.int32) % 10,
        price_micros=np.zeros(n, np.int64), rating=np.full(n, np.nan, np.float32),
        new_shopper=np.zeros(n, np.bool_),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at_ms", "found"),
    [
        ([T + 2_000 * n for n in range(301)], True),  # a page each two seconds, for ten minutes
        ([T + 2_000 * n for n in range(290)], False),
        ([T + 10 * n for n in range(2_000)], False),  # an importer's tick: twenty moments
        ([T + HOUR * n for n in range(24)], True),  # each hour of a day
        ([T + HOUR * n for n in range(20)], False),
        ([T + 20 * MINUTE * n for n in range(49)], True),  # sixteen hours without a pause
        ([T + 40 * MINUTE * n for n in range(30)], False),
    ],
)
def test_a_rate_no_person_has_is_seen(at_ms: list[int], found: bool) -> None:
    live = LiveRobots()
    marked = live.observe(acts(at_ms))
    assert live.found(0) is found
    assert live.n_found == found
    assert marked.any() == found
    assert not marked[:20].any()  # from then on only
    late = live.observe(acts([at_ms[-1] + 1000]))
    assert late.tolist() == [found]


def test_orders_and_ratings_are_no_hurry() -> None:
    live = LiveRobots()
    for kind in ("purchase", "rate", "view_item_list"):
        live.observe(acts([T + 1000 * n for n in range(2_000)], kind=kind))
    assert live.n_found == 0


def test_several_shoppers_are_told_apart_in_whatever_batches() -> None:
    live = LiveRobots()
    slow, fast = [T + 90_000 * n for n in range(400)], [T + 1_500 * n for n in range(800)]
    both = sorted([*((at, 1) for at in slow), *((at, 700) for at in fast)])
    for start in range(0, len(both), 37):
        part = both[start : start + 37]
        columns = acts([at for at, _ in part])
        columns.shopper_row[:] = [who for _, who in part]
        live.observe(columns)
    assert (live.found(1), live.found(700), live.found(5_000)) == (False, True, False)
    live.forget(700)
    assert not live.found(700)
    assert live.n_found == 0
    assert live.held_bytes() < 40 * 1_200


@settings(max_examples=200)
@given(st.lists(st.integers(0, 6 * 3_600), min_size=1, max_size=120), st.integers(1, 40))
def test_whoever_is_found_here_is_found_by_training(seconds: list[int], step: int) -> None:
    at_ms = [T + 1000 * second for second in sorted(seconds)]
    live = LiveRobots(SHORT)
    for start in range(0, len(at_ms), step):
        live.observe(acts(at_ms[start : start + step]))
    told = pl.DataFrame(
        {"shopper": 0, "at_ms": at_ms, "kind": int(ActionKind.view_item)},
        schema={"shopper": pl.Int32, "at_ms": pl.Int64, "kind": pl.UInt8},
    )
    if live.found(0):
        assert robots(told, SHORT).height == 1


def test_what_a_robot_does_moves_no_counter_and_is_its_own() -> None:
    counters = Counters(known_robots=np.array([3], np.int32))
    counters.watch(RobotConfig())
    counters.add(acts([T, T + 1000], shopper=3, kind="purchase"))
    assert counters.stats.total.sum() == 0
    assert counters.bought.of([3], T + HOUR).item.tolist() == [0, 1]
    counters.add(acts([T, T + 1000], shopper=4, kind="purchase"))
    assert counters.stats.total[:, 2].tolist() == [1.0, 1.0]
    unwatched = Counters(known_robots=np.array([3], np.int32))
    unwatched.watch(None)
    unwatched.add(acts([T], shopper=3, kind="purchase"))
    assert unwatched.stats.total.sum() > 0
