"""What may be learnt from, what is asked, what is right: by hand, and against plain sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadInput
from habitue.evaluation import Ragged, by_time, leave_last_out
from habitue.facts import MS_PER_DAY
from tests.evaluation.shop import BUY, LOOK, at_random, log_of

ANA, BEN, CLEO = 0, 1, 2


def lists(ragged: Ragged) -> list[list[int]]:
    return [ragged.between(b, b + 1).item.tolist() for b in range(len(ragged))]


def day(n: float) -> int:
    return round(n * MS_PER_DAY)


# Before day 10 Ana bought 1 and 2, Ben 3. After it Ana bought 2 again, 3 for the first time, and 9,
# which nobody had sold before; Ben only bought 3 again; Cleo, a stranger till then, bought 1.
SHOP = log_of(
    [
        (1, BUY, ANA, 1),
        (2, BUY, ANA, 2),
        (3, LOOK, ANA, 3),
        (4, BUY, BEN, 3),
        (11, BUY, ANA, 2),
        (12, BUY, ANA, 3),
        (12, BUY, ANA, 9),
        (12, BUY, BEN, 3),
        (13, BUY, CLEO, 1),
        (21, BUY, BEN, 1),
    ]
)


def test_by_time_asks_known_shoppers_for_new_items_sold_before():
    split = by_time(SHOP, day(10), day(20))
    assert split.shopper_row.tolist() == [ANA]
    assert lists(split.relevant) == [[3]]
    assert lists(split.excluded) == [[1, 2]]
    assert np.flatnonzero(split.available).tolist() == [1, 2, 3]
    assert split.now_ms.tolist() == [day(10)]
    assert not split.rebuy


def test_by_time_may_count_what_is_bought_again():
    split = by_time(SHOP, day(10), day(20), repurchase=True)
    assert split.shopper_row.tolist() == [ANA, BEN]
    assert lists(split.relevant) == [[2, 3], [3]]
    assert lists(split.excluded) == [[], []]
    assert split.rebuy


def test_what_happens_after_the_end_is_not_asked():
    until = by_time(SHOP, day(10), day(22), repurchase=True)
    assert lists(until.relevant) == [[2, 3], [1, 3]]


def test_learners_see_nothing_from_the_cut_on():
    split = by_time(SHOP, day(4), day(20))
    assert split.train.at_ms.max() < day(4)
    assert len(split.train) == 3  # Ben's purchase at the cut itself is a question, not a lesson


def test_buyers_are_counted_once_each():
    split = by_time(log_of([(1, BUY, 0, 5), (2, BUY, 0, 5), (3, BUY, 1, 5)]), day(10), day(20))
    assert split.buyers()[5] == 2


def test_a_shop_where_nobody_came_back_has_no_questions():
    split = by_time(log_of([(1, BUY, ANA, 1)]), day(10), day(20))
    assert len(split) == 0
    assert split.relevant.count.tolist() == []


def test_some_kind_of_action_must_count():
    with pytest.raises(BadInput, match="No kind of action"):
        leave_last_out(SHOP, kinds=())


# Ana bought 5, 3, 8, 1, and 3 once more at the end; Ben only two things; Cleo 2, 8, 4.
TASTES = log_of(
    [
        (1, BUY, ANA, 5),
        (2, BUY, ANA, 3),
        (3, BUY, CLEO, 2),
        (4, BUY, ANA, 8),
        (5, BUY, BEN, 1),
        (5, BUY, CLEO, 8),
        (6, LOOK, ANA, 1),
        (7, BUY, ANA, 1),
        (8, BUY, ANA, 3),
        (9, BUY, BEN, 2),
        (9, BUY, CLEO, 4),
    ]
)


def test_the_last_item_is_asked_of_those_with_three():
    split = leave_last_out(TASTES)
    assert split.shopper_row.tolist() == [ANA, CLEO]
    assert lists(split.relevant) == [[1], [4]]
    assert lists(split.excluded) == [[3, 5, 8], [2, 8]]
    assert split.now_ms.tolist() == [day(7), day(9)]


def test_validation_asks_for_the_one_before():
    split = leave_last_out(TASTES, which="validation")
    assert lists(split.relevant) == [[8], [8]]
    assert lists(split.excluded) == [[3, 5], [2]]


def test_learners_see_neither_held_out_item_but_all_of_those_not_asked():
    split = leave_last_out(TASTES)
    seen = sorted(zip(split.train.shopper_row.tolist(), split.train.item_row.tolist(), strict=True))
    assert seen == [(ANA, 3), (ANA, 5), (BEN, 1), (BEN, 2), (CLEO, 2)]


def test_a_test_request_sees_the_validation_item_too():
    split = leave_last_out(TASTES)
    ana = split.history.take(split.history.shopper_row == ANA)
    # and Ana's look at 1, before she bought it: only the purchase was held out
    assert ana.item_row.tolist() == [5, 3, 8, 1]
    assert ana.kind.tolist() == [BUY, BUY, BUY, LOOK]


@given(seed=st.integers(0, 1000), cut=st.integers(1, 99), repurchase=st.booleans())
def test_by_time_is_what_sets_say(seed, cut, repurchase):
    log = at_random(seed)
    split = by_time(log, day(cut), day(cut + 30), repurchase=repurchase)
    rows = list(
        zip(
            log.at_ms.tolist(),
            log.kind.tolist(),
            log.shopper_row.tolist(),
            log.item_row.tolist(),
            strict=True,
        )
    )
    bought = [(at, s, i) for at, kind, s, i in rows if kind == BUY and i >= 0]
    before = {(s, i) for at, s, i in bought if at < day(cut)}
    sold = {i for _, i in before}
    known = {s for s, _ in before}
    right = {
        (s, i) for at, s, i in bought if day(cut) <= at < day(cut + 30) and s in known and i in sold
    }
    if not repurchase:
        right -= before
    asked = sorted({s for s, _ in right})
    assert split.shopper_row.tolist() == asked
    assert lists(split.relevant) == [sorted(i for s, i in right if s == a) for a in asked]
    owned = set() if repurchase else before
    assert lists(split.excluded) == [sorted(i for s, i in owned if s == a) for a in asked]


@given(seed=st.integers(0, 1000), which=st.sampled_from(["test", "validation"]))
def test_leave_last_out_is_what_lists_say(seed, which):
    log = at_random(seed, n=150)
    split = leave_last_out(log, which=which)
    taken: dict[int, list[int]] = {}
    for kind, s, i in zip(
        log.kind.tolist(), log.shopper_row.tolist(), log.item_row.tolist(), strict=True
    ):
        if kind == BUY and i >= 0 and i not in taken.setdefault(s, []):
            taken[s].append(i)
    asked = sorted(s for s, items in taken.items() if len(items) >= 3)
    back = 1 if which == "test" else 2
    assert split.shopper_row.tolist() == asked
    assert lists(split.relevant) == [[taken[s][-back]] for s in asked]
    assert lists(split.excluded) == [sorted(taken[s][:-back]) for s in asked]
    for s in asked:
        learnt = split.train.take(split.train.shopper_row == s)
        assert not set(learnt.of_kinds([BUY]).item_row.tolist()) & set(taken[s][-2:])
