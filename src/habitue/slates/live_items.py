"""The items of the running shop: addressable the moment they are posted, as their versions say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from threading import Event, Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW, Item
from habitue.policy.shelf import Listed, Shelf, read_listed
from habitue.portraits import ItemColumns
from habitue.store.contract import FactStore

__all__ = ["LiveItems"]

_COLUMNS: Final = ("item_row", "valid_from_ms", "body")
_NEVER_MS: Final = np.iinfo(np.int64).min


class LiveItems:
    """Ids, shelf and ranking columns of all items, following their versions.

    A version that begins later waits until ``come_into_force`` passes its time; one that is older
    than the one in force changes nothing, however late it arrives.
    """

    def __init__(self, shelf: Shelf | None = None, columns: ItemColumns | None = None) -> None:
        self.shelf = shelf or Shelf()
        self.columns = columns or ItemColumns()
        self._row: dict[str, int] = {}
        self._ids: list[str] = []
        self._begins_ms = np.empty(0, np.int64)  # of the version in force, (n_items,) and spare
        self._coming: list[tuple[int, int, int, Item | Listed]] = []  # a heap by time, then arrival
        self._n_came = 0
        self._followers: tuple[Callable[[NDArray[np.int32]], None], ...] = ()
        self._following = Lock()  # over who follows
        self.arrived = Event()
        """Set when versions come into force; for who waits for them to clear."""

    def __len__(self) -> int:
        return len(self._ids)

    def row(self, item_id: str) -> int:
        """The row of an item, ``NO_ROW`` for one nobody has named."""
        return self._row.get(item_id, NO_ROW)

    def rows(self, item_ids: Sequence[str]) -> list[int]:
        """The rows of those items that somebody has named, in order."""
        known = self._row
        return [known[one] for one in item_ids if one in known]

    def described(self, item_id: str) -> bool:
        """Whether a version of the item is in force."""
        row = self.row(item_id)
        return row != NO_ROW and bool(self._begins_ms[row] != _NEVER_MS)

    def begun_ms(self, rows: Sequence[int]) -> int:
        """When the latest of the versions of these rows began that are in force."""
        return int(self._begins_ms[list(rows)].max())

    def id(self, row: int) -> str:
        """The id of a row."""
        return self._ids[row]

    def title(self, row: int) -> str:
        """What to call an item before a shopper: its title, or its id."""
        return self.shelf.title(row) or self._ids[row]

    def follow(self, told: Callable[[NDArray[np.int32]], None]) -> None:
        """Tell of the rows of which another version is in force, in the thread that puts it up."""
        with self._following:
            self._followers = (*self._followers, told)

    def unfollow(self, told: Callable[[NDArray[np.int32]], None]) -> None:
        """Tell no more."""
        with self._following:
            self._followers = tuple(one for one in self._followers if one != told)

    def extend(self, store: FactStore) -> None:
        """Learn the ids of items that got a row since."""
        new = store.item_ids(len(self._ids))
        self._row.update(zip(new, range(len(self._ids), len(self._ids) + len(new)), strict=True))
        self._ids += new
        spare = len(self._ids) - len(self._begins_ms)
        if spare > 0:
            spare += len(self._ids) // 4
            self._begins_ms = np.append(self._begins_ms, np.full(spare, _NEVER_MS))
        self.shelf.reach(len(self._ids))
        self.columns.grow(len(self._ids))

    def take(self, items: Sequence[Item], now_ms: int) -> None:
        """Versions, just stored: in force now, or to come."""
        begins = [
            now_ms
            if (said := item.valid_from) is None
            else (said if isinstance(said, int) else int(said.timestamp() * 1000))
            for item in items
        ]
        rows = np.array([self._row[item.id] for item in items], np.int32)
        self._take(rows, np.array(begins, np.int64), items, now_ms)

    def read(self, store: FactStore, since_seq: int, until_seq: int, now_ms: int) -> None:
        """Versions stored after ``since_seq``: of each item the one in force, and those to come."""
        for table in store.scan("item", since_seq=since_seq, until_seq=until_seq, columns=_COLUMNS):
            self._take(
                table.column("item_row").to_numpy(),
                table.column("valid_from_ms").to_numpy(),
                list(map(read_listed, table.column("body").to_pylist())),
                now_ms,
            )

    def come_into_force(self, now_ms: int) -> None:
        """Put up versions whose time has come."""
        while self._coming and self._coming[0][0] <= now_ms:
            at_ms, _, row, item = heappop(self._coming)
            self._place(np.array([row], np.int32), np.array([at_ms]), np.array([at_ms]), [item])

    def _take(
        self,
        row: NDArray[np.int32],
        begins_ms: NDArray[np.int64],
        items: Sequence[Item | Listed],
        now_ms: int,
    ) -> None:
        """Versions in order of arrival: of each item the last in force, and those to come."""
        order = np.argsort(begins_ms, kind="stable")
        n_begun = int(np.count_nonzero(begins_ms <= now_ms))
        begun = order[:n_begun]
        changed, first = np.unique(row[begun], return_index=True)
        last = n_begun - 1 - np.unique(row[begun][::-1], return_index=True)[1]
        self._place(
            changed,
            begins_ms[begun[last]],
            begins_ms[begun[first]],
            [items[x] for x in begun[last].tolist()],
        )
        for x in order[n_begun:].tolist():
            self._n_came += 1
            heappush(self._coming, (int(begins_ms[x]), self._n_came, int(row[x]), items[x]))

    def _place(
        self,
        row: NDArray[np.int32],
        begins_ms: NDArray[np.int64],
        first_ms: NDArray[np.int64],
        items: Sequence[Item | Listed],
    ) -> None:
        """Versions in force from now on, one a row, of items first posted at ``first_ms``."""
        newer = begins_ms >= self._begins_ms[row]
        if not newer.all():
            row, begins_ms, first_ms = row[newer], begins_ms[newer], first_ms[newer]
            items = [item for item, new in zip(items, newer.tolist(), strict=True) if new]
        self._begins_ms[row] = begins_ms
        self.columns.put(row, items, first_ms)  # first: what watches the shelf reads these
        self.shelf.put_many(row, items)
        for told in self._followers:
            told(row)
        self.arrived.set()
