"""The context of a batch of requests: all that sources, ranker and policy see of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_ROW", "Context", "Owned", "Rated"]

NO_ROW = -1
"""Marks "no item" or "no shopper" wherever a dense row stands."""

_NOTHING_SHOWN = (np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))


@dataclass(frozen=True, slots=True)
class Owned:
    """What each shopper of a batch has bought, ever: ragged rows, ``indptr`` as in CSR."""

    indptr: NDArray[np.int64]  # (B + 1,)
    item: NDArray[np.int32]  # (nnz,) item rows, ascending within a shopper
    count: NDArray[np.float32]  # (nnz,) orders that held the item
    age_days: NDArray[np.float32]  # (nnz,) days since it was last bought
    first_age_days: NDArray[np.float32]  # (nnz,) days since it was first bought

    @classmethod
    def nothing(cls, n: int) -> Owned:
        """Nobody of ``n`` shoppers has bought anything."""
        return cls(
            np.zeros(n + 1, np.int64),
            np.empty(0, np.int32),
            np.empty(0, np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.float32),
        )


@dataclass(frozen=True, slots=True)
class Rated:
    """What each shopper of a batch has rated: ragged rows, ``indptr`` as in CSR.

    All that was rated since the snapshot that answers was trained is here, and what was rated
    before may be: whoever fits ratings keeps those it was fitted on, and takes the later one of an
    item.
    """

    indptr: NDArray[np.int64]  # (B + 1,)
    item: NDArray[np.int32]  # (nnz,) item rows, each once within a shopper
    rating: NDArray[np.float32]  # (nnz,) the last rating of the item
    age_days: NDArray[np.float32]  # (nnz,) days since it was given

    @classmethod
    def nothing(cls, n: int) -> Rated:
        """Nobody of ``n`` shoppers has rated anything."""
        none = np.empty(0, np.float32)
        return cls(np.zeros(n + 1, np.int64), np.empty(0, np.int32), none, none)

    def take(self, rows: NDArray[np.int64]) -> Rated:
        """What the shoppers ``rows`` of the batch have rated, in that order."""
        counts = np.diff(self.indptr)[rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        at = np.repeat(self.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])
        return Rated(indptr, self.item[at], self.rating[at], self.age_days[at])


@dataclass(frozen=True, slots=True)
class Context:
    """A batch of B requests to one surface.

    Recent actions stand most recent first, padded with ``NO_ROW``; actions without an item are not
    among them. Ages are days before ``now_ms``, never negative: what lies after ``now`` is not
    here.
    """

    surface: str
    now_ms: NDArray[np.int64]  # (B,)
    shopper_row: NDArray[np.int32]  # (B,) NO_ROW for a shopper nobody knows
    recent_item: NDArray[np.int32]  # (B, L)
    recent_kind: NDArray[np.uint8]  # (B, L) ActionKind codes
    recent_age_days: NDArray[np.float32]  # (B, L)
    anchor_item: NDArray[np.int32]  # (B, A) the item looked at, or the items in the cart
    owned: Owned
    device: tuple[str | None, ...] = ()
    locale: tuple[str | None, ...] = ()
    query: tuple[str | None, ...] = ()
    personal: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    """(B,) False where the shopper has not allowed personalisation; empty means all have."""
    shown_item: NDArray[np.int32] = field(default_factory=lambda: _NOTHING_SHOWN[0])
    """(B, S) items shown to the shopper and not acted on since, ``NO_ROW`` padded; or none."""
    shown_age_days: NDArray[np.float32] = field(default_factory=lambda: _NOTHING_SHOWN[1])
    """(B, S) days since each of those showings."""
    platform: tuple[str | None, ...] = ()
    rated: Rated | None = None
    """What the shoppers have rated; none where nobody has."""

    def __len__(self) -> int:
        return len(self.now_ms)
