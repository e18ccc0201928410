"""The compiled policy: what fills each slot of a page, and with what probability."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW
from habitue.policy.allowed import rank_allowed

__all__ = ["choose_pages", "fill_slots"]

_FRESH, _RARE, _BOTH, _EITHER = 1, 2, 3, 4
"""What a slot must be filled with so that a page still reaches its floors; 0: with anything."""

_FIT: Final = np.float32(0.5)


@nb.njit(cache=True, nogil=True)
def fill_slots(
    order: NDArray[np.int64],  # (k,) places in item_row, best first
    item_row: NDArray[np.int32],  # (m,)
    score: NDArray[np.float32],  # (m,)
    worth: NDArray[np.float32],  # (m,) what the order is by
    brand: NDArray[np.int32],  # (n_items,)
    category: NDArray[np.int32],  # (n_items,)
    brand_cap: int,
    category_cap: int,
    pin_slot: NDArray[np.int64],  # (p,)
    pin_row: NDArray[np.int32],  # (p,) NO_ROW where the pin gives way
    epsilon: float,
    pool: int,
    draw: NDArray[np.float64],  # (n,)
    wants: tuple[float, int, int, int],  # diversity, floors of the fresh and the rare, room
    first_seen_ms: NDArray[np.int64],  # (<= n_items,) 0 where nobody knows
    since_ms: int,  # an item is fresh that entered the shop from then on
    times_shown: NDArray[np.int32],  # (<= n_items,) by row; beyond: never
    few: int,  # an item is rare that was shown less often
    vectors: NDArray[np.float32],  # (v, dim) unit length, or 0
    told: NDArray[np.bool_],  # (v,) whether a vector says anything
    row_out: NDArray[np.int32],  # (n,)
    score_out: NDArray[np.float32],  # (n,)
    chance_out: NDArray[np.float32],  # (n,)
) -> bool:
    """Fill the slots of one page in turn; ``epsilon.fill_plainly`` says what this means.

    Whether anything is left to show on another page.
    """
    n, k = len(row_out), len(order)
    diversity, need_fresh, need_rare, room = wants
    has_floors = need_fresh > 0 or need_rare > 0
    has_merits = has_floors or (room > 0 and brand_cap + category_cap > 0)
    caps = brand_cap, category_cap, room
    code = np.empty((3, k), np.int32)  # row, brand and category of each candidate
    for x in range(k):
        row = item_row[order[x]]
        code[0, x], code[1, x], code[2, x] = row, brand[row], category[row]
    merit = np.zeros(k if has_merits else 0, np.uint8)
    for x in range(len(merit)):
        merit[x] = _merit(code[0, x], first_seen_ms, since_ms, times_shown, few)
    relevance = _shares(order, worth, k if diversity > 0 else 0)
    near = np.zeros(len(relevance), np.float32)  # likeness to the most alike on the page
    is_open = np.ones(k, np.bool_)
    taken = np.empty((2, n), np.int32)  # brands and categories the page has shown so far
    n_taken, n_open, n_left = 0, k, n
    row_out[:] = NO_ROW
    score_out[:] = 0
    chance_out[:] = 0
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
        n_left -= 1
        n_open -= _close(code, merit, is_open, row, taken[:, :n_taken], caps)
        if has_floors:
            good = _merit(row, first_seen_ms, since_ms, times_shown, few)
            need_fresh -= good & 1
            need_rare -= good >> 1
        _draw_near(near, code, is_open, row, brand, category, vectors, told)
    start = 0
    for slot in range(n):
        if row_out[slot] >= 0 or n_open == 0:
            continue
        while not is_open[start]:
            start += 1
        must = _must(need_fresh, need_rare, n_left) if has_floors else 0
        best, rank, n_fit = start, 0, n_open
        if must > 0 or diversity > 0:
            best, rank, n_fit = _best_of(start, is_open, merit, must, relevance, near, diversity)
            while n_fit == 0:  # the floor cannot be reached: as near to it as can be
                must = _EITHER if must == _BOTH else 0
                best, rank, n_fit = _best_of(
                    start, is_open, merit, must, relevance, near, diversity
                )
        n_pool = min(n_fit, pool)
        chosen = best
        if draw[slot] < epsilon:
            rank = min(int(draw[slot] / epsilon * n_pool), n_pool - 1)
            chosen = start
            passed = 0
            while passed < rank or not _fits(chosen, is_open, merit, must):
                passed += _fits(chosen, is_open, merit, must)
                chosen += 1
        row_out[slot] = code[0, chosen]
        score_out[slot] = score[order[chosen]]
        chance_out[slot] = (epsilon / n_pool if rank < n_pool else 0) + (
            1 - epsilon if chosen == best else 0
        )
        taken[0, n_taken], taken[1, n_taken] = code[1, chosen], code[2, chosen]
        n_taken += 1
        n_left -= 1
        if has_floors:
            need_fresh -= merit[chosen] & 1
            need_rare -= merit[chosen] >> 1
        row = code[0, chosen]
        n_open -= _close(code, merit, is_open, row, taken[:, :n_taken], caps)
        _draw_near(near, code, is_open, row, brand, category, vectors, told)
    for x in range(k):  # noqa: SIM110 - compiled: a loop is what it becomes
        if not _stands(row_out, code[0, x]):
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _stands(rows: NDArray[np.int32], row: int) -> bool:
    """Whether a page shows ``row``."""
    for other in rows:  # noqa: SIM110 - compiled: a loop is what it becomes
        if other == row:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _merit(
    row: int,
    first_seen_ms: NDArray[np.int64],
    since_ms: int,
    times_shown: NDArray[np.int32],
    few: int,
) -> int:
    """Bits: whether an item is fresh, whether it is rare."""
    fresh = row < len(first_seen_ms) and first_seen_ms[row] > 0 and first_seen_ms[row] >= since_ms
    rare = row >= len(times_shown) or times_shown[row] < few
    return (_FRESH if fresh else 0) | (_RARE if rare else 0)


@nb.njit(cache=True, nogil=True)
def _must(need_fresh: int, need_rare: int, n_left: int) -> int:
    """What the next slot must hold for the ``n_left`` slots to suffice."""
    fresh = need_fresh > 0 and need_fresh >= n_left
    rare = need_rare > 0 and need_rare >= n_left
    if fresh and rare:
        return _BOTH
    if fresh:
        return _FRESH
    if rare:
        return _RARE
    if need_fresh > 0 and need_rare > 0 and need_fresh + need_rare >= n_left:
        return _EITHER
    return 0


@nb.njit(cache=True, nogil=True)
def _fits(x: int, is_open: NDArray[np.bool_], merit: NDArray[np.uint8], must: int) -> bool:
    """Whether a candidate may fill a slot."""
    if not is_open[x]:
        return False
    if must == 0:
        return True
    held = int(merit[x])
    return held != 0 if must == _EITHER else held & must == must


@nb.njit(cache=True, nogil=True)
def _best_of(
    start: int,
    is_open: NDArray[np.bool_],  # (k,)
    merit: NDArray[np.uint8],  # (k,) or none
    must: int,
    relevance: NDArray[np.float32],  # (k,) or none
    near: NDArray[np.float32],  # (k,) or none
    diversity: float,
) -> tuple[int, int, int]:
    """The best for a slot by marginal relevance, its rank, and how many fit."""
    best, rank, n_fit = -1, 0, 0
    most = -np.inf
    for x in range(start, len(is_open)):
        if not _fits(x, is_open, merit, must):
            continue
        value = 0.0
        if diversity > 0:
            value = (1 - diversity) * relevance[x] - diversity * near[x]
        if value > most:
            best, rank, most = x, n_fit, value
        n_fit += 1
    return best, rank, n_fit


@nb.njit(cache=True, nogil=True)
def _shares(order: NDArray[np.int64], worth: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Where the worth of each of ``n`` candidates lies between the least and the most: 0 to 1."""
    share = np.zeros(n, np.float32)
    if n == 0:
        return share
    most, least = worth[order[0]], worth[order[n - 1]]
    if most > least:
        for x in range(n):
            share[x] = (worth[order[x]] - least) / (most - least)
    return share


