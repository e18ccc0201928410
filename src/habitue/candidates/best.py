"""The best n of many, kept in a heap whose root is the worst kept.

Ties are always broken by the lower item row, so that a batch and its rows one by one give the same
answer.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW

__all__ = ["choose_best", "keep_best", "settle_best"]

_SHIFT: Final = 20  # leaves sign, exponent and three bits: values within an eighth of each other
_BUCKETS: Final = 1 << (32 - _SHIFT - 1)


@nb.njit(cache=True, nogil=True)
def _sift(score: NDArray[np.float32], row: NDArray[np.int32], at: int, size: int) -> None:
    """Let the entry at ``at`` sink to its place in a heap whose root is the worst kept entry."""
    s = score[at]
    r = row[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            score[other] < score[child]
            or (score[other] == score[child] and row[other] > row[child])
        ):
            child = other
        if score[child] < s or (score[child] == s and row[child] > r):
            score[at] = score[child]
            row[at] = row[child]
            at = child
        else:
            break
    score[at] = s
    row[at] = r


@nb.njit(cache=True, nogil=True)
def keep_best(
    score: NDArray[np.float32], row: NDArray[np.int32], size: int, s: np.float32, r: int
) -> int:
    """Offer an entry to the best kept so far; the new number of kept entries."""
    n = score.shape[0]
    if size < n:
        score[size] = s
        row[size] = r
        size += 1
        if size == n:
            for at in range(n // 2 - 1, -1, -1):
                _sift(score, row, at, n)
        return size
    if n > 0 and (s > score[0] or (s == score[0] and r < row[0])):
        score[0] = s
        row[0] = r
        _sift(score, row, 0, n)
    return size


@nb.njit(cache=True, nogil=True)
def settle_best(score: NDArray[np.float32], row: NDArray[np.int32], size: int) -> None:
    """Sort the kept entries best first and mark the rest of the row as nothing."""
    if size < score.shape[0]:
        for at in range(size // 2 - 1, -1, -1):
            _sift(score, row, at, size)
    for last in range(size - 1, 0, -1):
        s = score[0]
        r = row[0]
        score[0] = score[last]
        row[0] = row[last]
        score[last] = s
        row[last] = r
        _sift(score, row, 0, last)
    for at in range(size, score.shape[0]):
        score[at] = 0.0
        row[at] = NO_ROW


@nb.njit(cache=True, nogil=True)
def choose_best(
    value: NDArray[np.float32],
    row: NDArray[np.int32],
    score: NDArray[np.float32],
    kept: NDArray[np.int32],
) -> int:
    """Keep the best of ``row`` (N,) by a positive ``value``; how many are kept.

    They stand in ``score`` and ``kept`` (n,), ready for ``keep_best`` and ``settle_best``. Where
    there are many more than n, values are tallied by their leading bits first (as in a radix
    sort): all but those in the last bucket that counts need no comparing.
    """
    n = kept.shape[0]
    size = 0
    cut = np.int32(0)
    if value.shape[0] > n + n // 4 + 16:
        bits = value.view(np.int32)  # of positive numbers: in their order
        tally = np.zeros(_BUCKETS, np.int32)
        for x in range(bits.shape[0]):
            tally[bits[x] >> _SHIFT] += 1
        cut = np.int32(_BUCKETS - 1)
        above = 0
        while above + tally[cut] < n and cut > 0:
            above += tally[cut]
            cut -= np.int32(1)
        for x in range(bits.shape[0]):
            if bits[x] >> _SHIFT > cut:
                score[size] = value[x]
                kept[size] = row[x]
                size += 1
        for x in range(bits.shape[0]):
            if bits[x] >> _SHIFT == cut:
                size = keep_best(score, kept, size, value[x], row[x])
        return size
    for x in range(value.shape[0]):
        size = keep_best(score, kept, size, value[x], row[x])
    return size
