"""Many sources' proposals become one list of candidates, each item once."""

from __future__ import annotations

from collections.abc import Sequence

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Proposals
from habitue.facts import NO_ROW, Owned

__all__ = ["union"]


def union(
    proposals: Sequence[Proposals],
    *,
    barred: NDArray[np.bool_] | None = None,
    owned: Owned | None = None,
    anchors: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The candidates of each request and the first source that proposed each.

    Proposals are taken in turn, source by source, each as long as its quota made it. ``barred``
    (n_items,) marks deleted and sold-out rows; ``owned`` is given where what a shopper has bought
    may not come again; ``anchors`` (B, A) never come. Returns item rows (B, m), padded with
    ``NO_ROW`` on the right, and source numbers (B, m), 255 beside padding. ``m`` is the longest
    request's, at least 1.
    """
    item = np.concatenate([p.item_row for p in proposals], axis=1)
    source = np.repeat(
        np.arange(len(proposals), dtype=np.uint8), [p.item_row.shape[1] for p in proposals]
    )
    if barred is None:
        barred = np.empty(0, np.bool_)
    n = max(int(item.max(initial=NO_ROW)) + 1, 1)
    if owned is None:
        owned = Owned.nothing(len(item))
    if anchors is None:
        anchors = np.empty((len(item), 0), np.int32)
    out, origin, longest = _union(item, source, barred, owned.indptr, owned.item, anchors, n)
    longest = max(longest, 1)
    return out[:, :longest], origin[:, :longest]


@nb.njit(cache=True, nogil=True)
def _union(
    item: NDArray[np.int32],
    source: NDArray[np.uint8],
    barred: NDArray[np.bool_],
    owned_ptr: NDArray[np.int64],
    owned_item: NDArray[np.int32],
    anchors: NDArray[np.int32],
    n_items: int,
) -> tuple[NDArray[np.int32], NDArray[np.uint8], int]:
    n_requests, n = item.shape
    out = np.full((n_requests, n), NO_ROW, np.int32)
    origin = np.full((n_requests, n), 255, np.uint8)
    taken = np.zeros(n_items, np.bool_)
    longest = 0
    for b in range(n_requests):
        _mark(taken, owned_item[owned_ptr[b] : owned_ptr[b + 1]], True)
        _mark(taken, anchors[b], True)
        m = 0
        for x in range(n):
            i = item[b, x]
            if i < 0 or taken[i] or (i < len(barred) and barred[i]):
                continue
            taken[i] = True
            out[b, m] = i
            origin[b, m] = source[x]
            m += 1
        longest = max(longest, m)
        _mark(taken, out[b, :m], False)
        _mark(taken, owned_item[owned_ptr[b] : owned_ptr[b + 1]], False)
        _mark(taken, anchors[b], False)
    return out, origin, longest


@nb.njit(cache=True, nogil=True)
def _mark(taken: NDArray[np.bool_], rows: NDArray[np.int32], value: bool) -> None:
    for i in rows:
        if 0 <= i < len(taken):
            taken[i] = value
