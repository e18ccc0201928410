"""Probabilities and scores of two classes, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.metrics import auc, logloss


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
