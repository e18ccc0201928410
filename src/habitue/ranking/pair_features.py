"""What each candidate is to its shopper, and beside the anchors: ``pair_*`` and ``anchor_*``."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionKind
from habitue.ranking.item_tables import LONG_DAYS, ItemTables, code_of, price
from habitue.ranking.shopper_features import BUY, VIEWED, Past

__all__ = ["ANCHOR_NAMES", "PAIR_NAMES", "anchor_columns", "pair_columns"]

PAIR_NAMES: Final = (
    "pair_price_gap", "pair_price_fit", "pair_quantity_gap", "pair_popular_gap", "pair_new_gap",
    "pair_brand_share", "pair_category_share", "pair_brand_weight", "pair_category_weight",
    "pair_viewed_weight", "pair_viewed_days", "pair_in_cart", "pair_owned_count",
    "pair_owned_days", "pair_bought_15d", "pair_bought_60d", "pair_bought_200d", "pair_gap_days",
    "pair_due", "pair_order_rate",
)  # fmt: skip

ANCHOR_NAMES: Final = (
    "anchor_price_gap", "anchor_price_gap_size", "anchor_same_brand", "anchor_same_category",
    "anchor_count",
)  # fmt: skip

_IN_CART: Final = int(ActionKind.add_to_cart)
_OUT_OF_CART: Final = int(ActionKind.remove_from_cart)


@nb.njit(cache=True, nogil=True)
def pair_columns(
    past: Past,
    who: NDArray[np.float32],
    owned: NDArray[np.int32],
    owned_count: NDArray[np.float32],
    owned_age: NDArray[np.float32],
    item: NDArray[np.int32],
    own: NDArray[np.int32],
    logs: NDArray[np.float64],
    x: NDArray[np.float32],
    first: int,
) -> None:
    """Fill ``PAIR_NAMES`` of items (n,) for one shopper, from column ``first`` of ``x`` on.

    ``who`` are the shopper's columns. ``own`` (n, 2) are the items' brands and categories, ``logs``
    (n, 4) those of their price and quantity, of 1 + their purchases and 1 + the days they have been
    known, NaN where nothing is known of an item: its columns are 0.
    """
    recent, kinds, ages, marks = past.item, past.kind, past.age, past.marks
    brand, category = past.brand, past.category
    used, n_brands, n_categories = past.sizes
    mass = np.float32(0.0)
    for p in range(used):
        mass += past.weight[p]
    orders = max(np.expm1(who[7]), 1.0)
    for c in range(len(item)):
        i = item[c]
        row = x[c, first : first + 20]
        row[:] = 0.0
        if logs[c, 0] != logs[c, 0]:
            continue
        gap = logs[c, 0] - who[12]
        row[0] = gap
        row[1] = abs(gap) / (who[13] + 0.2)
        row[2] = logs[c, 1] - who[14]
        row[3] = logs[c, 2] - who[15]
        row[4] = logs[c, 3] - who[16]
        row[7] = _weight_of(brand.code, brand.weight, n_brands, own[c, 0])
        row[8] = _weight_of(category.code, category.weight, n_categories, own[c, 1])
        row[5] = row[7] / (mass + 1e-6)
        row[6] = row[8] / (mass + 1e-6)
        row[10] = LONG_DAYS
        row[13] = row[17] = row[18] = -1.0
        if marks[i & (len(marks) - 1)]:
            _history(recent, kinds, ages, used, i, row)
        at = np.searchsorted(owned, i)
        if at < len(owned) and owned[at] == i:
            row[12] = owned_count[at]
            row[13] = owned_age[at]
            row[19] = owned_count[at] / orders


@nb.njit(cache=True, nogil=True)
def _weight_of(code: NDArray[np.int32], weight: NDArray[np.float32], n: int, own: int) -> float:
    """How much of the shopper's attention this brand, or this category, had."""
    if own >= 0:
        for x in range(n):
            if code[x] == own:
                return float(weight[x])
    return 0.0


@nb.njit(cache=True, nogil=True)
def _history(
    recent: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    ages: NDArray[np.float32],
    used: int,
    i: int,
    row: NDArray[np.float32],
) -> None:
    """What the shopper did with this very item, as far as the recents reach."""
    first = np.float32(-1.0)
    last = np.float32(-1.0)
    buys = 0
    cart_known = False
    for x in range(used):
        if recent[x] != i:
            continue
        kind, age = kinds[x], ages[x]
        if kind == BUY:
            row[14] += 2.0 ** (-age / 15.0)
            row[15] += 2.0 ** (-age / 60.0)
            row[16] += 2.0 ** (-age / 200.0)
            if buys == 0:
                last = age
            if age != first:
                buys += 1
            first = age
            cart_known = True
        elif kind in VIEWED:
            row[9] += 2.0 ** (-age / 7.0)
            row[10] = min(row[10], age)
        elif not cart_known and (kind in (_IN_CART, _OUT_OF_CART)):
            row[11] = 1.0 if kind == _IN_CART else 0.0
            cart_known = True
    row[17] = (first - last) / (buys - 1) if buys > 1 else -1.0
    row[18] = last / max(row[17], np.float32(1.0)) if buys > 1 else -1.0


@nb.njit(cache=True, nogil=True)
def anchor_columns(
    t: ItemTables,
    anchor: NDArray[np.int32],
    own: NDArray[np.int32],
    logs: NDArray[np.float64],
    x: NDArray[np.float32],
    first: int,
) -> None:
    """Fill ``ANCHOR_NAMES`` of items (n,) beside these anchors (A,), from column ``first`` on.

    ``own`` and ``logs`` are as in ``pair_columns``.
    """
    x[:, first : first + 5] = 0.0
    brands, categories, n_known = t.brand, t.category, len(t.total)
    count, mean = 0, 0.0
    for a in anchor:
        if 0 <= a < n_known:
            mean += price(t.log_price, t.sums, t.totals, a)
            count += 1
    if count == 0:
        return
    mean /= count
    for c in range(len(x)):
        if logs[c, 0] != logs[c, 0]:
            continue
        row = x[c, first : first + 5]
        for a in anchor:
            if 0 <= a < n_known:
                row[2] += own[c, 0] >= 0 and own[c, 0] == code_of(brands, a)
                row[3] += own[c, 1] >= 0 and own[c, 1] == code_of(categories, a)
        row[0] = logs[c, 0] - mean
        row[1] = abs(row[0])
        row[2] /= count
        row[3] /= count
        row[4] = count
