"""Paths over the item graph: from something a shopper has to something proposed, and why.

Of all paths from a profile's items over sides they share with an item, the one is named that says
most: what the shopper holds of the side, what the side is to the item, how much its vector is what
the shopper likes, and how few items have it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source
from habitue.candidates.gather import EDGE
from habitue.candidates.item_graph import Side
from habitue.candidates.layout import scratch, sealed
from habitue.candidates.products import dot
from habitue.facts import NO_ROW, Context

__all__ = ["PathSource", "Paths", "best_paths", "warm"]


class Paths(NamedTuple):
    """The best path to each item: ``from_row`` and it both have ``side``."""

    from_row: NDArray[np.int32]  # (B, n) NO_ROW where there is no path
    side: NDArray[np.int32]  # (B, n) NO_ROW where there is no path
    adds: NDArray[np.float32]  # (B, n) what the side adds to the source's score of the item


@runtime_checkable
class PathSource(Source, Protocol):
    """A source that can say over what its proposals are tied to what a shopper has."""

    def paths(
        self, context: Context, from_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> Paths:
        """The best path to each of the items (B, n) from any of ``from_row`` (B, P)."""
        ...

    def side(self, number: int) -> Side:
        """What a side is called."""
        ...


@nb.njit(cache=True, nogil=True)
def _edges_of(
    item: int, indptr: NDArray[np.int64], tail_indptr: NDArray[np.int64]
) -> tuple[int, int, bool]:
    """Where an item's edges begin and end, and whether they stand in the tail."""
    n_base = indptr.shape[0] - 1
    if 0 <= item < n_base:
        return indptr[item], indptr[item + 1], False
    at = item - n_base
    if item < 0 or at >= tail_indptr.shape[0] - 1:
        return 0, 0, False
    return tail_indptr[at], tail_indptr[at + 1], True


@nb.njit(cache=True, nogil=True)
def best_paths(
    from_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    indptr: NDArray[np.int64],
    edge: NDArray[np.void],
    tail_indptr: NDArray[np.int64],
    tail_edge: NDArray[np.void],
    telling: NDArray[np.float32],
    side_vectors: NDArray[np.float32],
    query: NDArray[np.float32],
    held: NDArray[np.float32],
    touched: NDArray[np.int32],
    out_from: NDArray[np.int32],
    out_side: NDArray[np.int32],
    out_adds: NDArray[np.float32],
) -> None:
    """Fill the best path (B, n) to each item from the first of its profile (B, P) with the side.

    ``telling`` (n_sides,) weighs sides, 0 for those that are no reason; ``query`` (B, dim) is what
    each shopper likes. ``held`` is all zero between calls, and ``touched`` as long.
    """
    holder = np.empty(held.shape[0], np.int32)
    for b in range(item_row.shape[0]):
        count = 0
        for p in range(from_row.shape[1]):
            first, last, in_tail = _edges_of(from_row[b, p], indptr, tail_indptr)
            for x in range(first, last):
                one = tail_edge[x] if in_tail else edge[x]
                s = one.item
                if telling[s] <= 0.0:
                    continue
                if held[s] == 0.0:
                    touched[count] = s
                    count += 1
                    holder[s] = from_row[b, p]
                held[s] += one.strength
        for c in range(item_row.shape[1]):
            out_from[b, c] = out_side[b, c] = -1
            out_adds[b, c] = 0.0
            best = np.float32(0.0)
            first, last, in_tail = _edges_of(item_row[b, c], indptr, tail_indptr)
            for x in range(first, last):
                one = tail_edge[x] if in_tail else edge[x]
                s = one.item
                if held[s] <= 0.0 or holder[s] == item_row[b, c]:
                    continue
                liked = dot(query, b, side_vectors, s)
                likely = max(liked, np.float32(0.0)) + np.float32(1e-6)
                value = held[s] * one.strength * telling[s] * likely
                if value > best:
                    best = value
                    out_from[b, c], out_side[b, c] = holder[s], s
                    out_adds[b, c] = one.strength * liked
        for x in range(count):
            held[touched[x]] = 0.0


def warm() -> None:
    """Compile this module's kernel for the types requests bring, or read it from disk."""
    row, vector = np.zeros((1, 1), np.int32), sealed(np.ones((1, 1)), np.float32)
    indptr = sealed(np.array([0, 1]), np.int64)
    edge = np.ones(1, EDGE)
    edge["item"] = 0
    edge.setflags(write=False)
    out = np.full((2, 1, 1), NO_ROW, np.int32)
    best_paths(
        row, row, indptr, edge, indptr, edge, sealed(np.ones(1), np.float32), vector,
        np.ones((1, 1), np.float32), *scratch.of(1), out[0], out[1], np.empty((1, 1), np.float32),
    )  # fmt: skip
