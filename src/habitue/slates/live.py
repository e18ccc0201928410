"""The shop as it is now: items, people and what they have done, in memory, a moment behind nothing.

Own appends are taken in before they are acknowledged; what other processes wrote comes by tailing
the store. Losing it loses nothing: ``LiveShop`` is rebuilt from the store and a snapshot's tables.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import groupby
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.errors import StoreError
from habitue.facts import MS_PER_DAY, NO_ROW, ActionKind, Alias, Consent, Context, Fact, Item, Owned
from habitue.policy.shelf import Shelf
from habitue.portraits import ItemColumns, ItemStats
from habitue.slates.ledger import Entries, Ledger, LedgerTable
from habitue.slates.people import People
from habitue.slates.scanned import ACTION_COLUMNS, columns_of, some_of
from habitue.store.contract import ActionColumns, Appended, FactStore, LiveState, Stored

__all__ = ["Asked", "LiveShop", "Seen"]

_ITEM = msgspec.json.Decoder(Item)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of its shopper and of where they stand."""

    surface: str
    now_ms: int
    shopper: str | None = None
    anchors: Sequence[str] = ()
    device: str | None = None
    locale: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The context of one request, and what it rests on."""

    context: Context
    seen_seq: int  # every fact up to here is in the context
    fallback: str = ""  # why the shopper's own past is not in it, where it should be


@dataclass(slots=True)
class _Versions:
    """When the version in force of each item began, and versions still to come."""

    valid_from_ms: dict[int, int] = field(default_factory=dict)
    coming: list[tuple[int, int, int, Item]] = field(default_factory=list)  # a heap by time
    n: int = 0


class LiveShop:
    """Items and people of the running shop. Requests read without a lock; writers take turns."""

    def __init__(
        self,
        store: FactStore,
        live: LiveState,
        people: People,
        *,
        shelf: Shelf | None = None,
        stats: ItemStats | None = None,
        columns: ItemColumns | None = None,
    ) -> None:
        self.store = store
        self.live = live
        self.people = people
        self.shelf = shelf or Shelf()
        self.stats = stats or ItemStats()
        self.columns = columns or ItemColumns()
        self.bought = Ledger(ActionKind.purchase)
        self.refused = Ledger(ActionKind.not_interested)
        self._lock = threading.RLock()
        self._versions = _Versions()
        self._row: dict[str, int] = {}
        self._ids: list[str] = []
        self._tail_seq = 0
        self._own: list[NDArray[np.int64]] = []  # seqs this process wrote after the tail
        self._n_own = 0  # facts this process stored since the tail was at the watermark
        self._n_stored = 0  # facts stored then
        self.seen_seq = 0

    # ------------------------------------------------------------------ taking in

    def start(
        self,
        now_ms: int,
        *,
        since_seq: int = 0,
        bought: LedgerTable | None = None,
        refused: LedgerTable | None = None,
    ) -> None:
        """Read the catalogue, and the actions after ``since_seq``, up to which the tables know."""
        with self._lock:
            self.bought = Ledger(ActionKind.purchase, bought)
            self.refused = Ledger(ActionKind.not_interested, refused)
            self._tail_seq = since_seq
            stored = self.store.stored()
            self._extend_ids()
            self._take_item_tables(0, stored.seq, now_ms)
            self._take_action_tables(stored.seq)
            self._take_consents(0)
            self._caught_up(stored)

    def take(self, facts: Sequence[Fact], appended: Appended, now_ms: int) -> None:
        """Take in a batch this process has just stored, before it is acknowledged."""
        if len(appended.actions):
            self.live.observe(appended.actions)
        with self._lock:
            if appended.new_items:
                self._extend_ids()
            if len(appended.actions):
                self._add(appended.actions, appended.actions.seq > self._tail_seq)
                self._own.append(appended.actions.seq)
            self._n_own += appended.new
            refused = {rejection.row for rejection in appended.rejected}
            for row, fact in enumerate(facts):
                if isinstance(fact, Item) and row not in refused:
                    self._take_item(self._row[fact.id], fact, now_ms, now_ms)
            kinds = {type(fact) for fact in facts}
            if Alias in kinds:
                self.people.renew()
            if Consent in kinds:
                self._take_consents(self._tail_seq)
            self.seen_seq = max(self.seen_seq, appended.last_seq)

    def catch_up(self, now_ms: int) -> int:
        """Take in what other processes wrote, and versions that came into force; the new seq."""
        with self._lock:
            stored = self.store.stored()
            while self._versions.coming and self._versions.coming[0][0] <= now_ms:
                at_ms, _, row, item = heappop(self._versions.coming)
                self._place_items([row], [item], [at_ms], at_ms)
            if stored.seq > self._tail_seq:
                if sum(stored.facts.values()) != self._n_stored + self._n_own:
                    self._tail(stored.seq, now_ms)
                self._caught_up(stored)
            return self._tail_seq

    def _tail(self, until_seq: int, now_ms: int) -> None:
        """Read what somebody else wrote; what this process wrote is read and passed over."""
        self._extend_ids()
        self._take_item_tables(self._tail_seq, until_seq, now_ms)
        self._take_action_tables(until_seq, live=self.live)
        self._take_consents(self._tail_seq)
        aliases = self.store.scan("alias", since_seq=self._tail_seq, columns=("seq",))
        if any(table.num_rows for table in aliases):
            self.people.renew()

    def forget(self, shopper: str) -> None:
        """Mask a shopper who is being erased, from this moment on; call it before the store's."""
        row = self.people.row_of(shopper)
        if row == NO_ROW:
            return
        rows = self.people.members(row)
        self.people.forget(shopper, rows)
        for one in rows:
            self.live.forget(one)
            self.bought.forget(one)
            self.refused.forget(one)

    def _caught_up(self, stored: Stored) -> None:
        """Everything up to the store's watermark is known, whoever wrote it."""
        self._tail_seq = stored.seq
        self._n_stored, self._n_own = sum(stored.facts.values()), 0
        self._own = [seq[seq > stored.seq] for seq in self._own if seq[-1] > stored.seq]
        self.seen_seq = max(self.seen_seq, stored.seq)
        self.stats.caught_up(stored.seq)

    def _add(self, actions: ActionColumns, fresh: NDArray[np.bool_]) -> None:
        """Count the ``fresh`` of these actions."""
        fresh = fresh & (actions.item_row >= 0)
        if not fresh.any():
            return
        if not fresh.all():
            actions = some_of(actions, fresh)
        self.stats.add(actions)
        self.bought.add(actions)
        self.refused.add(actions)

    def _extend_ids(self) -> None:
        """Learn the ids of items that got a row since."""
        new = self.store.item_ids(len(self._ids))
        for item_id in new:
            self._row[item_id] = len(self._ids)
            self._ids.append(item_id)
        self.shelf.reach(len(self._ids))
        self.stats.grow(len(self._ids))
        self.columns.grow(len(self._ids))

    def _take_item_tables(self, since_seq: int, until_seq: int, now_ms: int) -> None:
        """Versions of items, the last in force of each first into the shelf as one batch."""
        columns = ("seq", "item_row", "valid_from_ms", "received_at_ms", "body")
        rows: list[int] = []
        times: list[int] = []
        bodies: list[str] = []
        for table in self.store.scan(
            "item", since_seq=since_seq, until_seq=until_seq, columns=columns
        ):
            rows += table.column("item_row").to_pylist()
            times += table.column("valid_from_ms").to_pylist()
            bodies += table.column("body").to_pylist()
        order = sorted(range(len(rows)), key=lambda x: (times[x], x))
        first = {rows[x]: times[x] for x in reversed(order)}
        last = {rows[x]: x for x in order if times[x] <= now_ms}
        for first_ms, group in groupby(sorted(last, key=first.__getitem__), first.__getitem__):
            changed = list(group)
            items = [_ITEM.decode(bodies[last[row]]) for row in changed]
            begins = [times[last[row]] for row in changed]
            self._place_items(changed, items, begins, first_ms)
        for x in order:
            if times[x] > now_ms:
                self._take_item(rows[x], _ITEM.decode(bodies[x]), times[x], now_ms)

    def _take_item(self, row: int, item: Item, at_ms: int, now_ms: int) -> None:
        """One version: in force now, or to come."""
        begins = item.valid_from
        if begins is not None:
            at_ms = begins if isinstance(begins, int) else int(begins.timestamp() * 1000)
        if at_ms > now_ms:
            self._versions.n += 1
            heappush(self._versions.coming, (at_ms, self._versions.n, row, item))
        else:
            self._place_items([row], [item], [at_ms], at_ms)

    def _place_items(
        self, rows: Sequence[int], items: Sequence[Item], begins: Sequence[int], first_ms: int
    ) -> None:
        """Versions in force from now on, of items first posted at ``first_ms``."""
        held = self._versions.valid_from_ms
        newer = [x for x, row in enumerate(rows) if begins[x] >= held.get(row, begins[x])]
        if not newer:
            return  # older versions that came late
        held.update((rows[x], begins[x]) for x in newer)
        self.shelf.put_many([rows[x] for x in newer], [items[x] for x in newer])
        where = np.array([rows[x] for x in newer], np.int32)
        self.columns.put(where, [items[x] for x in newer], first_ms)
        self.stats.posted(where, np.full(len(where), first_ms, np.int64))

    def _take_consents(self, since_seq: int) -> None:
        for table in self.store.scan(
            "consent", since_seq=since_seq, columns=("shopper_row", "at_ms", "granted", "denied")
        ):
            self.people.consent.observe(table)

    def _take_action_tables(self, until_seq: int, *, live: LiveState | None = None) -> None:
        """Actions after the tail's watermark that this process did not write itself."""
        own = np.concatenate([np.empty(0, np.int64), *self._own])
        for table in self.store.scan(
            "action", since_seq=self._tail_seq, until_seq=until_seq, columns=ACTION_COLUMNS
        ):
            if table.num_rows:
                actions = columns_of(table)
                if live is not None:
                    live.observe(actions)
                self._add(actions, ~np.isin(actions.seq, own))

    # ------------------------------------------------------------------ items

    def item_row(self, item_id: str) -> int:
        """The row of an item, ``NO_ROW`` for one nobody has named."""
        return self._row.get(item_id, NO_ROW)

    def item_id(self, row: int) -> str:
        """The id of a row."""
        return self._ids[row]

    def title(self, row: int) -> str:
        """What to call an item before a shopper: its title, or its id."""
        return str(self.shelf.fields(row).get("title") or self._ids[row])

    @property
    def n_items(self) -> int:
        """How many items are addressable."""
        return len(self._ids)

    # ------------------------------------------------------------------ contexts

    def context(self, asked: Asked) -> Seen:
        """The context of one request.

        Where the shopper is unknown, has not allowed personalisation, or cannot be looked up, the
        context holds only what the request itself says, and ``fallback`` says why.
        """
        row, fallback = self._whose(asked.shopper)
        if row == NO_ROW or fallback:
            bare = self._bare(asked, personal=fallback != "no_consent")
            return Seen(bare, self.seen_seq, fallback)
        members = self.people.members(row)
        owned = self.bought.of(members, asked.now_ms)
        try:
            recent = self.live.recent(np.array(members, np.int32))
        except StoreError:
            bare = self._bare(asked, personal=True)
            return Seen(bare, self.seen_seq, "live_state_down")
        item, kind, at_ms = recent.item_row, recent.kind, recent.at_ms
        if len(members) > 1:
            item, kind, at_ms = _woven(item, kind, at_ms)
        age = (np.maximum(asked.now_ms - at_ms, 0) / MS_PER_DAY).astype(np.float32)
        refused = self.refused.of(members, asked.now_ms)
        if len(refused.item):
            item, kind, age = _with_refused(item, kind, age, refused)
        seen = max(self.seen_seq, int(recent.seen_seq.max()))
        return Seen(self._context(asked, row, item, kind, age, owned), seen)

    def _whose(self, shopper: str | None) -> tuple[int, str]:
        """The row of a shopper and, where their past may or can not be used, why."""
        if shopper is None:
            return NO_ROW, ""
        try:
            row = self.people.row_of(shopper)
        except StoreError:
            return NO_ROW, "store_down"
        if row == NO_ROW:
            return NO_ROW, "unknown_shopper"
        if not self.people.consent.allows(row):
            return NO_ROW, "no_consent"
        return row, ""

    def _bare(self, asked: Asked, *, personal: bool) -> Context:
        """A context without a shopper."""
        nothing = (
            np.full((1, 1), NO_ROW, np.int32),
            np.zeros((1, 1), np.uint8),
            np.zeros((1, 1), np.float32),
        )
        return self._context(asked, NO_ROW, *nothing, _NOTHING, personal=personal)

    def _context(
        self,
        asked: Asked,
        row: int,
        item: NDArray[np.int32],
        kind: NDArray[np.uint8],
        age: NDArray[np.float32],
        owned: Entries,
        *,
        personal: bool = True,
    ) -> Context:
        known = self._row
        anchors = [known[one] for one in asked.anchors if one in known]
        indptr = np.array([0, len(owned.item)], np.int64)
        return Context(
            asked.surface,
            np.array([asked.now_ms], np.int64),
            np.array([row], np.int32),
            item,
            kind,
            age,
            np.array([anchors], np.int32),
            Owned(indptr, owned.item, owned.count, owned.age_days),
            (asked.device,),
            (asked.locale,),
            (asked.query,),
            _ALL if personal else _NONE,
        )


