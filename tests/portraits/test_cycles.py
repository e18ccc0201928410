"""How long things last, told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.portraits import Cycles, Gaps, cycle_ratio
from tests.candidates.shop import BUY, log_of

NONE = np.full(3, -1, np.int32)


def bought(*lines: tuple[int, int, float]):
    """Purchases (shopper, item, day)."""
    return log_of([(day, BUY, shopper, item, -1) for shopper, item, day in lines], n_items=3)


def test_gaps_are_told_by_pair_and_one_day_is_no_gap() -> None:
    gaps = Gaps.of(bought((0, 0, 1), (0, 0, 4), (1, 0, 2), (1, 2, 3), (1, 2, 3.5), (1, 2, 10)))
    assert gaps.item.tolist() == [0, 2]
    assert gaps.days.tolist() == [3.0, 6.5]


def test_a_shop_nobody_came_back_to_takes_what_it_is_told() -> None:
    cycles = Cycles.of(bought((0, 0, 1), (1, 1, 2)), NONE)
    assert np.exp(cycles.shop_log_days) == pytest.approx(30)
    told = Cycles.told(np.array([7, np.nan], np.float32), 20)
    assert np.exp(told.log_days).tolist() == pytest.approx([7, 20])


def test_an_item_seldom_bought_again_goes_by_its_category() -> None:
    """Milk every 4 days, soap every 60; one more gap of each category's third and fourth item."""
    lines = [(s, 0, 4.0 * k + s % 3) for s in range(20) for k in range(8)]
    lines += [(s, 1, 60.0 * k + s % 3) for s in range(20) for k in range(4)]
    lines += [(30, 2, 0), (30, 2, 15), (31, 3, 0), (31, 3, 15)]
    log = log_of([(day, BUY, shopper, item, -1) for shopper, item, day in lines])
    days = np.exp(Cycles.of(log, np.array([0, 1, 0, 1], np.int32)).log_days)
    assert days[0] == pytest.approx(4, rel=0.05)
    assert days[1] == pytest.approx(60, rel=0.05)
    assert days[2] < days[3]  # the same single gap; milk-like things come round sooner


def test_own_gaps_count_as_often_as_there_are_of_them() -> None:
    """Own mean gap 8 days, twice; the item's 32 days counted as two: halfway in logs, 16 days."""
    usual = np.log(np.array([32], np.float32))
    ratio = cycle_ratio(0, 3.0, 16.0, 32.0, usual, 0.0, 2.0)
    assert ratio == pytest.approx(0.0, abs=1e-6)
    assert cycle_ratio(0, 1.0, 16.0, 16.0, usual, 0.0, 2.0) == pytest.approx(-1.0)  # item's alone
    later = cycle_ratio(5, 1.0, 8.0, 8.0, usual, float(np.log(2.0)), 2.0)
    assert later == pytest.approx(2.0)  # an item of later: the shop's
