"""Counting what is wanted under which circumstances, and how far each side is to be trusted.

Rows of evidence are the items (what follows them), then the values of each side; an edge holds how
often a row led to an item. With strength ``m``, Dirichlet-shrunk towards popularity p, an edge of
count c multiplies the odds of item j by ``1 + c / (m p(j))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "Evidence", "Judged", "chosen", "counted", "lifts"]

GRID: Final = (10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4)
"""Strengths tried, in counted actions; besides none of a side's evidence at all."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts of items by row of evidence, as CSR; the rows of one part lie together."""

    indptr: NDArray[np.int64]  # (n_rows + 1,)
    item: NDArray[np.int32]  # (nnz,)
    count: NDArray[np.float64]  # (nnz,)
    parts: Mapping[str, tuple[int, int]]  # first row, and one behind the last
    wanted: NDArray[np.float64]  # (n_items,) faded count of each item

    def edges(self, part: str) -> slice:
        """Where the edges of a part stand."""
        first, last = self.parts[part]
        return slice(int(self.indptr[first]), int(self.indptr[last]))


@dataclass(frozen=True, slots=True)
class Judged:
    """E held-out actions of newcomers: what was known of each, and what was taken."""

    row: NDArray[np.int32]  # (E, P) rows of evidence, NO_ROW where there is none
    weight: NDArray[np.float32]  # (E, P)
    item: NDArray[np.int32]  # (E,)
    shopper: NDArray[np.int32]  # (E,) whose

    def __len__(self) -> int:
        return len(self.item)


def counted(
    value: NDArray[np.int64],
    item: NDArray[np.int32],
    weight: NDArray[np.float64],
    n_values: int,
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Lengths (n_values,), items and counts by value, of each value the ``most`` most counted.

    ``value``, ``item`` and ``weight`` are (N,); a value below 0 is not counted.
    """
    known = value >= 0
    key = (value[known] << 32) | item[known]
    pair, place = np.unique(key, return_inverse=True)
    count = np.bincount(place, weight[known], minlength=len(pair))
    of, to = pair >> 32, (pair & 0xFFFFFFFF).astype(np.int32)
    order = np.lexsort((to, -count, of))
    of, to, count = of[order], to[order], count[order]
    place_in_row = np.arange(len(of)) - np.searchsorted(of, of, side="left")
    kept = place_in_row < most
    return np.bincount(of[kept], minlength=n_values), to[kept], count[kept]


def lifts(evidence: Evidence, part: str, strength: float) -> NDArray[np.float32]:
    """What the edges of one part add to log-odds; nothing where the strength is infinite."""
    edges = evidence.edges(part)
    popularity = 1.0 + evidence.wanted
    share = popularity[evidence.item[edges]] / popularity.sum()
    added: NDArray[np.float64] = np.log1p(evidence.count[edges] / (strength * share))
    return added.astype(np.float32)


def chosen(evidence: Evidence, judged: Judged, grid: tuple[float, ...] = GRID) -> dict[str, float]:
    """The strength of each part that predicts the held-out actions best, one part after the other.

    A part is left out (strength infinite) unless it raises the mean log-likelihood, by shopper, by
    more than its standard error beside the parts before it.
    """
    lift = np.zeros(len(evidence.item), np.float32)
    strengths = dict.fromkeys(evidence.parts, float("inf"))
    before = likelihoods(evidence, lift, judged)
    for part in evidence.parts:
        edges = evidence.edges(part)
        best = before
        for strength in grid:
            lift[edges] = lifts(evidence, part, strength)
            found = likelihoods(evidence, lift, judged)
            if found.mean() > best.mean() and _beyond_error(found - before):
                best, strengths[part] = found, strength
        lift[edges] = 0.0
        if np.isfinite(strengths[part]):
            lift[edges] = lifts(evidence, part, strengths[part])
        before = best
    return strengths


def _beyond_error(gain: NDArray[np.float64]) -> bool:
    return bool(gain.mean() > gain.std() / max(len(gain) - 1, 1) ** 0.5)


def likelihoods(
    evidence: Evidence, lift: NDArray[np.float32], judged: Judged
) -> NDArray[np.float64]:
    """Mean log-likelihood of the actions of each shopper: (n shoppers,)."""
    popularity = 1.0 + evidence.wanted
    each = np.empty(len(judged))
    _log_likelihood(
        judged.row, judged.weight, judged.item, evidence.indptr, evidence.item, lift,
        popularity, popularity.sum(), np.zeros(len(popularity)), each,
    )  # fmt: skip
    _, who = np.unique(judged.shopper, return_inverse=True)
    return np.bincount(who, each) / np.bincount(who)


@nb.njit(cache=True, nogil=True)
def _log_likelihood(
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
    target: NDArray[np.int32],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    lift: NDArray[np.float32],
    popularity: NDArray[np.float64],
    everything: float,
    total: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fill the log-probability (E,) of each target; ``total`` (n_items,) is zero between events."""
    touched = np.empty(len(total), np.int32)
    for e in range(rows.shape[0]):
        count = 0
        for p in range(rows.shape[1]):
            row = rows[e, p]
            if row < 0 or weights[e, p] <= 0.0:
                continue
            for x in range(indptr[row], indptr[row + 1]):
                value = weights[e, p] * lift[x]
                if value > 0.0:
                    if total[item[x]] == 0.0:
                        touched[count] = item[x]
                        count += 1
                    total[item[x]] += value
        norm = everything
        for x in range(count):
            norm += popularity[touched[x]] * np.expm1(total[touched[x]])
        out[e] = np.log(popularity[target[e]]) + total[target[e]] - np.log(norm)
        for x in range(count):
            total[touched[x]] = 0.0
