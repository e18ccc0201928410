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
def _price(
    log_price: NDArray[np.float32], sums: NDArray[np.float64], totals: NDArray[np.float64], i: int
) -> float:
    """Log of an item's list price, else of what was paid for it, else of the shop's mean."""
    if i < len(log_price) and log_price[i] == log_price[i]:
        return float(log_price[i])
    if sums[i, 3] > 0:
        return float(sums[i, 2] / sums[i, 3])
    return float(totals[2] / max(totals[3], 1.0))


@nb.njit(cache=True, nogil=True)
def _quantity(sums: NDArray[np.float64], totals: NDArray[np.float64], i: int) -> float:
    if sums[i, 5] > 0:
        return float(sums[i, 4] / sums[i, 5])
    return float(totals[4] / max(totals[5], 1.0))


@nb.njit(cache=True, nogil=True)
def _known_days(
    first_ms: NDArray[np.int64], first_seen_ms: NDArray[np.int64], i: int, now: np.int64
) -> float:
    first = first_ms[i]
    if i < len(first_seen_ms) and first_seen_ms[i] > 0:
        first = min(first, first_seen_ms[i])
    if first >= now:
        return 0.0
    return float((now - first) / MS_PER_DAY)


@nb.njit(cache=True, nogil=True)
def _code(code: NDArray[np.int32], i: int) -> int:
    """An item's brand or category, -1 where nothing is known of it."""
    return code[i] if i < len(code) else -1


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


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _logs(value: NDArray[np.float64], power: NDArray[np.float64]) -> None:
    """Turn positive numbers into their logarithms, in lanes; ``power`` (n,) is scratch.

    A number is 2**e * m with m in [0.75, 1.5), and log m = 2 artanh((m - 1) / (m + 1)): 1.1 ns a
    logarithm against 9, right to 1e-12.
    """
    bits = value.view(np.int64)
    for k in range(len(bits)):
        up = (bits[k] >> 51) & 1
        power[k] = ((bits[k] >> 52) & 0x7FF) - 1023 + up
        bits[k] = (bits[k] & 0xFFFFFFFFFFFFF) | ((1023 - up) << 52)
    for k in range(len(value)):
        z = (value[k] - 1.0) / (value[k] + 1.0)
        q = z * z
        series = 2 / 9 + q * (2 / 11 + q * (2 / 13 + q * (2 / 15)))
        series = 2.0 + q * (2 / 3 + q * (2 / 5 + q * (2 / 7 + q * series)))
        value[k] = power[k] * 0.6931471805599453 + z * series


_N_LOGS: Final = 20
_LN2: Final = float(np.log(2.0))


