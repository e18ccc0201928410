"""Outlooks of a shop whose truth is known: some come every week, some every two months."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.behaviour.outlook import Foretold, OutlookConfig, OutlookLearner, OutlookModel, Past
from habitue.behaviour.rfv import RfvModel
from habitue.behaviour.survival import EDGES
from habitue.errors import SnapshotError
from habitue.facts import ActionKind
from tests.portraits.logs import DAY, log_of

QUICK = OutlookConfig.model_validate({"every_days": 14.0, "hazard": {"trees": 0}})
N = 120


def past_of(n: int = N, days: int = 300, seed: int = 3) -> Past:
    rng = np.random.default_rng(seed)
    rows = []
    for shopper in range(n):
        at, gap = rng.uniform(0, 30), 10.0 if shopper % 2 else 60.0
        while at < days:
            item = int(rng.integers(5))
            rows.append((int(at * DAY), ActionKind.purchase, shopper, item, -1, 1.0, float("nan")))
            at += rng.gamma(4, gap / 4)
    return Past.of(log_of(rows, n_shoppers=n), currency="EUR")


PAST = past_of()
NOW = 240 * DAY


@pytest.fixture(scope="module")
def model() -> OutlookModel:
    learnt = OutlookLearner(QUICK).fit(PAST, NOW, np.random.default_rng(1))
    assert learnt is not None
    return learnt


def test_who_comes_often_is_expected_sooner(model):
    standing = PAST.standing(NOW)
    told = model.foretell(standing)
    often = standing.shopper_row % 2 == 1
    assert told.chance[often].mean() > 0.85
    assert told.chance[~often].mean() < 0.65
    half = told.days_until(0.5)
    assert np.nanmedian(half[often]) < 15 < np.nanmedian(half[~often])


def test_the_measure_is_of_a_horizon_ago(model):
    measured = model.measured
    assert measured is not None
    cut = NOW - 42 * DAY  # the last of the fortnightly moments with 30 days after it
    asked = PAST.standing(cut)
    days, came = PAST.next_orders(asked.shopper_row, cut, NOW)
    assert measured.customers == len(asked)
    assert measured.bought == (came & (days < 30)).mean()
    assert OutlookLearner(QUICK).measure(PAST, NOW, np.random.default_rng(1)) == measured
    assert measured.auc > 0.75
    assert measured.concordance > 0.7
    assert measured.calibration_error < 0.15


def test_nothing_later_is_learnt_from(model):
    """The same log, cut at the moment of learning, gives the same model."""
    cut = Past.of(PAST.log.before(NOW), currency="EUR")
    again = OutlookLearner(QUICK).fit(cut, NOW, np.random.default_rng(1))
    standing = PAST.standing(NOW)
    np.testing.assert_array_equal(again.foretell(standing).left, model.foretell(standing).left)
    assert again.measured == model.measured


def test_a_line_taken_back_counts_until_then():
    log = log_of(
        [
            (DAY, ActionKind.purchase, 0, 0, -1, 1.0, 1.0),
            (9 * DAY, ActionKind.refund, 0, 0, -1, 1.0, 1.0),
        ]
    )
    past = Past(log, np.array([9 * DAY, np.iinfo(np.int64).max]), np.empty(0, np.int32), "EUR")
    assert len(past.standing(9 * DAY)) == 1
    assert len(past.standing(9 * DAY + 1)) == 0
    who = np.array([0], np.int32)
    assert past.next_orders(who, 0, 5 * DAY)[1].tolist() == [True]
    assert past.next_orders(who, 0, 20 * DAY)[1].tolist() == [False]


def test_too_little_foretells_nothing():
    few = past_of(n=3, days=60)
    assert OutlookLearner(QUICK).fit(few, 60 * DAY, np.random.default_rng(1)) is None


def test_fewer_customers_may_be_learnt_from():
    some = QUICK.model_copy(update={"customers": 60, "rows": 800})
    learnt = OutlookLearner(some).fit(PAST, NOW, np.random.default_rng(1), measure=False)
    standing = PAST.standing(NOW)
    told = learnt.foretell(standing)
    often = standing.shopper_row % 2 == 1
    assert told.chance[often].mean() > told.chance[~often].mean() + 0.2


def test_what_is_written_reads_the_same(model, tmp_path):
    model.save(tmp_path)
    again, standing = OutlookModel.load(tmp_path), PAST.standing(NOW)
    np.testing.assert_array_equal(again.foretell(standing).left, model.foretell(standing).left)
    assert again.measured == model.measured
    assert again.config == model.config
    (tmp_path / "outlook.json").write_text('{"columns": ["other"], "config": {}, "measured": null}')
    with pytest.raises(SnapshotError, match="Train again"):
        OutlookModel.load(tmp_path)


def test_chances_and_times_agree_by_hand():
    """A hundredth a day: half are back after 69 days, and between edges time runs evenly."""
    told = Foretold(np.empty(0), np.exp(-0.01 * EDGES)[None, :])
    assert told.within(30)[0] == pytest.approx(1 - np.exp(-0.3))
    assert told.within(37.5)[0] == pytest.approx(1 - np.exp(-0.375))
    assert told.within(180)[0] == pytest.approx(1 - np.exp(-1.8))
    assert told.days_until(0.5)[0] == pytest.approx(np.log(2) / 0.01, abs=1.5)
    assert np.isnan(told.days_until(0.9)[0])
    assert told.mean_days[0] == pytest.approx((1 - np.exp(-1.8)) / 0.01, rel=0.02)


def test_the_plain_answer_learns_recency():
    standing = PAST.standing(NOW)
    bought = standing.since_days < 20
    chance = RfvModel.fit([standing], [bought]).chance(standing)
    assert chance[bought].mean() > chance[~bought].mean() + 0.5
    assert RfvModel.fit([standing], [np.ones(len(standing), bool)]) is None


def test_groups_of_columns_pull_as_much_as_all(model):
    standing = PAST.standing(NOW)
    pulls = model.pulls(standing)
    np.testing.assert_allclose(
        sum(pulls.values()), model.hazard.pulls(standing.x).sum(axis=1), atol=1e-9
    )
