"""Adding up a profile's neighbours: the loops of sources that read a neighbour table.

Each is compiled once and cached on disk; the tests hold each against plain numpy. Scratch arrays
are all zero between calls: a kernel clears exactly what it touched.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.best import choose_best, keep_best, settle_best
from habitue.candidates.products import dot

__all__ = ["EDGE", "gather_like", "gather_score", "gather_top", "recall"]

EDGE = np.dtype([("item", np.int32), ("strength", np.float32)])
"""One entry of a neighbour table: where it leads and how strongly, side by side in memory."""

_CANCELLED: Final = np.float32(-1e-30)  # a total that came to 0: 0 would look untouched

_FEW: Final = 256  # rows wanted by all profiles of a batch, up to which their ties are read once


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
        j = edge[x].item
        before = total[j]
        touched[count] = j  # stays if it is new: a branch would often be guessed wrong
        count += (before == 0.0) & (value > 0.0)
        total[j] = before + value
    return count


@nb.njit(cache=True, nogil=True)
def _add_signed_row(
    first: int,
    last: int,
    weight: np.float32,
    edge: NDArray[np.void],
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    count: int,
) -> int:
    """``_add_row`` of strengths of either sign, a quarter slower: no total may come to 0."""
    for x in range(first, last):
        value = edge[x].strength * weight
        j = edge[x].item
        before = total[j]
        after = before + value
        touched[count] = j
        count += (before == 0.0) & (value != 0.0)
        total[j] = after if (after != 0.0) | (before == 0.0) else _CANCELLED
    return count


@nb.njit(cache=True, nogil=True)
def _accumulate(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    signed: bool,
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
            if signed:
                count = _add_signed_row(first, last, weight, edge, total, touched, count)
            else:
                count = _add_row(first, last, weight, edge, total, touched, count)
        else:
            first, last = tail_indptr[item - n_base], tail_indptr[item - n_base + 1]
            count = _add_row(first, last, weight, tail_edge, total, touched, count)
    return count


@nb.njit(cache=True, nogil=True)
def _taken_out(
    total: NDArray[np.float32], touched: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The touched rows and their totals, which are 0 again."""
    row = touched.copy()
    value = np.empty(row.shape[0], np.float32)
    for x in range(row.shape[0]):
        value[x] = total[row[x]]
        total[row[x]] = 0.0
    return row, value


@nb.njit(cache=True, nogil=True)
def _positive_first(row: NDArray[np.int32], value: NDArray[np.float32]) -> int:
    """Bring what is above 0 to the front; how many they are."""
    n = 0
    for x in range(row.shape[0]):
        if value[x] > 0.0:
            row[n], row[x] = row[x], row[n]
            value[n], value[x] = value[x], value[n]
            n += 1
    return n


