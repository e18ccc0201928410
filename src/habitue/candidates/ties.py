"""Counting the ties between items that stand near each other in shoppers' sequences.

For each item its occurrences are visited, the actions around them added up in one dense row,
damped, and the strongest kept. No pair is ever written down, so memory stays at the log, one row
and the result, whatever the window.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.neighbours import NeighbourTable
from habitue.candidates.sequences import Sequences

__all__ = ["tie"]

_ITEMS_AT_ONCE = 4096


@nb.njit(cache=True, nogil=True)
def _tie_items(
    first_item: int,
    visits: NDArray[np.int64],
    visits_indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    shopper: NDArray[np.int32],
    moment: NDArray[np.int64],
    day: NDArray[np.float64],
    ends: NDArray[np.bool_],
    fade: NDArray[np.float64],
    say: NDArray[np.float64],
    damp_from: NDArray[np.float64],
    damp_to: NDArray[np.float64],
    decay: NDArray[np.float64],
    forward: float,
    backward: float,
    together: float,
    window: int,
    reach: int,
    gap_decay_per_day: float,
    total: NDArray[np.float64],
    touched: NDArray[np.int32],
    out_row: NDArray[np.int32],
    out_strength: NDArray[np.float32],
) -> None:
    """Fill the strongest ties of the items from ``first_item`` on, one a row of ``out``."""
    n_actions = item.shape[0]
    for r in range(out_row.shape[0]):
        i = first_item + r
        count = 0
        for v in range(visits_indptr[i], visits_indptr[i + 1]):
            p = visits[v]
            for step in (1, -1):
                directed = forward if step == 1 else backward
                q = p + step
                while 0 <= q < n_actions and abs(q - p) <= reach and shopper[q] == shopper[p]:
                    apart = abs(moment[q] - moment[p])
                    if apart > window:
                        break
                    j = item[q]
                    if ends[q] and j != i:
                        weight = together if apart == 0 else directed * decay[apart - 1]
                        if gap_decay_per_day < 1.0:
                            weight *= gap_decay_per_day ** abs(day[q] - day[p])
                        weight *= fade[max(p, q)] * say[p] * say[q]
                        if weight > 0.0:
                            if total[j] == 0.0:
                                touched[count] = j
                                count += 1
                            total[j] += weight
                    q += step
        size = 0
        for x in range(count):
            j = touched[x]
            strength = np.float32(total[j] * damp_from[i] * damp_to[j])
            total[j] = 0.0
            if strength > 0.0:
                size = keep_best(out_strength[r], out_row[r], size, strength, j)
        settle_best(out_strength[r], out_row[r], size)


def tie(
    sequences: Sequences,
    *,
    damp_from: NDArray[np.float64],
    damp_to: NDArray[np.float64],
    decay: NDArray[np.float64],
    forward: float,
    backward: float,
    together: float,
    window: int,
    reach: int,
    gap_half_life_days: float | None,
    neighbours: int,
) -> NeighbourTable:
    """The strongest ``neighbours`` ties of every item.

    ``decay[d - 1]`` is the factor of a tie over ``d`` moments; ``damp_from`` and ``damp_to``
    (n_items) multiply every tie at its two ends.
    """
    n_items = len(damp_from)
    position = np.flatnonzero(sequences.starts)
    by_item = np.argsort(sequences.item[position], kind="stable")
    visits = position[by_item]
    visits_indptr = np.zeros(n_items + 1, np.int64)
    np.cumsum(np.bincount(sequences.item[position], minlength=n_items), out=visits_indptr[1:])
    total = np.zeros(n_items)
    touched = np.empty(n_items, np.int32)
    width = min(neighbours, max(n_items - 1, 1))
    lengths, rows, strengths = [np.zeros(1, np.int64)], [], []
    for first in range(0, n_items, _ITEMS_AT_ONCE):
        n = min(_ITEMS_AT_ONCE, n_items - first)
        row = np.empty((n, width), np.int32)
        strength = np.empty((n, width), np.float32)
        _tie_items(
            first,
            visits,
            visits_indptr,
            sequences.item,
            sequences.shopper,
            sequences.moment,
            sequences.day,
            sequences.ends,
            sequences.fade,
            sequences.say,
            damp_from,
            damp_to,
            decay,
            forward,
            backward,
            together,
            window,
            reach,
            1.0 if gap_half_life_days is None else 0.5 ** (1.0 / gap_half_life_days),
            total,
            touched,
            row,
            strength,
        )
        kept = row >= 0
        lengths.append(kept.sum(1))
        rows.append(row[kept])
        strengths.append(strength[kept])
    empty_row, empty_strength = np.empty(0, np.int32), np.empty(0, np.float32)
    return NeighbourTable.of_csr(
        np.cumsum(np.concatenate(lengths)),
        np.concatenate([empty_row, *rows]),
        np.concatenate([empty_strength, *strengths]),
    )
