"""Rates with their intervals, and what another policy would have got."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.metrics import click_through, conversion, ips, rate, snips


@pytest.mark.parametrize(("won", "asked"), [(0, 20), (3, 20), (20, 20), (450, 10_000)])
def test_scipy_draws_the_same_wilson_interval(won, asked):
    from scipy.stats import binomtest

    theirs = binomtest(won, asked).proportion_ci(method="wilson")
    ours = rate(won, asked)
    assert ours.estimate == won / asked
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_no_trial_is_no_rate():
    assert np.isnan(rate(0, 0).estimate)


def test_click_through_is_by_slot_and_conversion_by_slate():
    slate = np.array([1, 1, 1, 2, 2, 2])
    clicked = np.array([True, True, False, False, False, False])
    bought = np.array([True, True, False, False, False, False])
    assert click_through(clicked).estimate == 2 / 6
    assert conversion(bought, slate).estimate == 1 / 2
    assert conversion(bought).estimate == 2 / 6


def test_the_policy_that_was_logged_is_worth_what_it_got():
    reward, logged = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.25, 0.25])
    assert ips(reward, logged, logged) == pytest.approx(2 / 3)
    assert snips(reward, logged, logged) == pytest.approx(2 / 3)


def test_off_policy_estimates_find_what_another_policy_earns():
    # Three items pay 0.1, 0.3, 0.8; shown at 0.6, 0.3, 0.1; what would 0.1, 0.1, 0.8 earn?
    rng = np.random.default_rng(12)
    pay, logged = np.array([0.1, 0.3, 0.8]), np.array([0.6, 0.3, 0.1])
    target = np.array([0.1, 0.1, 0.8])
    shown = rng.choice(3, 200_000, p=logged)
    reward = (rng.random(200_000) < pay[shown]).astype(float)
    truth = float(pay @ target)  # 0.68
    assert ips(reward, logged[shown], target[shown]) == pytest.approx(truth, abs=0.02)
    assert snips(reward, logged[shown], target[shown]) == pytest.approx(truth, abs=0.01)


def test_self_normalising_does_not_mind_a_shifted_reward():
    rng = np.random.default_rng(13)
    logged = rng.uniform(0.1, 1.0, 50)
    target = rng.uniform(0.0, 1.0, 50)
    reward = rng.random(50)
    shifted = snips(reward + 1.0, logged, target)
    assert shifted == pytest.approx(snips(reward, logged, target) + 1.0)


def test_what_was_shown_cannot_have_had_no_chance():
    for estimate in (ips, snips):
        with pytest.raises(ValueError, match="propensity is 0"):
            estimate(np.ones(1), np.zeros(1), np.ones(1))


def test_a_policy_that_would_have_shown_none_of_it_is_unknown():
    assert np.isnan(snips(np.ones(2), np.ones(2), np.zeros(2)))