@nb.njit(cache=True, nogil=True)
def gather_top(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    signed: bool,
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Fill the best ``out_row.shape[1]`` neighbours of each profile (B, P), best first.

    Returns all rows that the last profile reached, and how strongly, in no order.
    """
    row = np.empty(0, np.int32)
    value = np.empty(0, np.float32)
    for b in range(items.shape[0]):
        count = _accumulate(
            items[b], weights[b], indptr, edge, tail_indptr, tail_edge, signed, total, touched
        )
        row, value = _taken_out(total, touched[:count])
        n = _positive_first(row, value) if signed else count
        size = choose_best(value[:n], row[:n], out_score[b], out_row[b])
        settle_best(out_score[b], out_row[b], size)
    return row, value


@nb.njit(cache=True, nogil=True)
def gather_like(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    tail_vectors: NDArray[np.float32],
    n_gathered: int,
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Fill the best of each profile's ``n_gathered`` best neighbours and of all tail rows.

    Best is what has the largest positive product with the profile's ``query`` (B, dim).
    """
    n_base = vectors.shape[0]
    strength = np.empty(n_gathered, np.float32)
    near = np.empty(n_gathered, np.int32)
    for b in range(items.shape[0]):
        count = _accumulate(
            items[b], weights[b], indptr, edge, tail_indptr, tail_edge, False, total, touched
        )
        reached, value = _taken_out(total, touched[:count])
        score = out_score[b]
        row = out_row[b]
        size = 0
        n_near = choose_best(value, reached, strength, near)
        for x in range(n_near):  # all products first: so the reads need not wait for each other
            strength[x] = dot(query, b, vectors, near[x]) if near[x] < n_base else 0.0
        for x in range(n_near):
            if strength[x] > 0.0:
                size = keep_best(score, row, size, strength[x], near[x])
        for t in range(tail_vectors.shape[0]):
            s = dot(query, b, tail_vectors, t)
            if s > 0.0:
                size = keep_best(score, row, size, s, n_base + t)
        settle_best(score, row, size)


@nb.njit(cache=True, nogil=True)
def recall(
    row: NDArray[np.int32],
    value: NDArray[np.float32],
    total: NDArray[np.float32],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill the values kept for ``row`` (N,) at the ``wanted`` rows (1, n); 0 for all others.

    They stand at ``scores[:, :, place]``.
    """
    for x in range(row.shape[0]):
        total[row[x]] = value[x]
    for c in range(wanted.shape[1]):
        j = wanted[0, c]
        scores[0, c, place] = total[j] if 0 <= j < total.shape[0] else 0.0
    for x in range(row.shape[0]):
        total[row[x]] = 0.0


@nb.njit(cache=True, nogil=True)
def gather_score(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    signed: bool,
    total: NDArray[np.float32],
    touched: NDArray[np.int32],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill each profile's gathered score of the ``wanted`` rows (B, n) at ``scores[:, :, place]``.

    Where many profiles want the same few, as reasons do, their ties are read once for all.
    """
    if items.shape[0] > 1 and wanted.shape[1] <= _FEW and _all_alike(wanted):
        _score_alike(
            items, weights, indptr, edge, tail_indptr, tail_edge, total, wanted, scores, place
        )
        return
    for b in range(items.shape[0]):
        count = _accumulate(
            items[b], weights[b], indptr, edge, tail_indptr, tail_edge, signed, total, touched
        )
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            scores[b, c, place] = total[j] if 0 <= j < total.shape[0] else 0.0
        for x in range(count):
            total[touched[x]] = 0.0


@nb.njit(cache=True, nogil=True)
def _all_alike(wanted: NDArray[np.int32]) -> bool:
    for b in range(1, wanted.shape[0]):
        for c in range(wanted.shape[1]):
            if wanted[b, c] != wanted[0, c]:
                return False
    return True


@nb.njit(cache=True, nogil=True)
def _strengths(
    first: int,
    last: int,
    edge: NDArray[np.void],
    mark: NDArray[np.float32],
    out: NDArray[np.float32],
    at: int,
) -> None:
    """Fill ``out[at]`` with the strengths of the marked rows in one table row.

    A mark is a place in ``out[at]`` + 1.
    """
    for x in range(first, last):
        place = int(mark[edge[x].item])
        if place > 0:
            out[at, place - 1] = edge[x].strength


@nb.njit(cache=True, nogil=True)
def _score_alike(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    mark: NDArray[np.float32],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """``gather_score`` for profiles (B, P) much like the first, which all want the same rows.

    Reasons take one cause after another out of a request: what is left stands in the same order, so
    each item's ties to the wanted rows are read once, in the first profile, and found again. A
    table row names a neighbour once.
    """
    n_base = indptr.shape[0] - 1
    n_rows = n_base + tail_indptr.shape[0] - 1
    n, length = wanted.shape[1], items.shape[1]
    same = np.arange(n)
    for c in range(n):
        j = wanted[0, c]
        if 0 <= j < mark.shape[0]:
            if mark[j] > 0:
                same[c] = int(mark[j]) - 1
            else:
                mark[j] = c + 1
    strength = np.zeros((length + 1, n), np.float32)
    _fetch(items[0], indptr, edge)
    for b in range(items.shape[0]):
        for c in range(n):
            scores[b, c, place] = 0.0
        found = 0
        for p in range(length):
            item = items[b, p]
            weight = weights[b, p]
            if b > 0 and (item < 0 or item >= n_rows or weight <= 0.0):
                continue
            while b > 0 and found < length and items[0, found] != item:
                found += 1
            at = p if b == 0 else found
            if b == 0 or at == length:  # in the first profile, or nowhere in it
                strength[at, :] = 0.0
                if 0 <= item < n_base:
                    _strengths(indptr[item], indptr[item + 1], edge, mark, strength, at)
                elif n_base <= item < n_rows:
                    t = item - n_base
                    _strengths(tail_indptr[t], tail_indptr[t + 1], tail_edge, mark, strength, at)
            if item < 0 or item >= n_rows or weight <= 0.0:
                continue
            for c in range(n):
                scores[b, c, place] += strength[at, c] * weight
            if at == length:
                found = 0  # not a part of the first: look for the next from the beginning
    for c in range(n):
        if 0 <= wanted[0, c] < mark.shape[0]:
            mark[wanted[0, c]] = 0.0
        if same[c] != c:
            for b in range(items.shape[0]):
                scores[b, c, place] = scores[b, same[c], place]
