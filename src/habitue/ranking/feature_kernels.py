"""The compiled loops behind ``features.py``: one pass over shoppers, one over their candidates.

Each kernel fills a block of columns in the order of the names beside it; ``features.py`` puts the
blocks side by side. Everything is float32, nothing is NaN: what is not known has a stated value.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import MS_PER_DAY, ActionKind

__all__ = [
    "ANCHOR_NAMES",
    "ITEM_NAMES",
    "PAIR_NAMES",
    "SHOPPER_NAMES",
    "ItemTables",
    "Requests",
    "anchor_block",
    "item_block",
    "normal_block",
    "pair_block",
    "request_norms",
    "shopper_block",
]

_VIEW, _CART, _PURCHASE, _NEW_BUYER = range(4)
_BUY: Final = int(ActionKind.purchase)
_IN_CART: Final = int(ActionKind.add_to_cart)
_OUT_OF_CART: Final = int(ActionKind.remove_from_cart)
_REFUSED: Final = int(ActionKind.not_interested)
_REFUNDED: Final = int(ActionKind.refund)
_VIEWED: Final = (int(ActionKind.view_item), int(ActionKind.select_item))
_LONG_DAYS: Final = np.float32(999.0)

ITEM_NAMES: Final = (
    "item_bought_3d", "item_bought_7d", "item_bought_14d", "item_bought_28d", "item_bought_56d",
    "item_new_buyers_3d", "item_new_buyers_7d", "item_new_buyers_14d", "item_new_buyers_28d",
    "item_viewed_7d", "item_viewed_28d", "item_carted_7d", "item_carted_28d",
    "item_trend_3d_14d", "item_trend_7d_28d", "item_trend_14d_56d", "item_trend_56d_ever",
    "item_new_share_14d", "item_converts_28d", "item_bought_ever", "item_viewed_ever",
    "item_known_days", "item_unbought_days", "item_rating", "item_ratings", "item_log_price",
    "item_log_quantity", "item_repeat_rate",
)  # fmt: skip

SHOPPER_NAMES: Final = (
    "shopper_recents", "shopper_owned", "shopper_order_lines", "shopper_novelty",
    "shopper_idle_days", "shopper_unbought_days", "shopper_tenure_days", "shopper_orders",
    "shopper_order_size", "shopper_order_gap_days", "shopper_views_share", "shopper_carts_share",
    "shopper_log_price", "shopper_log_price_sd", "shopper_log_quantity", "shopper_popular_taste",
    "shopper_new_taste", "shopper_brand_focus", "shopper_category_focus",
)  # fmt: skip

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


class ItemTables(NamedTuple):
    """What is known of every item: the arrays of ``ItemStats`` and ``ItemColumns``."""

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


class Requests(NamedTuple):
    """What a batch of contexts holds, as plain arrays."""

    now_ms: NDArray[np.int64]  # (B,)
    recent_item: NDArray[np.int32]  # (B, L)
    recent_kind: NDArray[np.uint8]  # (B, L)
    recent_age: NDArray[np.float32]  # (B, L)
    anchor: NDArray[np.int32]  # (B, A)
    owned_ptr: NDArray[np.int64]  # (B + 1,)
    owned_item: NDArray[np.int32]
    owned_count: NDArray[np.float32]
    owned_age: NDArray[np.float32]


@nb.njit(cache=True, nogil=True)
def _price(t: ItemTables, i: int) -> float:
    """Log of an item's list price, else of what was paid for it, else of the shop's mean."""
    if i < len(t.log_price) and t.log_price[i] == t.log_price[i]:
        return float(t.log_price[i])
    if t.sums[i, 3] > 0:
        return float(t.sums[i, 2] / t.sums[i, 3])
    return float(t.totals[2] / max(t.totals[3], 1.0))


@nb.njit(cache=True, nogil=True)
def _quantity(t: ItemTables, i: int) -> float:
    if t.sums[i, 5] > 0:
        return float(t.sums[i, 4] / t.sums[i, 5])
    return float(t.totals[4] / max(t.totals[5], 1.0))


@nb.njit(cache=True, nogil=True)
def _known_days(t: ItemTables, i: int, now: np.int64) -> float:
    first = t.first_ms[i]
    if i < len(t.first_seen_ms) and t.first_seen_ms[i] > 0:
        first = min(first, t.first_seen_ms[i])
    if first >= now:
        return 0.0
    return float((now - first) / MS_PER_DAY)


@nb.njit(cache=True, nogil=True)
def _brand(t: ItemTables, i: int) -> int:
    return t.brand[i] if i < len(t.brand) else -1


@nb.njit(cache=True, nogil=True)
def _category(t: ItemTables, i: int) -> int:
    return t.category[i] if i < len(t.category) else -1


@nb.njit(cache=True, nogil=True)
def _unwanted(kind: np.uint8) -> bool:
    """Whether an action says that the item is not wanted."""
    return bool(kind in (_REFUSED, _OUT_OF_CART, _REFUNDED))


@nb.njit(cache=True, nogil=True)
def request_norms(score: NDArray[np.float32], item: NDArray[np.int32]) -> NDArray[np.float32]:
    """Mean, standard deviation and maximum of each source's scores within a request: (B, S, 3)."""
    n_requests, n, n_sources = score.shape
    norms = np.zeros((n_requests, n_sources, 3), np.float32)
    for b in range(n_requests):
        for s in range(n_sources):
            count, total, square, largest = 0, 0.0, 0.0, 0.0
            for x in range(n):
                if item[b, x] < 0:
                    continue
                value = float(score[b, x, s])
                count += 1
                total += value
                square += value * value
                largest = max(largest, value)
            if count:
                mean = total / count
                norms[b, s, 0] = mean
                norms[b, s, 1] = np.sqrt(max(square / count - mean * mean, 0.0))
                norms[b, s, 2] = largest
    return norms


