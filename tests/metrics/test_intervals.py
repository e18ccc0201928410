"""Intervals hold the truth as often as they say, and pairs are compared as pairs."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.metrics import (
    Interval,
    bootstrap_mean,
    bootstrap_means,
    paired_difference,
    paired_lift,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_interval_is_the_one_scipy_draws():
    from scipy.stats import bootstrap

    values = rng(1).gamma(2.0, size=400)
    theirs = bootstrap((values,), np.mean, n_resamples=8000, method="percentile", rng=rng(2))
    ours = bootstrap_mean(values, rng(3), n_resamples=8000)
    assert ours.estimate == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_nineteen_intervals_in_twenty_hold_the_truth():
    held = 0
    for seed in range(300):
        interval = bootstrap_mean(rng(seed).normal(5.0, 2.0, 80), rng(seed + 1), n_resamples=400)
        held += interval.low <= 5.0 <= interval.high
    assert 0.91 <= held / 300 <= 0.98


def test_pairs_that_always_differ_alike_leave_no_doubt():
    base = rng(4).gamma(1.0, size=200)  # varies greatly from list to list
    interval = paired_difference(base + 0.1, base, rng(5))
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)
    assert interval.beyond_zero


def test_a_lift_is_the_ratio_of_the_means():
    base = np.array([0.0, 0.2, 0.4])
    lift = paired_lift(base * 1.5, base, rng(), n_resamples=500)
    assert lift.estimate == pytest.approx(0.5)
    assert (lift.low, lift.high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_where_there_is_no_difference_one_in_twenty_is_found():
    found = 0
    for seed in range(300):
        a, b = rng(seed).random((2, 100))
        found += paired_lift(a, b, rng(seed + 1), n_resamples=400).beyond_zero
    assert 0.02 <= found / 300 <= 0.09


def test_lists_of_one_shopper_count_as_one_witness():
    # Ten shoppers, a hundred identical lists each: as much evidence as ten lists.
    per_shopper = rng(8).random(10)
    shopper = np.repeat(np.arange(10), 100)
    grouped = bootstrap_mean(per_shopper[shopper], rng(9), group=shopper)
    alone = bootstrap_mean(per_shopper, rng(9))
    assert (grouped.low, grouped.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    ungrouped = bootstrap_mean(per_shopper[shopper], rng(9))
    assert ungrouped.high - ungrouped.low < 0.2 * (grouped.high - grouped.low)


def test_groups_of_different_size_weigh_by_their_lists():
    values = np.array([1.0, 1.0, 1.0, 0.0])
    means = bootstrap_means(values[:, None], rng(), group=np.array([0, 0, 0, 1]), n_resamples=500)
    assert set(means[:, 0].round(6)) == {0.0, 0.75, 1.0}  # both of one, or one of each


def test_what_is_unknown_is_left_out_of_its_column_only():
    values = np.array([[1.0, 2.0], [np.nan, 4.0]])
    means = bootstrap_means(values, rng(), n_resamples=200)
    assert set(means[:, 1]) == {2.0, 3.0, 4.0}
    known = means[~np.isnan(means[:, 0]), 0]
    assert set(known) == {1.0}
    assert bootstrap_mean(values[:, 0], rng()).estimate == 1.0


def test_nothing_known_is_no_interval():
    interval = bootstrap_mean(np.array([np.nan]), rng())
    assert np.isnan([interval.estimate, interval.low, interval.high]).all()


def test_lists_that_are_no_pairs_are_refused():
    with pytest.raises(ValueError, match="differ in number"):
        paired_lift(np.ones(3), np.ones(4), rng())


def test_many_resamples_of_many_lists_need_little_memory():
    values = rng(1).random((30_000, 2))
    means = bootstrap_means(values, rng(2), n_resamples=150)  # more than one chunk
    assert means.shape == (150, 2)
    assert means.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.002)


def test_an_interval_reads_well():
    assert str(Interval(0.5, 0.25, 0.75)) == "0.5000 [0.2500, 0.7500]"
