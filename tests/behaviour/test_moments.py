"""Where customers stand: by hand, without the future, alike in training and in serving."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitue.behaviour.moments import COLUMNS, GROUPS, Heat, Standing, standing_of
from habitue.facts import ActionKind
from tests.portraits.logs import DAY, log_of, rows

NONE = np.empty(0, np.int32)
NAN = float("nan")


def bought(day: float, shopper: int, item: int, order: int = -1) -> tuple:
    return (int(day * DAY), ActionKind.purchase, shopper, item, order, 1.0, NAN)


def stand(log, now_ms: int, **more) -> Standing:
    return standing_of(log, now_ms, Heat.of(log, now_ms), currency="EUR", **more)


def column(standing: Standing, name: str) -> np.ndarray:
    return standing.x[:, COLUMNS.index(name)]


def test_every_column_is_of_one_group():
    assert sorted(COLUMNS) == sorted({name for names in GROUPS.values() for name in names})


def test_a_customer_by_hand():
    log = log_of(
        [
            bought(10, 1, 0, 0), bought(10, 1, 1, 0),  # one order of two lines
            bought(20, 1, 0, 1),
            bought(40, 1, 2, 2),
            (45 * DAY, ActionKind.refund, 1, 2, -1, 1.0, NAN),
            (48 * DAY, ActionKind.view_item, 2, 2, -1, 1.0, NAN),  # looks, and never bought
        ]
    )  # fmt: skip
    standing = stand(log, 50 * DAY, category=np.array([0, 0, 1, -1, -1], np.int32))
    assert standing.shopper_row.tolist() == [1]
    assert standing.orders.tolist() == [3]
    assert standing.days.tolist() == [3]
    assert standing.value_minor.tolist() == [800]  # four lines of 2.00
    assert standing.since_days.tolist() == [10.0]
    assert standing.life_days.tolist() == [40.0]
    wanted = {
        "since": np.log1p(10), "life": np.log1p(40), "since_of_life": 0.25,
        "orders": np.log(3), "days_7": 0.0, "days_30": np.log1p(2), "days_60": np.log1p(3),
        "gap": np.log1p(15), "last_gap": np.log1p(20), "gap_spread": 5 / 15,
        "of_gap": np.log1p(10 / 15), "of_longest": np.log1p(10 / 20),
        "value": np.log1p(8), "last_value": np.log1p(2), "value_30": np.log1p(4),
        "lines": np.log(4 / 3), "last_lines": 0.0, "quantity": np.log1p(1),
        "items": np.log1p(3), "again": 0.25, "categories": np.log1p(2),
        "refunds": np.log1p(1), "refund_14": 1.0, "refund_45": 1.0,
        "seen": np.log1p(5), "acts_7": np.log1p(1), "acts_30": np.log1p(3), "carts_7": 0.0,
    }  # fmt: skip
    told = {name: float(column(standing, name)[0]) for name in wanted}
    assert told == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_an_item_is_hot_while_it_is_bought_more_than_before():
    log = log_of([bought(1, 0, 0), bought(99, 0, 1), bought(99.5, 1, 1)])
    heat = Heat.of(log, 100 * DAY)
    assert heat.warm[1] > heat.warm[2] > heat.warm[0]  # sought, unknown, sought long ago
    assert heat.popular[1] > heat.popular[0] > heat.popular[2] == 0


def test_orders_of_one_day_are_one_day():
    standing = stand(log_of([bought(1.1, 0, 0, 0), bought(1.2, 0, 1, 1)]), 3 * DAY)
    assert standing.orders.tolist() == [2]
    assert standing.days.tolist() == [1]
    assert column(standing, "gap").tolist() == [0.0]


def test_nobody_has_bought():
    log = log_of([(DAY, ActionKind.view_item, 0, 0, -1, 1.0, NAN)])
    assert len(stand(log, 2 * DAY)) == 0


@given(rows())
@settings(deadline=None)
def test_what_comes_later_is_not_read(drawn):
    log, now_ms = log_of(drawn), 100 * DAY
    whole, part = stand(log, now_ms), stand(log.before(now_ms), now_ms)
    assert np.isfinite(whole.x).all()
    np.testing.assert_array_equal(whole.x, part.x)


@given(rows(), st.integers(0, 3))
@settings(deadline=None)
def test_a_shopper_alone_stands_as_among_all(drawn, shopper):
    """Training asks all at once, serving one: both see the same."""
    log, now_ms = log_of(drawn), 300 * DAY
    heat = Heat.of(log, now_ms)
    all_of_them = standing_of(log, now_ms, heat, currency="EUR")
    alone = standing_of(log.take(log.shopper_row == shopper), now_ms, heat, currency="EUR")
    theirs = all_of_them.shopper_row == shopper
    np.testing.assert_allclose(alone.x, all_of_them.x[theirs], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(alone.orders, all_of_them.orders[theirs])
