"""Concordance against all pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.metrics import concordance


def by_pairs(days: list[int], came: list[bool], score: list[int]) -> float:
    above = pairs = 0.0
    for one in range(len(days)):
        for other in range(len(days)):
            later = days[one] < days[other] or (days[one] == days[other] and not came[other])
            if came[one] and later:
                pairs += 1
                above += (score[one] > score[other]) + 0.5 * (score[one] == score[other])
    return above / pairs if pairs else float("nan")


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 4)), max_size=40))
def test_every_pair_counts(rows):
    days, came, score = ([row[c] for row in rows] for c in range(3))
    found = concordance(np.array(days, float), np.array(came, bool), np.array(score, float))
    assert found == pytest.approx(by_pairs(days, came, score), nan_ok=True)


def test_a_perfect_order_and_its_reverse():
    days, came = np.array([1.0, 5.0, 9.0]), np.array([True, True, False])
    assert concordance(days, came, np.array([3.0, 2.0, 1.0])) == 1.0
    assert concordance(days, came, np.array([1.0, 2.0, 3.0])) == 0.0


def test_who_was_never_seen_coming_is_only_known_to_come_later():
    days, came = np.array([2.0, 1.0]), np.array([True, False])
    assert np.isnan(concordance(days, came, np.array([1.0, 2.0])))
