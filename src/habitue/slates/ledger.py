"""What each shopper has ever bought, or refused: a snapshot's table and what came since.

And what they have rated since, for whoever was fitted on ratings keeps those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotError
from habitue.facts import MS_PER_DAY, NO_ROW, ActionKind, ActionLog, Rated
from habitue.store.contract import ActionColumns
from habitue.store.pages import pages

__all__ = ["Entries", "Ledger", "LedgerTable", "RatingLedger"]

_LAST_SECOND: Final = 2**32 - 1  # of the year 2106


@dataclass(frozen=True, slots=True)
class Entries:
    """What one shopper's ledger holds, items ascending."""

    item: NDArray[np.int32]  # (n,)
    count: NDArray[np.float32]  # (n,) orders that held the item, or times it was refused
    age_days: NDArray[np.float32]  # (n,) days since the last time
    first_age_days: NDArray[np.float32]  # (n,) days since the first time


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """One kind of action by shopper and item, up to a watermark: CSR, memory-mapped when loaded."""

    indptr: NDArray[np.int64]  # (n_shoppers + 1,)
    item: NDArray[np.int32]  # (nnz,) ascending within a shopper
    count: NDArray[np.float32]  # (nnz,)
    last_ms: NDArray[np.int64]  # (nnz,)
    first_s: NDArray[np.uint32]  # (nnz,) seconds: half the memory, and a cycle lasts days

    @classmethod
    def empty(cls) -> Self:
        """Nobody has done anything."""
        return cls(
            np.zeros(1, np.int64),
            np.empty(0, np.int32),
            np.empty(0, np.float32),
            np.empty(0, np.int64),
            np.empty(0, np.uint32),
        )

    @classmethod
    def of(cls, log: ActionLog, kind: ActionKind) -> Self:
        """The table of one kind of action in a log; lines of one order count once."""
        mine = np.flatnonzero((log.kind == kind) & (log.item_row >= 0) & (log.shopper_row >= 0))
        pair = log.shopper_row[mine].astype(np.int64) * max(log.n_items, 1) + log.item_row[mine]
        order = log.order_row[mine].astype(np.int64)
        order = np.where(order < 0, -1 - np.arange(len(mine)), order)
        by_pair = np.lexsort((order, pair))
        pair, order, at_ms = pair[by_pair], order[by_pair], log.at_ms[mine][by_pair]
        first = np.ones(len(pair), np.bool_)
        first[1:] = pair[1:] != pair[:-1]
        new_order = first.copy()
        new_order[1:] |= order[1:] != order[:-1]
        start = np.flatnonzero(first)
        shopper = (pair[start] // max(log.n_items, 1)).astype(np.int64)
        indptr = np.zeros(log.n_shoppers + 1, np.int64)
        np.cumsum(np.bincount(shopper, minlength=log.n_shoppers), out=indptr[1:])
        if not len(start):
            return cls(indptr, *_columns(cls.empty()))
        return cls(
            indptr,
            (pair[start] % log.n_items).astype(np.int32),
            np.add.reduceat(new_order, start, dtype=np.float32),
            np.maximum.reduceat(at_ms, start),
            _seconds(np.minimum.reduceat(at_ms, start)),
        )

    def save(self, path: Path) -> None:
        """Write the table into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        for name in self.__slots__:
            np.save(path / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The table written there, memory-mapped; raises ``SnapshotError`` where it is not."""
        try:
            columns = [np.load(path / f"{name}.npy", mmap_mode="r") for name in cls.__slots__]
        except (OSError, ValueError) as problem:
            raise SnapshotError(
                f"The ledger in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem
        return cls(*(np.asarray(column) for column in columns))


def _columns(
    table: LedgerTable,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64], NDArray[np.uint32]]:
    return table.item, table.count, table.last_ms, table.first_s


def _seconds(at_ms: NDArray[np.int64]) -> NDArray[np.uint32]:
    return np.clip(at_ms // 1000, 0, _LAST_SECOND).astype(np.uint32)


class _Since(NamedTuple):
    """What was told since the table: entries in order of telling, chained by shopper.

    ``place`` finds the entry of a shopper and an item, ``latest`` where a shopper's chain begins.
    """

    shopper: NDArray[np.int32]  # (cap,)
    item: NDArray[np.int32]  # (cap,) NO_ROW where the shopper was forgotten
    times: NDArray[np.float32]  # (cap,) how often it was told
    last_ms: NDArray[np.int64]  # (cap,)
    first_s: NDArray[np.uint32]  # (cap,)
    before: NDArray[np.int32]  # (cap,) the same shopper's entry before this one, or NO_ROW
    latest: NDArray[np.int32]  # (n_shoppers and spare,) an entry, or NO_ROW
    place: NDArray[np.int32]  # (a power of two,) open-addressed entries, NO_ROW where free

    @classmethod
    def empty(cls, capacity: int, n_shoppers: int, n_places: int) -> _Since:
        latest, place = pages(n_shoppers, np.int32), pages(n_places, np.int32)
        latest[:] = NO_ROW
        place[:] = NO_ROW
        return cls(
            pages(capacity, np.int32),
            pages(capacity, np.int32),
            pages(capacity, np.float32),
            pages(capacity, np.int64),
            pages(capacity, np.uint32),
            pages(capacity, np.int32),
            latest,
            place,
        )

    def holding(self, used: int, n: int, n_shoppers: int) -> _Since:
        """These first ``used`` entries with room for ``n``, and for shoppers of those rows."""
        capacity, people, places = len(self.item), len(self.latest), len(self.place)
        if n <= capacity and n_shoppers <= people and n * 3 <= places * 2:
            return self
        if n > capacity:
            capacity = max(n, capacity * 5 // 4)
        if n_shoppers > people:
            people = max(n_shoppers, people * 5 // 4)
        while n * 3 > places * 2:
            places *= 2
        more = _Since.empty(capacity, people, places)
        for new, old in zip(_by_entry(more), _by_entry(self), strict=True):
            new[:used] = old[:used]
        more.latest[: len(self.latest)] = self.latest
        _place_all(more, used)
        return more


def _by_entry(since: _Since) -> tuple[NDArray[Any], ...]:
    return since.shopper, since.item, since.times, since.last_ms, since.first_s, since.before


class Ledger:
    """A table and what was told since, by shopper row.

    What is held beyond the table is 34 to 46 bytes an entry and 4 a shopper, until the next
    snapshot's table.
    """

    def __init__(self, kind: ActionKind, table: LedgerTable | None = None) -> None:
        self.kind = kind
        self._table = table or LedgerTable.empty()
        self._since = _Since.empty(64, 64, 128)
        self._used = 0
        # Compiled, or read from the cache, here: not while somebody waits for a slate.
        _ages(self._table.last_ms[:0], self._table.first_s[:0], 0)
        _chain(self._since, 0)

    def add(self, actions: ActionColumns) -> None:
        """Take in new actions; the caller sees to it that none repeats."""
        told = (actions.kind == self.kind) & (actions.item_row >= 0) & (actions.shopper_row >= 0)
        mine = np.flatnonzero(told)
        if not len(mine):
            return
        shopper, item = actions.shopper_row[mine], actions.item_row[mine]
        # Requests read meanwhile: they hold on to the arrays they began with.
        since = self._since.holding(self._used, self._used + len(mine), int(shopper.max()) + 1)
        self._used = _tell(since, self._used, shopper, item, actions.at_ms[mine])
        self._since = since

    def forget(self, shopper_row: int) -> None:
        """Drop what was told of a shopper since the table."""
        if 0 <= shopper_row < len(self._since.latest):
            _forget(self._since, shopper_row)

    def held_bytes(self) -> int:
        """Memory taken by what was told since the table."""
        return sum(column.nbytes for column in self._since)

    def _told(self, shopper: int) -> bool:
        """Whether anything was told of a shopper since the table."""
        latest = self._since.latest
        return 0 <= shopper < len(latest) and latest.item(shopper) >= 0

    def of(self, shoppers: Sequence[int], now_ms: int) -> Entries:
        """The entries of one person, who may stand under several rows."""
        table = self._table
        if len(shoppers) == 1 and not self._told(shoppers[0]):
            shopper = shoppers[0]
            if not 0 <= shopper < len(table.indptr) - 1:
                return _NOTHING
            a, b = table.indptr.item(shopper), table.indptr.item(shopper + 1)
            if a == b:
                return _NOTHING
            last, first = _ages(table.last_ms[a:b], table.first_s[a:b], now_ms)
            return Entries(table.item[a:b], table.count[a:b], last, first)
        return self._merged(shoppers, now_ms)

    def _merged(self, shoppers: Sequence[int], now_ms: int) -> Entries:
        table = self._table
        merged: dict[int, tuple[float, int, int]] = {}
        for shopper in shoppers:
            held: list[tuple[int, float, int, int]] = []
            if self._told(shopper):
                told = (column.tolist() for column in _chain(self._since, shopper))
                held = list(zip(*told, strict=True))
            if 0 <= shopper < len(table.indptr) - 1:
                part = slice(table.indptr[shopper], table.indptr[shopper + 1])
                columns = (column[part].tolist() for column in _columns(table))
                held += zip(*columns, strict=True)
            for item, count, last_ms, first_s in held:
                before, last, first = merged.get(item, (0.0, last_ms, first_s))
                merged[item] = (before + count, max(last, last_ms), min(first, first_s))
        if not merged:
            return _NOTHING
        items = sorted(merged)
        last_age, first_age = _ages(
            np.array([merged[item][1] for item in items], np.int64),
            np.array([merged[item][2] for item in items], np.uint32),
            now_ms,
        )
        return Entries(
            np.array(items, np.int32),
            np.array([merged[item][0] for item in items], np.float32),
            last_age,
            first_age,
        )


class RatingLedger:
    """The last rating of each item since a snapshot, by shopper row: 34 to 46 bytes each."""

    def __init__(self) -> None:
        self._since = _Since.empty(64, 64, 128)
        self._used = 0
        _chain(self._since, 0)  # compiled here: not while somebody waits for a slate

    def add(self, actions: ActionColumns) -> None:
        """Take in the ratings among new actions; the caller sees to it that none repeats."""
        told = ~np.isnan(actions.rating) & (actions.item_row >= 0) & (actions.shopper_row >= 0)
        mine = np.flatnonzero(told)
        if not len(mine):
            return
        shopper = actions.shopper_row[mine]
        since = self._since.holding(self._used, self._used + len(mine), int(shopper.max()) + 1)
        self._used = _tell_rating(
            since, self._used, shopper, actions.item_row[mine], actions.rating[mine],
            actions.at_ms[mine],
        )  # fmt: skip
        self._since = since

    def forget(self, shopper_row: int) -> None:
        """Drop what a shopper rated."""
        if 0 <= shopper_row < len(self._since.latest):
            _forget(self._since, shopper_row)

    def held_bytes(self) -> int:
        """Memory taken."""
        return sum(column.nbytes for column in self._since)

    def of(self, shoppers: Sequence[int], now_ms: int) -> Rated | None:
        """What one person has rated until now, the latest first; none where nothing."""
        since = self._since
        told = [one for one in shoppers if 0 <= one < len(since.latest) and since.latest[one] >= 0]
        if not told:
            return None
        item, rating, at_ms = (
            np.concatenate(columns)
            for columns in zip(*(_chain(since, one)[:3] for one in told), strict=True)
        )
        item, rating, at_ms = (column[at_ms < now_ms] for column in (item, rating, at_ms))
        order = np.argsort(-at_ms, kind="stable")
        _, first = np.unique(item[order], return_index=True)
        last = order[np.sort(first)]
        age = ((now_ms - at_ms[last]) / MS_PER_DAY).astype(np.float32)
        return Rated(np.array([0, len(last)], np.int64), item[last], rating[last], age)


@nb.njit(cache=True, nogil=True)
def _find(since: _Since, shopper: int, item: int) -> int:
    """Where in ``place`` the entry of a shopper and an item stands, or where it would."""
    mask = len(since.place) - 1
    key = (np.int64(shopper) << 32) | np.int64(item)
    at = int(key * np.int64(-7046029254386353131) >> 20 & mask)
    while True:
        entry = since.place[at]
        if entry < 0 or (since.item[entry] == item and since.shopper[entry] == shopper):
            return at
        at = (at + 1) & mask


@nb.njit(cache=True, nogil=True)
def _place_all(since: _Since, used: int) -> None:
    """Make every entry findable; those of the forgotten are passed over."""
    for entry in range(used):
        if since.item[entry] >= 0:
            since.place[_find(since, since.shopper[entry], since.item[entry])] = entry


@nb.njit(cache=True, nogil=True)
def _second(at_ms: int) -> np.uint32:
    return np.uint32(min(max(at_ms // 1000, 0), _LAST_SECOND))


@nb.njit(cache=True, nogil=True)
def _enter(
    since: _Since, entry: int, at: int, shopper: int, item: int, times: float, at_ms: int
) -> None:
    """Write a new entry, found at the place ``at``."""
    since.shopper[entry] = shopper
    since.item[entry] = item
    since.times[entry] = times
    since.last_ms[entry] = at_ms
    since.first_s[entry] = _second(at_ms)
    since.before[entry] = since.latest[shopper]
    since.place[at] = entry
    since.latest[shopper] = entry  # whole before anybody can come upon it


@nb.njit(cache=True, nogil=True)
def _tell(
    since: _Since,
    used: int,
    shopper: NDArray[np.int32],
    item: NDArray[np.int32],
    at_ms: NDArray[np.int64],
) -> int:
    """Enter actions, each item of a shopper once; how many entries there are then."""
    for x in range(len(item)):
        at = _find(since, shopper[x], item[x])
        entry = since.place[at]
        if entry >= 0:
            since.times[entry] += 1
            since.last_ms[entry] = max(since.last_ms[entry], at_ms[x])
            since.first_s[entry] = min(since.first_s[entry], _second(at_ms[x]))
            continue
        _enter(since, used, at, shopper[x], item[x], 1, at_ms[x])
        used += 1
    return used


@nb.njit(cache=True, nogil=True)
def _tell_rating(
    since: _Since,
    used: int,
    shopper: NDArray[np.int32],
    item: NDArray[np.int32],
    rating: NDArray[np.float32],
    at_ms: NDArray[np.int64],
) -> int:
    """Enter ratings, each item of a shopper once, in ``times``; how many entries there are then."""
    for x in range(len(item)):
        at = _find(since, shopper[x], item[x])
        entry = since.place[at]
        if entry >= 0:
            if at_ms[x] >= since.last_ms[entry]:
                since.times[entry], since.last_ms[entry] = rating[x], at_ms[x]
            continue
        _enter(since, used, at, shopper[x], item[x], rating[x], at_ms[x])
        used += 1
    return used


@nb.njit(cache=True, nogil=True)
def _forget(since: _Since, shopper: int) -> None:
    """Blank a shopper's entries. They stay where they are, and are found by nobody."""
    entry = since.latest[shopper]
    since.latest[shopper] = NO_ROW
    while entry >= 0:
        since.item[entry] = NO_ROW
        since.times[entry] = 0
        since.last_ms[entry] = 0
        since.first_s[entry] = 0
        since.shopper[entry] = NO_ROW
        entry = since.before[entry]


@nb.njit(cache=True, nogil=True)
def _chain(
    since: _Since, shopper: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64], NDArray[np.uint32]]:
    """Items, counts, last and first times of a shopper, the latest told first."""
    first, n = since.latest[shopper], 0
    entry = first
    while entry >= 0:
        n += 1
        entry = since.before[entry]
    item, count, last_ms = np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.int64)
    first_s = np.empty(n, np.uint32)
    entry = first
    for x in range(n):
        item[x] = since.item[entry]
        count[x] = since.times[entry]
        last_ms[x] = since.last_ms[entry]
        first_s[x] = since.first_s[entry]
        entry = since.before[entry]
    known = item >= 0
    return item[known], count[known], last_ms[known], first_s[known]


@nb.njit(cache=True, nogil=True)
def _ages(
    last_ms: NDArray[np.int64], first_s: NDArray[np.uint32], now_ms: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Days since each last and each first time, none below zero and the first not the lesser."""
    last, first = np.empty(len(last_ms), np.float32), np.empty(len(last_ms), np.float32)
    for x in range(len(last_ms)):
        last[x] = max(now_ms - last_ms[x], 0) / MS_PER_DAY
        gap_ms = last_ms[x] - np.int64(first_s[x]) * 1000
        first[x] = last[x]
        if gap_ms >= 1000:  # in the same second: at the same time
            first[x] = max(now_ms - last_ms[x] + gap_ms, 0) / MS_PER_DAY
    return last, first


_NOTHING = Entries(
    np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.float32)
)
