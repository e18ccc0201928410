"""How good is a ranked list? One number a list, from which of its slots were right.

Every function takes ``hits`` (L, n), True where the item in a slot is relevant, in slot order, and
``n_relevant`` (L,), how many items would have been right for that list. The cut-off is the width
of ``hits``: ``ndcg(hits[:, :10], n_relevant)`` is NDCG@10. The answer is (L,) float64; a list for
which nothing is relevant says nothing and is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LIST_METRICS",
    "average_precision",
    "hit_rate",
    "hits_of",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
]

Hits = NDArray[np.bool_]
Counts = NDArray[np.integer[Any]]
PerList = NDArray[np.float64]


def hits_of(
    ranked: NDArray[np.int32], indptr: NDArray[np.int64], relevant: NDArray[np.int32]
) -> Hits:
    """Which slots of ``ranked`` (L, n) hold an item that is relevant for their list.

    Relevant items of list ``b`` are ``relevant[indptr[b] : indptr[b + 1]]``, in any order. Empty
    slots (-1) are never hits; of an item that stands twice in one list, only the first counts.

    >>> hits_of(np.array([[7, 3, 7], [5, -1, -1]], np.int32), np.array([0, 2, 2]), np.array([9, 7]))
    array([[ True, False, False],
           [False, False, False]])
    """
    n_lists, n = ranked.shape
    span = int(max(ranked.max(initial=0), relevant.max(initial=0))) + 1
    owner = np.repeat(np.arange(n_lists, dtype=np.int64), np.diff(indptr))
    wanted = np.unique(owner * span + relevant)
    flat = (np.arange(n_lists, dtype=np.int64)[:, None] * span + ranked).ravel()
    filled = ranked.ravel() >= 0
    place = np.searchsorted(wanted, flat)
    found = np.zeros(flat.size, np.bool_)
    inside = filled & (place < wanted.size)
    found[inside] = wanted[place[inside]] == flat[inside]
    _, first = np.unique(flat, return_index=True)
    is_first = np.zeros(flat.size, np.bool_)
    is_first[first] = True
    hits: Hits = (found & is_first).reshape(n_lists, n)
    return hits


def ndcg(hits: Hits, n_relevant: Counts) -> PerList:
    """Normalised discounted cumulative gain: hits near the top count more.

    ``sum(hit_i / log2(i + 1)) / sum(1 / log2(i + 1) for i in 1..min(n, n_relevant))``.
    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.

    >>> ndcg(np.array([[False, True]]), np.array([1])).round(4)
    array([0.6309])
    """
    n = hits.shape[1]
    discount = 1.0 / np.log2(np.arange(2, n + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])
    normalised: PerList = (hits @ discount) / ideal[np.minimum(n_relevant, n)]
    return normalised


def recall(hits: Hits, n_relevant: Counts) -> PerList:
    """The share of what is relevant that the list holds: ``hits / n_relevant``."""
    return _divided(hits.sum(axis=1), n_relevant)


def precision(hits: Hits, n_relevant: Counts) -> PerList:
    """The share of the list that is relevant: ``hits / n``. A slot left empty counts as a miss."""
    return np.where(n_relevant > 0, hits.mean(axis=1), np.nan)


def hit_rate(hits: Hits, n_relevant: Counts) -> PerList:
    """1 where the list holds anything relevant, else 0."""
    return np.where(n_relevant > 0, hits.any(axis=1).astype(np.float64), np.nan)


def reciprocal_rank(hits: Hits, n_relevant: Counts) -> PerList:
    """``1 / slot`` of the first hit, 0 without one; its mean is MRR.

    Voorhees, "The TREC-8 question answering track report", 1999.
    """
    first = np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)
    return np.where(n_relevant > 0, first, np.nan)


def average_precision(hits: Hits, n_relevant: Counts) -> PerList:
    """Precision at every hit, averaged over all that is relevant; its mean is MAP.

    ``sum(hit_i * hits_up_to_i / i) / n_relevant``, as trec_eval has it: what the list is too short
    to hold counts against it. Buckley and Voorhees, SIGIR 2000.
    """
    up_to = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _divided((up_to * hits).sum(axis=1), n_relevant)


def _divided(amount: NDArray[Any], n_relevant: Counts) -> PerList:
    out: PerList = np.full(len(amount), np.nan)
    np.divide(amount, n_relevant, out=out, where=n_relevant > 0)
    return out


LIST_METRICS: Final[dict[str, Callable[[Hits, Counts], PerList]]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "hit_rate": hit_rate,
    "mrr": reciprocal_rank,
    "map": average_precision,
}
"""The metrics of this module by the name reports give them."""
