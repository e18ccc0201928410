"""The loops every request runs through: weigh a profile, gather its neighbours, keep the best.

Each is compiled once and cached on disk; the tests hold each against plain numpy. Ties are always
broken by the lower item row, so that a batch and its rows one by one give the same answer.

Scratch arrays are all zero between calls: a kernel clears exactly what it touched.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW

__all__ = [
    "EDGE",
    "Scratch",
    "descend_top",
    "dot_score",
    "dot_top",
    "gather_score",
    "gather_score_alike",
    "gather_top",
    "keep_best",
    "look_up",
    "plain",
    "profile_vectors",
    "scratch",
    "sealed",
    "settle_best",
    "warm",
    "weigh_profile",
]


T = TypeVar("T", bound=np.generic)

EDGE = np.dtype([("item", np.int32), ("strength", np.float32)])
"""One entry of a neighbour table: where it leads and how strongly, side by side in memory."""


def sealed(array: NDArray[Any], dtype: type[T]) -> NDArray[T]:
    """A read-only plain array: what models hold, so that a kernel is compiled for one type only.

    A memory-mapped array stays mapped; only its wrapper changes.
    """
    whole = np.ascontiguousarray(array, dtype)[...]
    whole.setflags(write=False)
    return whole


def plain(array: NDArray[Any], dtype: type[T]) -> NDArray[T]:
    """A writeable, contiguous array: what requests bring, copied only where it is neither."""
    whole = np.ascontiguousarray(array, dtype)
    return whole if whole.flags.writeable else whole.copy()


class Scratch(threading.local):
    """Work space of one thread, shared by all sources: it stays in the processor's cache."""

    def __init__(self) -> None:
        self.total: NDArray[np.float32] = np.zeros(0, np.float32)
        self.touched: NDArray[np.int32] = np.zeros(0, np.int32)

    def of(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """A zeroed accumulator and a list, both for at least ``n`` item rows."""
        if len(self.total) < max(n, 1):
            self.total = np.zeros(n + n // 4 + 1, np.float32)
            self.touched = np.empty(n + n // 4 + 1, np.int32)
        return self.total, self.touched


scratch = Scratch()


@nb.njit(cache=True, nogil=True)
def weigh_profile(
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age_days: NDArray[np.float32],
    anchor_item: NDArray[np.int32],
    personal: NDArray[np.bool_],
    kind_weight: NDArray[np.float32],
    position_decay: float,
    decay_per_day: float,
    anchor_weight: float,
    beside_anchor: float,
    max_actions: int,
    out_item: NDArray[np.int32],
    out_weight: NDArray[np.float32],
) -> None:
    """Fill the rows and weights (B, A + L) of what each request stands on; 0 where nothing counts.

    A position is a moment: actions of the same age (the lines of one order) share it.
    """
    n_anchors = anchor_item.shape[1]
    for b in range(recent_item.shape[0]):
        anchors = 0
        for a in range(n_anchors):
            out_item[b, a] = anchor_item[b, a]
            out_weight[b, a] = 0.0
            if anchor_item[b, a] >= 0 and anchor_weight > 0.0:
                out_weight[b, a] = anchor_weight
                anchors += 1
        share = beside_anchor if anchors > 0 else 1.0
        if personal.shape[0] > 0 and not personal[b]:
            share = 0.0
        position = -1
        counted = 0
        last_age = np.float32(-1.0)
        at_position = 0.0
        for p in range(recent_item.shape[1]):
            at = n_anchors + p
            out_item[b, at] = recent_item[b, p]
            out_weight[b, at] = 0.0
            weight = kind_weight[recent_kind[b, p]]
            if recent_item[b, p] < 0 or weight <= 0.0 or share <= 0.0 or counted >= max_actions:
                continue
            age = recent_age_days[b, p]
            if position < 0 or age != last_age:
                position += 1
                last_age = age
                at_position = position_decay**position * decay_per_day**age
            counted += 1
            out_weight[b, at] = share * weight * at_position


@nb.njit(cache=True, nogil=True)
def _sift(score: NDArray[np.float32], row: NDArray[np.int32], at: int, size: int) -> None:
    """Let the entry at ``at`` sink to its place in a heap whose root is the worst kept entry."""
    s = score[at]
    r = row[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            score[other] < score[child]
            or (score[other] == score[child] and row[other] > row[child])
        ):
            child = other
        if score[child] < s or (score[child] == s and row[child] > r):
            score[at] = score[child]
            row[at] = row[child]
            at = child
        else:
            break
    score[at] = s
    row[at] = r


@nb.njit(cache=True, nogil=True)
def keep_best(
    score: NDArray[np.float32], row: NDArray[np.int32], size: int, s: np.float32, r: int
) -> int:
    """Offer an entry to the best kept so far; the new number of kept entries."""
    n = score.shape[0]
    if size < n:
        score[size] = s
        row[size] = r
        size += 1
        if size == n:
            for at in range(n // 2 - 1, -1, -1):
                _sift(score, row, at, n)
        return size
    if n > 0 and (s > score[0] or (s == score[0] and r < row[0])):
        score[0] = s
        row[0] = r
        _sift(score, row, 0, n)
    return size


@nb.njit(cache=True, nogil=True)
def settle_best(score: NDArray[np.float32], row: NDArray[np.int32], size: int) -> None:
    """Sort the kept entries best first and mark the rest of the row as nothing."""
    if size < score.shape[0]:
        for at in range(size // 2 - 1, -1, -1):
            _sift(score, row, at, size)
    for last in range(size - 1, 0, -1):
        s = score[0]
        r = row[0]
        score[0] = score[last]
        row[0] = row[last]
        score[last] = s
        row[last] = r
        _sift(score, row, 0, last)
    for at in range(size, score.shape[0]):
        score[at] = 0.0
        row[at] = NO_ROW


@nb.njit(cache=True, nogil=True)
def _fetch(items: NDArray[np.int32], indptr: NDArray[np.int64], edge: NDArray[np.void]) -> np.int32:
    """Read every cache line of the items' table rows; what it returns means nothing.

    The reads do not wait for each other, so memory answers them together. Measured on a table of
    80 MB: 3,000 entries added in 36 us, 38 without this, 43 with items and strengths apart.
    """
    seen = np.int32(0)
    for p in range(items.shape[0]):
        if 0 <= items[p] < indptr.shape[0] - 1:
            for x in range(indptr[items[p]], indptr[items[p] + 1], 8):
                seen ^= edge[x].item
    return seen


@nb.njit(cache=True, nogil=True)
def _add_row(
    first: int,
    last: int,
    weight: np.float32,
    edge: NDArray[np.void],
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    count: int,
) -> int:
    """Add one weighted table row into ``total``; the new number of touched rows."""
    for x in range(first, last):
        value = edge[x].strength * weight
        if value > 0.0:
            j = edge[x].item
            if total[j] == 0.0:
                touched[count] = j
                count += 1
            total[j] += value
    return count


@nb.njit(cache=True, nogil=True)
def _accumulate(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
) -> int:
    """Add the weighted neighbours of one profile into ``total``; how many rows were touched."""
    n_base = indptr.shape[0] - 1
    n_rows = n_base + tail_indptr.shape[0] - 1
    touched[0] = _fetch(items, indptr, edge)
    count = 0
    for p in range(items.shape[0]):
        item = items[p]
        weight = weights[p]
        if item < 0 or item >= n_rows or weight <= 0.0:
            continue
        if item < n_base:
            first, last = indptr[item], indptr[item + 1]
            count = _add_row(first, last, weight, edge, total, touched, count)
        else:
            first, last = tail_indptr[item - n_base], tail_indptr[item - n_base + 1]
            count = _add_row(first, last, weight, tail_edge, total, touched, count)
    return count


@nb.njit(cache=True, nogil=True)
def gather_top(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Fill the best ``out_row.shape[1]`` neighbours of each profile (B, P), best first."""
    for b in range(items.shape[0]):
        count = _accumulate(
            items[b],
            weights[b],
            indptr,
            edge,
            tail_indptr,
            tail_edge,
            total,
            touched,
        )
        score = out_score[b]
        row = out_row[b]
        n = row.shape[0]
        size = 0
        for x in range(count):
            j = touched[x]
            s = total[j]
            total[j] = 0.0
            if size < n or s >= score[0]:  # most fall short: spare them the call
                size = keep_best(score, row, size, s, j)
        settle_best(score, row, size)


@nb.njit(cache=True, nogil=True)
def gather_score(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    wanted: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Fill each profile's gathered score of the ``wanted`` rows (B, n)."""
    n_rows = total.shape[0]
    for b in range(items.shape[0]):
        count = _accumulate(
            items[b],
            weights[b],
            indptr,
            edge,
            tail_indptr,
            tail_edge,
            total,
            touched,
        )
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            out_score[b, c] = total[j] if 0 <= j < n_rows else 0.0
        for x in range(count):
            total[touched[x]] = 0.0


@nb.njit(cache=True, nogil=True)
def _strengths(
    first: int,
    last: int,
    edge: NDArray[np.void],
    mark: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill the strengths of the marked rows in one table row; a mark is a place in ``out`` + 1."""
    out[:] = 0.0
    for x in range(first, last):
        place = int(mark[edge[x].item])
        if place > 0:
            out[place - 1] = edge[x].strength


@nb.njit(cache=True, nogil=True)
def gather_score_alike(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    mark: NDArray[np.float32],
    wanted: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """As ``gather_score``, for profiles (B, P) much like the first and the same rows (n,) for all.

    Reasons take one cause after another out of a request: what is left stands in the same order, so
    each item's ties to the wanted rows are read once, in the first profile, and found again. A
    table row names a neighbour once.
    """
    n_base = indptr.shape[0] - 1
    n_rows = n_base + tail_indptr.shape[0] - 1
    n, length = wanted.shape[0], items.shape[1]
    same = np.arange(n)
    for c in range(n):
        if 0 <= wanted[c] < mark.shape[0]:
            if mark[wanted[c]] > 0:
                same[c] = int(mark[wanted[c]]) - 1
            else:
                mark[wanted[c]] = c + 1
    strength = np.zeros((length + 1, n), np.float32)
    for b in range(items.shape[0]):
        out_score[b, :] = 0.0
        found = 0
        for p in range(length):
            item = items[b, p]
            weight = weights[b, p]
            if b > 0 and (item < 0 or item >= n_rows or weight <= 0.0):
                continue
            if b > 0:
                while found < length and items[0, found] != item:
                    found += 1
            place = p if b == 0 else min(found, length)
            if b == 0 or place == length:  # in the first profile, or nowhere in it
                if 0 <= item < n_base:
                    _strengths(indptr[item], indptr[item + 1], edge, mark, strength[place])
                elif n_base <= item < n_rows:
                    at = item - n_base
                    _strengths(
                        tail_indptr[at], tail_indptr[at + 1], tail_edge, mark, strength[place]
                    )
                else:
                    strength[place, :] = 0.0
            if item < 0 or item >= n_rows or weight <= 0.0:
                continue
            for c in range(n):
                out_score[b, c] += strength[place, c] * weight
            if place == length:
                found = 0  # not a part of the first: look for the next from the beginning
    for c in range(n):
        if 0 <= wanted[c] < mark.shape[0]:
            mark[wanted[c]] = 0.0
        if same[c] != c:
            out_score[:, c] = out_score[:, same[c]]


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    total = np.float32(0.0)
    for d in range(a.shape[0]):
        total += a[d] * b[d]
    return total


@nb.njit(cache=True, nogil=True)
def profile_vectors(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    vectors: NDArray[np.float32],
    tail_vectors: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill the weighted mean vector (B, dim) of each profile (B, P); zero where nothing counts."""
    n_base = vectors.shape[0]
    n_rows = n_base + tail_vectors.shape[0]
    for b in range(items.shape[0]):
        out[b, :] = 0.0
        mass = np.float32(0.0)
        for p in range(items.shape[1]):
            item = items[b, p]
            weight = weights[b, p]
            if item < 0 or item >= n_rows or weight <= 0.0:
                continue
            mass += weight
            vector = vectors[item] if item < n_base else tail_vectors[item - n_base]
            for d in range(out.shape[1]):
                out[b, d] += weight * vector[d]
        if mass > 0.0:
            for d in range(out.shape[1]):
                out[b, d] /= mass


@nb.njit(cache=True, nogil=True)
def dot_score(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    tail_vectors: NDArray[np.float32],
    wanted: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Fill the dot products of each query (B, dim) with the ``wanted`` rows (B, n); unknown: 0."""
    n_base = vectors.shape[0]
    n_rows = n_base + tail_vectors.shape[0]
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            if 0 <= j < n_base:
                out_score[b, c] = _dot(query[b], vectors[j])
            elif n_base <= j < n_rows:
                out_score[b, c] = _dot(query[b], tail_vectors[j - n_base])
            else:
                out_score[b, c] = 0.0


@nb.njit(cache=True, nogil=True)
def dot_top(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    tail_vectors: NDArray[np.float32],
    wanted: NDArray[np.int32],
    least: float,
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Keep the best of the ``wanted`` rows and of all tail rows by dot product above ``least``."""
    n_base = vectors.shape[0]
    for b in range(wanted.shape[0]):
        score = out_score[b]
        row = out_row[b]
        n = row.shape[0]
        size = 0
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            if 0 <= j < n_base:
                s = _dot(query[b], vectors[j])
                if s > least and (size < n or s >= score[0]):
                    size = keep_best(score, row, size, s, j)
        for t in range(tail_vectors.shape[0]):
            s = _dot(query[b], tail_vectors[t])
            if s > least and (size < n or s >= score[0]):
                size = keep_best(score, row, size, s, n_base + t)
        settle_best(score, row, size)


@nb.njit(cache=True, nogil=True)
def descend_top(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    length: NDArray[np.float32],
    item: NDArray[np.int32],
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
    looked: NDArray[np.int64],
) -> None:
    """Keep the best of ``vectors`` (N, dim), longest first, by positive dot product.

    A product is at most the product of the lengths, so the rest is passed over once that is less
    than the worst kept. ``looked`` (B,) is filled with how many were looked at.
    """
    for b in range(query.shape[0]):
        score = out_score[b]
        row = out_row[b]
        n = row.shape[0]
        size = 0
        own = np.sqrt(_dot(query[b], query[b])) * np.float32(1.0001)
        x = 0
        while x < vectors.shape[0] and own > 0.0:
            if size == n and own * length[x] < score[0]:
                break
            s = _dot(query[b], vectors[x])
            if s > 0.0 and (size < n or s >= score[0]):
                size = keep_best(score, row, size, s, item[x])
            x += 1
        settle_best(score, row, size)
        looked[b] = x


@nb.njit(cache=True, nogil=True)
def look_up(
    values: NDArray[np.float32], wanted: NDArray[np.int32], out_score: NDArray[np.float32]
) -> None:
    """Fill the values of the ``wanted`` rows (B, n); unknown: 0."""
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            out_score[b, c] = values[j] if 0 <= j < values.shape[0] else 0.0


def warm() -> None:
    """Compile every kernel of this module for the types requests bring, or read them from disk."""
    from habitue.candidates.neighbours import NeighbourTable
    from habitue.candidates.profile import ProfileConfig, Weigher
    from habitue.facts import Context, Owned

    table = NeighbourTable.of_edges(
        np.array([0], np.int32), np.array([1], np.int32), np.array([1], np.float32), n_items=2
    )
    nobody = np.zeros((1, 1), np.int32)
    context = Context(
        surface="home",
        now_ms=np.zeros(1, np.int64),
        shopper_row=np.zeros(1, np.int32),
        recent_item=nobody,
        recent_kind=np.zeros((1, 1), np.uint8),
        recent_age_days=np.zeros((1, 1), np.float32),
        anchor_item=nobody,
        owned=Owned.nothing(1),
    )
    items, weights = Weigher(ProfileConfig(kind_weight={"view_item": 1.0})).weigh(context)
    table.top(items, weights, 2)
    table.score(items, weights, nobody)
    two, both = np.repeat(items, 2, axis=0), np.repeat(weights, 2, axis=0)
    table.score(two, both, np.zeros((2, 1), np.int32))  # asked about the same rows: another way
    vectors = np.eye(2, dtype=np.float32)
    vectors.setflags(write=False)
    query = np.zeros((1, 2), np.float32)
    out = np.zeros((1, 1), np.float32)
    profile_vectors(items, weights, vectors, vectors, query)
    dot_score(query, vectors, vectors, nobody, out)
    dot_top(query, vectors, vectors, nobody, 0.0, np.zeros((1, 1), np.int32), out)
    look_up(vectors[0], nobody, out)
    rows = np.zeros(2, np.int32)
    rows.setflags(write=False)
    descend_top(
        query, vectors, vectors[0], rows, np.zeros((1, 1), np.int32), out, np.zeros(1, np.int64)
    )
