"""Who each shopper is, from what she did lately and what she owns: the columns ``shopper_*``."""

from __future__ import annotations

from typing import Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionKind
from habitue.ranking.item_tables import (
    LONG_DAYS,
    PURCHASE,
    ItemTables,
    code_of,
    fetch,
    known_days,
    price,
    quantity,
)
from habitue.ranking.logarithms import take_logs

__all__ = [
    "BUY",
    "SHOPPER_NAMES",
    "VIEWED",
    "Past",
    "keep_of_past",
    "no_past",
    "read_past",
    "shopper_row",
]

SHOPPER_NAMES: Final = (
    "shopper_recents", "shopper_owned", "shopper_order_lines", "shopper_novelty",
    "shopper_idle_days", "shopper_unbought_days", "shopper_tenure_days", "shopper_orders",
    "shopper_order_size", "shopper_order_gap_days", "shopper_views_share", "shopper_carts_share",
    "shopper_log_price", "shopper_log_price_sd", "shopper_log_quantity", "shopper_popular_taste",
    "shopper_new_taste", "shopper_brand_focus", "shopper_category_focus",
)  # fmt: skip

BUY: Final = int(ActionKind.purchase)
VIEWED: Final = (int(ActionKind.view_item), int(ActionKind.select_item))
_IN_CART: Final = int(ActionKind.add_to_cart)
_UNWANTED: Final = (
    int(ActionKind.not_interested),
    int(ActionKind.remove_from_cart),
    int(ActionKind.refund),
)
_N_MARKS: Final = 1024


class Tally(NamedTuple):
    """The different brands, or categories, of a past: how much attention each had."""

    own: NDArray[np.int32]  # (L,) of each action's item, -1 where not said
    code: NDArray[np.int32]  # (L,) as many as there are different ones
    weight: NDArray[np.float32]  # (L,) attention, halved every 30 days
    actions: NDArray[np.int64]  # (L,) how many count for the shopper


class Past(NamedTuple):
    """One shopper's recent actions and what is known of their items; scratch for compiled code."""

    item: NDArray[np.int32]  # (L,)
    kind: NDArray[np.uint8]  # (L,)
    age: NDArray[np.float32]  # (L,) days
    weight: NDArray[np.float32]  # (L,) attention, halved every 30 days, 0 for what is unwanted
    counts: NDArray[np.bool_]  # (L,) of a known item, and wanted
    price: NDArray[np.float64]  # (L,) log, as ``quantity``
    quantity: NDArray[np.float64]  # (L,)
    logs: NDArray[np.float64]  # (2 * L,) of 1 + purchases and of 1 + days known, in turn
    power: NDArray[np.float64]  # (2 * L,) scratch
    brand: Tally
    category: Tally
    marks: NDArray[np.bool_]  # (1024,) set at the low bits of every item in it
    sizes: NDArray[np.int64]  # (3,) how many actions, brands, categories


@nb.njit(cache=True, nogil=True)
def no_past(length: int) -> Past:
    """Room for ``length`` recent actions."""
    return Past(
        np.empty(length, np.int32),
        np.empty(length, np.uint8),
        np.empty(length, np.float32),
        np.empty(length, np.float32),
        np.empty(length, np.bool_),
        np.empty(length),
        np.empty(length),
        np.empty(2 * length),
        np.empty(2 * length),
        _no_tally(length),
        _no_tally(length),
        np.zeros(_N_MARKS, np.bool_),
        np.zeros(3, np.int64),
    )


@nb.njit(cache=True, nogil=True)
def _no_tally(length: int) -> Tally:
    return Tally(
        np.empty(length, np.int32),
        np.empty(length, np.int32),
        np.empty(length, np.float32),
        np.empty(length, np.int64),
    )


@nb.njit(cache=True, nogil=True)
def read_past(
    t: ItemTables,
    now: np.int64,
    item: NDArray[np.int32],
    kind: NDArray[np.uint8],
    age: NDArray[np.float32],
    past: Past,
) -> None:
    """Fill ``past`` with the recent actions (L,) of one request, padded with ``NO_ROW``."""
    _forget(past)
    if fetch(t, item):
        return
    used = 0
    for x in range(len(item)):
        i = item[x]
        if i < 0:
            break
        used = x + 1
        past.item[x], past.kind[x], past.age[x] = i, kind[x], age[x]
        past.marks[i & (_N_MARKS - 1)] = True
        wanted = kind[x] not in _UNWANTED
        past.weight[x] = np.exp2(-age[x] / 30.0) if wanted else 0.0
        past.counts[x] = wanted and i < len(t.total)
        past.logs[2 * x] = past.logs[2 * x + 1] = 1.0
        if past.counts[x]:
            past.price[x] = price(t.log_price, t.sums, t.totals, i)
            past.quantity[x] = quantity(t.sums, t.totals, i)
            past.logs[2 * x] += t.total[i, PURCHASE]
            past.logs[2 * x + 1] += known_days(t.first_ms, t.first_seen_ms, i, now)
        past.brand.own[x] = code_of(t.brand, i)
        past.category.own[x] = code_of(t.category, i)
    take_logs(past.logs[: 2 * used], past.power[: 2 * used])
    past.sizes[0] = used
    past.sizes[1] = _count(past, past.brand)
    past.sizes[2] = _count(past, past.category)


