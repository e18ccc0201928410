"""Handing out dense rows: in order of first appearance, stable for ever, inside the append."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from habitue.store.keys import KeyCache
from habitue.store.session import Ledger, Session

__all__ = ["Keying", "Known", "parents", "root_of"]


class Known:
    """Rows of names as far as this process remembers them, and who stands for whom.

    A shopper who has not acted yet is remembered as ``~row``: so a cached name tells at no cost
    whether an action is its first. All of it is dropped when ``epoch`` moves.
    """

    def __init__(self, half: int = 250_000) -> None:
        self.items: KeyCache[int] = KeyCache(half)
        self.shoppers: KeyCache[int] = KeyCache(half)
        self.parent: dict[int, int] = {}  # row of an alias → row of its shopper
        self.epoch = -1

    def follow(self, epoch: int, session: Session) -> None:
        """Start anew when an alias or an erasure, here or in another process, moved the epoch."""
        if epoch != self.epoch:
            self.items.clear()
            self.shoppers.clear()
            self.parent = parents(
                session.query("select alias_row, shopper_row, undo from alias order by seq")
            )
            self.epoch = epoch


def parents(aliases: Sequence[tuple[int, ...]]) -> dict[int, int]:
    """Each aliased row with the row it is an alias of, from (alias, shopper, undo) in order.

    >>> parents([(2, 1, 0), (1, 0, 0), (5, 4, 0), (5, 4, 1)])
    {2: 1, 1: 0}
    """
    parent: dict[int, int] = {}
    for alias, shopper, undo in aliases:
        if undo:
            parent.pop(alias, None)
        else:
            parent[alias] = shopper
    return parent


def root_of(parent: dict[int, int], row: int) -> int:
    """The row at the end of a chain of aliases.

    >>> root_of({2: 1, 1: 0}, 2)
    0
    """
    while row in parent:
        row = parent[row]
    return row


class Keying:
    """The rows of one transaction's names: known, looked up, or handed out now."""

    def __init__(self, known: Known, session: Session, ledger: Ledger, now_ms: int) -> None:
        self._known = known
        self._session = session
        self._ledger = ledger
        self._now_ms = now_ms
        self._new_items: dict[str, int] = {}
        self._new_shoppers: dict[str, int] = {}
        self._looked_up: dict[str, int] = {}  # shoppers: row, or ~row before their first action
        self._acted: dict[int, tuple[str, int]] = {}  # row → name and first seq
        known.follow(ledger.epoch, session)
        self._parent = known.parent

    @property
    def moved(self) -> bool:
        """Whether this transaction changed who is an alias of whom."""
        return self._parent is not self._known.parent

    @property
    def new_items(self) -> dict[str, int]:
        """Items that got their row in this transaction."""
        return self._new_items

    def items(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Rows of items, new ones handed out in order."""
        found = self._known.items.get_many(names)
        if None in found:
            missing = [
                name
                for name in dict.fromkeys(
                    n for n, row in zip(names, found, strict=True) if row is None
                )
                if name not in self._new_items
            ]
            stored = dict(self._session.among("select id, row from item_key where id", missing))
            self._known.items.put(stored.items())
            for name in missing:
                if name not in stored:
                    self._new_items[name] = self._ledger.n_items
                    self._ledger.n_items += 1
            rows = stored | self._new_items
            found = [
                rows[name] if row is None else row for name, row in zip(names, found, strict=True)
            ]
        return np.array(found, np.int32)

    def shoppers(self, names: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Rows of shoppers, new ones handed out in order, and which have not acted so far."""
        found = self._known.shoppers.get_many(names)
        if None in found:
            self._find_shoppers(
                [
                    n
                    for n, row in zip(names, found, strict=True)
                    if row is None and n not in self._looked_up
                ]
            )
            found = [
                self._looked_up[name] if row is None else row
                for name, row in zip(names, found, strict=True)
            ]
        coded = np.array(found, np.int32)
        return np.where(coded < 0, ~coded, coded).astype(np.int32), coded < 0

    def _find_shoppers(self, names: list[str]) -> None:
        names = list(dict.fromkeys(names))
        for name, row, first in self._session.among(
            "select id, row, first_action_seq from shopper_key where id", names
        ):
            self._looked_up[name] = row if first is not None else ~row
        for name in names:
            if name not in self._looked_up:
                row = self._ledger.n_shoppers
                self._ledger.n_shoppers += 1
                self._new_shoppers[name] = row
                self._looked_up[name] = ~row

    def parent(self, row: int) -> int | None:
        """The row this one is an alias of, if any."""
        return self._parent.get(row)

    def root(self, row: int) -> int:
        """The row of the person this one stands for."""
        return root_of(self._parent, row)

    def tie(self, alias: int, shopper: int | None) -> None:
        """Make a row an alias of another, or part them; every process learns it by the epoch."""
        if self._parent is self._known.parent:
            self._parent = dict(self._parent)
            self._ledger.epoch += 1
        if shopper is None:
            del self._parent[alias]
        else:
            self._parent[alias] = shopper

    def acted(self, name: str, row: int, seq: int) -> bool:
        """Note a shopper's first action; whether it is that."""
        return self._acted.setdefault(row, (name, seq))[1] == seq

    def flush(self) -> None:
        """Write the new names and first actions, before the commit."""
        self._session.insert(
            "item_key", ("row", "id"), [(r, n) for n, r in self._new_items.items()]
        )
        self._session.insert(
            "shopper_key",
            ("row", "id", "created_ms", "first_action_seq"),
            [
                (row, name, self._now_ms, self._acted[row][1] if row in self._acted else None)
                for name, row in self._new_shoppers.items()
            ],
        )
        fresh = set(self._new_shoppers.values())
        self._session.execute_many(
            "update shopper_key set first_action_seq = ? where row = ?",
            [(seq, row) for row, (_, seq) in self._acted.items() if row not in fresh],
        )

    def remember(self) -> None:
        """Keep the names for later transactions, after the commit."""
        self._known.items.put(self._new_items.items())
        self._known.shoppers.put(self._looked_up.items())
        self._known.shoppers.put((name, row) for row, (name, _) in self._acted.items())
