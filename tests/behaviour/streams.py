"""Streams to test with."""

from __future__ import annotations

import numpy as np

from habitue.behaviour.streams import Streams

__all__ = ["rounds", "streams"]

_MINUTE_MS = 60_000


def streams(lengths: list[int], n_items: int = 9, seed: int = 0) -> Streams:
    """Shoppers with so many actions each, on items at random."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    start = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=start[1:])
    return Streams(
        rng.integers(0, n_items, n).astype(np.int32),
        np.where(rng.random(n) < 0.5, 3, 11).astype(np.uint8),
        np.cumsum(rng.integers(1, 5_000, n)) * _MINUTE_MS,
        start,
        np.arange(len(lengths), dtype=np.int32) * 2,
        n_items,
    )


def rounds(n_shoppers: int = 120, n_items: int = 12, length: int = 8) -> Streams:
    """Everybody walks the items in a circle, from somewhere on: what is next is certain."""
    rng = np.random.default_rng(0)
    begin = rng.integers(0, n_items, n_shoppers)
    item = (begin[:, None] + np.arange(length)) % n_items
    n = n_shoppers * length
    return Streams(
        item.ravel().astype(np.int32),
        np.full(n, 3, np.uint8),
        np.tile(np.arange(length) * 86_400_000, n_shoppers),
        np.arange(n_shoppers + 1) * length,
        np.arange(n_shoppers, dtype=np.int32),
        n_items,
    )
