"""What do the lists as a whole show? Coverage, concentration, popularity, novelty.

``ranked`` is (L, n) item rows, -1 in slots left empty, which count nowhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["coverage", "exposure", "gini", "head_share", "novelty", "popularity_percentile"]

Rows = NDArray[np.int32]
Counts = NDArray[Any]


def exposure(ranked: Rows, n_items: int) -> NDArray[np.int64]:
    """How many slots each item got: (n_items,)."""
    return np.bincount(ranked[ranked >= 0].ravel(), minlength=n_items)


def coverage(ranked: Rows, available: NDArray[np.bool_]) -> float:
    """The share of the ``available`` items (n_items,) that stand in any list at all.

    Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy", RecSys 2010.

    >>> coverage(np.array([[0, 1], [1, -1]], np.int32), np.array([True, True, True, False]))
    0.6666666666666666
    """
    shown = exposure(ranked, len(available)) > 0
    n_available = int(available.sum())
    return float((shown & available).sum() / n_available) if n_available else float("nan")


def gini(amount: Counts) -> float:
    """How unequally ``amount`` (n_items,) is spread: 0 for evenly, near 1 when one has all.

    ``sum((2 i - n - 1) x_i) / (n sum(x))`` with ``x`` ascending. Gini, 1912; for lists of
    recommendations Shani and Gunawardana, Recommender Systems Handbook, 2011.

    >>> gini(np.array([1, 1, 1, 1])), gini(np.array([0, 0, 0, 4]))
    (0.0, 0.75)
    """
    ascending = np.sort(amount).astype(np.float64)
    total, n = ascending.sum(), len(ascending)
    if total == 0:
        return float("nan")
    weight = 2.0 * np.arange(1, n + 1) - n - 1
    return float(weight @ ascending / (n * total))


def popularity_percentile(ranked: Rows, popularity: Counts) -> NDArray[np.float64]:
    """How popular what a list shows is: 1 for the most popular item, 0.5 for a middling one.

    ``popularity`` (n_items,) is any count; an item's percentile is the share of items it is at
    least as popular as, equals at their mean. (L,), NaN for empty lists. After the average
    popularity of Yin et al., "Challenging the long tail recommendation", VLDB 2012, on a scale
    that does not depend on how many sales there were.
    """
    percentile = _mean_rank_ascending(popularity) / len(popularity)
    return _mean_over_filled(ranked, percentile)


def head_share(ranked: Rows, popularity: Counts, head: float = 0.2) -> float:
    """The share of all slots that goes to the most popular ``head`` of the items.

    Abdollahpouri, Burke and Mobasher, "Managing popularity bias", FLAIRS 2019 (the complement of
    their long-tail share). An even spread would give ``head`` itself.
    """
    n_head = max(1, round(head * len(popularity)))
    is_head = np.zeros(len(popularity), np.bool_)
    is_head[np.argsort(-popularity, kind="stable")[:n_head]] = True
    filled = ranked[ranked >= 0]
    return float(is_head[filled].mean()) if filled.size else float("nan")


def novelty(ranked: Rows, n_buyers: Counts, n_shoppers: int) -> NDArray[np.float64]:
    """How surprising a list is, in bits: the mean of ``-log2(buyers of the item / shoppers)``.

    An item nobody bought counts as bought by half a shopper. (L,), NaN for empty lists. Zhou et
    al., "Solving the apparent diversity-accuracy dilemma", PNAS 2010.

    >>> novelty(np.array([[0, 1]], np.int32), np.array([8, 2]), n_shoppers=8)
    array([1.])
    """
    surprise = -np.log2(np.maximum(n_buyers, 0.5) / n_shoppers)
    return _mean_over_filled(ranked, surprise)


def _mean_over_filled(ranked: Rows, value: NDArray[np.float64]) -> NDArray[np.float64]:
    filled = ranked >= 0
    total = np.where(filled, value[np.where(filled, ranked, 0)], 0.0).sum(axis=1)
    out = np.full(len(ranked), np.nan)
    np.divide(total, filled.sum(axis=1), out=out, where=filled.any(axis=1))
    return out


def _mean_rank_ascending(value: Counts) -> NDArray[np.float64]:
    """1 for the smallest; equals share their mean rank."""
    _, inverse, count = np.unique(value, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: NDArray[np.float64] = (last - (count - 1) / 2.0)[inverse]
    return ranks
