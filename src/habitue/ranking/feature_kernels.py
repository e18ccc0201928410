"""The compiled ways into the features: a batch's candidates, and single requests' few with changes.

Each fills every column of its rows in one call; ``features.py`` names them. Arrays come one by one
and every kind of array always in one layout: a tuple of arrays, or another layout, costs more to
look up than the features to work out. Everything is float32, nothing is NaN: what is not known has
a stated value.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.ranking.item_features import ITEM_NAMES, N_LOGS, item_columns
from habitue.ranking.item_tables import ItemTables, code_of, known_days
from habitue.ranking.pair_features import PAIR_NAMES, anchor_columns, pair_columns
from habitue.ranking.shopper_features import (
    SHOPPER_NAMES,
    keep_of_past,
    no_past,
    read_past,
    shopper_row,
)

__all__ = ["fill_changed", "fill_features", "request_norms"]

_N_ITEM: Final = len(ITEM_NAMES)
_N_SHOPPER: Final = len(SHOPPER_NAMES)
_N_TO_ANCHORS: Final = len(SHOPPER_NAMES) + len(PAIR_NAMES)


@nb.njit(cache=True, nogil=True)
def request_norms(score: NDArray[np.float32], item: NDArray[np.int32]) -> NDArray[np.float32]:
    """Mean, standard deviation and maximum of each source's scores within a request: (B, S, 3)."""
    n_requests, n, n_sources = score.shape
    norms = np.zeros((n_requests, n_sources, 3), np.float32)
    total, square, largest = np.empty(n_sources), np.empty(n_sources), np.empty(n_sources)
    for b in range(n_requests):
        count = 0
        total[:] = square[:] = largest[:] = 0.0
        for x in range(n):
            if item[b, x] < 0:
                continue
            count += 1
            for s in range(n_sources):
                value = float(score[b, x, s])
                total[s] += value
                square[s] += value * value
                largest[s] = max(largest[s], value)
        for s in range(n_sources):
            if count:
                mean = total[s] / count
                norms[b, s, 0] = mean
                norms[b, s, 1] = np.sqrt(max(square[s] / count - mean * mean, 0.0))
                norms[b, s, 2] = largest[s]
    return norms


@nb.njit(cache=True, nogil=True)
def _source_columns(
    score: NDArray[np.float32],
    norms: NDArray[np.float32],
    place: NDArray[np.int32],
    x: NDArray[np.float32],
) -> None:
    """Each source's score, standardised, and as a share of the request's best: 3 columns each."""
    small = np.float32(1e-9)
    for p in range(len(place)):
        c = place[p]
        for s in range(score.shape[1]):
            value = score[c, s]
            x[p, 3 * s] = value
            x[p, 3 * s + 1] = (value - norms[s, 0]) / (norms[s, 1] + small)
            x[p, 3 * s + 2] = value / (norms[s, 2] + small)


@nb.njit(cache=True, nogil=True)
def _about(
    t: ItemTables,
    item: NDArray[np.int32],
    x: NDArray[np.float32],
    first: int,
    own: NDArray[np.int32],
    logs: NDArray[np.float64],
) -> None:
    """Gather what pairs are made of: ``own`` (n, 2) and ``logs`` (n, 4) of ``pair_columns``.

    ``x`` holds the items' own columns from ``first`` on; the last of ``logs`` is the caller's.
    """
    brand, category, n_known = t.brand, t.category, len(t.total)
    for c in range(len(item)):
        i = item[c]
        if i < 0 or i >= n_known:
            logs[c, 0] = np.nan
            continue
        own[c, 0], own[c, 1] = code_of(brand, i), code_of(category, i)
        logs[c, 0], logs[c, 1] = x[c, first + 25], x[c, first + 26]
        logs[c, 2] = x[c, first + 19]


