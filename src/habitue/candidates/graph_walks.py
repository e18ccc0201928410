"""Neighbours of items by two steps of a random walk over the edges to shoppers and back.

Ying et al., Graph Convolutional Neural Networks for Web-Scale Recommender Systems (2018): what a
walk meets often matters most, and no product of the graph with itself is needed.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.candidates.graph_layers import Near

__all__ = ["Walks", "or_else"]


class Walks:
    """Walks from items to shoppers, and on to items, along edges by their weight."""

    def __init__(self, weight: sp.csr_matrix) -> None:
        """``weight`` is (n_shoppers, n_items)."""
        self._to_shoppers = _Steps(weight.T.tocsr())
        self._to_items = _Steps(weight)

    def draw(self, n: int, rng: np.random.Generator) -> Near:
        """``n`` walks from each item; those that end where they began are not counted."""
        n_items = self._to_shoppers.n
        item = np.repeat(np.arange(n_items), n)
        shopper = self._to_shoppers.step(item, rng)
        met = self._to_items.step(shopper, rng)
        row = met.reshape(n_items, n)
        there = (row >= 0) & (row != np.arange(n_items)[:, None])
        share = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        return Near(np.where(there, row, 0).astype(np.int32), share.astype(np.float32))


class _Steps:
    """Steps along the entries of a sparse matrix's rows, each as likely as it is heavy."""

    def __init__(self, matrix: sp.csr_matrix) -> None:
        self._indptr, self._indices = matrix.indptr, matrix.indices
        self._upto = np.concatenate([[0.0], np.cumsum(matrix.data, dtype=np.float64)])
        self.n = matrix.shape[0]

    def step(self, row: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Where a step from each row ends; -1 where there is no way, or the row is -1."""
        begin, end = self._indptr[row], self._indptr[row + 1]
        low, high = self._upto[begin], self._upto[end]
        at = low + rng.random(len(row)) * (high - low)
        place = np.searchsorted(self._upto, at, side="right") - 1
        place = np.clip(place, begin, np.maximum(end - 1, begin))
        able = (row >= 0) & (end > begin)
        found = np.full(len(row), -1, np.int64)
        found[able] = self._indices[place[able]]
        return found


def or_else(near: Near, other: Near, which: NDArray[np.bool_]) -> Near:
    """``near``, but for the items ``which``, and for those that have nobody, the ``other``."""
    which = which | ~near.share.any(axis=1)
    k = max(near.row.shape[1], other.row.shape[1])
    near, other = near.widened(k), other.widened(k)
    return Near(
        np.where(which[:, None], other.row, near.row),
        np.where(which[:, None], other.share, near.share),
    )
