"""What happens later moves nothing that is learnt from: a planted future leaves no trace."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from habitue.facts import ActionKind, ActionLog, Item
from habitue.portraits import ShopperIndex, contexts_as_of
from habitue.training.dataset import ShopFacts
from habitue.training.moments import beside_carts, beside_items, in_visits
from habitue.training.train import fit_sources
from habitue.training.windows import lessons, window_of
from tests.training.shop import (
    CONFIG,
    DAY,
    N_ITEMS,
    facts_of,
    first_versions,
    shop_log,
    versions_of,
)

CUT, UNTIL = 80 * DAY, 100 * DAY


def planted(at_ms: int) -> ActionLog:
    """The shop's log with a rush on item 1 from ``at_ms`` on, by every shopper."""
    log = shop_log()
    rush = log.take(np.arange(60))
    n = len(rush)
    rush = replace(
        rush,
        at_ms=np.full(n, at_ms),
        kind=np.full(n, int(ActionKind.purchase), np.uint8),
        shopper_row=np.arange(n, dtype=np.int32),
        item_row=np.ones(n, np.int32),
        price_micros=np.full(n, 99_000_000),
        rating=np.full(n, 5.0, np.float32),
        seq=np.arange(10_000, 10_000 + n),
    )
    columns = {
        f.name: np.concatenate([getattr(log, f.name), getattr(rush, f.name)])
        for f in fields(log)
        if f.name not in ("n_shoppers", "n_items", "circumstances")
    }
    both = replace(log, **columns)
    return both.take(np.argsort(both.at_ms, kind="stable"))


def features_at_cut(facts: ShopFacts) -> np.ndarray:
    """What the ranker would see of every item for every shopper, asked at the cut.

    Contexts are drawn from a log that goes on past the cut, as they are in training.
    """
    known = facts.as_of(CUT)
    sources = fit_sources(known, CONFIG, np.random.default_rng(0))
    window = window_of(known, sources, CONFIG.item_stats)
    n = facts.log.n_shoppers
    context = contexts_as_of(
        ShopperIndex.of(facts.between(0, UNTIL)),
        np.arange(n, dtype=np.int32),
        np.full(n, CUT),
        surface="home",
        length=20,
    )
    every = np.tile(np.arange(N_ITEMS, dtype=np.int32), (n, 1))
    return window.features.make(context, every).x


def test_a_rush_from_the_cut_on_moves_no_feature() -> None:
    before = features_at_cut(facts_of())
    np.testing.assert_array_equal(before, features_at_cut(facts_of(planted(CUT))))


def test_a_rush_before_the_cut_does() -> None:
    """The test above can fail: the same rush a day earlier is seen."""
    before = features_at_cut(facts_of())
    assert (before != features_at_cut(facts_of(planted(CUT - DAY)))).any()


def test_a_later_price_moves_no_feature() -> None:
    later = Item(id="i2", title="thing 2, renamed", brand="brand 9", price_micros=77_000_000)
    changed = versions_of([*first_versions(), (2, CUT, later)])
    np.testing.assert_array_equal(
        features_at_cut(facts_of()), features_at_cut(facts_of(versions=changed))
    )


def test_an_earlier_price_does() -> None:
    earlier = Item(id="i2", title="thing 2", brand="brand 0", price_micros=77_000_000)
    changed = versions_of([*first_versions(), (2, CUT - 1, earlier)])
    before, after = features_at_cut(facts_of()), features_at_cut(facts_of(versions=changed))
    assert (before != after).any()


def test_a_refund_after_the_cut_is_not_known_at_it() -> None:
    facts = facts_of()
    bought = np.flatnonzero((facts.log.kind == 11) & (facts.log.at_ms < CUT))[:5]
    void = facts.void_from_ms.copy()
    void[bought] = CUT
    refunded = replace(facts, void_from_ms=void)
    assert len(refunded.as_of(CUT).log) == len(facts.as_of(CUT).log)
    assert len(refunded.as_of(CUT + 1).log) == len(facts.as_of(CUT + 1).log) - 5


@pytest.mark.parametrize("moments_of", [in_visits, beside_items, beside_carts])
def test_moments_in_a_span_see_only_what_lay_before_each(moments_of) -> None:
    """Truncating the log at a moment leaves that moment's context as it was."""
    log = shop_log()
    more = {"horizon_ms": 7 * DAY} if moments_of is in_visits else {}
    index = ShopperIndex.of(log.before(UNTIL))
    made = moments_of(index, CUT, UNTIL, 20, limit=40, rng=np.random.default_rng(1), **more)
    context = made.context
    assert len(context) > 10
    assert (np.diff(context.now_ms) >= 0).all()
    for b in range(len(context)):
        mine = log.before(int(context.now_ms[b]))
        seen = mine.item_row[mine.shopper_row == context.shopper_row[b]][::-1][:20]
        assert context.recent_item[b, : len(seen)].tolist() == seen.tolist()
        answered = made.answers.key[made.answers.key >> 32 == b] & 0xFFFFFFFF
        later = log.between(int(context.now_ms[b]), UNTIL)
        theirs = later.item_row[later.shopper_row == context.shopper_row[b]]
        assert set(answered.tolist()) <= set(theirs.tolist())


def test_statistics_led_through_a_span_know_nothing_of_a_request_or_later() -> None:
    """Within the span, each chunk's counters stand where the log stood at its first request."""
    facts = facts_of()
    known = facts.as_of(CUT)
    sources = fit_sources(known, CONFIG, np.random.default_rng(0))
    window = window_of(known, sources, CONFIG.item_stats)
    index = ShopperIndex.of(facts.between(0, UNTIL))
    rng = np.random.default_rng(1)
    moments = in_visits(index, CUT, UNTIL, 20, horizon_ms=7 * DAY, limit=50, rng=rng)
    led = window.copy()
    later = facts.between(CUT, UNTIL)
    lessons(led, moments, CONFIG.quota("home"), rebuy=True, rng=rng, kept=20, later=later)
    first = int(moments.context.now_ms[0])
    assert (
        led.stats.total.sum()
        == window_of(facts.as_of(first), sources, CONFIG.item_stats).stats.total.sum()
    )
