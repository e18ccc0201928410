"""The compiled policy: which candidates the rules leave, and what fills each slot."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW, ActionKind

__all__ = [
    "BOUGHT_HIDE",
    "BOUGHT_REBUY",
    "BOUGHT_SHOW",
    "choose_pages",
    "fill_slots",
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


@nb.njit(cache=True, nogil=True)
def fill_slots(
    order: NDArray[np.int64],  # (k,) places in item_row, best first
    item_row: NDArray[np.int32],  # (m,)
    score: NDArray[np.float32],  # (m,)
    brand: NDArray[np.int32],  # (n_items,)
    category: NDArray[np.int32],  # (n_items,)
    brand_cap: int,
    category_cap: int,
    earlier: NDArray[np.int32],  # (e,) rows of the slate's earlier pages
    pin_slot: NDArray[np.int64],  # (p,)
    pin_row: NDArray[np.int32],  # (p,) NO_ROW where the pin gives way
    epsilon: float,
    pool: int,
    draw: NDArray[np.float64],  # (n,)
    row_out: NDArray[np.int32],  # (n,)
    score_out: NDArray[np.float32],  # (n,)
    chance_out: NDArray[np.float32],  # (n,)
) -> None:
    """Fill the slots of one page in turn; ``epsilon.fill_plainly`` says what this means."""
    n, k = len(row_out), len(order)
    code = np.empty((3, k), np.int32)  # row, brand and category of each candidate
    for x in range(k):
        row = item_row[order[x]]
        code[0, x], code[1, x], code[2, x] = row, brand[row], category[row]
    is_open = np.ones(k, np.bool_)
    # Brands and categories the slate has shown so far.
    taken = np.empty((2, len(earlier) + len(pin_row) + n), np.int32)
    n_taken, n_open = 0, k
    row_out[:] = NO_ROW
    score_out[:] = 0
    chance_out[:] = 0
    for row in earlier:
        if 0 <= row < len(brand):
            taken[0, n_taken], taken[1, n_taken] = brand[row], category[row]
            n_taken += 1
            n_open -= _close(code, is_open, row, taken[:, :n_taken], brand_cap, category_cap)
    for p in range(len(pin_row)):
        row, slot = pin_row[p], pin_slot[p]
        if row < 0 or slot < 0 or slot >= n:
            continue
        row_out[slot] = row
        chance_out[slot] = 1
        for x in range(k):
            if code[0, x] == row:
                score_out[slot] = score[order[x]]
        taken[0, n_taken], taken[1, n_taken] = brand[row], category[row]
        n_taken += 1
        n_open -= _close(code, is_open, row, taken[:, :n_taken], brand_cap, category_cap)
    best = 0
    for slot in range(n):
        if row_out[slot] >= 0 or n_open == 0:
            continue
        while not is_open[best]:
            best += 1
        n_fit = min(n_open, pool)
        chosen, which = best, 0
        if draw[slot] < epsilon:
            which = min(int(draw[slot] / epsilon * n_fit), n_fit - 1)
            for _ in range(which):
                chosen += 1
                while not is_open[chosen]:
                    chosen += 1
        row_out[slot] = code[0, chosen]
        score_out[slot] = score[order[chosen]]
        chance_out[slot] = epsilon / n_fit + (1 - epsilon if which == 0 else 0)
        taken[0, n_taken], taken[1, n_taken] = code[1, chosen], code[2, chosen]
        n_taken += 1
        row = code[0, chosen]
        n_open -= _close(code, is_open, row, taken[:, :n_taken], brand_cap, category_cap)


@nb.njit(cache=True, nogil=True)
def _close(
    code: NDArray[np.int32],  # (3, k) row, brand and category of the candidates
    is_open: NDArray[np.bool_],  # (k,)
    row: int,
    taken: NDArray[np.int32],  # (2, t) brands and categories of the slate, the last one new
    brand_cap: int,
    category_cap: int,
) -> int:
    """Close what the slate can no longer hold once ``row`` stands in it; how many that were."""
    full = _full_code(taken[0], brand_cap), _full_code(taken[1], category_cap)
    closed = 0
    for x in range(code.shape[1]):
        shut = is_open[x] and (
            code[0, x] == row
            or (full[0] >= 0 and code[1, x] == full[0])
            or (full[1] >= 0 and code[2, x] == full[1])
        )
        if shut:
            is_open[x] = False
            closed += 1
    return closed


@nb.njit(cache=True, nogil=True)
def _full_code(taken: NDArray[np.int32], cap: int) -> int:
    """The brand or category that came last, where the slate now holds ``cap`` of it; else -1.

    0 is no cap.
    """
    code = taken[-1]
    if cap == 0 or code < 0:
        return -1
    count = 0
    for other in taken:
        count += other == code
    return code if count >= cap else -1


@nb.njit(cache=True, nogil=True)
def choose_pages(
    item_row: NDArray[np.int32],  # (B, m)
    score: NDArray[np.float32],  # (B, m)
    draw: NDArray[np.float64],  # (B, n)
    recent_item: NDArray[np.int32],  # (B, L)
    recent_kind: NDArray[np.uint8],  # (B, L)
    recent_age: NDArray[np.float32],  # (B, L)
    anchor: NDArray[np.int32],  # (B, A)
    hidden: NDArray[np.int32],  # (h,) rows of earlier pages and of pins of later ones
    earlier: NDArray[np.int32],  # (e,) rows of earlier pages
    owned_ptr: NDArray[np.int64],  # (B + 1,)
    owned_item: NDArray[np.int32],
    owned_age: NDArray[np.float32],
    allowed: NDArray[np.bool_],  # (n_items,)
    asked: NDArray[np.bool_],  # (n_items,)
    log_boost: NDArray[np.float32],  # (n_items,)
    brand: NDArray[np.int32],  # (n_items,)
    category: NDArray[np.int32],  # (n_items,)
    due_days: NDArray[np.float32],
    pin_slot: NDArray[np.int64],  # (p,)
    pin_row: NDArray[np.int32],  # (B, p)
    rules: tuple[float, int, float, float, int, int, float, int],
    row_out: NDArray[np.int32],  # (B, n)
    score_out: NDArray[np.float32],  # (B, n)
    chance_out: NDArray[np.float32],  # (B, n)
) -> None:
    """Fill a page for each request: what the rules leave, then its slots.

    ``rules`` are default_days, bought, refused_days, log_damping, brand_cap, category_cap, epsilon
    and pool.
    """
    n_anchors = anchor.shape[1]
    away = np.empty(n_anchors + len(hidden), np.int32)
    away[n_anchors:] = hidden
    for b in range(item_row.shape[0]):
        away[:n_anchors] = anchor[b]
        since, until = owned_ptr[b], owned_ptr[b + 1]
        order = rank_allowed(
            item_row[b],
            score[b],
            allowed,
            asked,
            log_boost,
            brand,
            category,
            recent_item[b],
            recent_kind[b],
            recent_age[b],
            away,
            owned_item[since:until],
            owned_age[since:until],
            due_days,
            rules[0],
            rules[1],
            rules[2],
            rules[3],
        )
        fill_slots(
            order,
            item_row[b],
            score[b],
            brand,
            category,
            rules[4],
            rules[5],
            earlier,
            pin_slot,
            pin_row[b],
            rules[6],
            rules[7],
            draw[b],
            row_out[b],
            score_out[b],
            chance_out[b],
        )
