"""What is known of every item, as the compiled loops behind ``features.py`` read it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import MS_PER_DAY

__all__ = [
    "CART",
    "LONG_DAYS",
    "NEW_BUYER",
    "PURCHASE",
    "VIEW",
    "ItemTables",
    "code_of",
    "fetch",
    "known_days",
    "price",
    "quantity",
]

VIEW, CART, PURCHASE, NEW_BUYER = range(4)
"""The channels of the item statistics, in order."""

LONG_DAYS: Final = np.float32(999.0)
"""Days since what has never happened."""

_NEVER: Final = 1.2345e300


class ItemTables(NamedTuple):
    """The arrays of ``ItemStats`` and ``ItemColumns``.

    Made within compiled code alone: from outside the arrays come one by one, because looking up the
    type of a tuple of them costs up to 100 us a call.
    """

    decayed: NDArray[np.float64]  # (cap, n_half_lives, n_channels)
    total: NDArray[np.float64]  # (cap, n_channels)
    first_ms: NDArray[np.int64]  # (cap,)
    last_buy_ms: NDArray[np.int64]  # (cap,)
    sums: NDArray[np.float64]  # (cap, 6)
    totals: NDArray[np.float64]  # (6,)
    half_life_ms: NDArray[np.float64]  # (n_half_lives,)
    log_price: NDArray[np.float32]  # (n_items,) NaN where not said
    brand: NDArray[np.int32]  # (n_items,)
    category: NDArray[np.int32]  # (n_items,)
    first_seen_ms: NDArray[np.int64]  # (n_items,) 0 where nobody knows
    epoch_ms: float
    rating_prior: float


@nb.njit(cache=True, nogil=True)
def fetch(t: ItemTables, item: NDArray[np.int32]) -> bool:
    """Read every cache line of what is known of the items (n,); never true.

    The reads do not wait for each other, so memory answers them together: measured in a shop of
    100,000 items, the features of 256 candidates took 75 us without and 60 with it. The answer must
    be asked for, or the compiler leaves the reads out.
    """
    decayed, total, sums, log_price = t.decayed, t.total, t.sums, t.log_price
    first_ms, last_buy_ms, first_seen_ms = t.first_ms, t.last_buy_ms, t.first_seen_ms
    brand, category, n_known, n_told = t.brand, t.category, len(t.total), len(t.log_price)
    seen, bits = 0.0, np.int64(0)
    for i in item:
        if 0 <= i < n_known:
            seen += decayed[i, 0, 0] + decayed[i, 2, 0] + decayed[i, 4, NEW_BUYER]
            seen += total[i, 0] + sums[i, 0] + sums[i, 5]
            bits ^= first_ms[i] ^ last_buy_ms[i]
        if 0 <= i < n_told:
            seen += log_price[i]
            bits ^= first_seen_ms[i] ^ brand[i] ^ category[i]
    return bool(seen + bits == _NEVER)


@nb.njit(cache=True, nogil=True)
def price(
    log_price: NDArray[np.float32], sums: NDArray[np.float64], totals: NDArray[np.float64], i: int
) -> float:
    """Log of an item's list price, else of what was paid for it, else of the shop's mean."""
    if i < len(log_price) and log_price[i] == log_price[i]:
        return float(log_price[i])
    if sums[i, 3] > 0:
        return float(sums[i, 2] / sums[i, 3])
    return float(totals[2] / max(totals[3], 1.0))


@nb.njit(cache=True, nogil=True)
def quantity(sums: NDArray[np.float64], totals: NDArray[np.float64], i: int) -> float:
    """Log of how many are bought at a time, the shop's mean where nobody has bought it."""
    if sums[i, 5] > 0:
        return float(sums[i, 4] / sums[i, 5])
    return float(totals[4] / max(totals[5], 1.0))


@nb.njit(cache=True, nogil=True)
def known_days(
    first_ms: NDArray[np.int64], first_seen_ms: NDArray[np.int64], i: int, now: np.int64
) -> float:
    """Days since the item entered the shop, or since anything was done with it."""
    first = first_ms[i]
    if i < len(first_seen_ms) and first_seen_ms[i] > 0:
        first = min(first, first_seen_ms[i])
    if first >= now:
        return 0.0
    return float((now - first) / MS_PER_DAY)


@nb.njit(cache=True, nogil=True)
def code_of(code: NDArray[np.int32], i: int) -> int:
    """An item's brand or category, -1 where nothing is known of it."""
    return code[i] if i < len(code) else -1
