"""The small shop of the ranking tests as facts for training."""

from __future__ import annotations

import msgspec
import numpy as np

from habitue.candidates.again import AgainConfig
from habitue.facts import ActionLog, Item
from habitue.ranking.lambdamart import LambdaMartConfig
from habitue.training.config import TrainingConfig
from habitue.training.dataset import NEVER_MS, ItemVersions, ShopFacts
from tests.ranking.shop import CONFIGS, DAY, N_ITEMS, shop_log

CONFIG = TrainingConfig(
    sources=(*CONFIGS, AgainConfig()),
    recent_length=20,
    windows=2,
    window_days=20.0,
    visits=80,
    kept=30,
    least_answered=20,
    ranker=LambdaMartConfig(rounds=20, leaves=7, min_leaf_rows=10, threads=1),
)


def versions_of(rows: list[tuple[int, int, Item]], n_items: int = N_ITEMS) -> ItemVersions:
    """Versions (item row, valid from, item) in the order the store gives them."""
    rows = sorted(rows, key=lambda row: row[:2])
    return ItemVersions(
        np.array([r for r, _, _ in rows], np.int32),
        np.array([at for _, at, _ in rows], np.int64),
        np.array([item.deleted for _, _, item in rows], np.bool_),
        [msgspec.json.encode(item).decode() for _, _, item in rows],
        [f"i{i}" for i in range(n_items)],
    )


def first_versions() -> list[tuple[int, int, Item]]:
    """Every item, posted at the beginning."""
    return [
        (i, 0, Item(id=f"i{i}", title=f"thing {i}", brand=f"brand {i % 2}",
                    product_type=f"all > kind {i % 3}", price_micros=1_000_000 * (1 + i % 5)))
        for i in range(N_ITEMS)
    ]  # fmt: skip


def facts_of(log: ActionLog | None = None, versions: ItemVersions | None = None) -> ShopFacts:
    """The shop's facts; none of its lines was taken back."""
    log = shop_log() if log is None else log
    return ShopFacts(
        log,
        np.full(len(log), NEVER_MS, np.int64),
        versions or versions_of(first_versions()),
        len(log),
    )


__all__ = ["CONFIG", "DAY", "N_ITEMS", "facts_of", "first_versions", "shop_log", "versions_of"]
