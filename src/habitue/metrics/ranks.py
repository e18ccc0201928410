"""How high does the one right item stand? For leave-one-out protocols, ties at their mean rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hit_of_rank", "mean_rank", "ndcg_of_rank", "reciprocal_of_rank"]

Ranks = NDArray[np.float64]


def mean_rank(score: NDArray[np.floating], target: NDArray[np.integer]) -> Ranks:
    """The rank of each target among all that was scored, 1 at the top.

    ``score`` is (B, n_items), ``-inf`` for what must not compete; ``target`` is (B,) columns of it.
    Equal scores share their mean rank, so a scorer that says the same of everything gets the rank
    that chance would give. A target that scores ``-inf`` itself was not ranked: its rank is
    infinite. Raises ``ValueError`` on NaN, which would compare as neither better nor worse.

    >>> mean_rank(np.array([[0.9, 0.5, 0.5, -np.inf]]), np.array([1]))
    array([2.5])
    """
    if np.isnan(score).any():
        raise ValueError("scores hold NaN: a scorer must say a number of every item")
    own = np.take_along_axis(score, target[:, None].astype(np.intp), axis=1)
    better = (score > own).sum(axis=1)
    equal = (score == own).sum(axis=1) - 1
    return np.where(np.isneginf(own[:, 0]), np.inf, 1.0 + better + 0.5 * equal)


def ndcg_of_rank(rank: Ranks, n: int) -> Ranks:
    """NDCG@n where one item is right: ``1 / log2(rank + 1)`` down to rank ``n``, then 0."""
    return np.where(rank <= n, 1.0 / np.log2(rank + 1.0), 0.0)


def hit_of_rank(rank: Ranks, n: int) -> Ranks:
    """Hit rate@n where one item is right, which is its recall@n too."""
    return (rank <= n).astype(np.float64)


def reciprocal_of_rank(rank: Ranks, n: int | None = None) -> Ranks:
    """``1 / rank`` down to rank ``n`` (to the end when ``None``), then 0; its mean is MRR."""
    return np.where(rank <= (np.inf if n is None else n), 1.0 / rank, 0.0)
