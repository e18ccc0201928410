"""What the lists as a whole show, by hand and against independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.metrics import coverage, exposure, gini, head_share, novelty, popularity_percentile

# Two lists over five items: item 0 twice, 1 and 2 once, a slot left empty.
RANKED = np.array([[0, 1, 2], [0, -1, -1]], np.int32)
SOLD = np.array([100, 10, 10, 1, 0])


def test_an_empty_slot_is_no_exposure():
    assert exposure(RANKED, 5).tolist() == [2, 1, 1, 0, 0]


def test_coverage_counts_items_not_slots():
    assert coverage(RANKED, np.ones(5, bool)) == 3 / 5


def test_coverage_is_of_what_could_be_shown():
    assert coverage(RANKED, np.array([True, False, False, True, False])) == 1 / 2
    assert np.isnan(coverage(RANKED, np.zeros(5, bool)))


def test_popularity_by_hand():
    # Ascending: 0, 1, 10 and 10, 100 -> ranks 1, 2, 3.5, 3.5, 5 of 5.
    assert popularity_percentile(RANKED, SOLD) == pytest.approx([(1.0 + 0.7 + 0.7) / 3, 1.0])


def test_the_head_is_the_most_popular_fifth():
    assert head_share(RANKED, SOLD) == 2 / 4
    assert head_share(RANKED, SOLD, head=0.6) == 4 / 4


def test_novelty_is_in_bits():
    # Bought by all 8 shoppers: no surprise; by one in eight: three bits.
    lists = np.array([[0, 1], [1, -1]], np.int32)
    assert novelty(lists, np.array([8, 1]), 8).tolist() == [1.5, 3.0]


def test_an_item_nobody_bought_is_the_most_surprising_yet_finite():
    assert novelty(np.array([[0]], np.int32), np.array([0]), 8).tolist() == [4.0]


def test_an_empty_list_says_nothing():
    empty = np.full((1, 3), -1, np.int32)
    assert np.isnan(popularity_percentile(empty, SOLD)).all()
    assert np.isnan(novelty(empty, SOLD, 100)).all()
    assert np.isnan(head_share(empty, SOLD))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_gini_is_half_the_relative_mean_difference(amounts):
    x = np.array(amounts, float)
    if x.sum() == 0:
        assert np.isnan(gini(x))
    else:
        difference = np.abs(x[:, None] - x[None, :]).mean()
        assert gini(x) == pytest.approx(difference / (2 * x.mean()))


@given(st.integers(1, 40))
def test_gini_is_zero_when_all_have_the_same(n):
    assert gini(np.full(n, 7)) == pytest.approx(0.0)
