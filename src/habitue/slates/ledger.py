"""What each shopper has ever bought, or refused: a snapshot's table and what came since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotError
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog
from habitue.store.contract import ActionColumns

__all__ = ["Entries", "Ledger", "LedgerTable"]


@dataclass(frozen=True, slots=True)
class Entries:
    """What one shopper's ledger holds, items ascending."""

    item: NDArray[np.int32]  # (n,)
    count: NDArray[np.float32]  # (n,) orders that held the item, or times it was refused
    age_days: NDArray[np.float32]  # (n,) days since the last time


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """One kind of action by shopper and item, up to a watermark: CSR, memory-mapped when loaded."""

    indptr: NDArray[np.int64]  # (n_shoppers + 1,)
    item: NDArray[np.int32]  # (nnz,) ascending within a shopper
    count: NDArray[np.float32]  # (nnz,)
    last_ms: NDArray[np.int64]  # (nnz,)

    @classmethod
    def empty(cls) -> Self:
        """Nobody has done anything."""
        return cls(
            np.zeros(1, np.int64),
            np.empty(0, np.int32),
            np.empty(0, np.float32),
            np.empty(0, np.int64),
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
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    return table.item, table.count, table.last_ms


class Ledger:
    """A table and what was told since, by shopper row.

    What is held beyond the table is about 150 bytes an entry, until the next snapshot's table.
    """

    def __init__(self, kind: ActionKind, table: LedgerTable | None = None) -> None:
        self.kind = kind
        self._table = table or LedgerTable.empty()
        self._since: dict[int, dict[int, tuple[float, int]]] = {}

    def add(self, actions: ActionColumns) -> None:
        """Take in new actions; the caller sees to it that none repeats."""
        mine = np.flatnonzero((actions.kind == self.kind) & (actions.item_row >= 0))
        columns = (c[mine].tolist() for c in (actions.shopper_row, actions.item_row, actions.at_ms))
        for shopper, item, at_ms in zip(*columns, strict=True):
            held = self._since.setdefault(shopper, {})
            count, last_ms = held.get(item, (0.0, at_ms))
            held[item] = (count + 1, max(last_ms, at_ms))

    def forget(self, shopper_row: int) -> None:
        """Drop what was told of a shopper since the table."""
        self._since.pop(shopper_row, None)

    def of(self, shoppers: Sequence[int], now_ms: int) -> Entries:
        """The entries of one person, who may stand under several rows."""
        table = self._table
        if len(shoppers) == 1 and shoppers[0] not in self._since:
            shopper = shoppers[0]
            if not 0 <= shopper < len(table.indptr) - 1:
                return _NOTHING
            a, b = table.indptr.item(shopper), table.indptr.item(shopper + 1)
            if a == b:
                return _NOTHING
            return Entries(table.item[a:b], table.count[a:b], _ages(table.last_ms[a:b], now_ms))
        return self._merged(shoppers, now_ms)

    def _merged(self, shoppers: Sequence[int], now_ms: int) -> Entries:
        table = self._table
        merged: dict[int, tuple[float, int]] = {}
        for shopper in shoppers:
            held = list(self._since.get(shopper, {}).items())
            if 0 <= shopper < len(table.indptr) - 1:
                part = slice(table.indptr[shopper], table.indptr[shopper + 1])
                columns = (column[part].tolist() for column in _columns(table))
                held += [(item, (count, last)) for item, count, last in zip(*columns, strict=True)]
            for item, (count, last_ms) in held:
                before, last = merged.get(item, (0.0, last_ms))
                merged[item] = (before + count, max(last, last_ms))
        if not merged:
            return _NOTHING
        items = sorted(merged)
        last_times = np.array([merged[item][1] for item in items], np.int64)
        return Entries(
            np.array(items, np.int32),
            np.array([merged[item][0] for item in items], np.float32),
            _ages(last_times, now_ms),
        )


@nb.njit(cache=True, nogil=True)
def _ages(at_ms: NDArray[np.int64], now_ms: int) -> NDArray[np.float32]:
    """Days since each time, none below zero."""
    age = np.empty(len(at_ms), np.float32)
    for x in range(len(at_ms)):
        age[x] = max(now_ms - at_ms[x], 0) / MS_PER_DAY
    return age


_NOTHING = Entries(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32))
