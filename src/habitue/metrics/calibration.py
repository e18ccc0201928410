"""Does a list show a shopper's tastes in the proportions the shopper has shown?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["list_shares", "miscalibration"]

Shares = NDArray[np.float64]


def list_shares(ranked: NDArray[np.int32], group: NDArray[np.int32], n_groups: int) -> Shares:
    """What share of each list (L, n) stands in each group of items, say a category: (L, G).

    ``group`` (n_items,) is the group of each item, -1 for none; items without one do not count.
    Rows of a list without any item of a group are 0 throughout.
    """
    of_slot = np.where(ranked >= 0, group[np.maximum(ranked, 0)], -1)
    place, slot = np.nonzero(of_slot >= 0)
    cell = place * n_groups + of_slot[place, slot]
    count = np.bincount(cell, minlength=len(ranked) * n_groups).reshape(len(ranked), n_groups)
    total = count.sum(axis=1, keepdims=True)
    shares: Shares = np.divide(count, total, out=np.zeros(count.shape), where=total > 0)
    return shares


def miscalibration(wanted: Shares, given: Shares, alpha: float = 0.01) -> NDArray[np.float64]:
    """How far lists (L, G) stray from the proportions wanted (L, G): 0 where they keep them.

    The Kullback-Leibler divergence of what is given from what is wanted, in nats, where ``alpha``
    of what is wanted is mixed into what is given so that a taste left out costs much and not
    everything: ``sum(p log(p / ((1 - alpha) q + alpha p)))``. (L,), NaN where nothing was wanted or
    nothing given. Steck, "Calibrated recommendations", RecSys 2018.

    >>> half = np.array([[0.5, 0.5]])
    >>> miscalibration(half, half), miscalibration(half, np.array([[1.0, 0.0]])).round(3)
    (array([0.]), array([1.959]))
    """
    mixed = (1.0 - alpha) * given + alpha * wanted
    ratio = np.divide(wanted, mixed, out=np.ones(wanted.shape), where=wanted > 0)
    diverged = (wanted * np.log(ratio)).sum(axis=1)
    said = (wanted.sum(axis=1) > 0) & (given.sum(axis=1) > 0)
    return np.where(said, diverged, np.nan)
