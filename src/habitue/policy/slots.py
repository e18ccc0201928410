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
    n = 0
    for j in range(m):
        row = item_row[j]
        if row < 0 or row >= len(allowed) or not allowed[row] or not score[j] > -np.inf:
            continue
        if len(asked) > 0 and not (row < len(asked) and asked[row]):
            continue
        if _among(hidden, row) or _among(refused, row):
            continue
        if bought != BOUGHT_SHOW and _not_due(
            owned_item, owned_age, row, bought, due_days, default_days
        ):
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
    return place[:n][np.argsort(adjusted[:n], kind="mergesort")]


@nb.njit(cache=True, nogil=True)
def fill_slots(
    order: NDArray[np.int64],  # (k,) places in item_row, best first
    item_row: NDArray[np.int32],  # (m,)
    score: NDArray[np.float32],  # (m,)
    brand: NDArray[np.int32],  # (n_items,)
    category: NDArray[np.int32],  # (n_items,)
    brand_cap: int,
    category_cap: int,
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
    n = len(row_out)
    k = len(order)
    used = np.zeros(k, np.bool_)
    brands = np.full(n + len(pin_row), NO_ROW, np.int32)
    categories = np.full(n + len(pin_row), NO_ROW, np.int32)
    row_out[:] = NO_ROW
    score_out[:] = 0
    chance_out[:] = 0
    taken = 0
    for p in range(len(pin_row)):
        row = pin_row[p]
        if row < 0 or pin_slot[p] < 0 or pin_slot[p] >= n:
            continue
        row_out[pin_slot[p]] = row
        chance_out[pin_slot[p]] = 1
        brands[taken] = brand[row]
        categories[taken] = category[row]
        taken += 1
        for x in range(k):
            if item_row[order[x]] == row:
                used[x] = True
                score_out[pin_slot[p]] = score[order[x]]
    fits = np.empty(min(pool, k), np.int64)
    for slot in range(n):
        if row_out[slot] >= 0:
            continue
        n_fit = 0
        for x in range(k):
            if used[x]:
                continue
            row = item_row[order[x]]
            if _full(brands, taken, brand[row], brand_cap):
                continue
            if _full(categories, taken, category[row], category_cap):
                continue
            fits[n_fit] = x
            n_fit += 1
            if n_fit == len(fits):
                break
            if epsilon == 0:
                break
        if n_fit == 0:
            continue
        which = 0
        if draw[slot] < epsilon:
            which = min(int(draw[slot] / epsilon * n_fit), n_fit - 1)
        chosen = fits[which]
        place = order[chosen]
        row = item_row[place]
        row_out[slot] = row
        score_out[slot] = score[place]
        chance_out[slot] = epsilon / n_fit + (1 - epsilon if which == 0 else 0)
        brands[taken] = brand[row]
        categories[taken] = category[row]
        taken += 1
        for x in range(k):
            if item_row[order[x]] == row:
                used[x] = True


@nb.njit(cache=True, nogil=True)
def _full(taken: NDArray[np.int32], n_taken: int, code: int, cap: int) -> bool:
    """Whether a page already holds ``cap`` items of this brand or category; 0 is no cap."""
    if cap == 0 or code < 0:
        return False
    count = 0
    for x in range(n_taken):
        count += taken[x] == code
    return count >= cap


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
            pin_slot,
            pin_row[b],
            rules[6],
            rules[7],
            draw[b],
            row_out[b],
            score_out[b],
            chance_out[b],
        )
