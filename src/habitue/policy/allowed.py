"""Which candidates a surface's rules leave to a request, and in which order: compiled."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionKind

__all__ = [
    "BOUGHT_HIDE",
    "BOUGHT_REBUY",
    "BOUGHT_SHOW",
    "rank_allowed",
    "refused_items",
]

BOUGHT_SHOW: Final = 0
BOUGHT_REBUY: Final = 1
BOUGHT_HIDE: Final = 2

_REFUSED = int(ActionKind.not_interested)
_AGAIN = (
    int(ActionKind.like),
    int(ActionKind.add_to_cart),
    int(ActionKind.add_to_wishlist),
    int(ActionKind.purchase),
)
"""Deeds by which a shopper takes a refusal back."""


@nb.njit(cache=True, nogil=True)
def refused_items(
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age: NDArray[np.float32],
    max_days: float,
) -> NDArray[np.int32]:
    """Items (L,) the shopper has refused and not taken up again since, most recent first."""
    rows = np.empty(len(recent_item), np.int32)
    n = 0
    for j in range(len(recent_item)):
        if recent_kind[j] != _REFUSED or recent_item[j] < 0 or recent_age[j] > max_days:
            continue
        again = False
        for i in range(j):
            kind = recent_kind[i]
            if recent_item[i] == recent_item[j] and (
                kind == _AGAIN[0] or kind == _AGAIN[1] or kind == _AGAIN[2] or kind == _AGAIN[3]
            ):
                again = True
        if not again:
            rows[n] = recent_item[j]
            n += 1
    return rows[:n]


@nb.njit(cache=True, nogil=True)
def _among(rows: NDArray[np.int32], row: int) -> bool:
    """Whether a short list names ``row``."""
    for other in rows:  # noqa: SIM110 - compiled: a loop is what it becomes
        if other == row:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _not_due(
    items: NDArray[np.int32],
    age_days: NDArray[np.float32],
    row: int,
    bought: int,
    due_days: NDArray[np.float32],
    default_days: float,
) -> bool:
    """Whether ``row`` is owned and not yet due again. ``items`` ascend."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] < row:
            low = middle + 1
        else:
            high = middle
    if low == len(items) or items[low] != row:
        return False
    if bought == BOUGHT_HIDE:
        return True
    due = due_days[row] if row < len(due_days) and due_days[row] == due_days[row] else default_days
    return not age_days[low] >= due


@nb.njit(cache=True, nogil=True)
def rank_allowed(
    item_row: NDArray[np.int32],  # (m,)
    score: NDArray[np.float32],  # (m,)
    allowed: NDArray[np.bool_],  # (n_items,) by the shop's rules
    asked: NDArray[np.bool_],  # (n_items,) by the request's own filter; empty: everything
    log_boost: NDArray[np.float32],  # (n_items,)
    brand: NDArray[np.int32],  # (n_items,)
    category: NDArray[np.int32],  # (n_items,)
    recent_item: NDArray[np.int32],  # (L,)
    recent_kind: NDArray[np.uint8],  # (L,)
    recent_age: NDArray[np.float32],  # (L,)
    hidden: NDArray[np.int32],  # (h,) anchors, earlier pages, pins
    owned_item: NDArray[np.int32],
    owned_age: NDArray[np.float32],
    due_days: NDArray[np.float32],  # (<= n_items,) NaN where no usual time is known
    default_days: float,  # infinite: never
    bought: int,
    refused_days: float,
    log_damping: float,
    shown_item: NDArray[np.int32],  # (S,) shown to the shopper and not acted on since
    shown_age: NDArray[np.float32],  # (S,) days
    fatigue: tuple[int, float, float],  # shows (0: never tired), days, log of the damping
    worth: NDArray[np.float32],  # (m,) told: the score with every factor on the odds
) -> NDArray[np.int64]:
    """Places in ``item_row`` that the rules leave, best first.

    Scores are logarithms of odds up to a constant, so a factor on the odds is a term of the score.
    """
    m = len(item_row)
    adjusted = np.empty(m, np.float32)
    place = np.empty(m, np.int64)
    refused = refused_items(recent_item, recent_kind, recent_age, refused_days)
    minds_owned = bought != BOUGHT_SHOW and len(owned_item) > 0
    n = 0
    for j in range(m):
        row = item_row[j]
        if row < 0 or row >= len(allowed) or not allowed[row] or not score[j] > -np.inf:
            continue
        if len(asked) > 0 and not (row < len(asked) and asked[row]):
            continue
        if len(hidden) > 0 and _among(hidden, row):
            continue
        if len(refused) > 0 and _among(refused, row):
            continue
        if minds_owned and _not_due(owned_item, owned_age, row, bought, due_days, default_days):
            continue
        value = score[j] + log_boost[row]
        for r in range(len(refused)):
            other = refused[r]
            if other < len(brand) and (
                (brand[row] >= 0 and brand[row] == brand[other])
                or (category[row] >= 0 and category[row] == category[other])
            ):
                value += log_damping
        if fatigue[0] > 0 and len(shown_item) > 0:
            times = 0
            for s in range(len(shown_item)):
                times += shown_item[s] == row and shown_age[s] <= fatigue[1]
            if times >= fatigue[0]:
                if fatigue[2] == -np.inf:
                    continue
                value += fatigue[2] * (times - fatigue[0] + 1)
        worth[j] = value
        adjusted[n] = -value
        place[n] = j
        n += 1
    return place[:n][_stable_order(adjusted[:n])]


@nb.njit(cache=True, nogil=True)
def _stable_order(value: NDArray[np.float32]) -> NDArray[np.int64]:
    """``argsort(value, kind="stable")`` of numbers: sorting them as integers with their places."""
    bits = (value + np.float32(0)).view(np.int32)  # one zero, not two
    key = np.empty(len(value), np.int64)
    for x in range(len(value)):
        ascending = np.int64(bits[x]) if bits[x] >= 0 else np.int64(bits[x] ^ 0x7FFFFFFF)
        key[x] = (ascending << 32) | x
    key.sort()
    for x in range(len(value)):
        key[x] &= 0xFFFFFFFF
    return key
