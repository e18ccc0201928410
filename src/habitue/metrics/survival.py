"""Does who is said to come sooner come sooner?"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["concordance"]


def concordance(
    days: NDArray[np.floating], came: NDArray[np.bool_], score: NDArray[np.floating]
) -> float:
    """The chance that of two the one who comes sooner has the higher score, a tie counting half.

    ``days`` (N,) is the time until each came, or, where not ``came`` (N,), until the last that is
    known of them. A pair counts where it is known who came first; who is last seen at the moment
    another comes, comes later. NaN where no pair can be told. O(N log N). Harrell, Califf, Pryor,
    Lee and Rosati, "Evaluating the yield of medical tests", JAMA 1982.

    >>> days, came = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    >>> concordance(days, came, np.array([0.9, 0.2, 0.5]))
    0.6666666666666666
    """
    order = np.lexsort((came, -np.asarray(days, np.float64)))  # the latest first, unseen before
    rank = np.unique(score, return_inverse=True)[1]
    above, pairs = _pairs(
        np.asarray(days, np.float64)[order],
        np.asarray(came, np.bool_)[order],
        rank[order].astype(np.int64),
    )
    return float(above / pairs) if pairs else float("nan")


@nb.njit(cache=True, nogil=True)
def _pairs(
    days: NDArray[np.float64], came: NDArray[np.bool_], rank: NDArray[np.int64]
) -> tuple[float, float]:
    """Pairs in the right order and all pairs, by a tree of counts (Fenwick 1994) over ranks."""
    n = len(days)
    size = 0
    for i in range(n):
        size = max(size, rank[i] + 1)
    tree = np.zeros(size + 1, np.int64)
    inside, above, pairs = 0, 0.0, 0.0
    first = 0
    while first < n:
        last = first
        while last < n and days[last] == days[first]:
            last += 1
        for i in range(first, last):  # those last seen at this moment come later than who comes
            if not came[i]:
                place = rank[i] + 1
                while place <= size:
                    tree[place] += 1
                    place += place & -place
                inside += 1
        for i in range(first, last):
            if came[i]:
                below, place = 0, rank[i]
                while place > 0:
                    below += tree[place]
                    place -= place & -place
                upto, place = 0, rank[i] + 1
                while place > 0:
                    upto += tree[place]
                    place -= place & -place
                above += below + 0.5 * (upto - below)
                pairs += inside
        for i in range(first, last):
            if came[i]:
                place = rank[i] + 1
                while place <= size:
                    tree[place] += 1
                    place += place & -place
                inside += 1
        first = last
    return above, pairs
