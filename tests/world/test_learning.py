"""What is learnt from a world's history serves its people better than popularity does.

The truth is known, so nothing is estimated: the clicks a slate will get are a sum of known chances.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from habitue.app import Shop, open_shop
from habitue.world import World, WorldConfig, build_world

NOW_MS = 1_790_000_000_000


def clicks_expected(world: World, shop: Shop, shoppers: list[str]) -> float:
    """The mean number of clicks a home slate of ten will get."""
    total = 0.0
    for seed, shopper in enumerate(shoppers):
        slate = shop.recommend(shopper, n=10, now_ms=NOW_MS, seed=seed)
        total += world.click_probability(shopper, [slot.item for slot in slate.items]).sum()
    return total / len(shoppers)


def test_a_trained_snapshot_gets_more_clicks_than_popularity(tmp_path: Path) -> None:
    config = WorldConfig(n_items=400, n_shoppers=500, days=120, visits_per_day=0.3)
    world = build_world(NOW_MS, seed=11, config=config)
    acted = world.action_table["shopper"].value_counts(sort=True)
    shoppers = acted["shopper"][50:170].to_list()  # who has a past, but is not the loudest
    lighter = {"training.windows": 1, "training.surfaces": ["home"], "training.evaluate": False}
    with open_shop(tmp_path / "shop.db", overrides=lighter) as shop:
        shop.ingest([*world.items(), *world.shoppers(), *world.links()])
        shop.ingest(world.action_table)
        popular = [slot.item for slot in shop.recommend("a stranger", n=10, now_ms=NOW_MS).items]
        same_for_all = np.mean([world.click_probability(s, popular).sum() for s in shoppers])
        untrained = clicks_expected(world, shop, shoppers)
        shop.train(seed=0)
        trained = clicks_expected(world, shop, shoppers)
    assert trained > 1.6 * same_for_all
    assert trained > 1.2 * untrained
