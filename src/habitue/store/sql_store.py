"""What both SQL fact stores have in common: all of the contract but the driver's own doings."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from habitue.errors import NotFound
from habitue.facts import NO_ROW, Fact
from habitue.store.appending import Batch, Separate, append_batches, prepared
from habitue.store.contract import Appended, Erased, FactKind, Stored
from habitue.store.erasing import Tombstone, erase, exported, tombstones
from habitue.store.expiring import expire
from habitue.store.keying import Known, parents, root_of
from habitue.store.reading import Select, in_blocks, pages
from habitue.store.session import FACT_TABLES, Repeated, Session

__all__ = ["SqlFactStore"]

_FRESH_SECONDS: Final = 0.05
_COMMIT_ROWS: Final = 100_000


class SqlFactStore(ABC):
    """A ``FactStore`` over SQL; a dialect adds transactions, reads and backups."""

    kinds: ClassVar[tuple[str, ...]] = FACT_TABLES

    def __init__(self) -> None:
        self._known = Known()
        self._reads = Known()  # what reading threads remember; the writer's own is never shared
        self._reads_lock = threading.Lock()
        self._people: dict[int, list[int]] = {}
        self._fresh_until = 0.0  # on the monotonic clock

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Session]:
        """A write transaction: committed durably at the end, rolled back on an exception."""

    @abstractmethod
    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a read-only query."""

    @abstractmethod
    def _among(self, select: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """As ``Session.among``, for reading threads."""

    @abstractmethod
    def _unpack(self, packed: Any) -> str:
        """The id of a fact as ``Session.pack`` stored it."""

    @abstractmethod
    def _journal(self, stones: Sequence[Tombstone]) -> None:
        """Keep tombstones where an older copy put back would not undo them."""

    @abstractmethod
    def _scrub(self) -> None:
        """Make what was erased unreadable in the files, where the dialect leaves traces."""

    # -- appending ---------------------------------------------------------------------------

    def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store a batch durably: see ``FactStore.append``."""
        return self.append_many([self.prepare(facts, received_at_ms=received_at_ms)])[0]

    def prepare(self, facts: Sequence[Fact], *, received_at_ms: int) -> Batch:
        """A caller's facts for ``append_many``, with what can be done beforehand done."""
        return prepared(facts, received_at_ms)

    def append_many(self, batches: Sequence[Batch]) -> list[Appended]:
        """Store several callers' batches in one durable commit."""
        try:
            return self._append(batches)
        except Separate:
            return [appended for batch in batches for appended in self._append([batch])]

    def append_columns(self, actions: pa.Table, *, received_at_ms: int) -> Appended:
        """Store a table of actions, by the same rules as ``append``.

        The columns are ``ACTION_TEXT``'s, those of ``Action``; ``at`` may be a timestamp. What is
        wrong with a row is told by its place in the table. A long table is stored in several
        commits, between which other writers get their turn and no order is cut: when one fails,
        send the table again. Raises ``BadInput`` for a column that cannot be read.
        """
        from habitue.store.bulk import slices, together

        return together(
            [
                (since, self._append_slice(part, received_at_ms))
                for since, part in slices(actions, _COMMIT_ROWS)
            ]
        )

    def _append_slice(self, actions: pa.Table, received_at_ms: int) -> Appended:
        from habitue.store.bulk import batch_of

        columns, places, rejected = batch_of(actions, received_at_ms)
        batch = Batch((), received_at_ms, places.tolist(), rejected, columns)
        return self._append([batch])[0]

    def _append(self, batches: Sequence[Batch]) -> list[Appended]:
        try:
            return self._append_once(batches)
        except Repeated:
            return self._append_once(batches, careful=True)

    def _append_once(self, batches: Sequence[Batch], *, careful: bool = False) -> list[Appended]:
        with self._writing() as session:
            session.careful |= careful
            appended, keying = append_batches(session, self._known, batches)
        keying.remember()
        if keying.moved:
            self._fresh_until = 0.0
        return appended

    # -- reading -----------------------------------------------------------------------------

    def scan(
        self,
        kind: FactKind,
        *,
        since_seq: int = 0,
        until_seq: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Facts with ``since_seq < seq <= until_seq`` in order of ``seq``, as Arrow tables."""
        until = self._query("select last_seq from ledger")[0][0]
        until = until if until_seq is None else min(until_seq, until)
        return pages(Select(kind, columns), self._query, self._unpack, since_seq, until)

    def history(self, shopper_row: int, n: int) -> pa.Table:
        """The last ``n`` item actions of this row, most recent first."""
        select = Select("action", None)
        return select.table(self._last(select.head, shopper_row, n), self._unpack)

    def recent(self, shopper_row: int, n: int) -> list[tuple[int, int, int, int]]:
        """As ``history``, but only (seq, at_ms, kind, item_row): what live state is filled with."""
        head = "select t.seq, t.at_ms, t.kind, t.item_row from action t"
        return self._last(head, shopper_row, n)

    def _last(self, head: str, shopper_row: int, n: int) -> list[tuple[Any, ...]]:
        """The shopper's latest item actions; ``head`` selects ``seq`` first."""
        blocks = in_blocks(self._query("select last_seq from ledger")[0][0])
        most = n
        while True:
            latest = self._query(
                f"select seq from action where {blocks} and shopper_row = ? "
                "order by at_ms desc, seq desc limit ?",
                (shopper_row, most),
            )
            seqs = [seq for (seq,) in latest]
            found = self._among(f"{head} where t.item_row is not null and t.seq", seqs)
            if len(found) >= n or len(seqs) < most:
                by_seq = {row[0]: row for row in found}
                return [by_seq[seq] for seq in seqs if seq in by_seq][:n]
            most *= 4  # many of them were without an item

    def item_rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Dense rows of item ids; ``NO_ROW`` for ids nobody has named."""
        with self._reads_lock:
            found = self._reads.items.get_many(ids)
        if None in found:
            missing = [i for i, row in zip(ids, found, strict=True) if row is None]
            rows = dict(self._among("select id, row from item_key where id", missing))
            with self._reads_lock:
                self._reads.items.put(rows.items())
            found = [
                rows.get(i, NO_ROW) if row is None else row
                for i, row in zip(ids, found, strict=True)
            ]
        return np.array(found, np.int32)

    def shopper_rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Dense rows of shopper ids, aliases resolved; ``NO_ROW`` for strangers and the erased."""
        parent = self._refresh()
        with self._reads_lock:
            found = self._reads.shoppers.get_many(ids)
        if None in found:
            missing = [i for i, row in zip(ids, found, strict=True) if row is None]
            rows = dict(self._among("select id, row from shopper_key where id", missing))
            with self._reads_lock:
                self._reads.shoppers.put(rows.items())
            found = [
                rows.get(i, NO_ROW) if row is None else row
                for i, row in zip(ids, found, strict=True)
            ]
        if parent:
            found = [root_of(parent, row) for row in found if row is not None]
        return np.array(found, np.int32)

    def item_ids(self, since_row: int = 0) -> list[str]:
        """Item ids in row order, from ``since_row`` on."""
        return [
            i
            for (i,) in self._query(
                "select id from item_key where row >= ? order by row", (since_row,)
            )
        ]

    def items_in_force(self, ids: Sequence[str], now_ms: int) -> list[str | None]:
        """Each item's version in force as JSON; ``None`` for a stranger and a deleted one.

        In force is the one valid from the latest time up to ``now_ms``, of two the one told later.
        """
        rows = self.item_rows(ids).tolist()
        known = sorted({row for row in rows if row != NO_ROW})
        latest: dict[int, tuple[int, int]] = {}
        for row, begins_ms, seq in self._among(
            "select item_row, valid_from_ms, seq from item where item_row", known
        ):
            if begins_ms <= now_ms:
                latest[row] = max(latest.get(row, (begins_ms, seq)), (begins_ms, seq))
        bodies = {
            row: None if deleted else body
            for row, deleted, body in self._among(
                "select item_row, deleted, body from item where seq",
                [seq for _, seq in latest.values()],
            )
        }
        return [bodies.get(row) for row in rows]

    def shopper_ids(self, since_row: int = 0) -> list[str | None]:
        """Shopper ids in row order; ``None`` for the erased."""
        return [
            i
            for (i,) in self._query(
                "select id from shopper_key where row >= ? order by row", (since_row,)
            )
        ]

    def ids_of_shoppers(self, shopper_rows: NDArray[np.int32]) -> list[str | None]:
        """The id of each of these rows; ``None`` for the erased and for ``NO_ROW``."""
        rows = shopper_rows.tolist()
        named = dict(self._among("select row, id from shopper_key where row", rows))
        return [named.get(row) for row in rows]

    def canonical_shoppers(self) -> NDArray[np.int32]:
        """For each shopper row the row of the person it stands for, aliases resolved."""
        parent = self._refresh()
        n = self._query("select n_shoppers from ledger")[0][0]
        rows = np.arange(n, dtype=np.int32)
        for alias in parent:
            rows[alias] = root_of(parent, alias)
        return rows

    def erased_shoppers(self) -> NDArray[np.int32]:
        """Rows of erased shoppers, ascending."""
        rows = self._query("select shopper_row from erasure order by shopper_row")
        return np.array([row for (row,) in rows], np.int32)

    def stored(self) -> Stored:
        """How much is stored, and the watermark."""
        counts = ", ".join(f"n_{table}" for table in FACT_TABLES)
        seq, n_items, n_shoppers, lineage, epoch, *counted = self._query(
            f"select last_seq, n_items, n_shoppers, lineage, epoch, {counts} from ledger"
        )[0]
        facts: dict[FactKind, int] = dict(zip(FACT_TABLES, counted, strict=True))
        return Stored(seq, facts, n_items, n_shoppers, lineage, epoch)

    # -- a shopper's rights ------------------------------------------------------------------

    def export(self, shopper: str) -> dict[str, list[dict[str, object]]]:
        """Everything stored about a shopper, aliases included, by kind of fact.

        Raises ``NotFound`` for a stranger.
        """
        return exported(self._query, self._person(shopper), self._unpack)

    def forget(self, shopper: str, *, now_ms: int = 0) -> Erased:
        """Erase a shopper and every alias: rows deleted, ids gone, keyless tombstones kept.

        ``now_ms`` dates the tombstones. Raises ``NotFound`` for a stranger.
        """
        self._person(shopper)
        with self._writing() as session:
            rows = self._person(shopper)
            self._journal(tombstones(session, rows, now_ms))
            counts = erase(session, rows, now_ms)
        self._fresh_until = 0.0
        self._scrub()
        return Erased(shopper, counts)

    def expire(self, kind: Literal["action", "shown"], *, before_ms: int) -> int:
        """Delete the facts of a kind that happened before ``before_ms``; how many there were.

        Other writers get their turn in between.
        """
        gone = expire(self._query, self._writing, kind, before_ms)
        if gone:
            self._scrub()
        return gone

    def _person(self, shopper: str) -> list[int]:
        row = int(self.shopper_rows([shopper])[0])
        if row == NO_ROW:
            raise NotFound(
                f"No shopper is known as {shopper!r}.",
                remedy="Check the id; an erased shopper is not known either.",
            )
        return self._people_of(row)

    def _people_of(self, shopper_row: int) -> list[int]:
        """All rows of the person this row belongs to, the person's own first."""
        parent = self._refresh()
        if not parent:
            return [shopper_row]
        root = root_of(parent, shopper_row)
        return [root, *self._people.get(root, ())]

    def _refresh(self) -> dict[int, int]:
        """Who is an alias of whom; what is remembered is dropped when that or an erasure moved.

        What this process changed is known at once, what another one changed within 50 ms.
        """
        now = time.monotonic()
        if now < self._fresh_until:
            return self._reads.parent
        self._fresh_until = now + _FRESH_SECONDS
        epoch = self._query("select epoch from ledger")[0][0]
        if epoch != self._reads.epoch:
            parent = parents(
                self._query("select alias_row, shopper_row, undo from alias order by seq")
            )
            people: dict[int, list[int]] = {}
            for alias in parent:
                people.setdefault(root_of(parent, alias), []).append(alias)
            with self._reads_lock:
                self._reads.shoppers.clear()
                self._reads.parent, self._people = parent, people
                self._reads.epoch = epoch
        return self._reads.parent
