"""Contexts as of any moment of the past: the one place where a log becomes what a request sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import (
    MS_PER_DAY,
    NO_ROW,
    ActionKind,
    ActionLog,
    Circumstances,
    Context,
    Owned,
    Rated,
)

__all__ = ["ShopperIndex", "contexts_as_of", "pick"]

_PURCHASE = int(ActionKind.purchase)


@dataclass(frozen=True, slots=True)
class ShopperIndex:
    """A log's item actions grouped by shopper, in order of time within each.

    Build it once when many contexts are drawn from one log: it costs O(N), a context then costs
    only what the shopper did.
    """

    indptr: NDArray[np.int64]  # (n_shoppers + 1,)
    at_ms: NDArray[np.int64]  # (N,)
    kind: NDArray[np.uint8]  # (N,)
    item_row: NDArray[np.int32]  # (N,)
    order_row: NDArray[np.int32]  # (N,)
    rating: NDArray[np.float32]  # (N,) NaN where there is none; empty where nobody rates
    circumstances: Circumstances | None = None  # N rows; none where nobody said any

    @classmethod
    def of(cls, log: ActionLog) -> ShopperIndex:
        """The index of ``log``; actions without an item or a shopper are left out."""
        rows = np.flatnonzero((log.item_row >= 0) & (log.shopper_row >= 0))
        shopper = log.shopper_row[rows]
        rows = rows[np.argsort(shopper, kind="stable")]
        indptr = np.zeros(log.n_shoppers + 1, np.int64)
        np.cumsum(np.bincount(shopper, minlength=log.n_shoppers), out=indptr[1:])
        rating = log.rating[rows]
        if np.isnan(rating).all():
            rating = rating[:0]
        said = log.circumstances
        return cls(
            indptr,
            log.at_ms[rows],
            log.kind[rows],
            log.item_row[rows],
            log.order_row[rows],
            rating,
            None if said is None else said.take(rows),
        )

    def before(self, shopper_row: NDArray[np.int32], at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each shopper's actions before ``at_ms`` end, in the columns: (B,), 0 if unknown."""
        return np.asarray(_ends(self.indptr, self.at_ms, shopper_row, at_ms))

    def as_came(self, context: Context, entry: NDArray[np.int64]) -> Context:
        """Requests that come as the actions ``entry`` (B,) of the index did.

        From the same platform and device, in the same locale; the context itself where nobody said
        any.
        """
        if self.circumstances is None:
            return context
        here = self.circumstances.take(entry)
        return replace(
            context,
            platform=here.texts("platform"),
            device=here.texts("device"),
            locale=here.texts("locale"),
        )


def contexts_as_of(
    log: ActionLog | ShopperIndex,
    shopper_row: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    *,
    surface: str,
    length: int,
    anchors: NDArray[np.int32] | None = None,
) -> Context:
    """What a request of each shopper at each ``now_ms`` would have seen, from the log alone.

    ``shopper_row`` and ``now_ms`` are (B,). Only actions strictly before ``now_ms`` are read:
    the last ``length`` of them become the recent ones, and every purchase among them, however
    old, what the shopper owns. Unknown shoppers (``NO_ROW``, or rows beyond the log) get an empty
    past. ``anchors`` (B, A) are passed through.
    """
    index = log if isinstance(log, ShopperIndex) else ShopperIndex.of(log)
    shoppers = np.ascontiguousarray(shopper_row, np.int32)
    now = np.ascontiguousarray(now_ms, np.int64)
    ends = _ends(index.indptr, index.at_ms, shoppers, now)
    item, kind, age = _recent(
        index.indptr, index.at_ms, index.kind, index.item_row, shoppers, now, ends, length
    )
    owned = Owned(
        *_owned(
            index.indptr,
            index.at_ms,
            index.kind,
            index.item_row,
            index.order_row,
            shoppers,
            now,
            ends,
        )
    )
    if anchors is None:
        anchors = np.empty((len(shoppers), 0), np.int32)
    rated = None
    if len(index.rating):
        rated = Rated(
            *_rated(index.indptr, index.at_ms, index.item_row, index.rating, shoppers, now, ends)
        )
    return Context(surface, now, shoppers, item, kind, age, anchors, owned, rated=rated)


@nb.njit(cache=True, nogil=True)
def _ends(
    indptr: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    shopper: NDArray[np.int32],
    now: NDArray[np.int64],
) -> NDArray[np.int64]:
    """For each context, where its shopper's actions before ``now`` end."""
    ends = np.zeros(len(shopper), np.int64)
    for b in range(len(shopper)):
        s = shopper[b]
        if s < 0 or s + 1 >= len(indptr):
            continue
        low, high = indptr[s], indptr[s + 1]
        while low < high:
            middle = (low + high) // 2
            if at_ms[middle] < now[b]:
                low = middle + 1
            else:
                high = middle
        ends[b] = low
    return ends


