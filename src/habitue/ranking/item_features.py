"""What happened to each candidate lately: the columns ``item_*``."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import MS_PER_DAY
from habitue.ranking.item_tables import (
    CART,
    LONG_DAYS,
    NEW_BUYER,
    PURCHASE,
    VIEW,
    ItemTables,
    fetch,
    known_days,
    price,
    quantity,
)
from habitue.ranking.logarithms import take_logs

__all__ = ["ITEM_NAMES", "N_LOGS", "item_columns"]

ITEM_NAMES: Final = (
    "item_bought_3d", "item_bought_7d", "item_bought_14d", "item_bought_28d", "item_bought_56d",
    "item_new_buyers_3d", "item_new_buyers_7d", "item_new_buyers_14d", "item_new_buyers_28d",
    "item_viewed_7d", "item_viewed_28d", "item_carted_7d", "item_carted_28d",
    "item_trend_3d_14d", "item_trend_7d_28d", "item_trend_14d_56d", "item_trend_56d_ever",
    "item_new_share_14d", "item_converts_28d", "item_bought_ever", "item_viewed_ever",
    "item_known_days", "item_unbought_days", "item_rating", "item_ratings", "item_log_price",
    "item_log_quantity", "item_repeat_rate",
)  # fmt: skip

N_LOGS: Final = 21
"""Logarithms taken of an item: 20 of its columns', and that of 1 + the days it has been known."""

_LN2: Final = float(np.log(2.0))


@nb.njit(cache=True, nogil=True)
def item_columns(
    t: ItemTables,
    now: np.int64,
    item: NDArray[np.int32],
    x: NDArray[np.float32],
    first: int,
    logs: NDArray[np.float64],
    power: NDArray[np.float64],
) -> None:
    """Fill ``ITEM_NAMES`` of the items (n,) of one request from column ``first`` of ``x`` on.

    ``logs`` (n, N_LOGS) keeps the logarithms; ``power`` (n * N_LOGS,) is scratch. Unknown items are
    all 0. A decayed count over its half-life is a rate; ratios of rates are trends.
    """
    if fetch(t, item):
        return
    decayed, total, sums = t.decayed, t.total, t.sums
    factor = 2.0 ** ((t.epoch_ms - now) / t.half_life_ms)
    rate = factor / (t.half_life_ms / MS_PER_DAY)
    shop_rating = t.totals[0] / t.totals[1] if t.totals[1] > 0 else 0.0
    for at in range(len(item)):
        i = item[at]
        if i < 0 or i >= len(total):
            logs[at] = 1.0
            x[at, first : first + 28] = 0.0
            continue
        known = known_days(t.first_ms, t.first_seen_ms, i, now)
        for h in range(5):
            logs[at, h] = decayed[i, h, PURCHASE] * factor[h] + 0.1
        for h in range(4):
            logs[at, 5 + h] = decayed[i, h, NEW_BUYER] * factor[h] + 0.1
        for h in range(2):
            logs[at, 9 + h] = decayed[i, 1 + 2 * h, VIEW] * factor[1 + 2 * h] + 0.1
            logs[at, 11 + h] = decayed[i, 1 + 2 * h, CART] * factor[1 + 2 * h] + 0.1
        for h in range(3):
            logs[at, 13 + h] = (decayed[i, h, PURCHASE] * rate[h] + 0.02) / (
                decayed[i, h + 2, PURCHASE] * rate[h + 2] + 0.02
            )
        ever = total[i, PURCHASE] / (max(known, 1.0) * _LN2)
        logs[at, 16] = (decayed[i, 4, PURCHASE] * rate[4] + 0.02) / (ever + 0.02)
        logs[at, 17] = 1.0 + total[i, PURCHASE]
        logs[at, 18] = 1.0 + total[i, VIEW]
        logs[at, 19] = 1.0 + sums[i, 1]
        logs[at, 20] = 1.0 + known
        x[at, first + 17] = logs[at, 7] / (logs[at, 2] + 0.1)
        x[at, first + 18] = (logs[at, 3] + 0.4) / (logs[at, 10] + 9.9)
        x[at, first + 21] = min(known, float(LONG_DAYS))
        x[at, first + 22] = LONG_DAYS
        if t.last_buy_ms[i] > 0:
            idle = max(float(now - t.last_buy_ms[i]), 0.0) / MS_PER_DAY
            x[at, first + 22] = min(idle, float(LONG_DAYS))
        x[at, first + 23] = (sums[i, 0] + t.rating_prior * shop_rating) / (
            sums[i, 1] + t.rating_prior
        )
        x[at, first + 25] = price(t.log_price, sums, t.totals, i)
        x[at, first + 26] = quantity(sums, t.totals, i)
        x[at, first + 27] = total[i, PURCHASE] / max(total[i, NEW_BUYER], 1.0)
    size = len(item) * N_LOGS
    take_logs(logs.reshape(-1)[:size], power[:size])
    for at in range(len(item)):
        if 0 <= item[at] < len(total):
            for k in range(17):
                x[at, first + k] = logs[at, k]
            x[at, first + 19], x[at, first + 20] = logs[at, 17], logs[at, 18]
            x[at, first + 24] = logs[at, 19]
