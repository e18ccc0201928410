"""Rows that only grow at their end, while whoever reads the shorter ones reads on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Growing"]

_LEAST = 64  # rows there is room for from the first on


class Growing:
    """An array that is never changed, and its longer successors, which share its memory.

    What is appended is written into spare room behind the rows, which is doubled when it is used
    up: a row is copied twice at most on average, however small the steps. One thread appends at a
    time; any number read.
    """

    __slots__ = ("_room", "rows")

    def __init__(self, rows: NDArray[Any]) -> None:
        """``rows`` (n, ...) are taken as they are; the first ``append`` copies them."""
        self._set(_Room(rows, len(rows)), len(rows))

    def _set(self, room: _Room, n: int) -> None:
        self._room = room
        self.rows = np.ascontiguousarray(room.buffer[:n])[...]
        """The rows (n, ...), read-only."""
        self.rows.setflags(write=False)

    def __len__(self) -> int:
        return len(self.rows)

    def append(self, more: NDArray[Any]) -> Growing:
        """These rows and ``more`` (m, ...) behind them."""
        if not len(more):
            return self
        n, end, room = len(self), len(self) + len(more), self._room
        if room.filled != n or end > len(room.buffer):  # another went on from here, or it is full
            wider = np.empty((max(2 * end, _LEAST), *more.shape[1:]), self.rows.dtype)
            wider[:n] = self.rows
            room = _Room(wider, n)
        room.buffer[n:end] = more
        room.filled = end
        grown = Growing.__new__(Growing)
        grown._set(room, end)
        return grown

    def put(self, place: NDArray[np.int64], rows: NDArray[Any]) -> Growing:
        """These rows with ``rows`` (n, ...) at their places (n,); itself where they were there.

        Places beyond the end make it longer, with 0 between; where a row now reads otherwise, all
        are copied. The last bits count for nothing: a product depends on what it is worked out
        beside.
        """
        new, grown = place >= len(self), self
        if not np.allclose(self.rows[place[~new]], rows[~new], rtol=1e-5, atol=1e-6):
            other = self.rows.copy()
            other[place[~new]] = rows[~new]
            grown = Growing(other)
        if not new.any():
            return grown
        more = np.zeros((int(place.max()) + 1 - len(grown), *rows.shape[1:]), self.rows.dtype)
        more[place[new] - len(grown)] = rows[new]
        return grown.append(more)


class _Room:
    """Memory for rows, and how many are in it."""

    __slots__ = ("buffer", "filled")

    def __init__(self, buffer: NDArray[Any], filled: int) -> None:
        self.buffer = buffer
        self.filled = filled