@nb.njit(cache=True, nogil=True)
def _recent(
    indptr: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    items: NDArray[np.int32],
    shopper: NDArray[np.int32],
    now: NDArray[np.int64],
    ends: NDArray[np.int64],
    length: int,
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.float32]]:
    n = len(shopper)
    item = np.full((n, length), NO_ROW, np.int32)
    kind = np.zeros((n, length), np.uint8)
    age = np.zeros((n, length), np.float32)
    for b in range(n):
        s = shopper[b]
        if s < 0 or s + 1 >= len(indptr):
            continue
        start = indptr[s]
        for j in range(min(length, ends[b] - start)):
            e = ends[b] - 1 - j
            item[b, j] = items[e]
            kind[b, j] = kinds[e]
            age[b, j] = (now[b] - at_ms[e]) / MS_PER_DAY
    return item, kind, age


@nb.njit(cache=True, nogil=True)
def _owned(
    indptr: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    items: NDArray[np.int32],
    orders: NDArray[np.int32],
    shopper: NDArray[np.int32],
    now: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]:
    n = len(shopper)
    total = 0
    for b in range(n):
        s = shopper[b]
        if s >= 0 and s + 1 < len(indptr):
            total += max(ends[b] - indptr[s], 0)
    out_ptr = np.zeros(n + 1, np.int64)
    out_item = np.empty(total, np.int32)
    out_count = np.empty(total, np.float32)
    out_age = np.empty(total, np.float32)
    out_first = np.empty(total, np.float32)
    at = 0
    for b in range(n):
        s = shopper[b]
        out_ptr[b + 1] = at
        if s < 0 or s + 1 >= len(indptr):
            continue
        start, end = indptr[s], ends[b]
        key = np.empty(max(end - start, 0), np.int64)
        where = np.empty(len(key), np.int64)
        m = 0
        for e in range(start, end):
            if kinds[e] == _PURCHASE:
                key[m] = (np.int64(items[e]) << 32) | np.int64(orders[e] + 1)
                where[m] = e
                m += 1
        by_key = np.argsort(key[:m], kind="mergesort")
        last_item = NO_ROW
        last_order = np.int64(-1)
        newest = oldest = np.int64(0)
        for x in range(m):
            e = where[by_key[x]]
            order = np.int64(orders[e])
            if items[e] != last_item:
                last_item = items[e]
                last_order = np.int64(-2)
                out_item[at] = last_item
                out_count[at] = 0
                newest = oldest = at_ms[e]
                at += 1
            if order == NO_ROW or order != last_order:
                out_count[at - 1] += 1
                last_order = order
            newest = max(newest, at_ms[e])
            oldest = min(oldest, at_ms[e])
            out_age[at - 1] = (now[b] - newest) / MS_PER_DAY
            out_first[at - 1] = (now[b] - oldest) / MS_PER_DAY
        out_ptr[b + 1] = at
    return (
        out_ptr,
        out_item[:at].copy(),
        out_count[:at].copy(),
        out_age[:at].copy(),
        out_first[:at].copy(),
    )


@nb.njit(cache=True, nogil=True)
def _rated(
    indptr: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    items: NDArray[np.int32],
    rating: NDArray[np.float32],
    shopper: NDArray[np.int32],
    now: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """The last rating of each item a shopper has rated, the latest first."""
    n = len(shopper)
    total = 0
    for b in range(n):
        s = shopper[b]
        if s >= 0 and s + 1 < len(indptr):
            for e in range(indptr[s], ends[b]):
                total += not np.isnan(rating[e])
    out_ptr = np.zeros(n + 1, np.int64)
    out_item, out_rating = np.empty(total, np.int32), np.empty(total, np.float32)
    out_age = np.empty(total, np.float32)
    seen = np.full(items.max() + 1, -1, np.int64)
    at = 0
    for b in range(n):
        s = shopper[b]
        if s >= 0 and s + 1 < len(indptr):
            for e in range(ends[b] - 1, indptr[s] - 1, -1):
                if np.isnan(rating[e]) or seen[items[e]] == b:
                    continue
                seen[items[e]] = b
                out_item[at], out_rating[at] = items[e], rating[e]
                out_age[at] = (now[b] - at_ms[e]) / MS_PER_DAY
                at += 1
        out_ptr[b + 1] = at
    return out_ptr, out_item[:at].copy(), out_rating[:at].copy(), out_age[:at].copy()


def pick(context: Context, rows: NDArray[np.int64]) -> Context:
    """The requests ``rows`` of a batch, in that order, as a batch of their own."""
    owned = context.owned
    counts = np.diff(owned.indptr)[rows]
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    entries = np.repeat(owned.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])

    def texts(column: tuple[str | None, ...]) -> tuple[str | None, ...]:
        return tuple(column[row] for row in rows) if column else ()

    return Context(
        context.surface,
        context.now_ms[rows],
        context.shopper_row[rows],
        context.recent_item[rows],
        context.recent_kind[rows],
        context.recent_age_days[rows],
        context.anchor_item[rows],
        Owned(
            indptr,
            owned.item[entries],
            owned.count[entries],
            owned.age_days[entries],
            owned.first_age_days[entries],
        ),
        texts(context.device),
        texts(context.locale),
        texts(context.query),
        context.personal[rows] if len(context.personal) else context.personal,
        platform=texts(context.platform),
        rated=None if context.rated is None else context.rated.take(rows),
    )
