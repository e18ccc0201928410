"""Recent actions in this process: fixed arrays, bounded, the least recently seen leave first.

A shopper begins with room for 8 actions and is moved to room for 32 and then for all that are
remembered when those are full, since most have done little. An action costs 12 bytes, so a shopper
122 bytes up to 8 actions, 410 up to 32, 1,226 at most where 100 are remembered, and every row the
store ever handed out 4. Times are kept to the millisecond from 1990 to 2059; what lies outside is
moved to that edge.
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

__all__ = ["Load", "MemoryLiveState"]

Load = Callable[[int, int], Sequence[tuple[int, int, int, int]]]
"""(shopper row, n) → its last item actions as (seq, at_ms, kind, item_row): ``store.recent``."""

_BASE_MS: Final = 631_152_000_000  # 1990-01-01
_TIME_BITS, _KIND_BITS, _SEQ_BITS = 41, 7, 15  # 63: the sign stays free
_LAST: Final = (1 << _TIME_BITS) - 1
_LOW_SEQ: Final = (1 << _SEQ_BITS) - 1
_LOW_KIND: Final = (1 << _KIND_BITS) - 1
_ABSENT: Final = -1
_SIZES: Final = (8, 32)
"""Actions a block holds; the largest block holds all that are remembered."""


@njit(cache=True, nogil=True)
def _packed(at_ms, kind, seq):  # type: ignore[no-untyped-def]
    """Time, seq and kind in one word that sorts by time, then seq."""
    since = min(max(at_ms - _BASE_MS, 0), _LAST)
    return (since << (_SEQ_BITS + _KIND_BITS)) | ((seq & _LOW_SEQ) << _KIND_BITS) | kind


@njit(cache=True, nogil=True)
def _take_block(word, unused, free, size, of_size):  # type: ignore[no-untyped-def]
    """Where a block of this size begins that nobody has: one given back, or the next unused."""
    begin = free[of_size]
    if begin < 0:
        begin = unused[of_size]
        unused[of_size] += size[of_size]
    else:
        free[of_size] = word[begin]  # a free block's first word says where the next one begins
    return begin


@njit(cache=True, nogil=True)
def _give_back(word, free, begin, of_size):  # type: ignore[no-untyped-def]
    """Let others have a block."""
    word[begin] = free[of_size]
    free[of_size] = begin


@njit(cache=True, nogil=True)
def _widen(word, item, begin, of_size, blocks, slot):  # type: ignore[no-untyped-def]
    """Move a slot's full list to a block of the next size."""
    unused, free, size = blocks
    old, small = begin[slot], of_size[slot]
    new = _take_block(word, unused, free, size, small + 1)
    for place in range(size[small]):
        word[new + place] = word[old + place]
        item[new + place] = item[old + place]
    _give_back(word, free, old, small)
    begin[slot] = new
    of_size[slot] = small + 1


@njit(cache=True, nogil=True)
def _put(word, item, n, this_word, this_item):  # type: ignore[no-untyped-def]
    """Insert one action into a list of ``n``, newest first; how many there are then.

    What falls off the end is forgotten.
    """
    length = len(word)
    at = 0
    while at < n and word[at] > this_word:
        at += 1
    again = at
    while again < n and word[again] == this_word:
        if item[again] == this_item:
            return n  # taken in before
        again += 1
    if at == length:
        return n
    last = min(n, length - 1)
    for place in range(last, at, -1):
        word[place] = word[place - 1]
        item[place] = item[place - 1]
    word[at] = this_word
    item[at] = this_item
    return last + 1


@njit(cache=True, nogil=True)
def _observe(  # type: ignore[no-untyped-def]
    word, item, begin, of_size, blocks, n, seen, slot_of, shopper_row, item_row, at_ms, kind, seq
):
    """Put actions into the lists of those shoppers who are here."""
    size = blocks[2]
    for i in range(len(seq)):
        if item_row[i] < 0 or shopper_row[i] >= len(slot_of):
            continue
        slot = slot_of[shopper_row[i]]
        if slot < 0:
            continue
        if n[slot] == size[of_size[slot]] and of_size[slot] + 1 < len(size):
            _widen(word, item, begin, of_size, blocks, slot)
        here = slice(begin[slot], begin[slot] + size[of_size[slot]])
        this = _packed(at_ms[i], np.int64(kind[i]), seq[i])
        n[slot] = _put(word[here], item[here], n[slot], this, item_row[i])
        seen[slot] = max(seen[slot], seq[i])


