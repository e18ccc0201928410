"""A small shop to rank in: two tastes, a trend, and shoppers who look and buy."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from habitue.candidates.contract import Source, TrainingFacts
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.roster import learner_of
from habitue.facts import ActionKind, ActionLog, Catalogue, Context
from habitue.portraits import ItemColumns, ItemStats, ShopperIndex, contexts_as_of
from habitue.ranking.features import FeatureMaker
from habitue.ranking.lambdamart import LambdaMartConfig, LambdaMartLearner, RankingSet

DAY = 86_400_000
N_SHOPPERS, N_ITEMS = 60, 24
CUT = 100 * DAY


@cache
def shop_log(seed: int = 3) -> ActionLog:
    """Even shoppers like even items; each visit looks at three and buys the first two."""
    rng = np.random.default_rng(seed)
    rows = []
    for order in range(700):
        shopper = int(rng.integers(N_SHOPPERS))
        at = int(rng.integers(1, 130 * 24)) * 3_600_000
        taste = np.arange(shopper % 2, N_ITEMS, 2)
        weight = 1.0 / (1 + np.arange(len(taste)))
        seen = rng.choice(taste, 3, replace=False, p=weight / weight.sum())
        for step, item in enumerate(seen):
            rows.append((at + step * 60_000, ActionKind.view_item, shopper, int(item), -1))
        rows += [(at + 300_000, ActionKind.purchase, shopper, int(i), order) for i in seen[:2]]
    rows.sort(key=lambda row: row[0])
    n = len(rows)
    return ActionLog(
        np.arange(1, n + 1),
        np.array([r[0] for r in rows], np.int64),
        np.array([r[1] for r in rows], np.uint8),
        np.array([r[2] for r in rows], np.int32),
        np.array([r[3] for r in rows], np.int32),
        np.array([r[4] for r in rows], np.int32),
        np.ones(n, np.float32),
        np.array([1_000_000 * (1 + r[3] % 5) for r in rows], np.int64),
        np.zeros(n, np.int64),
        np.full(n, np.nan, np.float32),
        N_SHOPPERS,
        N_ITEMS,
    )


CATALOGUE = Catalogue(
    pl.DataFrame(
        {
            "item_row": np.arange(N_ITEMS, dtype=np.int32),
            "id": [f"i{i}" for i in range(N_ITEMS)],
            "title": [f"thing {i}" for i in range(N_ITEMS)],
            "brand": [f"brand {i % 2}" for i in range(N_ITEMS)],
            "product_type": [f"all > kind {i % 3}" for i in range(N_ITEMS)],
            "price_micros": [1_000_000 * (1 + i % 5) for i in range(N_ITEMS)],
            "first_seen_ms": np.full(N_ITEMS, DAY),
        }
    )
)

CONFIGS = (
    PopularConfig(name="popular_now", half_life_days=7.0),
    CovisitConfig(name="viewed_viewed"),
    CovisitConfig(name="bought_bought", kinds_from=("purchase",), kinds_to=("purchase",)),
)


@cache
def shop_sources(cut_ms: int = CUT) -> tuple[Source, ...]:
    facts = TrainingFacts(shop_log().before(cut_ms), CATALOGUE, cut_ms)
    return tuple(learner_of(config).fit(facts, np.random.default_rng(0)) for config in CONFIGS)


def shop_features(cut_ms: int = CUT) -> FeatureMaker:
    stats = ItemStats.as_of(shop_log(), cut_ms)
    return FeatureMaker(shop_sources(cut_ms), stats, ItemColumns.of(CATALOGUE))


def contexts(shoppers: list[int], *, surface: str = "home", anchors: list[int] | None = None,
             now_ms: int = CUT) -> Context:  # fmt: skip
    n = len(shoppers)
    return contexts_as_of(
        ShopperIndex.of(shop_log()),
        np.array(shoppers, np.int32),
        np.full(n, now_ms),
        surface=surface,
        length=20,
        anchors=None if anchors is None else np.array(anchors, np.int32)[:, None],
    )


@cache
def shop_ranker():
    """A ranker that learnt what is bought in the thirty days after the cut."""
    features = shop_features()
    who = list(range(N_SHOPPERS))
    every = np.tile(np.arange(N_ITEMS, dtype=np.int32), (N_SHOPPERS, 1))
    later = shop_log().between(CUT, CUT + 30 * DAY).of_kinds([ActionKind.purchase])
    grade = np.zeros((N_SHOPPERS, N_ITEMS), np.int8)
    grade[later.shopper_row, later.item_row] = 3
    x = features.make(contexts(who), every).x
    data = RankingSet(x, grade.ravel(), np.full(N_SHOPPERS, N_ITEMS), features.names)
    config = LambdaMartConfig(rounds=60, leaves=7, min_leaf_rows=10, row_share=1.0)
    return LambdaMartLearner(config).fit(data, np.random.default_rng(0))
