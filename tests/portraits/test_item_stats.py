"""Item statistics: the same numbers from a log, and from actions as they come in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.errors import SnapshotError
from habitue.facts import ActionKind, ActionLog
from habitue.portraits import CHANNELS, ItemStats, ItemStatsConfig
from habitue.store.contract import ActionColumns
from tests.portraits.logs import DAY, N_ITEMS, Row, log_of, rows

NOW = 201 * DAY
NAN = float("nan")


def told(log: ActionLog, which: np.ndarray | None = None) -> ActionColumns:
    """Rows of a log as live state is told of them."""
    those = np.arange(len(log)) if which is None else which
    return ActionColumns(
        log.seq[those], log.at_ms[those], log.kind[those], log.shopper_row[those],
        log.item_row[those], log.price_micros[those], log.rating[those],
        np.zeros(len(those), np.bool_), log.quantity[those],
    )  # fmt: skip


def by_hand(given_rows: list[Row], now_ms: int, half_life_days: float) -> np.ndarray:
    """Decayed counts (n_items, 4) by a plain loop over the rows."""
    out = np.zeros((N_ITEMS, 4))
    firsts: dict[tuple[int, int], int] = {}
    channel = {ActionKind.view_item: 0, ActionKind.add_to_cart: 1, ActionKind.purchase: 2}
    for at, kind, shopper, item, *_ in given_rows:
        if item < 0 or kind not in channel:
            continue
        out[item, channel[kind]] += 2 ** (-(now_ms - at) / DAY / half_life_days)
        if kind == ActionKind.purchase and shopper >= 0:
            firsts[shopper, item] = min(at, firsts.get((shopper, item), at))
    for (_, item), at in firsts.items():
        out[item, 3] += 2 ** (-(now_ms - at) / DAY / half_life_days)
    return out


def same(a: ItemStats, b: ItemStats) -> None:
    np.testing.assert_allclose(a.counts(NOW), b.counts(NOW), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(a.total, b.total)
    np.testing.assert_array_equal(a.first_ms, b.first_ms)
    np.testing.assert_array_equal(a.last_ms, b.last_ms)
    np.testing.assert_array_equal(a.last_buy_ms, b.last_buy_ms)
    np.testing.assert_allclose(a.mean_rating(), b.mean_rating())
    np.testing.assert_allclose(a.mean_log_price(), b.mean_log_price())
    np.testing.assert_allclose(a.mean_log_quantity(), b.mean_log_quantity())


@given(rows())
@settings(max_examples=60)
def test_a_counter_is_the_sum_of_faded_actions(given_rows: list[Row]) -> None:
    stats = ItemStats.as_of(log_of(given_rows), NOW)
    for h, half_life in enumerate(stats.config.half_life_days):
        expected = by_hand(given_rows, NOW, half_life)
        np.testing.assert_allclose(stats.counts(NOW)[:, h], expected, rtol=1e-9, atol=1e-12)


@given(rows(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_live_counters_equal_the_log_however_late_actions_come(given_rows, random) -> None:
    log = log_of(given_rows)
    order = list(range(len(log)))
    random.shuffle(order)
    live = ItemStats()
    live.grow(log.n_items)
    while order:
        n = random.randint(1, 7)
        batch, order = np.array(order[:n]), order[n:]
        live.observe(told(log, batch))
        live.observe(told(log, batch[: len(batch) // 2]))  # told again: counted once
    same(live, ItemStats.as_of(log, NOW))


@given(rows(), st.integers(1, 200))
@settings(max_examples=40)
def test_what_happens_at_now_or_later_is_not_read(given_rows: list[Row], day: int) -> None:
    now = day * DAY
    before = [row for row in given_rows if row[0] < now]
    part = ItemStats.as_of(log_of(given_rows), now)
    whole = ItemStats.as_of(log_of(before), now) if before else ItemStats()
    whole.grow(N_ITEMS)
    np.testing.assert_allclose(part.counts(now), whole.counts(now), rtol=1e-9, atol=1e-12)


def test_what_was_told_up_to_a_watermark_is_not_told_again() -> None:
    log = log_of([(DAY * d, ActionKind.view_item, 0, 0, -1, 1.0, NAN) for d in range(1, 6)])
    stats = ItemStats.as_of(log, 3 * DAY)  # two actions, seq 1 and 2
    stats.observe(told(log))
    assert stats.total[0, 0] == 5
    stats.caught_up(5)
    stats.observe(told(log))
    assert stats.total[0, 0] == 5


def test_a_refusal_and_a_rating_are_no_demand() -> None:
    stats = ItemStats.as_of(
        log_of([
            (DAY, ActionKind.not_interested, 0, 1, -1, 1.0, NAN),
            (DAY, ActionKind.rate, 0, 1, -1, 1.0, 5.0),
        ]),
        NOW,
    )  # fmt: skip
    assert not stats.total.any()
    assert stats.first_ms[1] == DAY


def test_ratings_are_shrunk_towards_the_shop() -> None:
    """One rating of 5 in a shop whose three ratings average 3: (5 + 10 * 3) / 11."""
    ratings = [(0, 5.0), (1, 2.0), (1, 2.0)]
    log = log_of([(DAY, ActionKind.rate, 0, i, -1, 1.0, r) for i, r in ratings])
    stats = ItemStats.as_of(log, NOW, ItemStatsConfig(rating_prior_count=10))
    np.testing.assert_allclose(stats.mean_rating()[:3], [35 / 11, 34 / 12, 3.0])


def test_repeat_rate_price_and_quantity() -> None:
    buys = [(DAY, 0, 1.0), (2 * DAY, 0, 3.0), (3 * DAY, 1, 1.0)]
    log = log_of([(at, ActionKind.purchase, s, 2, -1, q, NAN) for at, s, q in buys])
    stats = ItemStats.as_of(log, NOW)
    assert stats.repeat_rate()[2] == 1.5  # three purchases by two shoppers
    assert stats.mean_log_price()[2] == pytest.approx(math.log(2.0))
    assert stats.mean_log_quantity()[2] == pytest.approx(
        (math.log1p(1) + math.log1p(3) + math.log1p(1)) / 3
    )


def test_the_epoch_moves_on_through_decades_of_events() -> None:
    stats = ItemStats()
    for year in range(30):
        at = 365 * DAY * year + DAY
        stats.observe_log(log_of([(at, ActionKind.view_item, 0, 0, -1, 1.0, NAN)]))
    counts = stats.counts(at)
    assert np.isfinite(counts).all()
    assert counts[0, 0, CHANNELS.index("view")] == pytest.approx(1.0)


def test_items_posted_later_find_room() -> None:
    stats = ItemStats()
    stats.posted(np.array([7], np.int32), np.array([5 * DAY]))
    stats.observe_log(log_of([(9 * DAY, ActionKind.view_item, 0, 9, -1, 1.0, NAN)], n_items=10))
    assert stats.n_items == 10
    assert stats.first_ms[7] == 5 * DAY
    assert stats.total[9, 0] == 1


def test_an_item_costs_less_than_two_kilobytes() -> None:
    stats = ItemStats()
    stats.grow(10_000)
    assert stats.bytes_per_item() < 2048


def test_saved_statistics_go_on_where_they_stood(tmp_path: Path) -> None:
    buys = [(DAY * d, ActionKind.purchase, d % 3, d % 2, -1, 1.0, NAN) for d in range(1, 20)]
    log = log_of(buys)
    stats = ItemStats.as_of(log, 10 * DAY)
    stats.save(tmp_path / "stats")
    loaded = ItemStats.load(tmp_path / "stats")
    loaded.observe_log(log.between(10 * DAY, NOW))
    same(loaded, ItemStats.as_of(log, NOW))


def test_a_copy_is_led_on_apart() -> None:
    log = log_of([(DAY, ActionKind.purchase, 0, 0, -1, 1.0, NAN)])
    stats = ItemStats.as_of(log, NOW)
    stats.copy().observe_log(log)
    assert stats.total[0, 2] == 1


def test_missing_statistics_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="Train again"):
        ItemStats.load(tmp_path)
