"""A made-up shop small enough to train in seconds."""

from __future__ import annotations

from functools import cache

import habitue
from habitue.world import build_world
from habitue.world.config import WorldConfig
from habitue.world.world import World

NOW_MS = 1_750_000_000_000
SMALL_TRAINING = {
    "training.windows": 2,
    "training.visits": 300,
    "training.least_answered": 30,
    "training.ranker.rounds": 30,
    "training.gate.least_share": 0.0,
}
"""Enough to learn something from a small shop, and no more."""


@cache
def small_world() -> World:
    """Some hundred people and items, two months."""
    return build_world(
        NOW_MS,
        seed=3,
        config=WorldConfig(n_items=300, n_shoppers=400, days=70, visits_per_day=0.3),
    )


def tell(shop: habitue.Shop, world: World | None = None) -> World:
    """Tell a shop a world's whole history."""
    world = world or small_world()
    shop.ingest([*world.items(), *world.shoppers(), *world.links()])
    shop.ingest(world.action_table)
    return world