@nb.njit(cache=True, nogil=True)
def keep_of_past(
    whole: Past, item: NDArray[np.int32], age: NDArray[np.float32], past: Past
) -> None:
    """Fill ``past`` with those actions (L,) of ``whole`` that are left, in the same order."""
    _forget(past)
    used, at = 0, 0
    for x in range(len(item)):
        i = item[x]
        if i < 0:
            break
        while at < whole.sizes[0] and (whole.item[at] != i or whole.age[at] != age[x]):
            at += 1
        past.item[x], past.kind[x], past.age[x] = i, whole.kind[at], age[x]
        past.weight[x], past.counts[x] = whole.weight[at], whole.counts[at]
        past.price[x], past.quantity[x] = whole.price[at], whole.quantity[at]
        past.logs[2 * x], past.logs[2 * x + 1] = whole.logs[2 * at], whole.logs[2 * at + 1]
        past.brand.own[x], past.category.own[x] = whole.brand.own[at], whole.category.own[at]
        past.marks[i & (_N_MARKS - 1)] = True
        used += 1
        at += 1
    past.sizes[0] = used
    past.sizes[1] = _count(past, past.brand)
    past.sizes[2] = _count(past, past.category)


@nb.njit(cache=True, nogil=True)
def _forget(past: Past) -> None:
    """Take the marks of a past away."""
    for x in range(past.sizes[0]):
        past.marks[past.item[x] & (_N_MARKS - 1)] = False


@nb.njit(cache=True, nogil=True)
def _count(past: Past, tally: Tally) -> int:
    """Fill a tally of a past from its items' own codes; how many different ones there are."""
    n = 0
    for x in range(past.sizes[0]):
        own = tally.own[x]
        if own < 0:
            continue
        at = 0
        while at < n and tally.code[at] != own:
            at += 1
        if at == n:
            tally.code[n], tally.weight[n], tally.actions[n] = own, 0.0, 0
            n += 1
        tally.weight[at] += past.weight[x]
        tally.actions[at] += past.counts[x]
    return n


@nb.njit(cache=True, nogil=True)
def shopper_row(
    t: ItemTables,
    past: Past,
    owned_count: NDArray[np.float32],
    owned_age: NDArray[np.float32],
    row: NDArray[np.float32],
) -> None:
    """Fill ``SHOPPER_NAMES`` of one shopper with this past, who owns these (n_owned,)."""
    count = views = carts = buys = orders = 0
    paid = square = often = popular = new = 0.0
    last_order = -1.0
    last_buy = first_buy = float(LONG_DAYS)
    for x in range(past.sizes[0]):
        if not past.counts[x]:
            continue
        age = float(past.age[x])
        count += 1
        paid += past.price[x]
        square += past.price[x] * past.price[x]
        often += past.quantity[x]
        popular += past.logs[2 * x]
        new += past.logs[2 * x + 1]
        kind = past.kind[x]
        if kind == BUY:
            buys += 1
            if age != last_order:
                if orders == 0:
                    last_buy = age
                orders += 1
                last_order = age
            first_buy = age
        elif kind == _IN_CART:
            carts += 1
        elif kind in VIEWED:
            views += 1
    owned, lines, tenure = len(owned_count), 0.0, 0.0
    for e in range(owned):
        lines += owned_count[e]
        tenure = max(tenure, float(owned_age[e]))
    n = max(count, 1)
    row[0] = np.log1p(count)
    row[1] = np.log1p(owned)
    row[2] = np.log1p(lines)
    row[3] = owned / lines if lines > 0 else 1.0
    row[4] = past.age[0] if count else LONG_DAYS
    row[5] = last_buy
    row[6] = tenure
    row[7] = np.log1p(orders)
    row[8] = buys / max(orders, 1)
    row[9] = (first_buy - last_buy) / (orders - 1) if orders > 1 else LONG_DAYS
    row[10] = views / n
    row[11] = carts / n
    mean = paid / n if count else t.totals[2] / max(t.totals[3], 1.0)
    row[12] = mean
    row[13] = np.sqrt(max(square / n - mean * mean, 0.0)) if count else 1.0
    row[14] = often / n if count else t.totals[4] / max(t.totals[5], 1.0)
    row[15] = popular / n
    row[16] = new / n
    row[17] = _focus(past.brand.actions[: past.sizes[1]])
    row[18] = _focus(past.category.actions[: past.sizes[2]])


@nb.njit(cache=True, nogil=True)
def _focus(count: NDArray[np.int64]) -> float:
    """The chance that two of the recents share a code: 0 where nothing is coded."""
    n = same = 0
    for one in count:
        n += one
        same += one * (one - 1)
    return same / (n * (n - 1)) if n > 1 else 0.0
