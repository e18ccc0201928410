"""What shoppers did, one action after the other: the behaviour model's text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionKind, ActionLog

if TYPE_CHECKING:
    from habitue.behaviour.said import ActionsSaid

__all__ = ["GAP_STEPS", "VISIT_MS", "Streams", "Windows", "gap_step", "streams_of", "token_rows"]

GAP_STEPS = 32
"""How many steps a time gap can have."""
VISIT_MS = 30 * 60_000
"""So long a silence ends a visit."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of streams, (W,) each: tokens ``first`` to ``last``, the last one not included."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def length(self) -> NDArray[np.int64]:
        """Tokens in each: (W,)."""
        return self.last - self.first

    def take(self, which: NDArray[np.int64]) -> Windows:
        """Those windows, in that order."""
        return Windows(self.first[which], self.last[which])

    def with_next(self) -> Windows:
        """Each with the token that follows it."""
        return Windows(self.first, self.last + 1)

    def joined(self, others: Windows) -> Windows:
        """These windows and the others behind them."""
        return Windows(
            np.concatenate([self.first, others.first]), np.concatenate([self.last, others.last])
        )


@dataclass(frozen=True, slots=True)
class Streams:
    """Actions of S shoppers one shopper after the other, oldest first: T tokens."""

    item_row: NDArray[np.int32]  # (T,)
    kind: NDArray[np.uint8]  # (T,)
    at_ms: NDArray[np.int64]  # (T,)
    start: NDArray[np.int64]  # (S + 1,) where each shopper's tokens begin
    shopper_row: NDArray[np.int32]  # (S,)
    n_items: int
    said: ActionsSaid | None = None  # of T tokens; none where nobody said any of it
    price: NDArray[np.uint8] | None = None  # (n_items,) steps; none where they are not read

    def __len__(self) -> int:
        return len(self.item_row)

    @property
    def n_shoppers(self) -> int:
        """Shoppers who did something."""
        return len(self.shopper_row)

    def stream(self) -> NDArray[np.int64]:
        """The place in ``shopper_row`` of each token's shopper: (T,)."""
        return np.repeat(np.arange(self.n_shoppers), np.diff(self.start))

    def gaps(self) -> NDArray[np.uint8]:
        """The step of time since the same shopper's action before: (T,), 0 for the first."""
        gap = np.zeros(len(self), np.uint8)
        if len(self):
            gap[1:] = gap_step(np.diff(self.at_ms))
            gap[self.start[:-1]] = 0
        return gap

    def prices(self, token: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The step of the price of each of those tokens' items (...); 0 where it is not known."""
        if self.price is None:
            return np.zeros(token.shape, np.uint8)
        return self.price[self.item_row[token]]

    def with_ties_drawn(self, rng: np.random.Generator) -> Streams:
        """The same actions, those of one shopper and moment in a random order. O(T log T)."""
        new = np.ones(len(self), np.bool_)
        new[1:] = np.diff(self.at_ms) != 0
        new[self.start[:-1]] = True
        order = np.lexsort((rng.random(len(self)), np.cumsum(new)))
        return self._taken(order, self.start, self.shopper_row)

    def windows(self, length: int) -> Windows:
        """Stretches to learn from: each token but a shopper's first is foretold in one of them.

        A stretch's inputs are its tokens and its targets the tokens one later; cut from the end of
        a stream, so that the latest have the most before them. O(T / length).
        """
        inputs = np.maximum(np.diff(self.start) - 1, 0)
        pieces = -(-inputs // length)
        which = np.repeat(np.arange(self.n_shoppers), pieces)
        piece = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        last = self.start[which + 1] - 1 - piece * length
        return Windows(np.maximum(self.start[which], last - length), last)

    def ends(self, held_out: int, length: int) -> Windows:
        """The ``length`` tokens before the last ``held_out`` of each shopper who has so many."""
        last = self.start[1:] - held_out
        which = np.flatnonzero(last > self.start[:-1])
        last = last[which]
        return Windows(np.maximum(self.start[which], last - length), last)

    def of(self, which: NDArray[np.int64]) -> Streams:
        """The streams of the shoppers at those places, in that order."""
        length = np.diff(self.start)[which]
        start = np.zeros(len(which) + 1, np.int64)
        np.cumsum(length, out=start[1:])
        token = np.repeat(self.start[which] - start[:-1], length) + np.arange(int(start[-1]))
        return self._taken(token, start, self.shopper_row[which])

    def without(self, token: NDArray[np.int64]) -> Streams:
        """The streams without those tokens."""
        kept = np.ones(len(self), np.bool_)
        kept[token] = False
        start = np.zeros(len(self.start), np.int64)
        start[1:] = np.cumsum(kept)[self.start[1:] - 1]
        return self._taken(np.flatnonzero(kept), start, self.shopper_row)

    def _taken(
        self,
        token: NDArray[np.int64],
        start: NDArray[np.int64],
        shopper_row: NDArray[np.int32],
    ) -> Streams:
        return Streams(
            self.item_row[token],
            self.kind[token],
            self.at_ms[token],
            start,
            shopper_row,
            self.n_items,
            None if self.said is None else self.said.take(token),
            self.price,
        )

    def without_last(self, n: int) -> Streams:
        """The streams as they were ``n`` actions of each shopper earlier."""
        kept = np.maximum(np.diff(self.start) - n, 0)
        place = np.arange(len(self)) - np.repeat(self.start[:-1], np.diff(self.start))
        tokens = place < np.repeat(kept, np.diff(self.start))
        start = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(kept, out=start[1:])
        return self._taken(np.flatnonzero(tokens), start, self.shopper_row)


def gap_step(gap_ms: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.uint8]:
    """The step of a time span: one more for each doubling of its seconds.

    >>> gap_step(np.array([0, 1_000, 60_000, 86_400_000]))
    array([ 1,  2,  6, 17], dtype=uint8)
    """
    seconds = np.maximum(np.asarray(gap_ms, np.float64) / 1000, 0)
    step = np.minimum(1 + np.floor(np.log2(seconds + 1)), GAP_STEPS - 1)
    return np.asarray(step, np.uint8)


def token_rows(log: ActionLog, kinds: Iterable[ActionKind]) -> NDArray[np.int64]:
    """The rows of a log that are tokens of its streams, as they stand in them: (T,).

    Actions of these kinds; those without item or shopper are left out.
    """
    wanted = np.zeros(256, np.bool_)
    wanted[[int(kind) for kind in kinds]] = True
    row = np.flatnonzero(wanted[log.kind] & (log.item_row >= 0) & (log.shopper_row >= 0))
    # the log is in order of time
    return np.asarray(row[np.argsort(log.shopper_row[row], kind="stable")], np.int64)


def streams_of(log: ActionLog, kinds: Iterable[ActionKind]) -> Streams:
    """The streams of a log's actions of these kinds, without what was said beside them."""
    row = token_rows(log, kinds)
    who, count = np.unique(log.shopper_row[row], return_counts=True)
    start = np.zeros(len(who) + 1, np.int64)
    np.cumsum(count, out=start[1:])
    return Streams(
        log.item_row[row],
        log.kind[row],
        log.at_ms[row],
        start,
        who.astype(np.int32),
        log.n_items,
    )
