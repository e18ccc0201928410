"""Small logs written out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from habitue.facts import MS_PER_DAY, ActionKind, ActionLog

BUY, LOOK, CART = ActionKind.purchase, ActionKind.view_item, ActionKind.add_to_cart

Line = tuple[float, ActionKind, int, int]  # day, kind, shopper row, item row


def log_of(
    lines: Sequence[Line], *, n_shoppers: int | None = None, n_items: int | None = None
) -> ActionLog:
    """A log of these lines, sorted by day; lines of one day keep their order."""
    lines = sorted(lines, key=lambda line: line[0])
    n = len(lines)
    shoppers = np.array([line[2] for line in lines], np.int32)
    items = np.array([line[3] for line in lines], np.int32)
    return ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=np.array([round(line[0] * MS_PER_DAY) for line in lines], np.int64),
        kind=np.array([int(line[1]) for line in lines], np.uint8),
        shopper_row=shoppers,
        item_row=items,
        order_row=np.full(n, -1, np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=n_shoppers or int(shoppers.max(initial=-1)) + 1,
        n_items=n_items or int(items.max(initial=-1)) + 1,
    )


def at_random(seed: int, n: int = 400, n_shoppers: int = 13, n_items: int = 29) -> ActionLog:
    """A log of views and purchases by chance: more items than shoppers, so rows cannot be swapped
    unseen; some lines without an item."""
    rng = np.random.default_rng(seed)
    return log_of(
        [
            (
                float(rng.integers(0, 100)),
                BUY if rng.random() < 0.6 else LOOK,
                int(rng.integers(0, n_shoppers)),
                int(rng.integers(-1, n_items)),
            )
            for _ in range(n)
        ],
        n_shoppers=n_shoppers,
        n_items=n_items,
    )
