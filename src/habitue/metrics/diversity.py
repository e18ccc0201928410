"""How unlike each other are the items of a list, and how much do two lists have in common?

``ranked`` is (L, n) item rows, -1 in slots left empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["intra_list_diversity", "overlap"]

Rows = NDArray[np.int32]


def intra_list_diversity(ranked: Rows, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The mean cosine distance between two items of a list: 0 all alike, 1 nothing in common.

    ``vectors`` is (n_items, dim); an item whose vector is 0 has nothing in common with any. (L,),
    NaN for lists of fewer than two items. Ziegler et al., "Improving recommendation lists through
    topic diversification", WWW 2005, as a distance rather than a similarity.

    The sum over all pairs is had from the length of the sum of the vectors, in O(n) a list.

    >>> alike, other = [1.0, 0.0], [0.0, 1.0]
    >>> intra_list_diversity(np.array([[0, 1, 2]], np.int32), np.array([alike, alike, other]))
    array([0.66666667])
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
    filled = ranked >= 0
    chosen = unit[np.where(filled, ranked, 0)] * filled[:, :, None]  # (L, n, dim)
    total = chosen.sum(axis=1)
    self_similarity = (chosen**2).sum(axis=(1, 2))
    similar = (total**2).sum(axis=1) - self_similarity
    n = filled.sum(axis=1)
    out = np.full(len(ranked), np.nan)
    np.divide(similar, n * (n - 1.0), out=out, where=n > 1)
    return 1.0 - out


def overlap(ranked: Rows, other: Rows) -> NDArray[np.float64]:
    """The share of the longer list that both lists hold, whatever their order: (L,).

    An item counts once. NaN where both lists are empty.

    >>> overlap(np.array([[1, 2, 3, 4]], np.int32), np.array([[4, 9, 1, -1]], np.int32))
    array([0.5])
    """
    if len(ranked) != len(other):
        raise ValueError(f"paired lists differ in number: {len(ranked)} against {len(other)}")
    a, b = _once(ranked), _once(other)
    shared = ((a[:, :, None] == b[:, None, :]) & (a >= 0)[:, :, None]).sum(axis=(1, 2))
    longer = np.maximum((a >= 0).sum(axis=1), (b >= 0).sum(axis=1))
    out = np.full(len(a), np.nan)
    np.divide(shared, longer, out=out, where=longer > 0)
    return out


def _once(ranked: Rows) -> Rows:
    """The items of each list in ascending order, repeats emptied."""
    ascending: Rows = np.sort(ranked, axis=1)
    ascending[:, 1:][ascending[:, 1:] == ascending[:, :-1]] = -1
    return ascending
