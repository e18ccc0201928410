"""Sources that say the same to everyone: a score of each item, and who stands first."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Prepared, PreparingSource, Proposals
from habitue.candidates.layout import sealed
from habitue.facts import NO_ROW, Context

__all__ = ["EverybodySource", "warm"]

_LISTS_KEPT = 32  # quotas are few; a list is kept ready for each


class EverybodySource(PreparingSource):
    """Proposes the items with the highest score above 0, whoever asks."""

    def __init__(self, score: NDArray[np.float32]) -> None:
        """``score`` is (n_items,)."""
        self._score = sealed(score, np.float32)
        wanted = np.flatnonzero(self._score > 0)
        order = wanted[np.argsort(-self._score[wanted], kind="stable")]
        self._best_row = sealed(order, np.int32)
        self._best_score = sealed(self._score[order], np.float32)
        self._told: dict[int, Proposals] = {}
        self.measured: dict[str, float] = {"items": float(len(order))}

    def prepare(self, context: Context) -> _Everybody:
        """The same for all; only how many they are is read."""
        return _Everybody(self, len(context))

    def best(self, n: int) -> Proposals:
        """The most wanted ``n`` items, as one read-only row."""
        told = self._told.get(n)
        if told is None:
            spare = max(n - len(self._best_row), 0)
            row = np.pad(self._best_row[:n], (0, spare), constant_values=NO_ROW)
            score = np.pad(self._best_score[:n], (0, spare))
            told = Proposals(sealed(row[None], np.int32), sealed(score[None], np.float32))
            if len(self._told) < _LISTS_KEPT:
                self._told[n] = told
        return told

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """Write the score of any items (B, n) at ``scores[:, :, place]``."""
        _look_up(self._score, item_row, scores, place)


class _Everybody(Prepared):
    """A batch of whoever."""

    __slots__ = ("_n", "_source")

    def __init__(self, source: EverybodySource, n_requests: int) -> None:
        self._source = source
        self._n = n_requests

    def propose(self, n: int) -> Proposals:
        """The most wanted ``n`` items; the rows of a batch share one read-only array."""
        told = self._source.best(n)
        if self._n == 1:
            return told
        shape = (self._n, n)
        return Proposals(np.broadcast_to(told[0], shape), np.broadcast_to(told[1], shape))

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The same score, whoever asks."""
        self._source.fill(item_row, scores, place)


@nb.njit(cache=True, nogil=True)
def _look_up(
    values: NDArray[np.float32],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill the values of the ``wanted`` rows (B, n); unknown: 0."""
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            scores[b, c, place] = values[j] if 0 <= j < values.shape[0] else 0.0


def warm() -> None:
    """Compile this module's kernel for the types requests bring, or read it from disk."""
    _look_up(
        sealed(np.ones(1), np.float32),
        np.zeros((1, 1), np.int32),
        np.ones((1, 1, 1), np.float32),
        0,
    )
