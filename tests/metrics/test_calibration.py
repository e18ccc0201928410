"""Calibration of lists (Steck 2018), by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from habitue.metrics import list_shares, miscalibration

KIND = np.array([0, 0, 1, 2, -1], np.int32)


def test_the_shares_of_a_list_by_hand():
    lists = np.array([[0, 1, 2, 4], [3, -1, -1, -1], [4, -1, -1, -1]], np.int32)
    assert list_shares(lists, KIND, 3).tolist() == [[2 / 3, 1 / 3, 0], [0, 0, 1], [0, 0, 0]]


def test_the_example_of_the_paper():
    # 70 % romance and 30 % action watched; only romance shown.
    watched, shown = np.array([[0.7, 0.3]]), np.array([[1.0, 0.0]])
    by_hand = 0.7 * np.log(0.7 / (0.99 + 0.007)) + 0.3 * np.log(0.3 / 0.003)
    assert miscalibration(watched, shown) == pytest.approx([by_hand])
    assert miscalibration(watched, watched) == pytest.approx([0.0])


def test_scipy_finds_the_same_divergence():
    rng = np.random.default_rng(4)
    wanted, given = (rng.dirichlet(np.ones(6), 50) for _ in range(2))
    mixed = 0.99 * given + 0.01 * wanted
    assert miscalibration(wanted, given) == pytest.approx(entropy(wanted, mixed, axis=1))


def test_nothing_wanted_or_nothing_given_says_nothing():
    nothing, something = np.zeros((1, 2)), np.array([[0.5, 0.5]])
    assert np.isnan(miscalibration(nothing, something)).all()
    assert np.isnan(miscalibration(something, nothing)).all()
