"""Orders that are written down: what is added up, and what stands first of what is alike."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from habitue.candidates.als import AlsConfig, AlsLearner
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.popular import PopularConfig, PopularLearner
from habitue.facts import NO_ROW
from habitue.portraits import ItemColumns, ItemStats
from habitue.ranking.blend import BlendRanker
from habitue.ranking.features import FeatureMaker
from habitue.ranking.fusion import FusionConfig, break_ties
from habitue.settings import Settings
from habitue.slates.serving import _as_their_kinds
from habitue.training.config import TrainingConfig
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst
from tests.ranking import shop


def test_the_sum_is_the_classical_top_k_of_u_v_plus_s() -> None:
    facts = TrainingFacts(shop.shop_log().before(shop.CUT), shop.CATALOGUE, shop.CUT)
    rng = np.random.default_rng(0)
    als = AlsLearner(AlsConfig(factors=8)).fit(facts, rng)
    popular = PopularLearner(PopularConfig()).fit(facts, rng)
    stats = ItemStats.as_of(shop.shop_log(), shop.CUT)
    features = FeatureMaker((als, popular), stats, ItemColumns.of(shop.CATALOGUE))
    context = shop.contexts([4, 9])
    items = np.tile(np.arange(shop.N_ITEMS, dtype=np.int32), (2, 1))
    ranker = BlendRanker(features, {"als": 1.0, "popular": 0.3}, standardised=False)
    u, v = als.vectors(context), als.item_factors
    s = popular.score(context, items)
    expected = u @ v.T + 0.3 * s
    np.testing.assert_allclose(ranker.score(context, items), expected, rtol=1e-4, atol=1e-5)


@given(
    score=st.lists(st.integers(-2, 2), min_size=1, max_size=9),
    seed=st.integers(0, 1000),
    padding=st.integers(0, 2),
)
def test_only_ties_are_broken_and_by_popularity(score: list[int], seed: int, padding: int) -> None:
    n = len(score)
    popular = np.random.default_rng(seed).integers(0, 4, n + padding).astype(np.float32)
    before = np.array([score + [-np.inf] * padding], np.float32)
    after = break_ties(before, popular[None])[0]
    by_definition = sorted(range(n), key=lambda x: (-score[x], -popular[x], x))
    assert np.argsort(-after[:n], kind="stable").tolist() == by_definition
    assert np.isneginf(after[n:]).all()
    for x in range(n):
        above = [other for other in score if other > score[x]]
        assert score[x] <= after[x] < min(above, default=np.inf)
        alone = score.count(score[x]) == 1
        assert not alone or after[x] == score[x]


def test_equals_in_both_stay_equal() -> None:
    assert break_ties(np.ones((1, 3), np.float32), np.ones((1, 3), np.float32)).tolist() == [
        [1] * 3
    ]


def written(fuse: str, weights: dict[str, float]) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "sources": shop.CONFIGS,
            "fusion": {"home": {"fuse": fuse, "weights": weights}},
            "quotas": {"home": {"popular_now": 10, "viewed_viewed": 10}},
        }
    )


def test_a_surface_goes_by_the_order_that_is_written_down() -> None:
    config = written("sum", {"popular_now": 1.0})
    stats, columns = ItemStats.as_of(shop.shop_log(), shop.CUT), ItemColumns.of(shop.CATALOGUE)
    learnt = {"home": shop.shop_ranker()}
    pipeline = pipeline_of(config, shop.shop_sources(), learnt, stats, columns, BestFirst())
    found = pipeline.recommend(shop.contexts([2]), 5, np.random.default_rng(0))
    popular = shop.shop_sources()[0].propose(shop.contexts([2]), shop.N_ITEMS).item_row[0]
    assert found.item_row[0].tolist() == popular[:5].tolist()
    assert NO_ROW not in found.item_row


def test_what_is_learnt_stays_where_nothing_is_written_down() -> None:
    config = written("learned", {})
    assert config.written_down() == ()
    assert written("zscore", {"popular_now": 1.0}).written_down() == ("home",)


def test_weights_of_sources_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValidationError, match="weighs graph, and there is no such source"):
        written("zscore", {"graph": 1.0})
    with pytest.raises(ValidationError, match="says no weights"):
        written("sum", {})
    with pytest.raises(ValidationError, match="Input should be"):
        FusionConfig.model_validate({"fuse": "magic"})


def test_the_guide_shows_settings_that_can_be_used_and_a_sum_that_adds_up() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "models.md").read_text("utf-8")
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)]
    named = [
        one["source"] for block in blocks for one in block.get("training", {}).get("sources", ())
    ]
    more = {"training": {"sources": [{"source": name} for name in dict.fromkeys(named)]}}
    more["training"]["sources"] += [{"source": "again"}, {"source": "user_knn"}]
    read = [(block, Settings.model_validate(more | block)) for block in blocks]
    assert len(read) > 4
    assert {"linear", "cold", "social", "factor"} <= set(named)
    written = [told.training_run().written_down() for block, told in read if "surfaces" in block]
    assert written == [("home",), ("home",)]
    u, v, s = np.array([1, 2]), np.array([[0.3, 0.1], [0.1, 0.2], [0.2, 0.1]]), [2, 2, 4]
    assert (v @ u + 0.1 * np.array(s)).tolist() == pytest.approx([0.7, 0.7, 0.8])


def test_a_surface_of_the_shops_own_keeps_the_order_written_down_for_it() -> None:
    config = written("sum", {"popular_now": 1.0}).model_copy(
        update={"fusion": {"side": FusionConfig(fuse="sum", weights={"viewed_viewed": 1.0})}}
    )
    stats, columns = ItemStats.as_of(shop.shop_log(), shop.CUT), ItemColumns.of(shop.CATALOGUE)
    pipeline = pipeline_of(
        config, shop.shop_sources(), {"home": shop.shop_ranker()}, stats, columns, BestFirst()
    )
    kinds = {"home": "home", "side": "home", "shelf": "home"}
    quotas, objectives = _as_their_kinds(pipeline, kinds, {}, {})
    assert objectives == {"shelf": "home"}
    assert set(quotas) == {"side", "shelf"}