@nb.njit(cache=True, nogil=True)
def _draw_near(
    near: NDArray[np.float32],  # (k,) or none
    code: NDArray[np.int32],  # (3, k)
    is_open: NDArray[np.bool_],
    row: int,
    brand: NDArray[np.int32],
    category: NDArray[np.int32],
    vectors: NDArray[np.float32],
    told: NDArray[np.bool_],
) -> None:
    """Note how alike each open candidate is to ``row``, which the page shows now."""
    speaks = row < len(told) and told[row]
    for x in range(len(near)):
        if not is_open[x]:
            continue
        other = code[0, x]
        if speaks and other < len(told) and told[other]:
            alike = _dot(vectors[row], vectors[other])
        else:
            alike = np.float32(0)
            if brand[row] >= 0 and brand[row] == code[1, x]:
                alike += _FIT
            if category[row] >= 0 and category[row] == code[2, x]:
                alike += _FIT
        near[x] = max(near[x], alike)


@nb.njit(cache=True, nogil=True, fastmath=True)
def _dot(left: NDArray[np.float32], right: NDArray[np.float32]) -> np.float32:
    total = np.float32(0)
    for d in range(len(left)):
        total += left[d] * right[d]
    return total


@nb.njit(cache=True, nogil=True)
def _close(
    code: NDArray[np.int32],  # (3, k) row, brand and category of the candidates
    merit: NDArray[np.uint8],  # (k,) or none
    is_open: NDArray[np.bool_],  # (k,)
    row: int,
    taken: NDArray[np.int32],  # (2, t) brands and categories of the page, the last one new
    caps: tuple[int, int, int],  # of brands, of categories, and what is fresh beyond either
) -> int:
    """Close what the page can no longer hold once ``row`` stands on it; how many that were."""
    brand_cap, category_cap, room = caps
    brand, category = _full_code(taken[0], brand_cap), _full_code(taken[1], category_cap)
    fresh_brand, fresh_category = brand, category
    if room > 0:
        fresh_brand = _full_code(taken[0], brand_cap + room) if brand >= 0 else -1
        fresh_category = _full_code(taken[1], category_cap + room) if category >= 0 else -1
    closed = 0
    for x in range(code.shape[1]):
        if not is_open[x]:
            continue
        fresh = room > 0 and len(merit) > 0 and merit[x] & _FRESH > 0
        full = (fresh_brand, fresh_category) if fresh else (brand, category)
        shut = (
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
    """The brand or category that came last, where the page now holds ``cap`` of it; else -1.

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
    now_ms: NDArray[np.int64],  # (B,)
    recent_item: NDArray[np.int32],  # (B, L)
    recent_kind: NDArray[np.uint8],  # (B, L)
    recent_age: NDArray[np.float32],  # (B, L)
    shown_item: NDArray[np.int32],  # (B, S)
    shown_age: NDArray[np.float32],  # (B, S)
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
    fatigue: tuple[int, float, float],
    wants: tuple[float, int, int, int],
    fresh_ms: int,
    first_seen_ms: NDArray[np.int64],
    few: int,
    times_shown: NDArray[np.int32],
    vectors: NDArray[np.float32],
    told: NDArray[np.bool_],
    row_out: NDArray[np.int32],  # (B, n)
    score_out: NDArray[np.float32],  # (B, n)
    chance_out: NDArray[np.float32],  # (B, n)
    more_out: NDArray[np.bool_],  # (B,)
) -> None:
    """Fill a page for each request: what the rules leave, then its slots.

    ``rules`` are default_days, bought, refused_days, log_damping, brand_cap, category_cap, epsilon
    and pool; ``fatigue`` as in ``rank_allowed``, ``wants`` as in ``fill_slots``; an item is fresh
    for ``fresh_ms`` and rare below ``few`` shows.
    """
    n_anchors = anchor.shape[1]
    away = np.empty(n_anchors + len(hidden), np.int32)
    away[n_anchors:] = hidden
    worth = np.empty(item_row.shape[1], np.float32)
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
            shown_item[b],
            shown_age[b],
            fatigue,
            worth,
        )
        more_out[b] = fill_slots(
            order,
            item_row[b],
            score[b],
            worth,
            brand,
            category,
            rules[4],
            rules[5],
            pin_slot,
            pin_row[b],
            rules[6],
            rules[7],
            draw[b],
            wants,
            first_seen_ms,
            now_ms[b] - fresh_ms,
            times_shown,
            few,
            vectors,
            told,
            row_out[b],
            score_out[b],
            chance_out[b],
        )
