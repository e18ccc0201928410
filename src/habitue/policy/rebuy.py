"""Re-buy cycles: after how many days an item is usually bought again."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionLog
from habitue.portraits import Gaps

__all__ = ["usual_gap_days"]

MIN_GAPS: Final = 5
"""Repeat purchases an item (or category) must have before its own median is believed."""


def usual_gap_days(
    log: ActionLog, category: NDArray[np.int32], *, min_gaps: int = MIN_GAPS
) -> NDArray[np.float32]:
    """Median days between two purchases of each item by one shopper: (n_items,).

    An item bought again too rarely takes its category's median (``category`` (n_items,), -1 for
    none); NaN where that is rare too. Purchases of the same item on one day are one.
    """
    n_items = max(log.n_items, len(category))
    gaps = Gaps.of(log)
    item, gap = gaps.item, gaps.days
    days = _medians(item, gap, n_items, min_gaps)
    of_item = np.full(n_items, -1, np.int64)
    of_item[: len(category)] = category
    known = of_item[item] >= 0
    n_categories = int(of_item.max(initial=-1)) + 1
    by_category = _medians(of_item[item[known]], gap[known], n_categories, min_gaps)
    fallback = np.append(by_category, np.float32(np.nan))[of_item]
    return np.where(np.isnan(days), fallback, days).astype(np.float32)


def _medians(
    group: NDArray[np.int64], value: NDArray[np.float64], n_groups: int, min_count: int
) -> NDArray[np.float32]:
    """The median of each group with ``min_count`` values and more; NaN elsewhere."""
    medians = np.full(n_groups, np.nan, np.float32)
    order = np.lexsort((value, group))
    value = value[order]
    count = np.bincount(group, minlength=n_groups)
    start = np.concatenate([[0], np.cumsum(count)])[:-1]
    big = np.flatnonzero(count >= max(min_count, 1))
    low = value[start[big] + (count[big] - 1) // 2]
    high = value[start[big] + count[big] // 2]
    medians[big] = (low + high) / 2
    return medians
