"""What shoppers were shown and have not acted on since, and how often each item was shown.

Kept by each process: its own slates are noted as they are made, those of others as the store is
tailed, so any number of processes soon know the same. Losing it loses nothing: it is read from the
store again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import ITEM_KINDS, NO_ROW
from habitue.store.contract import ActionColumns
from habitue.store.seats import ABSENT, Seats

__all__ = ["Impressions"]

_MS_PER_MINUTE: Final = 60_000
_MINUTES_PER_DAY: Final = 1440
_ACTS: Final = np.isin(np.arange(256), [int(kind) for kind in ITEM_KINDS])


class Impressions:
    """The last ``length`` showings of up to ``max_shoppers`` shoppers, timed to the minute.

    8 bytes a showing, so 788 bytes a shopper as it comes; who was shown something least recently
    leaves first. Besides, 4 bytes a shopper row and 4 an item.
    """

    def __init__(self, max_shoppers: int = 100_000, length: int = 96) -> None:
        self.length = length
        self.max_shoppers = max_shoppers
        self._lock = threading.Lock()
        self._item = np.zeros((max_shoppers, length), np.int32)  # pages are taken when first used
        self._minute = np.zeros((max_shoppers, length), np.int32)
        self._next = np.zeros(max_shoppers, np.int64)  # where the next showing goes
        self._seats = Seats(max_shoppers, self._clear)
        self._times_shown = np.zeros(1024, np.int32)

    @property
    def times_shown(self) -> NDArray[np.int32]:
        """How often each item was shown to anybody, by row; rows beyond: never."""
        return self._times_shown

    def show(self, shopper_row: int, item_row: Sequence[int], at_ms: int) -> None:
        """Note that items were shown; to nobody in particular where the row is ``NO_ROW``."""
        rows = np.array(item_row, np.int32)
        with self._lock:
            self._reach(max(item_row, default=NO_ROW))
            slot = ABSENT if shopper_row < 0 else self._seated(shopper_row)
            minute = at_ms // _MS_PER_MINUTE
            _show(self._item, self._minute, self._next, self._times_shown, slot, rows, minute)
            if slot >= 0:
                self._seats.used[slot] = True

    def act(self, actions: ActionColumns) -> None:
        """Forget the showings of items their shopper has done something with since."""
        mine = (actions.item_row >= 0) & (actions.shopper_row < len(self._seats.slot_of))
        mine &= _ACTS[actions.kind]
        with self._lock:
            slot = self._seats.slot_of[actions.shopper_row[mine]]
            here = slot >= 0
            if here.any():
                minute = actions.at_ms[mine][here] // _MS_PER_MINUTE
                item = actions.item_row[mine][here]
                _act(self._item, self._minute, slot[here], item, minute)

    def of(
        self, shopper_rows: Sequence[int], now_ms: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Items (S,) shown to a person, known by several rows, and the days since each time."""
        item = np.empty(self.length * len(shopper_rows), np.int32)
        age = np.empty(len(item), np.float32)
        n, minute = 0, now_ms // _MS_PER_MINUTE
        with self._lock:
            for row in shopper_rows:
                slot = self._seats.find(row)
                if slot >= 0:
                    n = _copy(self._item[slot], self._minute[slot], minute, item, age, n)
        return item[:n], age[:n]

    def forget(self, shopper_row: int) -> None:
        """Drop what a shopper was shown."""
        with self._lock:
            self._seats.leave(self._seats.find(shopper_row))

    def held(self) -> int:
        """How many shoppers' showings are here now."""
        with self._lock:
            return self._seats.taken()

    def held_bytes(self) -> int:
        """Memory taken so far: showings, who they are of, where each row is, and counts."""
        with self._lock:
            a_shopper = (self._item, self._minute, self._next, self._seats.row_of, self._seats.used)
            return (
                self._seats.taken() * sum(int(one[0].nbytes) for one in a_shopper)
                + self._seats.slot_of.nbytes
                + self._times_shown.nbytes
            )

    def _reach(self, most: int) -> None:
        """Make room for the count of an item row."""
        if most >= len(self._times_shown):
            more = np.zeros(max(most + 1, 2 * len(self._times_shown)), np.int32)
            more[: len(self._times_shown)] = self._times_shown
            self._times_shown = more

    def _seated(self, row: int) -> int:
        """The place of a shopper, another's who was shown nothing for the longest if need be."""
        slot = self._seats.find(row)
        if slot < 0:
            slot = self._seats.seat(row)
            self._item[slot] = NO_ROW
        return slot

    def _clear(self, slot: int) -> None:
        self._item[slot] = NO_ROW
        self._next[slot] = 0


@nb.njit(cache=True, nogil=True)
def _show(
    item: NDArray[np.int32],  # (max_shoppers, length)
    minute: NDArray[np.int32],  # (max_shoppers, length)
    following: NDArray[np.int64],  # (max_shoppers,)
    times_shown: NDArray[np.int32],  # (n_items,)
    slot: int,  # negative: to nobody in particular
    rows: NDArray[np.int32],  # (n,)
    at_minute: int,
) -> None:
    """Count showings, and note them in the ring of a slot."""
    for row in rows:
        if row < 0:
            continue
        times_shown[row] += 1
        if slot >= 0:
            place = following[slot]
            item[slot, place] = row
            minute[slot, place] = at_minute
            following[slot] = (place + 1) % item.shape[1]


@nb.njit(cache=True, nogil=True)
def _copy(
    item: NDArray[np.int32],  # (length,)
    minute: NDArray[np.int32],  # (length,)
    now_minute: int,
    out_item: NDArray[np.int32],
    out_age: NDArray[np.float32],
    n: int,
) -> int:
    """Add the showings of one slot and their age in days after the first ``n``; how many then."""
    for x in range(len(item)):
        if item[x] >= 0:
            out_item[n] = item[x]
            out_age[n] = max(now_minute - minute[x], 0) / _MINUTES_PER_DAY
            n += 1
    return n


@nb.njit(cache=True, nogil=True)
def _act(
    item: NDArray[np.int32],  # (max_shoppers, length)
    minute: NDArray[np.int32],  # (max_shoppers, length)
    slot: NDArray[np.int32],  # (n,)
    acted: NDArray[np.int32],  # (n,) item rows
    at_minute: NDArray[np.int64],  # (n,)
) -> None:
    """Take out the showings that are not after an action on their item."""
    for i in range(len(slot)):
        for x in range(item.shape[1]):
            if item[slot[i], x] == acted[i] and minute[slot[i], x] <= at_minute[i]:
                item[slot[i], x] = NO_ROW