@nb.njit(cache=True, nogil=True)
def item_block(
    t: ItemTables, now_ms: NDArray[np.int64], item: NDArray[np.int32], out: NDArray[np.float32]
) -> None:
    """What happened to each candidate lately: ``ITEM_NAMES``.

    Logarithms are gathered and taken all at once: one by one they are most of the time. Within the
    loop arrays are not taken apart and the tables not handed on: each would count references.
    """
    n_requests, n = item.shape
    decayed, total, sums = t.decayed, t.total, t.sums
    days = t.half_life_ms / MS_PER_DAY
    shop_rating = t.totals[0] / t.totals[1] if t.totals[1] > 0 else 0.0
    logs = np.ones((n_requests * n, _N_LOGS))
    for b in range(n_requests):
        # A decayed count over its half-life is a rate; ratios of rates are trends.
        now = now_ms[b]
        factor = 2.0 ** ((t.epoch_ms - now) / t.half_life_ms)
        rate = factor / days
        for x in range(n):
            i, at = item[b, x], b * n + x
            if i < 0 or i >= len(total):
                continue
            known = _known_days(t.first_ms, t.first_seen_ms, i, now)
            for h in range(5):
                logs[at, h] = decayed[i, h, _PURCHASE] * factor[h] + 0.1
            for h in range(4):
                logs[at, 5 + h] = decayed[i, h, _NEW_BUYER] * factor[h] + 0.1
            for h in range(2):
                logs[at, 9 + h] = decayed[i, 1 + 2 * h, _VIEW] * factor[1 + 2 * h] + 0.1
                logs[at, 11 + h] = decayed[i, 1 + 2 * h, _CART] * factor[1 + 2 * h] + 0.1
            for h in range(3):
                logs[at, 13 + h] = (decayed[i, h, _PURCHASE] * rate[h] + 0.02) / (
                    decayed[i, h + 2, _PURCHASE] * rate[h + 2] + 0.02
                )
            ever = total[i, _PURCHASE] / (max(known, 1.0) * _LN2)
            logs[at, 16] = (decayed[i, 4, _PURCHASE] * rate[4] + 0.02) / (ever + 0.02)
            logs[at, 17] = 1.0 + total[i, _PURCHASE]
            logs[at, 18] = 1.0 + total[i, _VIEW]
            logs[at, 19] = 1.0 + sums[i, 1]
            out[at, 17] = logs[at, 7] / (logs[at, 2] + 0.1)
            out[at, 18] = (logs[at, 3] + 0.4) / (logs[at, 10] + 9.9)
            out[at, 21] = min(known, float(_LONG_DAYS))
            out[at, 22] = _LONG_DAYS
            if t.last_buy_ms[i] > 0:
                idle = max(float(now - t.last_buy_ms[i]), 0.0) / MS_PER_DAY
                out[at, 22] = min(idle, float(_LONG_DAYS))
            out[at, 23] = (sums[i, 0] + t.rating_prior * shop_rating) / (
                sums[i, 1] + t.rating_prior
            )
            out[at, 25] = _price(t.log_price, sums, t.totals, i)
            out[at, 26] = _quantity(sums, t.totals, i)
            out[at, 27] = total[i, _PURCHASE] / max(total[i, _NEW_BUYER], 1.0)
    _logs(logs.ravel(), np.empty(logs.size))
    for at in range(n_requests * n):
        if 0 <= item[at // n, at % n] < len(total):
            for k in range(17):
                out[at, k] = logs[at, k]
            out[at, 19], out[at, 20], out[at, 24] = logs[at, 17], logs[at, 18], logs[at, 19]


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
            p = _price(t.log_price, t.sums, t.totals, i)
            price += p
            square += p * p
            quantity += _quantity(t.sums, t.totals, i)
            popular += np.log1p(t.total[i, _PURCHASE])
            new += np.log1p(_known_days(t.first_ms, t.first_seen_ms, i, r.now_ms[b]))
            brands[x] = _code(t.brand, i)
            categories[x] = _code(t.category, i)
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
    log_price, sums, totals, total = t.log_price, t.sums, t.totals, t.total
    first_ms, first_seen_ms, brands, categories = t.first_ms, t.first_seen_ms, t.brand, t.category
    weight = np.empty(length, np.float32)
    brand = np.empty(length, np.int32)
    category = np.empty(length, np.int32)
    logs, power = np.empty(2 * n), np.empty(2 * n)
    for b in range(n_requests):
        recent, kind, age = r.recent_item[b], r.recent_kind[b], r.recent_age[b]
        mass = np.float32(0.0)
        used = 0
        for x in range(length):
            if recent[x] < 0:
                break
            used = x + 1
            weight[x] = 0.0 if _unwanted(kind[x]) else 2.0 ** (-age[x] / 30.0)
            mass += weight[x]
            brand[x] = _code(brands, recent[x])
            category[x] = _code(categories, recent[x])
        start, end = r.owned_ptr[b], r.owned_ptr[b + 1]
        owned = (r.owned_item[start:end], r.owned_count[start:end], r.owned_age[start:end])
        who = shopper[b]
        for c in range(n):
            i = item[b, c]
            logs[2 * c] = logs[2 * c + 1] = 1.0
            if 0 <= i < len(total):
                logs[2 * c] += total[i, _PURCHASE]
                logs[2 * c + 1] += _known_days(first_ms, first_seen_ms, i, r.now_ms[b])
        _logs(logs, power)
        for c in range(n):
            i = item[b, c]
            if i < 0 or i >= len(total):
                continue
            row = out[b * n + c]
            gap = _price(log_price, sums, totals, i) - who[12]
            row[0] = gap
            row[1] = abs(gap) / (who[13] + 0.2)
            row[2] = _quantity(sums, totals, i) - who[14]
            row[3] = logs[2 * c] - who[15]
            row[4] = logs[2 * c + 1] - who[16]
            row[7] = _attention(_code(brands, i), brand, weight, used)
            row[8] = _attention(_code(categories, i), category, weight, used)
            row[5] = row[7] / (mass + 1e-6)
            row[6] = row[8] / (mass + 1e-6)
            _history(recent, kind, age, i, used, row)
            _ownership(owned[0], owned[1], owned[2], i, who[7], row)


@nb.njit(cache=True, nogil=True)
def _attention(own, code, weight, used):  # type: ignore[no-untyped-def]
    """How much of the shopper's attention this brand, or this category, had."""
    share = np.float32(0.0)
    if own >= 0:
        for x in range(used):
            if code[x] == own:
                share += weight[x]
    return share


@nb.njit(cache=True, nogil=True)
def _history(recent, kinds, ages, i, used, row):  # type: ignore[no-untyped-def]
    """What the shopper did with this very item, as far as the recents reach."""
    row[10] = _LONG_DAYS
    first = np.float32(-1.0)
    last = np.float32(-1.0)
    buys = 0
    cart_known = False
    for x in range(used):
        if recent[x] != i:
            continue
        kind, age = kinds[x], ages[x]
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
def _ownership(items, counts, ages, i, log_orders, row):  # type: ignore[no-untyped-def]
    """How often and how long ago the shopper bought it, ever; a binary search."""
    row[13] = -1.0
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] < i:
            low = middle + 1
        else:
            high = middle
    if low < len(items) and items[low] == i:
        row[12] = counts[low]
        row[13] = ages[low]
        row[19] = counts[low] / max(np.expm1(log_orders), 1.0)


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
                price += _price(t.log_price, t.sums, t.totals, i)
                count += 1
        if count == 0:
            continue
        price /= count
        for c in range(n):
            i = item[b, c]
            if i < 0 or i >= len(t.total):
                continue
            row = out[b * n + c]
            brand, category = _code(t.brand, i), _code(t.category, i)
            for a in range(r.anchor.shape[1]):
                other = r.anchor[b, a]
                if other < 0 or other >= len(t.total):
                    continue
                row[2] += brand >= 0 and brand == _code(t.brand, other)
                row[3] += category >= 0 and category == _code(t.category, other)
            row[0] = _price(t.log_price, t.sums, t.totals, i) - price
            row[1] = abs(row[0])
            row[2] /= count
            row[3] /= count
            row[4] = count