@nb.njit(cache=True, nogil=True)
def normal_block(
    score: NDArray[np.float32], norms: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Each source's score, standardised, and as a share of the request's best: 3 columns each."""
    n_requests, n, n_sources = score.shape
    for b in range(n_requests):
        for x in range(n):
            row = out[b * n + x]
            for s in range(n_sources):
                value = score[b, x, s]
                row[3 * s] = value
                row[3 * s + 1] = (value - norms[b, s, 0]) / (norms[b, s, 1] + np.float32(1e-9))
                row[3 * s + 2] = value / (norms[b, s, 2] + np.float32(1e-9))


@nb.njit(cache=True, nogil=True)
def item_block(
    t: ItemTables, now_ms: NDArray[np.int64], item: NDArray[np.int32], out: NDArray[np.float32]
) -> None:
    """What happened to each candidate lately: ``ITEM_NAMES``."""
    n_requests, n = item.shape
    half_days = t.half_life_ms / MS_PER_DAY
    shop_rating = t.totals[0] / t.totals[1] if t.totals[1] > 0 else 0.0
    # A decayed count over its half-life is a rate; ratios of rates are trends.
    ln2 = np.log(2.0)
    for b in range(n_requests):
        now = now_ms[b]
        factor = 2.0 ** ((t.epoch_ms - now) / t.half_life_ms)
        for x in range(n):
            i = item[b, x]
            if i < 0 or i >= len(t.total):
                continue
            row = out[b * n + x]
            d = t.decayed[i]
            known = _known_days(t, i, now)
            for h in range(5):
                row[h] = np.log(d[h, _PURCHASE] * factor[h] + 0.1)
            for h in range(4):
                row[5 + h] = np.log(d[h, _NEW_BUYER] * factor[h] + 0.1)
            row[9] = np.log(d[1, _VIEW] * factor[1] + 0.1)
            row[10] = np.log(d[3, _VIEW] * factor[3] + 0.1)
            row[11] = np.log(d[1, _CART] * factor[1] + 0.1)
            row[12] = np.log(d[3, _CART] * factor[3] + 0.1)
            for h in range(3):
                short = d[h, _PURCHASE] * factor[h] / half_days[h]
                long = d[h + 2, _PURCHASE] * factor[h + 2] / half_days[h + 2]
                row[13 + h] = np.log((short + 0.02) / (long + 0.02))
            ever = t.total[i, _PURCHASE] / max(known, 1.0) / ln2
            row[16] = np.log((d[4, _PURCHASE] * factor[4] / half_days[4] + 0.02) / (ever + 0.02))
            row[17] = (d[2, _NEW_BUYER] * factor[2] + 0.1) / (d[2, _PURCHASE] * factor[2] + 0.2)
            row[18] = (d[3, _PURCHASE] * factor[3] + 0.5) / (d[3, _VIEW] * factor[3] + 10.0)
            row[19] = np.log1p(t.total[i, _PURCHASE])
            row[20] = np.log1p(t.total[i, _VIEW])
            row[21] = min(known, _LONG_DAYS)
            bought = t.last_buy_ms[i]
            if bought > 0:
                row[22] = min(max(now - bought, 0) / MS_PER_DAY, _LONG_DAYS)
            else:
                row[22] = _LONG_DAYS
            row[23] = (t.sums[i, 0] + t.rating_prior * shop_rating) / (
                t.sums[i, 1] + t.rating_prior
            )
            row[24] = np.log1p(t.sums[i, 1])
            row[25] = _price(t, i)
            row[26] = _quantity(t, i)
            row[27] = t.total[i, _PURCHASE] / max(t.total[i, _NEW_BUYER], 1.0)


@nb.njit(cache=True, nogil=True)
def shopper_block(t: ItemTables, r: Requests) -> NDArray[np.float32]:
    """Who each shopper is, from the context alone: (B, SHOPPER_NAMES)."""
    n_requests, length = r.recent_item.shape
    out = np.zeros((n_requests, 19), np.float32)
    brands = np.empty(length, np.int32)
    categories = np.empty(length, np.int32)
    for b in range(n_requests):
        count = views = carts = buys = orders = 0
        price = square = quantity = popular = new = 0.0
        last_order = -1.0
        last_buy = first_buy = float(_LONG_DAYS)
        for x in range(length):
            i = r.recent_item[b, x]
            kind = r.recent_kind[b, x]
            if i < 0 or i >= len(t.total) or _unwanted(kind):
                brands[x] = -1
                categories[x] = -1
                continue
            age = float(r.recent_age[b, x])
            count += 1
            p = _price(t, i)
            price += p
            square += p * p
            quantity += _quantity(t, i)
            popular += np.log1p(t.total[i, _PURCHASE])
            new += np.log1p(_known_days(t, i, r.now_ms[b]))
            brands[x] = _brand(t, i)
            categories[x] = _category(t, i)
            if kind == _BUY:
                buys += 1
                if age != last_order:
                    if orders == 0:
                        last_buy = age
                    orders += 1
                    last_order = age
                first_buy = age
            elif kind == _IN_CART:
                carts += 1
            elif kind == _VIEWED[0] or kind == _VIEWED[1]:
                views += 1
        owned = r.owned_ptr[b + 1] - r.owned_ptr[b]
        lines = 0.0
        tenure = 0.0
        for e in range(r.owned_ptr[b], r.owned_ptr[b + 1]):
            lines += r.owned_count[e]
            tenure = max(tenure, float(r.owned_age[e]))
        row = out[b]
        n = max(count, 1)
        row[0] = np.log1p(count)
        row[1] = np.log1p(owned)
        row[2] = np.log1p(lines)
        row[3] = owned / lines if lines > 0 else 1.0
        row[4] = r.recent_age[b, 0] if count else _LONG_DAYS
        row[5] = last_buy
        row[6] = tenure
        row[7] = np.log1p(orders)
        row[8] = buys / max(orders, 1)
        row[9] = (first_buy - last_buy) / (orders - 1) if orders > 1 else _LONG_DAYS
        row[10] = views / n
        row[11] = carts / n
        mean = price / n if count else t.totals[2] / max(t.totals[3], 1.0)
        row[12] = mean
        row[13] = np.sqrt(max(square / n - mean * mean, 0.0)) if count else 1.0
        row[14] = quantity / n if count else t.totals[4] / max(t.totals[5], 1.0)
        row[15] = popular / n
        row[16] = new / n
        row[17] = _focus(brands, length)
        row[18] = _focus(categories, length)
    return out


@nb.njit(cache=True, nogil=True)
def _focus(code: NDArray[np.int32], length: int) -> float:
    """The chance that two of the recents share a code: 0 where nothing is coded."""
    known = code[:length][code[:length] >= 0]
    n = len(known)
    if n < 2:
        return 0.0
    known.sort()
    same = 0.0
    run = 1
    for x in range(1, n + 1):
        if x < n and known[x] == known[x - 1]:
            run += 1
        else:
            same += run * (run - 1)
            run = 1
    return same / (n * (n - 1))


@nb.njit(cache=True, nogil=True)
def pair_block(
    t: ItemTables,
    r: Requests,
    item: NDArray[np.int32],
    shopper: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """What each candidate is to its shopper: ``PAIR_NAMES``."""
    n_requests, n = item.shape
    length = r.recent_item.shape[1]
    weight = np.empty(length, np.float32)
    brand = np.empty(length, np.int32)
    category = np.empty(length, np.int32)
    for b in range(n_requests):
        total = np.float32(0.0)
        used = 0
        for x in range(length):
            i = r.recent_item[b, x]
            if i < 0:
                break
            used = x + 1
            weight[x] = 2.0 ** (-r.recent_age[b, x] / 30.0)
            if _unwanted(r.recent_kind[b, x]):
                weight[x] = 0.0
            total += weight[x]
            brand[x] = _brand(t, i)
            category[x] = _category(t, i)
        start, end = r.owned_ptr[b], r.owned_ptr[b + 1]
        who = shopper[b]
        for c in range(n):
            i = item[b, c]
            if i < 0 or i >= len(t.total):
                continue
            row = out[b * n + c]
            gap = _price(t, i) - who[12]
            row[0] = gap
            row[1] = abs(gap) / (who[13] + 0.2)
            row[2] = _quantity(t, i) - who[14]
            row[3] = np.log1p(t.total[i, _PURCHASE]) - who[15]
            row[4] = np.log1p(_known_days(t, i, r.now_ms[b])) - who[16]
            _affinity(t, i, brand, category, weight, used, total, row)
            _history(r, b, i, used, row)
            _ownership(r, start, end, i, who, row)


@nb.njit(cache=True, nogil=True)
def _affinity(t, i, brand, category, weight, used, total, row):  # type: ignore[no-untyped-def]
    """How much of the shopper's attention this brand and this category had."""
    own_brand, own_category = _brand(t, i), _category(t, i)
    by_brand = by_category = np.float32(0.0)
    if own_brand >= 0:
        for x in range(used):
            if brand[x] == own_brand:
                by_brand += weight[x]
    if own_category >= 0:
        for x in range(used):
            if category[x] == own_category:
                by_category += weight[x]
    row[5] = by_brand / (total + 1e-6)
    row[6] = by_category / (total + 1e-6)
    row[7] = by_brand
    row[8] = by_category


@nb.njit(cache=True, nogil=True)
def _history(r, b, i, used, row):  # type: ignore[no-untyped-def]
    """What the shopper did with this very item, as far as the recents reach."""
    row[10] = _LONG_DAYS
    first = np.float32(-1.0)
    last = np.float32(-1.0)
    buys = 0
    cart_known = False
    for x in range(used):
        if r.recent_item[b, x] != i:
            continue
        kind, age = r.recent_kind[b, x], r.recent_age[b, x]
        if kind == _BUY:
            row[14] += 2.0 ** (-age / 15.0)
            row[15] += 2.0 ** (-age / 60.0)
            row[16] += 2.0 ** (-age / 200.0)
            if buys == 0:
                last = age
            if age != first:
                buys += 1
            first = age
            cart_known = True
        elif kind == _VIEWED[0] or kind == _VIEWED[1]:
            row[9] += 2.0 ** (-age / 7.0)
            row[10] = min(row[10], age)
        elif not cart_known and (kind in (_IN_CART, _OUT_OF_CART)):
            row[11] = 1.0 if kind == _IN_CART else 0.0
            cart_known = True
    row[17] = (first - last) / (buys - 1) if buys > 1 else -1.0
    row[18] = last / max(row[17], np.float32(1.0)) if buys > 1 else -1.0


@nb.njit(cache=True, nogil=True)
def _ownership(r, start, end, i, who, row):  # type: ignore[no-untyped-def]
    """How often and how long ago the shopper bought it, ever; a binary search."""
    row[13] = -1.0
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        if r.owned_item[middle] < i:
            low = middle + 1
        else:
            high = middle
    if low < end and r.owned_item[low] == i:
        row[12] = r.owned_count[low]
        row[13] = r.owned_age[low]
        row[19] = r.owned_count[low] / max(np.expm1(who[7]), 1.0)


@nb.njit(cache=True, nogil=True)
def anchor_block(
    t: ItemTables, r: Requests, item: NDArray[np.int32], out: NDArray[np.float32]
) -> None:
    """How each candidate stands to the item looked at or to the cart: ``ANCHOR_NAMES``."""
    n_requests, n = item.shape
    for b in range(n_requests):
        price = 0.0
        count = 0
        for a in range(r.anchor.shape[1]):
            i = r.anchor[b, a]
            if 0 <= i < len(t.total):
                price += _price(t, i)
                count += 1
        if count == 0:
            continue
        price /= count
        for c in range(n):
            i = item[b, c]
            if i < 0 or i >= len(t.total):
                continue
            row = out[b * n + c]
            brand, category = _brand(t, i), _category(t, i)
            for a in range(r.anchor.shape[1]):
                other = r.anchor[b, a]
                if other < 0 or other >= len(t.total):
                    continue
                row[2] += brand >= 0 and brand == _brand(t, other)
                row[3] += category >= 0 and category == _category(t, other)
            row[0] = _price(t, i) - price
            row[1] = abs(row[0])
            row[2] /= count
            row[3] /= count
            row[4] = count
