"""What a shop's rules do to a page."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from habitue.errors import BadFilter
from habitue.facts import MS_PER_DAY, NO_ROW, ActionKind, Context, Item, Owned
from habitue.policy.rule_policy import Merits, RulePolicy
from habitue.policy.rules import Boost, Pin, SurfaceRules
from habitue.policy.shelf import Shelf

VIEW, REFUSE, LIKE = ActionKind.view_item, ActionKind.not_interested, ActionKind.like
NOW = 1_700_000_000_000


def make_shelf() -> Shelf:
    """Six items: brands a, a, b, b, c and none; categories x, y, x, y, x, y."""
    shelf = Shelf()
    for row, brand in enumerate(["a", "a", "b", "b", "c", None]):
        shelf.put(
            row,
            Item(
                id=f"i{row}",
                brand=brand,
                product_type="xy"[row % 2],
                price_micros=(row + 1) * 1_000_000,
            ),
        )
    return shelf


def make_context(
    recent: list[tuple[int, ActionKind, float]] | None = None,
    owned: dict[int, float] | None = None,
    anchors: list[int] | None = None,
) -> Context:
    """One request: recent actions (row, kind, days ago), owned rows by days since bought."""
    recent, owned = recent or [], dict(sorted((owned or {}).items()))
    return Context(
        "home",
        np.array([NOW]),
        np.array([0], np.int32),
        np.array([[row for row, _, _ in recent]], np.int32),
        np.array([[kind for _, kind, _ in recent]], np.uint8),
        np.array([[age for _, _, age in recent]], np.float32),
        np.array([anchors or []], np.int32),
        Owned(
            np.array([0, len(owned)]),
            np.array(list(owned), np.int32),
            np.ones(len(owned), np.float32),
            np.array(list(owned.values()), np.float32),
            np.array(list(owned.values()), np.float32),
        ),
    )


def show(
    rules: SurfaceRules,
    context: Context | None = None,
    *,
    shelf: Shelf | None = None,
    n: int = 6,
    due_days: list[float] | None = None,
    scores: list[float] | None = None,
) -> list[int]:
    """The page: candidates 0 to 5, best first unless scores say otherwise."""
    due = None if due_days is None else np.array(due_days, np.float32)
    policy = RulePolicy(
        rules, shelf or make_shelf(), due_days=due, row_of=lambda item: int(item[1:])
    )
    rows = np.arange(6, dtype=np.int32)[None]
    score = np.array([scores or [6, 5, 4, 3, 2, 1]], np.float32)
    chosen = policy.choose(context or make_context(), rows, score, n, np.random.default_rng(0))
    return [row for row in chosen.item_row[0].tolist() if row != NO_ROW]


def rules(**told: object) -> SurfaceRules:
    return SurfaceRules(**{"epsilon": 0.0, **told})  # type: ignore[arg-type]


def test_without_rules_the_best_comes_first() -> None:
    assert show(rules()) == [0, 1, 2, 3, 4, 5]


def test_what_cannot_be_had_is_not_shown() -> None:
    shelf = make_shelf()
    shelf.put(0, Item(id="i0", availability="out_of_stock"))
    shelf.put(1, Item(id="i1", stock=0))
    shelf.put(2, Item(id="i2", deleted=True))
    shelf.put(3, Item(id="i3", availability="preorder"))
    assert show(rules(), shelf=shelf) == [3, 4, 5]
    assert show(rules(availability=("in_stock",)), shelf=shelf) == [4, 5]


def test_items_known_from_actions_alone_are_shown_unless_the_shop_says_no() -> None:
    shelf = Shelf()
    shelf.reach(6)
    assert show(rules(), shelf=shelf) == [0, 1, 2, 3, 4, 5]
    assert show(rules(unposted=False), shelf=shelf) == []


def test_a_change_on_the_shelf_holds_from_the_next_page_on() -> None:
    shelf = make_shelf()
    policy = RulePolicy(rules(exclude="price > 5"), shelf)
    rows, score = np.arange(7, dtype=np.int32)[None], np.arange(7, 0, -1, np.float32)[None]
    rng = np.random.default_rng(0)

    def page() -> list[int]:
        return policy.choose(make_context(), rows, score, 7, rng).item_row[0].tolist()

    assert page() == [0, 1, 2, 3, 4, NO_ROW, NO_ROW]
    shelf.put(0, Item(id="i0", price_micros=9_000_000))
    shelf.put(6, Item(id="i6", price_micros=1_000_000))
    assert page() == [1, 2, 3, 4, 6, NO_ROW, NO_ROW]
    shelf.reach(100_000)
    shelf.put(1, Item(id="i1", stock=0))
    assert page() == [2, 3, 4, 6, NO_ROW, NO_ROW, NO_ROW]


def test_include_and_exclude_filters() -> None:
    assert show(rules(include='brand in ("a", "c")')) == [0, 1, 4]
    assert show(rules(exclude='brand in ("a", "c")')) == [2, 3, 5]
    assert show(rules(include="price < 5", exclude='product_type == "x"')) == [1, 3]


def test_a_request_may_narrow_further() -> None:
    policy = RulePolicy(rules(exclude='brand == "a"'), make_shelf())
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]
    narrowed = policy.continued(include="price < 5")
    chosen = narrowed.choose(make_context(), rows, score, 6, np.random.default_rng(0))
    assert chosen.item_row[0].tolist() == [2, 3] + [NO_ROW] * 4
    with pytest.raises(BadFilter):
        policy.continued(include="price <")


def test_caps_hold_by_brand_and_by_category() -> None:
    assert show(rules(brand_cap=1)) == [0, 2, 4, 5]
    assert show(rules(category_cap=2)) == [0, 1, 2, 3]
    assert show(rules(brand_cap=1, category_cap=1)) == [0, 3]


def test_bought_items_come_back_when_they_are_due() -> None:
    past = make_context(owned={0: 10.0, 1: 100.0, 2: 3.0})
    assert show(rules(bought="show"), past) == [0, 1, 2, 3, 4, 5]
    assert show(rules(bought="hide"), past) == [3, 4, 5]
    assert show(rules(bought="rebuy"), past) == [3, 4, 5]  # no cycle known
    usual = [12.0, 200.0, math.nan, 5, 5, 5]
    assert show(rules(rebuy_share=0.5), past, due_days=usual) == [0, 1, 3, 4, 5]
    assert show(rules(rebuy_share=1.0), past, due_days=usual) == [3, 4, 5]
    assert show(rules(rebuy_share=1.0, rebuy_days=2), past, due_days=usual) == [2, 3, 4, 5]


def test_not_interested_removes_the_item_and_damps_its_kin() -> None:
    past = make_context([(2, VIEW, 0.1), (0, REFUSE, 1.0)])
    page = show(rules(not_interested_damping=1.0), past)
    assert page == [1, 2, 3, 4, 5]
    # Brand a (item 1) and category x (items 2, 4) lose ln 100 = 4.6; items 3 and 5 come first.
    assert show(rules(not_interested_damping=0.01), past) == [3, 5, 1, 2, 4]


def test_a_refusal_ends_with_time_or_when_taken_back() -> None:
    assert 0 not in show(rules(), make_context([(0, REFUSE, 30)]))
    assert 0 in show(rules(not_interested_days=20), make_context([(0, REFUSE, 30)]))
    assert 0 in show(rules(), make_context([(0, LIKE, 1), (0, REFUSE, 30)]))
    assert 0 not in show(rules(), make_context([(0, REFUSE, 1), (0, LIKE, 30)]))


def test_anchors_are_not_shown_beside_themselves() -> None:
    assert show(rules(), make_context(anchors=[1, 4])) == [0, 2, 3, 5]


def test_boosts_multiply_the_odds() -> None:
    gap = math.log(1.5)
    scores = [1 + gap, 1.0, 0.5, 0.4, 0.3, 0.2]
    assert show(rules(), scores=scores)[:2] == [0, 1]
    less = rules(boosts=(Boost(filter="price == 2", factor=1.4),))
    more = rules(boosts=(Boost(filter="price == 2", factor=1.6),))
    assert show(less, scores=scores)[:2] == [0, 1]
    assert show(more, scores=scores)[:2] == [1, 0]


def test_the_score_told_is_the_rankers() -> None:
    policy = RulePolicy(rules(boosts=(Boost(filter="price == 6", factor=1000),)), make_shelf())
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]
    chosen = policy.choose(make_context(), rows, score, 2, np.random.default_rng(0))
    assert chosen.item_row[0].tolist() == [5, 0]
    assert chosen.score[0].tolist() == [1.0, 6.0]


def test_pins_stand_where_the_shop_puts_them() -> None:
    pinned = rules(pins=(Pin(item="i5", slot=0), Pin(item="i4", slot=3)))
    assert show(pinned) == [5, 0, 1, 4, 2, 3]
    assert show(rules(pins=(Pin(item="i5", slot=1),), exclude="price > 5"), n=3) == [0, 5, 1]
    assert show(rules(pins=(Pin(item="i1", slot=2),), brand_cap=1), n=4) == [2, 4, 1, 5]


def test_a_pin_gives_way_to_stock_and_to_the_shopper() -> None:
    pinned = rules(pins=(Pin(item="i5", slot=0),), not_interested_damping=1.0)
    shelf = make_shelf()
    shelf.put(5, Item(id="i5", stock=0))
    assert show(pinned, shelf=shelf) == [0, 1, 2, 3, 4]
    assert show(pinned, make_context([(5, REFUSE, 1)])) == [0, 1, 2, 3, 4]
    assert show(rules(pins=(Pin(item="i99", slot=0),))) == [0, 1, 2, 3, 4, 5]


def test_a_pin_of_a_later_page_waits_for_it() -> None:
    policy = RulePolicy(
        rules(pins=(Pin(item="i0", slot=3),)), make_shelf(), row_of=lambda item: int(item[1:])
    )
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]
    rng = np.random.default_rng(0)
    first = policy.choose(make_context(), rows, score, 2, rng).item_row[0]
    assert first.tolist() == [1, 2]
    second = policy.continued(hidden=first, first_slot=2)
    assert second.choose(make_context(), rows, score, 2, rng).item_row[0].tolist() == [3, 0]


def test_caps_hold_page_by_page_and_end_no_slate_early() -> None:
    """Two brands of three items each: a cap of one gives pages of two until all are shown."""
    shelf = make_shelf()
    for row in range(6):
        shelf.put(row, Item(id=f"i{row}", brand=("tea", "mug")[row % 2]))
    policy = RulePolicy(rules(brand_cap=1), shelf)
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]
    rng = np.random.default_rng(0)
    shown: list[int] = []
    for expected in ([0, 1], [2, 3], [4, 5]):
        page = policy.continued(hidden=np.array(shown, np.int32), first_slot=len(shown))
        chosen = page.choose(make_context(), rows, score, 3, rng)
        assert chosen.item_row[0].tolist() == [*expected, NO_ROW]
        shown += expected
        assert chosen.more is not None
        assert chosen.more[0] == (len(shown) < 6)


def test_floors_hold_where_there_are_items_for_them() -> None:
    """Items 3 and 5 came lately; 4 and 5 were hardly shown."""
    first_seen = np.full(6, NOW - 90 * MS_PER_DAY)
    first_seen[[3, 5]] = NOW - MS_PER_DAY
    merits = Merits(lambda: first_seen, lambda: np.array([9, 9, 9, 9, 0], np.int32))
    pages = {
        (0, 0): [0, 1, 2],
        (1, 0): [0, 1, 3],
        (2, 0): [0, 3, 5],
        (3, 0): [3, 5, 0],
        (0, 1): [0, 1, 4],
        (1, 1): [0, 3, 4],
        (2, 2): [3, 4, 5],
    }
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]
    for (fresh, rare), expected in pages.items():
        told = rules(fresh_floor=fresh, exposure_floor=rare, exposure_shows=5)
        policy = RulePolicy(told, make_shelf(), merits=merits)
        chosen = policy.choose(make_context(), rows, score, 3, np.random.default_rng(0))
        assert chosen.item_row[0].tolist() == expected, (fresh, rare)


def test_a_cap_leaves_room_for_what_is_new() -> None:
    """Categories are x y x y x y; items 4 and 5 came lately, the last by score."""
    first_seen = np.full(6, NOW - 90 * MS_PER_DAY)
    first_seen[[4, 5]] = NOW - MS_PER_DAY
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]

    def page(**told: object) -> list[int]:
        policy = RulePolicy(rules(**told), make_shelf(), merits=Merits(lambda: first_seen))
        chosen = policy.choose(make_context(), rows, score, 6, np.random.default_rng(0))
        return [row for row in chosen.item_row[0].tolist() if row != NO_ROW]

    assert page(category_cap=1) == [0, 1]
    assert page(category_cap=1, fresh_beyond_caps=1) == [0, 1, 4, 5]
    assert page(category_cap=2, fresh_beyond_caps=1) == [0, 1, 2, 3, 4, 5]
    assert page(category_cap=1, fresh_beyond_caps=1, fresh_days=0.5) == [0, 1]
    assert page(brand_cap=1, fresh_beyond_caps=1) == [
        0,
        2,
        4,
        5,
    ]  # brands a a b b c -: nothing new has a full one


def test_diversity_is_by_brand_and_category_where_nothing_else_is_known() -> None:
    assert show(rules(diversity=0.0)) == [0, 1, 2, 3, 4, 5]
    # Brands a a b b c -, categories x y x y x y: after a, x the least alike of the best is b, y.
    assert show(rules(diversity=0.8), n=2) == [0, 3]


def test_an_item_ignored_too_often_is_left_out_or_stands_back() -> None:
    def page(**told: object) -> list[int]:
        past = replace(
            make_context(),
            shown_item=np.array([[0, 1, 0, 0, NO_ROW]], np.int32),
            shown_age_days=np.array([[0.1, 0.2, 1.0, 9.0, 0.0]], np.float32),
        )
        return show(rules(**told), past)

    assert page() == [0, 1, 2, 3, 4, 5]
    assert page(fatigue_shows=2, fatigue_damping=0) == [1, 2, 3, 4, 5]
    assert page(fatigue_shows=3, fatigue_damping=0) == [0, 1, 2, 3, 4, 5]
    assert page(fatigue_shows=3, fatigue_damping=0, fatigue_days=10) == [1, 2, 3, 4, 5]
    assert page(fatigue_shows=1, fatigue_damping=0) == [2, 3, 4, 5]
    # ln 0.3 is -1.2: item 1 falls behind 2 by one showing, item 0 behind 2 by two.
    assert page(fatigue_shows=1, fatigue_damping=0.3) == [2, 1, 0, 3, 4, 5]


def test_a_pinned_slot_has_propensity_one() -> None:
    policy = RulePolicy(
        SurfaceRules(epsilon=0.5, pins=(Pin(item="i5", slot=1),)),
        make_shelf(),
        row_of=lambda item: int(item[1:]),
    )
    rows, score = np.arange(6, dtype=np.int32)[None], np.arange(6, 0, -1, np.float32)[None]
    chosen = policy.choose(make_context(), rows, score, 3, np.random.default_rng(3))
    assert chosen.item_row[0, 1] == 5
    assert chosen.propensity[0, 1] == 1
    assert (chosen.propensity[0, [0, 2]] < 1).all()


def test_candidates_without_a_score_or_a_row_are_passed_over() -> None:
    policy = RulePolicy(rules(), make_shelf())
    rows = np.array([[3, NO_ROW, 1, 1, 77]], np.int32)
    score = np.array([[1.0, 9.0, 2.0, 2.0, 5.0]], np.float32)
    score[0, 0] = -np.inf
    chosen = policy.choose(make_context(), rows, score, 3, np.random.default_rng(0))
    assert chosen.item_row[0].tolist() == [1, NO_ROW, NO_ROW]


def test_a_batch_is_filled_context_by_context() -> None:
    one, other = make_context([(0, REFUSE, 1.0)]), make_context([(3, VIEW, 1.0)], owned={3: 1.0})
    both = replace(
        one,
        now_ms=np.array([NOW, NOW]),
        shopper_row=np.array([0, 1], np.int32),
        recent_item=np.concatenate([one.recent_item, other.recent_item]),
        recent_kind=np.concatenate([one.recent_kind, other.recent_kind]),
        recent_age_days=np.concatenate([one.recent_age_days, other.recent_age_days]),
        anchor_item=np.empty((2, 0), np.int32),
        owned=replace(other.owned, indptr=np.array([0, 0, 1])),
    )
    policy = RulePolicy(rules(not_interested_damping=1.0), make_shelf())
    rows, score = np.arange(6, dtype=np.int32), np.arange(6, 0, -1, np.float32)
    chosen = policy.choose(
        both, np.stack([rows] * 2), np.stack([score] * 2), 4, np.random.default_rng()
    )
    assert chosen.item_row.tolist() == [[1, 2, 3, 4], [0, 1, 2, 4]]


def test_rules_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadFilter):
        SurfaceRules(include="price <")
    with pytest.raises(ValidationError):
        SurfaceRules(epsilon=1.5)
    with pytest.raises(ValidationError):
        SurfaceRules(pins=(Pin(item="a", slot=0), Pin(item="b", slot=0)))
    with pytest.raises(ValidationError):
        SurfaceRules(unknown=1)  # type: ignore[call-arg]
