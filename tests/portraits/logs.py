"""Logs to test with: by hand, and drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from habitue.facts import ActionKind, ActionLog

DAY = 86_400_000
KINDS = (
    ActionKind.view_item,
    ActionKind.add_to_cart,
    ActionKind.purchase,
    ActionKind.purchase,
    ActionKind.rate,
    ActionKind.not_interested,
)
N_SHOPPERS, N_ITEMS = 4, 5

Row = tuple[int, ActionKind, int, int, int, float, float]
"""at_ms, kind, shopper, item, order, quantity, rating"""


def log_of(rows: Sequence[Row], n_shoppers: int = N_SHOPPERS, n_items: int = N_ITEMS) -> ActionLog:
    """A log of these rows in order of time; ``seq`` is the order they were given in."""
    order = sorted(range(len(rows)), key=lambda x: (rows[x][0], x))
    column: list[Any] = [[rows[x][c] for x in order] for c in range(7)]
    n = len(rows)
    return ActionLog(
        seq=np.array([x + 1 for x in order], np.int64),
        at_ms=np.array(column[0], np.int64),
        kind=np.array(column[1], np.uint8),
        shopper_row=np.array(column[2], np.int32),
        item_row=np.array(column[3], np.int32),
        order_row=np.array(column[4], np.int32),
        quantity=np.array(column[5], np.float32),
        price_micros=np.full(n, 2_000_000, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.array(column[6], np.float32),
        n_shoppers=n_shoppers,
        n_items=n_items,
    )


def rows(max_days: int = 200, max_size: int = 60) -> st.SearchStrategy[list[Row]]:
    """Random actions, in any order of time."""
    row = st.tuples(
        st.integers(1, max_days * 24).map(lambda hour: hour * 3_600_000),
        st.sampled_from(KINDS),
        st.integers(-1, N_SHOPPERS - 1),
        st.integers(-1, N_ITEMS - 1),
        st.integers(-1, 3),
        st.sampled_from([1.0, 2.0, 10.0]),
        st.sampled_from([1.0, 5.0, float("nan")]),
    )
    return st.lists(row, min_size=1, max_size=max_size)
