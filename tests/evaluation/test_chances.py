"""Scores as chances: told by other shoppers, and judged."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.evaluation import chances_of
from habitue.evaluation.chances import told_by_others


def drawn(n: int = 6000, seed: int = 1):
    """Slots whose scores do tell the chance: half the square of it."""
    rng = np.random.default_rng(seed)
    score = rng.random((n // 10, 10))
    return score, rng.random(score.shape) < score**2 / 2, np.arange(n // 10) // 2


def test_scores_that_tell_the_chance_come_out_calibrated():
    score, hit, who = drawn(20_000)
    found = chances_of(score, hit, who.astype(np.int32), np.random.default_rng(0))
    assert found is not None
    assert found.error < 0.015
    assert found.brier < found.brier_of_base
    assert found.auc > 0.75
    assert sum(found.count) == found.n_slots == score.size
    assert np.diff(found.happened).min() > -0.03


def test_scores_that_tell_nothing_are_told_the_base_rate():
    rng = np.random.default_rng(2)
    score, hit = rng.random((800, 10)), rng.random((800, 10)) < 0.1
    found = chances_of(score, hit, np.arange(800, dtype=np.int32), rng)
    assert found is not None
    assert found.auc == pytest.approx(0.5, abs=0.03)
    assert found.brier == pytest.approx(found.brier_of_base, rel=0.02)
    assert max(found.said) < 0.15


def test_nobody_tells_their_own_chance():
    # One shopper is always right at score 1, all others never: told by the others, 0.
    score = np.ones(50)
    label = np.zeros(50, bool)
    label[:10] = True
    who = np.r_[np.zeros(10, np.int32), np.arange(1, 41, dtype=np.int32)]
    said = told_by_others(score, label, who, np.random.default_rng(0))
    assert said[:10].tolist() == [0.0] * 10
    assert said[10:].max() > 0.2


def test_scikit_learn_draws_the_same_curve():
    from sklearn.isotonic import IsotonicRegression

    score, hit, _ = drawn(2000)
    flat, label = score.ravel(), hit.ravel()
    who = np.arange(len(flat)) % 5
    said = told_by_others(flat, label, who.astype(np.int32), np.random.default_rng(3))
    for one in range(5):
        here = who == one
        model = IsotonicRegression(out_of_bounds="clip").fit(flat[~here], label[~here])
        assert said[here] == pytest.approx(model.predict(flat[here]), abs=1e-9)


def test_nothing_right_or_all_right_says_nothing():
    score, who = np.ones((4, 2)), np.arange(4, dtype=np.int32)
    for hit in (np.zeros((4, 2), bool), np.ones((4, 2), bool)):
        assert chances_of(score, hit, who, np.random.default_rng(0)) is None


def test_empty_slots_are_no_slots():
    score, hit, who = drawn()
    score[:, 7:] = -np.inf
    hit[:, 7:] = False
    found = chances_of(score, hit, who.astype(np.int32), np.random.default_rng(0))
    assert found is not None
    assert found.n_slots == 7 * len(score)
