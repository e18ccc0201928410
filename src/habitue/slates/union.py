"""Many sources' proposals become one list of candidates, each item once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Proposals
from habitue.facts import NO_ROW, Owned

__all__ = ["PINNED", "proposers", "union"]

PINNED = 255
"""The source number of a slot that no source proposed: pinned by the shop, or empty."""

_NOTHING_BARRED = np.zeros(0, np.bool_)


class _Marks(threading.local):
    """A mark for each item row, all off between calls; each thread has its own."""

    def __init__(self) -> None:
        self.taken: NDArray[np.bool_] = np.zeros(0, np.bool_)


_marks = _Marks()


@lru_cache(maxsize=256)
def _columns(numbers: tuple[int, ...], widths: tuple[int, ...]) -> NDArray[np.int64]:
    """The sources' numbers and how many columns each has: the same for request after request."""
    return np.array([numbers, widths], np.int64)


@lru_cache(maxsize=16)
def _nothing_owned(n_requests: int) -> Owned:
    return Owned.nothing(n_requests)


def union(
    proposals: Sequence[Proposals],
    *,
    numbers: tuple[int, ...] | None = None,
    barred: NDArray[np.bool_] | None = None,
    owned: Owned | None = None,
    anchors: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """The candidates of each request, the first source that proposed each, and how many they are.

    Proposals are taken in turn, source by source, each as long as its quota made it; ``numbers``
    are the sources', their places where not said. ``barred`` (n_items,) marks deleted and sold-out
    rows; ``owned`` is given where what a shopper has bought may not come again; ``anchors`` (B, A)
    never come. Returns item rows (B, m), padded with ``NO_ROW`` on the right, source numbers
    (B, m), ``PINNED`` beside padding, and lengths (B,). ``m`` is the longest request's, at least 1.
    """
    item = np.concatenate([p.item_row for p in proposals], axis=1)
    widths = tuple([p.item_row.shape[1] for p in proposals])
    source = _columns(tuple(range(len(widths))) if numbers is None else numbers, widths)
    barred = _NOTHING_BARRED if barred is None else barred
    owned = _nothing_owned(len(item)) if owned is None else owned
    if anchors is None:
        anchors = np.empty((len(item), 0), np.int32)
    out = np.empty(item.shape, np.int32)
    origin = np.empty(item.shape, np.uint8)
    length = np.empty(len(item), np.int64)
    while True:
        taken = _marks.taken
        longest = _union(
            item, source, barred, owned.indptr, owned.item, anchors, taken, out, origin, length
        )
        if longest >= 0:
            return out[:, :longest], origin[:, :longest], length
        _marks.taken = np.zeros(-longest + -longest // 4, np.bool_)


def proposers(
    item_row: NDArray[np.int32], proposals: Sequence[Proposals], numbers: Sequence[int]
) -> NDArray[np.uint64]:
    """Who proposed each candidate (B, m): bit ``numbers[p]`` is 1 where ``proposals[p]`` holds it.

    Slower than ``union``, which tells the first of them alone: for training.
    """
    by = np.zeros(item_row.shape, np.uint64)
    most = max((int(p.item_row.max(initial=-1)) for p in proposals), default=-1)
    column = np.zeros(max(most, int(item_row.max(initial=-1))) + 1, np.int32)
    for number, one in zip(numbers, proposals, strict=True):
        _mark_proposed(item_row, one.item_row, np.uint64(1 << number), column, by)
    return by


@nb.njit(cache=True, nogil=True)
def _mark_proposed(
    candidate: NDArray[np.int32],
    item: NDArray[np.int32],
    bit: np.uint64,
    column: NDArray[np.int32],
    by: NDArray[np.uint64],
) -> None:
    """Set ``bit`` of every candidate (B, m) among ``item`` (B, n); ``column`` stays all zero."""
    for b in range(len(candidate)):
        for c in range(candidate.shape[1]):
            if candidate[b, c] >= 0:
                column[candidate[b, c]] = c + 1
        for x in range(item.shape[1]):
            i = item[b, x]
            if i >= 0 and column[i] > 0:
                by[b, column[i] - 1] |= bit
        for c in range(candidate.shape[1]):
            if candidate[b, c] >= 0:
                column[candidate[b, c]] = 0


@nb.njit(cache=True, nogil=True)
def _union(
    item: NDArray[np.int32],
    source: NDArray[np.int64],
    barred: NDArray[np.bool_],
    owned_ptr: NDArray[np.int64],
    owned_item: NDArray[np.int32],
    anchors: NDArray[np.int32],
    taken: NDArray[np.bool_],
    out: NDArray[np.int32],
    origin: NDArray[np.uint8],
    length: NDArray[np.int64],
) -> int:
    """Fill ``out``, ``origin`` and ``length``; the longest, or minus the marks it takes.

    ``source`` (2, n_sources) are the sources' numbers and how many columns of ``item`` each has.
    """
    n_requests, n = item.shape
    most = 0
    for b in range(n_requests):
        for x in range(n):
            most = max(most, int(item[b, x]))
    if most >= len(taken):
        return -(most + 1)
    longest = 1
    for b in range(n_requests):
        _mark(taken, owned_item[owned_ptr[b] : owned_ptr[b + 1]], True)
        _mark(taken, anchors[b], True)
        m = 0
        x = 0
        for s in range(source.shape[1]):
            for _ in range(source[1, s]):
                i = item[b, x]
                x += 1
                if i < 0 or taken[i] or (i < len(barred) and barred[i]):
                    continue
                taken[i] = True
                out[b, m] = i
                origin[b, m] = source[0, s]
                m += 1
        length[b] = m
        longest = max(longest, m)
        _mark(taken, out[b, :m], False)
        _mark(taken, owned_item[owned_ptr[b] : owned_ptr[b + 1]], False)
        _mark(taken, anchors[b], False)
        for x in range(m, n):
            out[b, x] = NO_ROW
            origin[b, x] = PINNED
    return longest


@nb.njit(cache=True, nogil=True)
def _mark(taken: NDArray[np.bool_], rows: NDArray[np.int32], value: bool) -> None:
    for i in rows:
        if 0 <= i < len(taken):
            taken[i] = value
