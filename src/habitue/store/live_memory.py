"""Recent actions in this process: fixed arrays, bounded, the least recently seen leave first.

A shopper takes blocks of 8 actions as they are needed, 100 bytes each, and 21 bytes more; every row
the store ever handed out takes 4. So who has done little costs 121 bytes, and where 100 actions are
remembered nobody more than 1,321. Times are kept to the millisecond from 1990 to 2059; what lies
outside is moved to that edge.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from habitue.facts import NO_ROW
from habitue.store.contract import ActionColumns, Recent
from habitue.store.seats import ABSENT, Seats

__all__ = ["Load", "MemoryLiveState"]

Load = Callable[[int, int], Sequence[tuple[int, int, int, int]]]
"""(shopper row, n) → its last item actions as (seq, at_ms, kind, item_row): ``store.recent``."""

_BASE_MS: Final = 631_152_000_000  # 1990-01-01
_TIME_BITS, _KIND_BITS, _SEQ_BITS = 41, 7, 15  # 63: the sign stays free
_LAST: Final = (1 << _TIME_BITS) - 1
_LOW_SEQ: Final = (1 << _SEQ_BITS) - 1
_LOW_KIND: Final = (1 << _KIND_BITS) - 1
_BLOCK: Final = 8
"""Actions of a block. Most shoppers have few, and a cache line holds the times of one."""
_PLACE: Final = _BLOCK - 1  # the bits of a position that say where in its block it is
_UNUSED, _FREE = 0, 1  # in a pool: the first block never used, and the first given back


@njit(cache=True, nogil=True)
def _packed(at_ms, kind, seq):  # type: ignore[no-untyped-def]
    """Time, seq and kind in one word that sorts by time, then seq."""
    since = min(max(at_ms - _BASE_MS, 0), _LAST)
    return (since << (_SEQ_BITS + _KIND_BITS)) | ((seq & _LOW_SEQ) << _KIND_BITS) | kind


@njit(cache=True, nogil=True)
def _take_block(following, pool):  # type: ignore[no-untyped-def]
    """A block that nobody has."""
    block = pool[_FREE]
    if block == ABSENT:
        block = pool[_UNUSED]
        pool[_UNUSED] += 1
    else:
        pool[_FREE] = following[block]
    return block


@njit(cache=True, nogil=True)
def _give_back(following, pool, first, n):  # type: ignore[no-untyped-def]
    """Let others have the blocks of a list of ``n`` actions."""
    last = first
    for _ in range((n - 1) // _BLOCK):
        last = following[last]
    following[last] = pool[_FREE]
    pool[_FREE] = first


@njit(cache=True, nogil=True)
def _put(word, item, following, pool, first, n, length, this_word, this_item):  # type: ignore[no-untyped-def]
    """Insert one action into a list of ``n``, newest first; how many there are then.

    What falls off the end is forgotten.
    """
    block, at = first, 0
    while at < n and word[block, at & _PLACE] > this_word:
        at += 1
        if (at & _PLACE) == 0 and at < n:
            block = following[block]
    equal, again = block, at
    while again < n and word[equal, again & _PLACE] == this_word:
        if item[equal, again & _PLACE] == this_item:
            return n  # taken in before
        again += 1
        if (again & _PLACE) == 0 and again < n:
            equal = following[equal]
    while at < n:  # each action takes the place of the one after it
        place = at & _PLACE
        this_word, word[block, place] = word[block, place], this_word
        this_item, item[block, place] = item[block, place], this_item
        at += 1
        if (at & _PLACE) == 0 and at < n:
            block = following[block]
    if n == length:
        return n
    if (n & _PLACE) == 0 and n > 0:
        following[block] = _take_block(following, pool)
        block = following[block]
    word[block, n & _PLACE] = this_word
    item[block, n & _PLACE] = this_item
    return n + 1


@njit(cache=True, nogil=True)
def _observe(  # type: ignore[no-untyped-def]
    word, item, following, pool, first, n, seen, length, slot_of,
    shopper_row, item_row, at_ms, kind, seq,
):  # fmt: skip
    """Put actions into the lists of those shoppers who are here."""
    for i in range(len(seq)):
        if item_row[i] < 0 or shopper_row[i] >= len(slot_of):
            continue
        slot = slot_of[shopper_row[i]]
        if slot < 0:
            continue
        this = _packed(at_ms[i], np.int64(kind[i]), seq[i])
        n[slot] = _put(word, item, following, pool, first[slot], n[slot], length, this, item_row[i])
        seen[slot] = max(seen[slot], seq[i])


@njit(cache=True, nogil=True)
def _gather(word, item, following, first, n, seen, slot, out_item, out_kind, out_at, out_seen):  # type: ignore[no-untyped-def]
    """Copy the list of a slot out."""
    block = first[slot]
    out_seen[0] = seen[slot]
    for j in range(n[slot]):
        place = j & _PLACE
        if place == 0 and j > 0:
            block = following[block]
        w = word[block, place]
        out_item[0, j] = item[block, place]
        out_kind[0, j] = w & _LOW_KIND
        out_at[0, j] = (w >> (_SEQ_BITS + _KIND_BITS)) + _BASE_MS


class MemoryLiveState:
    """The last ``length`` item actions of up to ``max_shoppers`` shoppers, for one process.

    ``load`` reads a shopper who is not here from the store (``store.recent``).
    """

    def __init__(self, length: int, max_shoppers: int, load: Load) -> None:
        self.length = length
        self.max_shoppers = max_shoppers
        self._load = load
        self._lock = threading.Lock()
        most = max_shoppers * -(-length // _BLOCK)
        self._word = np.zeros((most, _BLOCK), np.int64)  # pages are taken when first used
        self._item = np.zeros((most, _BLOCK), np.int32)
        self._following = np.zeros(most, np.int32)  # the next block of a list, or of those free
        self._pool = np.array([0, ABSENT])
        self._first = np.zeros(max_shoppers, np.int32)
        self._n = np.zeros(max_shoppers, np.int32)
        self._seen = np.zeros(max_shoppers, np.int64)
        self._seats = Seats(max_shoppers, self._clear)
        self._top_seq = 0
        self._loading: dict[int, list[list[tuple[int, int, int, int]]]] = {}

    def observe(self, actions: ActionColumns) -> None:
        """Take in new actions before they are acknowledged. Idempotent by ``seq``."""
        if not len(actions):
            return
        with self._lock:
            self._seats.reach(int(actions.shopper_row.max()))
            in_order = int(actions.seq[0]) > self._top_seq
            self._top_seq = max(self._top_seq, int(actions.seq[-1]))
            # A first action needs no look at the store, unless a later one was told before it.
            for row in actions.shopper_row[actions.new_shopper].tolist() if in_order else ():
                if self._seats.slot_of[row] == ABSENT and row not in self._loading:
                    self._seat(row)
            self._take(actions)
            if self._loading:
                self._remember_for_loaders(actions)

    def recent(self, shopper_row: NDArray[np.int32]) -> Recent:
        """The recent actions of each shopper, read from the store where they are absent here."""
        n = len(shopper_row)
        out = Recent(
            np.full((n, self.length), NO_ROW, np.int32),
            np.zeros((n, self.length), np.uint8),
            np.zeros((n, self.length), np.int64),
            np.zeros(n, np.int64),
        )
        if n == 1:
            if (row := shopper_row.item(0)) >= 0:
                self._recent_of(row, out)
            return out
        for b, row in enumerate(shopper_row.tolist()):
            if row >= 0:
                self._recent_of(
                    row,
                    Recent(
                        out.item_row[b : b + 1],
                        out.kind[b : b + 1],
                        out.at_ms[b : b + 1],
                        out.seen_seq[b : b + 1],
                    ),
                )
        return out

    def forget(self, shopper_row: int) -> None:
        """Drop everything held of a shopper."""
        with self._lock:
            self._seats.leave(self._seats.find(shopper_row))
            for pending in self._loading.pop(shopper_row, ()):
                pending.append((-1, 0, 0, 0))  # a load under way must not bring it back

    def healthy(self) -> bool:
        """Always: it lives and dies with the process."""
        return True

    def held(self) -> int:
        """How many shoppers are here now."""
        with self._lock:
            return self._seats.taken()

    def held_bytes(self) -> int:
        """Memory taken so far: blocks, what is known of each shopper, and where each row is."""
        with self._lock:
            blocks = (self._word, self._item, self._following)
            known = (self._first, self._n, self._seen, self._seats.row_of, self._seats.used)
            return (
                int(self._pool[_UNUSED]) * sum(int(one[0].nbytes) for one in blocks)
                + self._seats.taken() * sum(int(one.itemsize) for one in known)
                + self._seats.slot_of.nbytes
            )

    # -- inside ------------------------------------------------------------------------------

    def _recent_of(self, row: int, out: Recent) -> None:
        with self._lock:
            if self._here(row, out):
                return
            pending: list[tuple[int, int, int, int]] = []
            self._loading.setdefault(row, []).append(pending)
        loaded: Sequence[tuple[int, int, int, int]] | None = None
        try:
            loaded = self._load(row, self.length)
        finally:
            with self._lock:
                wanted = self._finish(row, pending)
                if loaded is not None and wanted and not self._here(row, out):
                    self._seat(row)
                    self._take(_columns(row, [*loaded, *pending]))
                    self._here(row, out)

    def _here(self, row: int, out: Recent) -> bool:
        if (slot := self._seats.find(row)) < 0:
            return False
        self._seats.used[slot] = True
        _gather(
            self._word, self._item, self._following, self._first, self._n, self._seen, slot,
            out.item_row, out.kind, out.at_ms, out.seen_seq,
        )  # fmt: skip
        return True

    def _finish(self, row: int, pending: list[tuple[int, int, int, int]]) -> bool:
        """End a load; False when the shopper was forgotten meanwhile."""
        waiting = self._loading.get(row)
        if waiting is None:
            return False
        waiting[:] = [other for other in waiting if other is not pending]
        if not waiting:
            del self._loading[row]
        return True

    def _remember_for_loaders(self, actions: ActionColumns) -> None:
        """Actions of shoppers being loaded just now: the load may have been too early for them."""
        for row in set(self._loading).intersection(actions.shopper_row.tolist()):
            mine = np.flatnonzero((actions.shopper_row == row) & (actions.item_row >= 0))
            told = [
                (
                    int(actions.seq[i]),
                    int(actions.at_ms[i]),
                    int(actions.kind[i]),
                    int(actions.item_row[i]),
                )
                for i in mine
            ]
            for pending in self._loading[row]:
                pending.extend(told)

    def _take(self, actions: ActionColumns) -> None:
        _observe(
            self._word, self._item, self._following, self._pool,
            self._first, self._n, self._seen, self.length, self._seats.slot_of,
            actions.shopper_row, actions.item_row, actions.at_ms, actions.kind, actions.seq,
        )  # fmt: skip

    def _seat(self, row: int) -> None:
        """Give a shopper an empty place, another's who was not seen for the longest."""
        slot = self._seats.seat(row)
        self._first[slot] = _take_block(self._following, self._pool)
        self._seats.used[slot] = True

    def _clear(self, slot: int) -> None:
        _give_back(self._following, self._pool, self._first[slot], self._n[slot])
        self._n[slot] = 0
        self._seen[slot] = 0


def _columns(row: int, actions: Sequence[tuple[int, int, int, int]]) -> ActionColumns:
    seq, at_ms, kind, item = (
        np.array(actions, np.int64).reshape(-1, 4).T if actions else np.empty((4, 0), np.int64)
    )
    n = len(seq)
    return ActionColumns(
        np.ascontiguousarray(seq),
        np.ascontiguousarray(at_ms),
        kind.astype(np.uint8),
        np.full(n, row, np.int32),
        item.astype(np.int32),
        np.zeros(n, np.int64),
        np.zeros(n, np.float32),
        np.zeros(n, np.bool_),
    )
