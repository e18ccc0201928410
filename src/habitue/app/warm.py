"""Compile what requests and training run, once: ``python -m habitue.app.warm``.

A shop of a few shoppers is told, trained and asked in a folder that is thrown away, so that every
kernel is compiled for the types real ones bring and lies in the cache on disk: about 90 CPU-seconds
the first time, some seconds where all is there. For servers that are installed and not trained on;
training compiles the same kernels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from habitue.app.clock import clock_ms
from habitue.app.shop import Shop, open_shop
from habitue.facts import MS_PER_DAY, Action, Fact, Item, Shown
from habitue.surfaces import SlateAnswer

__all__ = ["warm"]

_N_ITEMS = 60
_N_SHOPPERS = 40
_N_VISITS = 30
_DAYS = 60
_SMALL = {
    "live.address": "memory",
    "training.windows": 2,
    "training.least_answered": 10,
    "training.ranker.rounds": 5,
    "training.ranker.min_leaf_rows": 5,
}


def warm() -> list[SlateAnswer]:
    """Run a small shop from its first fact to its reasons; what it answered last."""
    now_ms = clock_ms()
    with tempfile.TemporaryDirectory(prefix="habitue-warm-") as folder:
        store = Path(folder) / "shop.db"
        with open_shop(store, overrides=_SMALL) as shop:
            shop.ingest(_facts(now_ms))
            _ask(shop)
            shop.activate(shop.train().name)
            _ask(shop)
            refused = Action(kind="not_interested", shopper="shopper-1", item="item-1", at=now_ms)
            shop.ingest([refused])
        with open_shop(store, overrides=_SMALL) as shop:  # as after a restart
            return _ask(shop)


def _facts(now_ms: int) -> list[Fact]:
    """Two months of a shop: items, visits that end in carts and orders, slates."""
    rng = np.random.default_rng(1)
    since = now_ms - _DAYS * MS_PER_DAY
    facts: list[Fact] = [
        Item(
            id=f"item-{x}",
            title=f"Thing {x % 7} of kind {x % 5}",
            brand=f"brand-{x % 6}",
            product_type=f"Shop > Kind {x % 5}",
            price_micros=1_000_000 * (1 + x % 9),
            valid_from=since,
        )
        for x in range(_N_ITEMS)
    ]
    for visit in range(_N_SHOPPERS * _N_VISITS):
        shopper, at = f"shopper-{visit % _N_SHOPPERS}", since + visit * 4_000_000
        seen = [f"item-{int(_N_ITEMS * x)}" for x in rng.random(5) ** 2]
        if visit % 3 == 0:
            facts.append(
                Shown(
                    id=f"slate-{visit}", at=at, shopper=shopper, surface="home", snapshot="",
                    arm="main", items=sorted(set(seen)), scores=[0.0] * len(set(seen)),
                    propensities=[1.0] * len(set(seen)), sources=["popular"] * len(set(seen)),
                )
            )  # fmt: skip
        for kind, item in zip(("view_item", "view_item", "add_to_cart"), seen, strict=False):
            facts.append(Action(kind=kind, shopper=shopper, item=item, at=at))
        facts += [
            Action(kind="purchase", shopper=shopper, item=item, at=at, order_id=f"order-{visit}")
            for item in sorted(set(seen[2:]))
        ]
    return facts


def _ask(shop: Shop) -> list[SlateAnswer]:
    """Every surface, of somebody known and of a stranger."""
    return [
        shop.recommend(shopper, surface=surface, items=items)
        for shopper in ("shopper-1", None)
        for surface, items in (("home", []), ("item", ["item-3"]), ("cart", ["item-3", "item-4"]))
    ]


if __name__ == "__main__":
    warm()
