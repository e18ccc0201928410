"""Ratings held out and foretold: what is planted is found, and each step is a little better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from habitue.evaluation import RatingConfig, measure_ratings
from habitue.evaluation.ratings import RatingLearner, Ratings
from habitue.facts import ActionKind, ActionLog
from tests.evaluation.shop import log_of


def rated(shopper, item, rating) -> ActionLog:
    log = log_of(
        [
            (float(x), ActionKind.rate, int(s), int(i))
            for x, (s, i) in enumerate(zip(shopper, item, strict=True))
        ]
    )
    return replace(log, rating=np.asarray(rating, np.float32))


def planted(seed: int = 0) -> ActionLog:
    """Sixty shoppers, forty items: biases, and a taste for one of two halves of the shelf."""
    rng = np.random.default_rng(seed)
    shopper, item = np.divmod(rng.permutation(60 * 40)[:1600], 40)
    taste = np.where(np.arange(60) % 2 == 0, 1.0, -1.0)
    half = np.where(np.arange(40) < 20, 1.0, -1.0)
    usual = rng.normal(0, 0.4, 60)[shopper] + rng.normal(0, 0.4, 40)[item]
    rating = 3 + usual + taste[shopper] * half[item] + rng.normal(0, 0.2, 1600)
    return rated(shopper, item, rating)


def test_the_last_rating_of_an_item_counts():
    ratings = Ratings.of(rated([0, 1, 0], [2, 2, 2], [1.0, 4.0, 5.0]))
    assert dict(zip(ratings.shopper_row.tolist(), ratings.rating.tolist(), strict=True)) == {
        0: 5.0,
        1: 4.0,
    }


def test_each_foreteller_is_better_than_the_plainer_one():
    found = measure_ratings(planted(), np.random.default_rng(1), RatingConfig(factors=3))
    assert found is not None
    mean, biases, factors = found.lines
    assert factors.rmse.high < biases.rmse.low
    assert biases.rmse.estimate < mean.rmse.estimate
    assert factors.rmse.estimate < 0.5  # the noise alone is 0.2
    assert factors.mae.estimate < factors.rmse.estimate
    assert found.n_learnt + found.n_held == 1600
    assert found.n_held == pytest.approx(320, abs=60)


def test_one_round_solves_the_least_squares_it_says():
    # Without factors a round is the shrunken mean of what is left, side by side.
    config = RatingConfig(factors=0, rounds=1, shrinkage=0.5)
    ratings = Ratings(
        np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), np.array([5.0, 3.0, 1.0])
    )
    model = RatingLearner(config).fit(ratings, 3, 2, np.random.default_rng(0))
    shopper = np.array([(2 + 0) / (2 + 1.0), -2 / (1 + 0.5)])  # mean 3; pull 0.5 a rating
    assert model.shopper[:2, 0] == pytest.approx(shopper)
    left = np.array([2.0, 0.0, -2.0]) - shopper[[0, 0, 1]]
    assert model.item[:, 0] == pytest.approx([left[0] / 1.5, (left[1] + left[2]) / 3.0])
    stranger = model.foretell(np.array([2], np.int32), np.array([0], np.int32))
    assert stranger == pytest.approx(np.clip([3 + model.item[0, 0]], 1, 5))


def test_a_solved_row_is_what_numpy_solves():
    rng = np.random.default_rng(5)
    config = RatingConfig(factors=2, rounds=1, shrinkage=0.1)
    log = planted()
    ratings = Ratings.of(log)
    learner = RatingLearner(config)
    others = rng.normal(size=(log.n_items, 3))
    into = np.zeros((log.n_shoppers, 3))
    order = np.argsort(ratings.shopper_row, kind="stable")
    rest = ratings.rating - 3
    learner._solve(into, ratings.shopper_row, others, ratings.item_row, rest, order)
    mine = ratings.shopper_row == 7
    x = np.column_stack([others[ratings.item_row[mine], :2], np.ones(mine.sum())])
    target = rest[mine] - others[ratings.item_row[mine], 2]
    own = np.linalg.solve(x.T @ x + 0.1 * mine.sum() * np.eye(3), x.T @ target)
    assert into[7] == pytest.approx(own)


def test_the_heat_map_shows_what_was_said_beside_what_is_foretold():
    log = planted()
    found = measure_ratings(
        log, np.random.default_rng(1), RatingConfig(factors=3), item_name=lambda row: f"item {row}"
    )
    assert found is not None
    drawn = found.heat_map
    told = np.array(drawn.foretold)
    assert told.shape == (24, 36)
    assert (drawn.low <= told).all()
    assert (told <= drawn.high).all()
    said = [x for row in drawn.given for x in row if x is not None]
    assert 0.4 * told.size < len(said) < told.size
    assert set(drawn.items) <= {f"item {row}" for row in range(40)}
    held = np.array(drawn.held)
    assert not held[np.array([[x is None for x in row] for row in drawn.given])].any()


def test_too_few_ratings_foretell_nothing():
    assert measure_ratings(rated([0, 1], [0, 0], [1, 2]), np.random.default_rng(0)) is None
