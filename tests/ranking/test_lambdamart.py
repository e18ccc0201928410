"""The ranker learns an order, and keeps it on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from habitue.errors import BadInput, SnapshotError
from habitue.facts import NO_ROW
from habitue.ranking.blend import BlendRanker
from habitue.ranking.lambdamart import LambdaMartLearner, LambdaMartRanker, RankingSet
from tests.ranking import shop


def test_taste_is_learnt() -> None:
    """Shoppers are shown their own half of the shop first, though the other is as popular."""
    ranker = shop.shop_ranker().bound(shop.shop_features())
    who = list(range(10))
    every = np.tile(np.arange(shop.N_ITEMS, dtype=np.int32), (10, 1))
    score = ranker.score(shop.contexts(who), every)
    best = every[0][np.argsort(-score, axis=1)[:, :5]]
    assert (best % 2 == np.array(who)[:, None] % 2).mean() > 0.9


def test_scores_of_sources_already_known_are_not_asked_for_again() -> None:
    """The same scores rank the same; others rank otherwise, so they are read."""
    ranker = shop.shop_ranker().bound(shop.shop_features())
    context, items = shop.contexts([1, 2]), np.array([[3, 5, 8], [4, 7, NO_ROW]], np.int32)
    known = ranker.features.source_scores(context, items)
    asked, norms = ranker.rank(context, items)
    told, told_norms = ranker.rank(context, items, known)
    np.testing.assert_array_equal(told, asked)
    np.testing.assert_array_equal(told_norms, norms)
    assert (ranker.rank(context, items, known[:, ::-1].copy())[1] != norms).any()


def test_nothing_ranks_last() -> None:
    ranker = shop.shop_ranker().bound(shop.shop_features())
    items = np.array([[3, NO_ROW, 5]], np.int32)
    score = ranker.score(shop.contexts([1]), items)
    assert score[0, 1] == -np.inf
    assert np.isfinite(score[0, [0, 2]]).all()


def test_a_saved_ranker_ranks_the_same(tmp_path: Path) -> None:
    ranker = shop.shop_ranker()
    ranker.save(tmp_path / "home")
    loaded = LambdaMartRanker.load(tmp_path / "home")
    every = np.arange(shop.N_ITEMS, dtype=np.int32)[None]
    a, b = (
        r.bound(shop.shop_features()).score(shop.contexts([4]), every) for r in (ranker, loaded)
    )
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(loaded.gain, ranker.gain)


def test_a_missing_ranker_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="Train again"):
        LambdaMartRanker.load(tmp_path)


def test_nothing_answered_is_nothing_to_learn_from() -> None:
    empty = RankingSet(
        np.zeros((4, 2), np.float32), np.zeros(4, np.int8), np.array([4]), ("a", "b")
    )
    with pytest.raises(BadInput, match="no answered request"):
        LambdaMartLearner().fit(empty, np.random.default_rng(0))


def test_a_blend_adds_up_what_sources_say_each_in_its_own_measure() -> None:
    features = shop.shop_features()
    context, items = shop.contexts([2]), np.array([[0, 2, 4, NO_ROW]], np.int32)
    score = features.source_scores(context, items)[0, :3].astype(np.float64)
    standard = (score - score.mean(0)) / score.std(0)
    weights = {"popular_now": 2.0, "bought_bought": 1.0}
    found = BlendRanker(features, weights).score(context, items)
    by_name = {s.name: standard[:, at] for at, s in enumerate(features.sources)}
    expected = 2 * by_name["popular_now"] + by_name["bought_bought"]
    np.testing.assert_allclose(found[0, :3], expected, rtol=1e-3, atol=1e-4)
    assert found[0, 3] == -np.inf