@nb.njit(cache=True, nogil=True)
def fill_features(
    score: NDArray[np.float32],
    norms: NDArray[np.float32],
    item: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age: NDArray[np.float32],
    anchor: NDArray[np.int32],
    owned_ptr: NDArray[np.int64],
    owned_item: NDArray[np.int32],
    owned_count: NDArray[np.float32],
    owned_age: NDArray[np.float32],
    decayed: NDArray[np.float64],
    total: NDArray[np.float64],
    first_ms: NDArray[np.int64],
    last_buy_ms: NDArray[np.int64],
    sums: NDArray[np.float64],
    totals: NDArray[np.float64],
    half_life_ms: NDArray[np.float64],
    log_price: NDArray[np.float32],
    brand: NDArray[np.int32],
    category: NDArray[np.int32],
    first_seen_ms: NDArray[np.int64],
    epoch_ms: float,
    rating_prior: float,
    out: NDArray[np.float32],
) -> None:
    """Fill every feature of the candidates (B, m) into ``out`` (B * m, n_features)."""
    t = ItemTables(
        decayed, total, first_ms, last_buy_ms, sums, totals, half_life_ms, log_price, brand,
        category, first_seen_ms, epoch_ms, rating_prior,
    )  # fmt: skip
    n_requests, n, n_sources = score.shape
    items, shoppers, pairs, anchors = _starts(n_sources)
    logs, power = np.empty((n, N_LOGS)), np.empty(n * N_LOGS)
    own, known = np.empty((n, 2), np.int32), np.empty((n, 4))
    past = no_past(recent_item.shape[1])
    who = np.empty(pairs - shoppers, np.float32)
    every = np.arange(n).astype(np.int32)
    for b in range(n_requests):
        x = out[b * n : b * n + n]
        start, end = owned_ptr[b], owned_ptr[b + 1]
        owned, held, ages = owned_item[start:end], owned_count[start:end], owned_age[start:end]
        _source_columns(score[b], norms[b], every, x)
        item_columns(t, now_ms[b], item[b], x, items, logs, power)
        read_past(t, now_ms[b], recent_item[b], recent_kind[b], recent_age[b], past)
        shopper_row(t, past, held, ages, who)
        x[:, shoppers:pairs] = who
        _about(t, item[b], x, items, own, known)
        known[:, 3] = logs[:, 20]
        pair_columns(past, who, owned, held, ages, item[b], own, known, x, pairs)
        anchor_columns(t, anchor[b], own, known, x, anchors)


@nb.njit(cache=True, nogil=True)
def fill_changed(
    known: NDArray[np.float32],
    variant: NDArray[np.int32],
    place: NDArray[np.int32],
    score: NDArray[np.float32],
    norms: NDArray[np.float32],
    item: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age: NDArray[np.float32],
    anchor: NDArray[np.int32],
    owned_ptr: NDArray[np.int64],
    owned_item: NDArray[np.int32],
    owned_count: NDArray[np.float32],
    owned_age: NDArray[np.float32],
    decayed: NDArray[np.float64],
    total: NDArray[np.float64],
    first_ms: NDArray[np.int64],
    last_buy_ms: NDArray[np.int64],
    sums: NDArray[np.float64],
    totals: NDArray[np.float64],
    half_life_ms: NDArray[np.float64],
    log_price: NDArray[np.float32],
    brand: NDArray[np.int32],
    category: NDArray[np.int32],
    first_seen_ms: NDArray[np.int64],
    epoch_ms: float,
    rating_prior: float,
    out: NDArray[np.float32],
) -> None:
    """Fill ``out`` (P, n_features): the items at ``place`` (P,) as ``variant`` (P,) sees them.

    ``item`` (n,) are some of a request's and ``known`` (n, n_features) their features; the first
    variant is that request, the others have some of it left: what is known of the items stays.
    ``variant`` rises. ``score`` (V, n, n_sources) are the sources' scores; ``norms`` (n_sources, 3)
    the request's.
    """
    t = ItemTables(
        decayed, total, first_ms, last_buy_ms, sums, totals, half_life_ms, log_price, brand,
        category, first_seen_ms, epoch_ms, rating_prior,
    )  # fmt: skip
    items, shoppers, pairs, anchors = _starts(score.shape[2])
    n_pairs = len(variant)
    chosen = item[place]
    own, logs = np.empty((n_pairs, 2), np.int32), np.empty((n_pairs, 4))
    for p in range(n_pairs):
        i = chosen[p]
        if 0 <= i < len(total):
            logs[p, 3] = np.log1p(known_days(first_ms, first_seen_ms, i, now_ms[variant[p]]))
    whole, past = no_past(recent_item.shape[1]), no_past(recent_item.shape[1])
    read_past(t, now_ms[0], recent_item[0], recent_kind[0], recent_age[0], whole)
    who = np.empty(pairs - shoppers, np.float32)
    out[:, items:shoppers] = known[place, items:shoppers]
    p = 0
    while p < n_pairs:
        v, q = variant[p], p
        while q < n_pairs and variant[q] == v:
            q += 1
        x = out[p:q]
        start, end = owned_ptr[v], owned_ptr[v + 1]
        owned, held, ages = owned_item[start:end], owned_count[start:end], owned_age[start:end]
        _source_columns(score[v], norms, place[p:q], x)
        keep_of_past(whole, recent_item[v], recent_age[v], past)
        shopper_row(t, past, held, ages, who)
        x[:, shoppers:pairs] = who
        _about(t, chosen[p:q], x, items, own[p:q], logs[p:q])
        pair_columns(past, who, owned, held, ages, chosen[p:q], own[p:q], logs[p:q], x, pairs)
        anchor_columns(t, anchor[v], own[p:q], logs[p:q], x, anchors)
        p = q


@nb.njit(cache=True, nogil=True)
def _starts(n_sources: int) -> tuple[int, int, int, int]:
    """The first columns of items, shoppers, pairs and anchors."""
    items = 3 * n_sources
    return items, items + _N_ITEM, items + _N_ITEM + _N_SHOPPER, items + _N_ITEM + _N_TO_ANCHORS
