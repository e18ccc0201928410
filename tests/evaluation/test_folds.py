"""k-fold and rolling splits, and questions drawn by lot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadInput
from habitue.evaluation import by_time, k_fold, rolling
from habitue.facts import MS_PER_DAY
from tests.evaluation.shop import BUY, at_random, log_of


def taken(log):
    kept = (log.kind == int(BUY)) & (log.item_row >= 0) & (log.shopper_row >= 0)
    return set(zip(log.shopper_row[kept].tolist(), log.item_row[kept].tolist(), strict=True))


def asked(split):
    return {
        (shopper, item)
        for place, shopper in enumerate(split.shopper_row.tolist())
        for item in split.relevant.between(place, place + 1).item.tolist()
    }


@given(st.integers(0, 1000), st.integers(2, 6))
def test_every_pair_is_held_out_once_and_never_learnt_from(seed, k):
    log = at_random(seed, n=250)
    splits = k_fold(log, k, np.random.default_rng(seed))
    all_pairs = taken(log)
    held = [asked(one) for one in splits]
    for one, right in zip(splits, held, strict=True):
        assert not right & taken(one.train)
        assert set(one.train.kind.tolist()) <= {int(BUY)}
        had = {
            (shopper, item)
            for place, shopper in enumerate(one.shopper_row.tolist())
            for item in one.excluded.between(place, place + 1).item.tolist()
        }
        assert had == {pair for pair in taken(one.train) if pair[0] in one.shopper_row}
    assert sum(map(len, held)) == len(set().union(*held))
    many = {who for who, _ in all_pairs if sum(w == who for w, _ in all_pairs) >= k}
    assert {pair for pair in all_pairs if pair[0] in many} <= set().union(*held)


def test_a_shoppers_items_are_dealt_evenly():
    log = log_of([(float(x), BUY, 0, x) for x in range(7)])
    sizes = [int(one.relevant.count.sum()) for one in k_fold(log, 3, np.random.default_rng(0))]
    assert sorted(sizes) == [2, 2, 3]


def test_one_fold_is_none():
    with pytest.raises(BadInput, match="two folds"):
        k_fold(at_random(1), 1, np.random.default_rng(0))


def test_rolling_spans_follow_one_another():
    log = at_random(4, n=900)
    day = MS_PER_DAY
    splits = rolling(log, 100 * day, 20 * day, 3)
    assert [int(one.now_ms[0]) // day for one in splits] == [40, 60, 80]
    for one, cut in zip(splits, (40, 60, 80), strict=True):
        alone = by_time(log, cut * day, (cut + 20) * day)
        assert asked(one) == asked(alone)
        assert one.train.at_ms.max() < cut * day
    with pytest.raises(BadInput):
        rolling(log, 100 * day, 20 * day, 0)


def test_questions_drawn_by_lot_keep_their_answers():
    later = [(11.0, BUY, who, who % 3 + 1) for who in range(9)]
    log = log_of(
        [(1.0, BUY, who, 0) for who in range(9)] + [(1.0, BUY, 9, x) for x in range(4)] + later
    )
    whole = by_time(log, 10 * MS_PER_DAY, 20 * MS_PER_DAY)
    some = whole.sample(4, np.random.default_rng(0))
    assert len(some) == 4
    assert asked(some) < asked(whole)
    assert some.excluded.count.tolist() == [1] * 4
    assert whole.sample(100, np.random.default_rng(0)) is whole