@njit(cache=True, nogil=True)
def _gather(word, item, begin, n, seen, slot, out_item, out_kind, out_at, out_seen):  # type: ignore[no-untyped-def]
    """Copy the list of a slot out."""
    first = begin[slot]
    out_seen[0] = seen[slot]
    for j in range(n[slot]):
        w = word[first + j]
        out_item[0, j] = item[first + j]
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
        sizes = [size for size in _SIZES if size < length] + [length]
        first = max_shoppers * np.cumsum([0, *sizes])
        self._word = np.zeros(first[-1], np.int64)  # pages are taken when first used
        self._item = np.zeros(first[-1], np.int32)
        self._blocks = (
            first[:-1].copy(),  # where the first block of each size begins that was never used
            np.full(len(sizes), _ABSENT, np.int64),  # and the first that was given back
            np.array(sizes, np.int64),
        )
        self._begin = np.zeros(max_shoppers, np.int64)
        self._of_size = np.zeros(max_shoppers, np.uint8)
        self._n = np.zeros(max_shoppers, np.int32)
        self._seen = np.zeros(max_shoppers, np.int64)
        self._row_of = np.full(max_shoppers, NO_ROW, np.int32)
        self._used = np.zeros(max_shoppers, np.bool_)
        self._slot_of = np.full(1024, _ABSENT, np.int32)
        self._hand = 0
        self._top_seq = 0
        self._loading: dict[int, list[list[tuple[int, int, int, int]]]] = {}

    def observe(self, actions: ActionColumns) -> None:
        """Take in new actions before they are acknowledged. Idempotent by ``seq``."""
        if not len(actions):
            return
        with self._lock:
            self._reach(int(actions.shopper_row.max()))
            in_order = int(actions.seq[0]) > self._top_seq
            self._top_seq = max(self._top_seq, int(actions.seq[-1]))
            # A first action needs no look at the store, unless a later one was told before it.
            for row in actions.shopper_row[actions.new_shopper].tolist() if in_order else ():
                if self._slot_of[row] == _ABSENT and row not in self._loading:
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
            if shopper_row < len(self._slot_of):
                self._vacate(int(self._slot_of[shopper_row]))
            for pending in self._loading.pop(shopper_row, ()):
                pending.append((-1, 0, 0, 0))  # a load under way must not bring it back

    def healthy(self) -> bool:
        """Always: it lives and dies with the process."""
        return True

    def held(self) -> int:
        """How many shoppers are here now."""
        with self._lock:
            return int((self._row_of != NO_ROW).sum())

    def held_bytes(self) -> int:
        """Memory taken so far: blocks, what is known of each shopper, and where each row is."""
        with self._lock:
            unused, _, sizes = self._blocks
            first = self.max_shoppers * (np.cumsum(sizes) - sizes)
            known = (self._begin, self._of_size, self._n, self._seen, self._row_of, self._used)
            return (
                int((unused - first).sum()) * (self._word.itemsize + self._item.itemsize)
                + int((self._row_of != NO_ROW).sum()) * sum(one.itemsize for one in known)
                + self._slot_of.nbytes
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
                    self._reach(row)
                    self._seat(row)
                    self._take(_columns(row, [*loaded, *pending]))
                    self._here(row, out)

    def _here(self, row: int, out: Recent) -> bool:
        if row >= len(self._slot_of) or (slot := self._slot_of.item(row)) < 0:
            return False
        self._used[slot] = True
        _gather(
            self._word, self._item, self._begin, self._n, self._seen, slot,
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
            self._word, self._item, self._begin, self._of_size, self._blocks,
            self._n, self._seen, self._slot_of,
            actions.shopper_row, actions.item_row, actions.at_ms, actions.kind, actions.seq,
        )  # fmt: skip

    def _reach(self, row: int) -> None:
        if row >= len(self._slot_of):
            more = np.full(max(row + 1, 2 * len(self._slot_of)), _ABSENT, np.int32)
            more[: len(self._slot_of)] = self._slot_of
            self._slot_of = more

    def _seat(self, row: int) -> None:
        """Give a shopper an empty place, another's who was not seen for the longest."""
        while self._used[self._hand]:  # a second chance for those seen since the hand passed
            self._used[self._hand] = False
            self._hand = (self._hand + 1) % self.max_shoppers
        slot = self._hand
        self._hand = (slot + 1) % self.max_shoppers
        self._vacate(slot)
        self._begin[slot] = _take_block(self._word, *self._blocks, 0)
        self._of_size[slot] = 0
        self._row_of[slot] = row
        self._slot_of[row] = slot
        self._used[slot] = True

    def _vacate(self, slot: int) -> None:
        if slot >= 0 and self._row_of[slot] != NO_ROW:
            _give_back(self._word, self._blocks[1], self._begin[slot], self._of_size[slot])
            self._slot_of[self._row_of[slot]] = _ABSENT
            self._row_of[slot] = NO_ROW
            self._n[slot] = 0
            self._seen[slot] = 0
            self._used[slot] = False


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