_ALL: Final = np.ones(1, np.bool_)
_NONE: Final = np.zeros(1, np.bool_)
_NOTHING: Final = Entries(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32))


def _woven(
    item: NDArray[np.int32], kind: NDArray[np.uint8], at_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """The recent actions of several rows that are one person, as one list (1, L)."""
    length = item.shape[1]
    when = np.where(item >= 0, at_ms, np.iinfo(np.int64).min).ravel()
    order = np.argsort(-when, kind="stable")[:length]
    return item.ravel()[order][None], kind.ravel()[order][None], at_ms.ravel()[order][None]


def _with_refused(
    item: NDArray[np.int32], kind: NDArray[np.uint8], age: NDArray[np.float32], refused: Entries
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.float32]]:
    """Recent actions with refusals older than them at the end: a refusal is not forgotten."""
    said = item[0][kind[0] == ActionKind.not_interested]
    older = ~np.isin(refused.item, said)
    if not older.any():
        return item, kind, age
    order = np.argsort(refused.age_days[older], kind="stable")
    n = int(older.sum())
    return (
        np.concatenate([item[0], refused.item[older][order]])[None],
        np.concatenate([kind[0], np.full(n, ActionKind.not_interested, np.uint8)])[None],
        np.concatenate([age[0], refused.age_days[older][order]])[None],
    )
