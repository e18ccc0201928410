"""Item-to-item ridge regression over shoppers' sequences, kept as a neighbour table.

The most active items are regressed on each other exactly, which takes 8 bytes for each pair of
them and time by their number cubed. What leads to or from any other item takes the diagonal of the
inverse for the whole: its weight is the plain ratio of co-occurrence to (occurrence + penalty).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.neighbours import NeighbourTable
from habitue.candidates.sequences import Sequences
from habitue.errors import BadSetting
from habitue.facts import NO_ROW

__all__ = ["Kernels", "Regressed", "regress"]

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Kernels:
    """What two actions of one shopper have to do with each other, by the moments between them.

    All are (n,) for 0 to n - 1 moments. With ``past`` p and ``future`` f: ``rest[r]`` is the sum of
    p ** 2m over m < r, what an action counts as the past of the r moments after it; ``forward[d]``
    sums p ** k * f ** (d - 1 - k), over the moments between two actions d apart.
    """

    close: NDArray[np.float64]
    past: NDArray[np.float64]
    rest: NDArray[np.float64]
    forward: NDArray[np.float64]

    @classmethod
    def of(cls, n: int, *, closeness: float, past: float, future: float) -> Kernels:
        """The kernels of these decays, each by moment."""
        apart = np.arange(n, dtype=np.float64)
        rest, forward = np.zeros(n), np.zeros(n)
        for d in range(1, n):
            rest[d] = rest[d - 1] * past**2 + 1.0
            forward[d] = forward[d - 1] * past + future ** (d - 1)
        return cls(closeness**apart, past**apart, rest, forward)


@dataclass(frozen=True, slots=True)
class Regressed:
    """The weights kept, and how many items were regressed exactly."""

    table: NeighbourTable
    n_exact: int


@nb.njit(cache=True, nogil=True)
def _count(
    wanted: NDArray[np.int64],
    visits: NDArray[np.int64],
    visits_indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    moment: NDArray[np.int64],
    weight: NDArray[np.float64],
    close: NDArray[np.float64],
    past: NDArray[np.float64],
    rest: NDArray[np.float64],
    forward: NDArray[np.float64],
    transitions: float,
    penalty: float,
    itself: bool,
    exact_place: NDArray[np.int32],
    gram: NDArray[np.float32],
    target: NDArray[np.float32],
    out_row: NDArray[np.int32],
    out_strength: NDArray[np.float32],
) -> None:
    """Fill the rows of the wanted items: exact ones in ``gram`` and ``target``, the rest beside.

    For each item its occurrences are visited and the actions around them added up in one row.
    """
    n_items = exact_place.shape[0]
    known = np.zeros(n_items)
    led = np.zeros(n_items)
    stamp = np.full(n_items, -1, np.int64)
    touched = np.empty(n_items, np.int32)
    for r in range(wanted.shape[0]):
        i = wanted[r]
        count = 0
        for v in range(visits_indptr[i], visits_indptr[i + 1]):
            p = visits[v]
            last = moment[end[p] - 1]
            for q in range(first[p], end[p]):
                j = item[q]
                if stamp[j] != r:
                    stamp[j] = r
                    known[j] = 0.0
                    led[j] = 0.0
                    touched[count] = j
                    count += 1
                apart = abs(moment[q] - moment[p])
                both = weight[p] * weight[q]
                soft = (1.0 - transitions) * close[apart] * both
                known[j] += soft
                led[j] += soft
                if transitions > 0.0:
                    left = last - max(moment[p], moment[q])
                    known[j] += transitions * past[apart] * rest[left] * both
                    if moment[q] > moment[p]:
                        led[j] += transitions * forward[apart] * both
        at = exact_place[i]
        own = known[i] + penalty if count > 0 else penalty
        size = 0
        for x in range(count):
            j = touched[x]
            to = exact_place[j]
            if at >= 0 and to >= 0:
                gram[at, to] = known[j]
                if target.shape[0] > 0:
                    target[at, to] = led[j]
            elif j != i or itself:
                strength = np.float32(led[j] / own)
                if strength > 0.0:
                    size = keep_best(out_strength[r], out_row[r], size, strength, j)
        settle_best(out_strength[r], out_row[r], size)


def regress(
    sequences: Sequences,
    n_items: int,
    kernels: Kernels,
    *,
    transitions: float,
    penalty: float,
    itself: bool,
    exact_items: int,
    neighbours: int,
) -> Regressed:
    """The strongest ``neighbours`` weights of each item, of either sign.

    With G the items' closeness, A and T their pasts by past and by future, a = ``transitions``:
    ``B = ((1 - a) G + a A + penalty I)^-1 ((1 - a) G + a T)``; unless ``itself``, corrected so that
    its diagonal is 0 and each column still solves its own regression. Raises ``BadSetting`` where
    the penalty is too small for the matrix to be inverted.
    """
    occurs = np.bincount(sequences.item, minlength=n_items)
    busiest = np.argsort(-occurs, kind="stable")[:exact_items]
    exact = np.sort(busiest[occurs[busiest] > 0])
    place = np.full(n_items, -1, np.int32)
    place[exact] = np.arange(len(exact), dtype=np.int32)
    gram = np.zeros((len(exact), len(exact)), np.float32)
    target = np.zeros_like(gram) if transitions > 0 else np.empty((0, 0), np.float32)
    width = min(neighbours, n_items)
    columns = _Columns.of(sequences, n_items, kernels)

    def counted(items: NDArray[np.int64]) -> _Strongest:
        found = _Strongest.nothing(items, width)
        _count(
            items, *columns, transitions, penalty, itself, place, gram, target, found.row,
            found.strength,
        )  # fmt: skip
        return found

    parts = [counted(exact)]
    if len(exact):
        _solve(gram, target, penalty, itself=itself, exact=exact, best=parts[0])
    others = np.flatnonzero((occurs > 0) & (place < 0))
    parts += [
        counted(others[at : at + _ROWS_AT_ONCE]) for at in range(0, len(others), _ROWS_AT_ONCE)
    ]
    return Regressed(_table(parts, n_items), len(exact))


class _Columns(NamedTuple):
    """The sequences and kernels as the counting loop reads them."""

    visits: NDArray[np.int64]
    visits_indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    first: NDArray[np.int64]  # of each action's shopper
    end: NDArray[np.int64]
    moment: NDArray[np.int64]
    weight: NDArray[np.float64]
    close: NDArray[np.float64]
    past: NDArray[np.float64]
    rest: NDArray[np.float64]
    forward: NDArray[np.float64]

    @classmethod
    def of(cls, sequences: Sequences, n_items: int, kernels: Kernels) -> Self:
        """The columns of these."""
        item, shopper = sequences.item, sequences.shopper
        indptr = np.zeros(n_items + 1, np.int64)
        np.cumsum(np.bincount(item, minlength=n_items), out=indptr[1:])
        return cls(
            np.argsort(item, kind="stable"),
            indptr,
            item,
            np.searchsorted(shopper, shopper, side="left"),
            np.searchsorted(shopper, shopper, side="right"),
            sequences.moment,
            np.sqrt(sequences.fade) * sequences.say,
            kernels.close,
            kernels.past,
            kernels.rest,
            kernels.forward,
        )


class _Strongest(NamedTuple):
    """What some items lead to most strongly, best first, ``NO_ROW`` where there is no more."""

    items: NDArray[np.int64]  # (m,)
    row: NDArray[np.int32]  # (m, width)
    strength: NDArray[np.float32]  # (m, width)

    @classmethod
    def nothing(cls, items: NDArray[np.int64], width: int) -> Self:
        """Room for as many of each."""
        shape = (len(items), width)
        return cls(items, np.full(shape, NO_ROW, np.int32), np.zeros(shape, np.float32))


def _table(parts: Sequence[_Strongest], n_items: int) -> NeighbourTable:
    """The table of all parts, which share no item."""
    length = np.zeros(n_items, np.int64)
    for part in parts:
        length[part.items] = (part.row >= 0).sum(axis=1)
    indptr = np.concatenate([[0], np.cumsum(length)])
    row, strength = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    for part in parts:
        kept = part.row >= 0
        at = (indptr[part.items][:, None] + np.arange(kept.shape[1]))[kept]
        row[at], strength[at] = part.row[kept], part.strength[kept]
    return NeighbourTable.of_csr(indptr, row, strength, signed=True)


def _solve(
    gram: NDArray[np.float32],
    target: NDArray[np.float32],
    penalty: float,
    *,
    itself: bool,
    exact: NDArray[np.int64],
    best: _Strongest,
) -> None:
    """Merge the weights of the exact items on each other into the ``best`` of each, in place."""
    n = len(gram)
    with threadpool_limits(1, "blas"):
        inverse = _inverted(gram, penalty)
        own = inverse.diagonal().copy()
        chunks = [slice(at, min(at + _ROWS_AT_ONCE, n)) for at in range(0, n, _ROWS_AT_ONCE)]
        if len(target):
            on_itself = np.concatenate(
                [np.einsum("ij,ji->i", inverse[some], target[:, some]) for some in chunks]
            )
        else:
            on_itself = 1.0 - penalty * own
        for some in chunks:
            part = inverse[some]
            if len(target):
                weights = part @ target
            else:  # P G = I - penalty P
                weights = -np.float32(penalty) * part
                weights[np.arange(len(part)), np.arange(some.start, some.stop)] += 1.0
            if not itself:
                weights -= part * (on_itself / own).astype(np.float32)
                weights[np.arange(len(part)), np.arange(some.start, some.stop)] = 0.0
            _merge(weights, exact, best.row[some], best.strength[some])


def _inverted(gram: NDArray[np.float32], penalty: float) -> NDArray[np.float32]:
    """The inverse of ``gram`` plus the penalty on its diagonal; ``gram`` is overwritten."""
    whole = gram.T  # symmetric: the same, in the order LAPACK works in place on
    whole[np.diag_indices(len(whole))] += np.float32(penalty)
    factor, problem = lapack.spotrf(whole, lower=1, overwrite_a=1)
    inverse, problem_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if problem or problem_too:
        raise BadSetting(
            f"With a penalty of {penalty} the regression has no solution.",
            remedy="Raise the penalty.",
            field="penalty",
        )
    for at in range(0, len(inverse), _ROWS_AT_ONCE):
        some = slice(at, at + _ROWS_AT_ONCE)
        corner = inverse[some, some]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        inverse[some, some.stop :] = inverse[some.stop :, some].T
    return np.asarray(inverse.T, np.float32)


def _merge(
    weights: NDArray[np.float32],
    exact: NDArray[np.int64],
    row: NDArray[np.int32],
    strength: NDArray[np.float32],
) -> None:
    """Keep the best of the exact weights (m, n_exact) and of ``row`` and ``strength``, in place."""
    width = row.shape[1]
    value = np.concatenate([weights, strength], axis=1)
    to = np.concatenate([np.broadcast_to(exact.astype(np.int32), weights.shape), row], axis=1)
    if value.shape[1] > width:
        best = np.argpartition(-np.abs(value), width - 1, axis=1)[:, :width]
        value, to = np.take_along_axis(value, best, 1), np.take_along_axis(to, best, 1)
    order = np.lexsort((to, -np.abs(value)), axis=1)
    value, to = np.take_along_axis(value, order, 1), np.take_along_axis(to, order, 1)
    row[:] = np.where(value != 0, to, np.int32(NO_ROW))
    strength[:] = value
