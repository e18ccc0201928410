"""The items of the running shop: addressable the moment they are posted, as their versions say."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import groupby
from typing import Final

import msgspec
import numpy as np

from habitue.facts import NO_ROW, Item
from habitue.policy.shelf import Shelf
from habitue.portraits import ItemColumns
from habitue.store.contract import FactStore

__all__ = ["LiveItems"]

_ITEM: Final = msgspec.json.Decoder(Item)
_COLUMNS: Final = ("seq", "item_row", "valid_from_ms", "body")


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
        self._begins_ms: dict[int, int] = {}
        self._coming: list[tuple[int, int, int, Item]] = []  # a heap by time, then arrival
        self._n_came = 0

    def __len__(self) -> int:
        return len(self._ids)

    def row(self, item_id: str) -> int:
        """The row of an item, ``NO_ROW`` for one nobody has named."""
        return self._row.get(item_id, NO_ROW)

    def rows(self, item_ids: Sequence[str]) -> list[int]:
        """The rows of those items that somebody has named, in order."""
        known = self._row
        return [known[one] for one in item_ids if one in known]

    def id(self, row: int) -> str:
        """The id of a row."""
        return self._ids[row]

    def title(self, row: int) -> str:
        """What to call an item before a shopper: its title, or its id."""
        return str(self.shelf.fields(row).get("title") or self._ids[row])

    def extend(self, store: FactStore) -> None:
        """Learn the ids of items that got a row since."""
        for item_id in store.item_ids(len(self._ids)):
            self._row[item_id] = len(self._ids)
            self._ids.append(item_id)
        self.shelf.reach(len(self._ids))
        self.columns.grow(len(self._ids))

    def take(self, item: Item, now_ms: int) -> None:
        """One version, just stored: in force now, or to come."""
        begins = item.valid_from
        if begins is None:
            at_ms = now_ms
        else:
            at_ms = begins if isinstance(begins, int) else int(begins.timestamp() * 1000)
        self._take(self._row[item.id], item, at_ms, now_ms)

    def read(self, store: FactStore, since_seq: int, until_seq: int, now_ms: int) -> None:
        """Versions stored after ``since_seq``: of each item the one in force, and those to come."""
        rows: list[int] = []
        times: list[int] = []
        bodies: list[str] = []
        for table in store.scan("item", since_seq=since_seq, until_seq=until_seq, columns=_COLUMNS):
            rows += table.column("item_row").to_pylist()
            times += table.column("valid_from_ms").to_pylist()
            bodies += table.column("body").to_pylist()
        order = sorted(range(len(rows)), key=lambda x: (times[x], x))
        first = {rows[x]: times[x] for x in reversed(order)}
        last = {rows[x]: x for x in order if times[x] <= now_ms}
        for first_ms, group in groupby(sorted(last, key=first.__getitem__), first.__getitem__):
            changed = list(group)
            items = [_ITEM.decode(bodies[last[row]]) for row in changed]
            self._place(changed, items, [times[last[row]] for row in changed], first_ms)
        for x in order:
            if times[x] > now_ms:
                self._take(rows[x], _ITEM.decode(bodies[x]), times[x], now_ms)

    def come_into_force(self, now_ms: int) -> None:
        """Put up versions whose time has come."""
        while self._coming and self._coming[0][0] <= now_ms:
            at_ms, _, row, item = heappop(self._coming)
            self._place([row], [item], [at_ms], at_ms)

    def _take(self, row: int, item: Item, at_ms: int, now_ms: int) -> None:
        if at_ms > now_ms:
            self._n_came += 1
            heappush(self._coming, (at_ms, self._n_came, row, item))
        else:
            self._place([row], [item], [at_ms], at_ms)

    def _place(
        self, rows: Sequence[int], items: Sequence[Item], begins: Sequence[int], first_ms: int
    ) -> None:
        """Versions in force from now on, of items first posted at ``first_ms``."""
        held = self._begins_ms
        newer = [x for x, row in enumerate(rows) if begins[x] >= held.get(row, begins[x])]
        if not newer:
            return
        held.update((rows[x], begins[x]) for x in newer)
        self.shelf.put_many([rows[x] for x in newer], [items[x] for x in newer])
        where = np.array([rows[x] for x in newer], np.int32)
        self.columns.put(where, [items[x] for x in newer], first_ms)
