"""Probabilities and scores of two classes, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.metrics import auc, brier, logloss, reliability


def test_scikit_learn_gets_the_same_figures():
    from sklearn.metrics import log_loss, roc_auc_score

    rng = np.random.default_rng(11)
    label = rng.random(500) < 0.3
    probability = np.clip(rng.normal(0.3 + 0.2 * label, 0.2), 0.01, 0.99).round(2)  # with ties
    assert auc(label, probability) == pytest.approx(roc_auc_score(label, probability))
    assert logloss(label, probability) == pytest.approx(log_loss(label, probability))


def test_a_perfect_order_and_its_reverse():
    label = np.array([False, False, True])
    assert auc(label, np.array([0.1, 0.2, 0.3])) == 1.0
    assert auc(label, np.array([0.3, 0.2, 0.1])) == 0.0
    assert auc(label, np.zeros(3)) == 0.5


def test_one_class_alone_has_no_auc():
    assert np.isnan(auc(np.array([True, True]), np.array([0.1, 0.9])))


def test_being_certain_and_wrong_costs_much_but_not_everything():
    loss = logloss(np.array([True]), np.array([0.0]))
    assert loss == pytest.approx(-np.log(1e-15))


def test_nothing_to_judge_is_no_figure():
    assert np.isnan(logloss(np.empty(0, bool), np.empty(0)))


def test_scikit_learn_draws_the_same_diagram():
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(12)
    probability = rng.random(4000)
    label = rng.random(4000) < probability**2  # too sure of itself
    happened, said = calibration_curve(label, probability, n_bins=8, strategy="quantile")
    ours = reliability(label, probability, 8)
    # a probability on the edge of two bins may fall in either
    assert ours.happened == pytest.approx(happened, abs=0.003)
    assert ours.said == pytest.approx(said, abs=0.003)
    assert ours.count.sum() == 4000
    assert brier(label, probability) == pytest.approx(brier_score_loss(label, probability))


def test_the_error_of_calibration_by_hand():
    # Ten times 20 % was said and it came true three times; ten times 80 % and six times.
    probability = np.repeat([0.2, 0.8], 10)
    label = np.array([True] * 3 + [False] * 7 + [True] * 6 + [False] * 4)
    drawn = reliability(label, probability, 2)
    assert drawn.happened.tolist() == [0.3, 0.6]
    assert drawn.error == pytest.approx((0.1 + 0.2) / 2)


def test_one_probability_for_all_is_one_bin():
    drawn = reliability(np.array([True, False]), np.array([0.5, 0.5]))
    assert (drawn.said.tolist(), drawn.count.tolist()) == ([0.5], [2])
    assert np.isnan(reliability(np.empty(0, bool), np.empty(0)).error)
    assert np.isnan(brier(np.empty(0, bool), np.empty(0)))
