"""Contexts from a log, against a plain reading of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.facts import NO_ROW, ActionKind
from habitue.portraits import ShopperIndex, contexts_as_of, pick
from tests.portraits.logs import DAY, N_SHOPPERS, Row, log_of, rows


def read_plainly(given_rows: list[Row], shopper: int, now: int, length: int):
    """Recent (item, kind, age) most recent first, and owned {item: (orders, age, first age)}."""
    order = sorted(range(len(given_rows)), key=lambda x: (given_rows[x][0], x))
    mine = [
        given_rows[x] for x in order
        if given_rows[x][2] == shopper and given_rows[x][3] >= 0 and given_rows[x][0] < now
    ]  # fmt: skip
    recent = [(r[3], int(r[1]), (now - r[0]) / DAY) for r in reversed(mine)][:length]
    owned: dict[int, tuple[set, int, int]] = {}
    for number, (at, kind, _, item, held_in, _, _) in enumerate(mine):
        if kind == ActionKind.purchase:
            orders, last, first = owned.get(item, (set(), 0, at))
            one = held_in if held_in >= 0 else ("line", number)
            owned[item] = (orders | {one}, max(last, at), min(first, at))
    return recent, {
        item: (len(orders), (now - last) / DAY, (now - first) / DAY)
        for item, (orders, last, first) in sorted(owned.items())
    }


@given(rows(), st.lists(st.tuples(st.integers(0, N_SHOPPERS - 1), st.integers(1, 220))))
@settings(max_examples=60)
def test_a_context_is_what_lay_before_it(given_rows: list[Row], asked) -> None:
    asked = asked or [(0, 100)]
    log = log_of(given_rows)
    context = contexts_as_of(
        log,
        np.array([s for s, _ in asked], np.int32),
        np.array([day * DAY for _, day in asked]),
        surface="home",
        length=6,
    )
    for b, (shopper, day) in enumerate(asked):
        recent, owned = read_plainly(given_rows, shopper, day * DAY, 6)
        n = len(recent)
        assert context.recent_item[b].tolist() == [r[0] for r in recent] + [NO_ROW] * (6 - n)
        assert context.recent_kind[b, :n].tolist() == [r[1] for r in recent]
        np.testing.assert_allclose(context.recent_age_days[b, :n], [r[2] for r in recent], 1e-5)
        held = slice(context.owned.indptr[b], context.owned.indptr[b + 1])
        assert context.owned.item[held].tolist() == list(owned)
        assert context.owned.count[held].tolist() == [one[0] for one in owned.values()]
        np.testing.assert_allclose(
            context.owned.age_days[held], [one[1] for one in owned.values()], rtol=1e-5
        )
        np.testing.assert_allclose(
            context.owned.first_age_days[held], [one[2] for one in owned.values()], rtol=1e-5
        )


def test_strangers_have_no_past() -> None:
    log = log_of([(DAY, ActionKind.purchase, 0, 0, -1, 1.0, 1.0)])
    context = contexts_as_of(
        log, np.array([NO_ROW, 99], np.int32), np.full(2, 9 * DAY), surface="home", length=3
    )
    assert (context.recent_item == NO_ROW).all()
    assert len(context.owned.item) == 0


def test_an_action_at_now_is_not_before_it() -> None:
    log = log_of([(DAY, ActionKind.view_item, 0, 0, -1, 1.0, 1.0)])
    at = contexts_as_of(log, np.array([0], np.int32), np.array([DAY]), surface="home", length=3)
    assert (at.recent_item == NO_ROW).all()


@given(rows(), st.permutations(range(N_SHOPPERS)))
@settings(max_examples=30)
def test_picking_requests_is_asking_for_them(given_rows: list[Row], who: list[int]) -> None:
    index = ShopperIndex.of(log_of(given_rows))
    everyone = np.arange(N_SHOPPERS, dtype=np.int32)
    now = np.full(N_SHOPPERS, 150 * DAY)
    whole = contexts_as_of(index, everyone, now, surface="home", length=5)
    picked = pick(whole, np.array(who[:2]))
    asked = contexts_as_of(index, np.array(who[:2], np.int32), now[:2], surface="home", length=5)
    np.testing.assert_array_equal(picked.recent_item, asked.recent_item)
    np.testing.assert_array_equal(picked.owned.indptr, asked.owned.indptr)
    np.testing.assert_array_equal(picked.owned.item, asked.owned.item)
    np.testing.assert_array_equal(picked.owned.age_days, asked.owned.age_days)
