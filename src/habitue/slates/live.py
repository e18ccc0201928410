"""The shop as it is now: items, people and what they have done, in memory, a moment behind nothing.

Own appends are taken in before they are acknowledged; what other processes wrote comes by tailing
the store. Losing it loses nothing: ``LiveShop`` is rebuilt from the store and a snapshot's tables.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.errors import StoreError
from habitue.facts import (
    MS_PER_DAY,
    NO_ROW,
    Action,
    ActionKind,
    Alias,
    Consent,
    Context,
    Fact,
    Item,
    Owned,
    Shown,
    ShownBody,
)
from habitue.facts.cleaning.robots import RobotConfig
from habitue.policy.shelf import Shelf
from habitue.portraits import ItemColumns, ItemStats
from habitue.slates.counters import Counters
from habitue.slates.impressions import Impressions
from habitue.slates.ledger import Entries
from habitue.slates.live_items import LiveItems
from habitue.slates.people import People
from habitue.slates.scanned import ACTION_COLUMNS, columns_of, joined, some_of
from habitue.slates.ties import Ties
from habitue.store.contract import Appended, FactStore, LiveState, Stored

__all__ = ["Asked", "LiveShop", "Seen"]


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
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The context of one request, and what it rests on."""

    context: Context
    seen_seq: int  # every fact up to here is in the context
    fallback: str = ""  # why the shopper's own past is not in it, where it should be


class LiveShop:
    """Items and people of the running shop. Requests read without a lock; writers take turns."""

    def __init__(
        self,
        store: FactStore,
        live: LiveState,
        people: People,
        *,
        columns: ItemColumns | None = None,
        impressions: Impressions | None = None,
        robots: RobotConfig | None = None,
    ) -> None:
        """``columns`` are a snapshot's, where the shop starts on one; else they start empty.

        ``impressions`` are followed where a surface's rules ask for them. What is done at rates
        beyond ``robots`` counts for nobody else, where such bounds are given.
        """
        self.store = store
        self.live = live
        self.people = people
        self.items = LiveItems(columns=columns)
        self.ties = Ties(store, people, self.items, self.items.shelf)
        self.counters = Counters()
        self.impressions = impressions
        self._robots = robots
        self._shown_seq = 0
        self._n_shown = 0
        self._own_slates: dict[str, None] = {}  # told here, and not yet met in the store
        self.seen_seq = 0
        self._lock = threading.RLock()
        self._tail_seq = 0
        self._own: list[NDArray[np.int64]] = []  # seqs this process wrote after the tail
        self._taken = threading.Condition(self._lock)
        # Facts but slates this process stored since the tail was at the watermark, by last seq.
        self._n_own: defaultdict[int, int] = defaultdict(int)
        self._n_stored = 0  # facts stored then
        self._epoch = 0  # and whether any was deleted since

    @property
    def shelf(self) -> Shelf:
        """What the policy knows of the items."""
        return self.items.shelf

    @property
    def columns(self) -> ItemColumns:
        """What the ranker knows of the items."""
        return self.items.columns

    @property
    def stats(self) -> ItemStats:
        """The item statistics counted now."""
        return self.counters.stats

    @property
    def n_robots(self) -> int:
        """How many shoppers act as no person does: found by training, or here since."""
        return 0 if self.counters.robots is None else self.counters.robots.n_found

    @property
    def n_items(self) -> int:
        """How many items are addressable."""
        return len(self.items)

    def item_row(self, item_id: str) -> int:
        """The row of an item, ``NO_ROW`` for one nobody has named."""
        return self.items.row(item_id)

    # ------------------------------------------------------------------ taking in

    def start(self, now_ms: int, counters: Counters | None = None) -> None:
        """Read the catalogue, consents, and the actions that ``counters`` do not know yet."""
        with self._lock:
            stored = self.store.stored()
            self.counters = counters or Counters()
            self.counters.watch(self._robots)
            self._extend()
            self.items.read(self.store, 0, stored.seq, now_ms)
            self.counters.bring_up(self.store, stored.seq)
            self._take_consents(0)
            self._recall_shown(stored)
            self._caught_up(stored)

    def prepare(self, counters: Counters) -> Counters:
        """Bring a new snapshot's counters up to now, beside the ones held."""
        counters.watch(self._robots)
        counters.stats.grow(len(self.items))
        counters.bring_up(self.store, self.store.stored().seq)
        return counters

    def adopt(self, counters: Counters, now_ms: int) -> None:
        """Count on from these counters instead of the ones held until now."""
        with self._lock:
            stored = self.store.stored()
            if stored.seq > self._tail_seq:
                self._tail(stored.seq, now_ms)
            counters.bring_up(self.store, stored.seq)
            counters.stats.grow(len(self.items))
            self.counters = counters
            self._caught_up(stored)

    def take(self, facts: Sequence[Fact], appended: Appended, now_ms: int) -> None:
        """Take in a batch this process has just stored, before it is acknowledged."""
        self.take_all([(facts, appended, now_ms)])

    def take_all(self, batches: Sequence[tuple[Sequence[Fact], Appended, int]]) -> None:
        """Take in the batches of one commit, each (facts, appended, now_ms), as ``take`` does."""
        actions = joined([appended.actions for _, appended, _ in batches])
        if len(actions):
            self.live.observe(actions)
            if self.impressions is not None:
                self.impressions.act(actions)
        with self._lock:
            if any(appended.new_items for _, appended, _ in batches):
                self._extend()
            if len(actions):
                fresh = actions.seq > self._tail_seq  # the tail may have been quicker
                self.counters.add(actions if fresh.all() else some_of(actions, fresh))
                self._own.append(actions.seq)
            for facts, appended, now_ms in batches:
                self._take_others(facts, appended, now_ms)
            self.seen_seq = max(self.seen_seq, *(told.last_seq for _, told, _ in batches))
            self._taken.notify_all()

    def _take_others(self, facts: Sequence[Fact], appended: Appended, now_ms: int) -> None:
        """What a batch says besides its actions."""
        kinds = set(map(type, facts))
        if kinds != {Shown}:
            self._n_own[appended.last_seq] += appended.new
        if kinds == {Action}:
            return
        if Item in kinds:
            rejected = {rejection.row for rejection in appended.rejected}
            stored = [
                fact
                for row, fact in enumerate(facts)
                if isinstance(fact, Item) and row not in rejected
            ]
            self.items.take(stored, now_ms)
        if Alias in kinds:
            self.people.renew()
        if Consent in kinds:
            self._take_consents(self._tail_seq)

    def catch_up(self, now_ms: int) -> int:
        """Take in what other processes wrote, and versions that came into force; the new seq."""
        with self._lock:
            stored = self.store.stored()
            self.items.come_into_force(now_ms)
            self._tail_shown(stored)
            if stored.seq <= self._tail_seq:
                return self._tail_seq
            if self._n_own and not self._all_own(stored):  # perhaps ours, and about to be told
                self._taken.wait_for(
                    lambda: self.seen_seq >= stored.seq or self._tail_seq >= stored.seq,
                    _ABOUT_TO_BE_TOLD_SECONDS,
                )
            if stored.seq > self._tail_seq:
                if not self._all_own(stored):
                    self._tail(stored.seq, now_ms)
                self._caught_up(stored)
            return self._tail_seq

    def _all_own(self, stored: Stored) -> bool:
        """Whether this process was told of all that was stored since the tail."""
        own = sum(n for seq, n in self._n_own.items() if seq <= stored.seq)
        return stored.epoch == self._epoch and _told(stored) == self._n_stored + own

    def forget(self, shopper: str) -> None:
        """Mask a shopper who is being erased, from this moment on; call it before the store's."""
        row = self.people.row_of(shopper)
        if row == NO_ROW:
            return
        rows = self.people.members(row)
        self.people.forget(shopper, rows)
        for one in rows:
            self.live.forget(one)
            self.counters.forget(one)
            if self.impressions is not None:
                self.impressions.forget(one)

    def _tail(self, until_seq: int, now_ms: int) -> None:
        """Read what somebody else wrote; what this process wrote is read and passed over."""
        since = self._tail_seq
        self._extend()
        self.items.read(self.store, since, until_seq, now_ms)
        own = np.concatenate([np.empty(0, np.int64), *self._own])
        for table in self.store.scan(
            "action", since_seq=since, until_seq=until_seq, columns=ACTION_COLUMNS
        ):
            if table.num_rows:
                actions = columns_of(table)
                self.live.observe(actions)
                if self.impressions is not None:
                    self.impressions.act(actions)
                self.counters.add(some_of(actions, ~np.isin(actions.seq, own)))
        self._take_consents(since)
        aliases = self.store.scan("alias", since_seq=since, columns=("seq",))
        if any(table.num_rows for table in aliases):
            self.people.renew()

    # ------------------------------------------------------------------ what was shown

    def show(self, slate_id: str, shopper_row: int, item_row: Sequence[int], at_ms: int) -> None:
        """Note a slate that this process shows, before its record is stored."""
        if self.impressions is None:
            return
        self.impressions.show(shopper_row, item_row, at_ms)
        self._own_slates[slate_id] = None
        if len(self._own_slates) > _OWN_SLATES:  # whose records were never stored
            self._own_slates.pop(next(iter(self._own_slates)), None)

    def _recall_shown(self, stored: Stored) -> None:
        """Read what was shown lately, and what was done since, at the start."""
        if self.impressions is None:
            return
        self._shown_seq = since = max(stored.seq - _RECALLED, 0)
        self._tail_shown(stored)
        for table in self.store.scan(
            "action", since_seq=since, until_seq=stored.seq, columns=ACTION_COLUMNS
        ):
            if table.num_rows:
                self.impressions.act(columns_of(table))

    def _tail_shown(self, stored: Stored) -> None:
        """Read slates that others showed."""
        n_shown = stored.facts.get("shown", 0)
        if self.impressions is None or n_shown == self._n_shown:
            return
        since, self._shown_seq, self._n_shown = self._shown_seq, stored.seq, n_shown
        for table in self.store.scan(
            "shown", since_seq=since, until_seq=stored.seq, columns=_SHOWN_COLUMNS
        ):
            told = zip(*(table.column(name).to_pylist() for name in _SHOWN_COLUMNS), strict=True)
            for slate_id, at_ms, shopper_row, body in told:
                if slate_id in self._own_slates:
                    del self._own_slates[slate_id]
                else:
                    shown = self.items.rows(_shown_body(body).items)
                    self.impressions.show(shopper_row, shown, at_ms)

    def _caught_up(self, stored: Stored) -> None:
        """Everything up to the store's watermark is known, whoever wrote it."""
        self._tail_seq = self.counters.seq = stored.seq
        self._n_stored = _told(stored)
        self._epoch = stored.epoch
        for seq in [seq for seq in self._n_own if seq <= stored.seq]:
            del self._n_own[seq]
        self._own = [seq for seq in self._own if seq[-1] > stored.seq]
        self.seen_seq = max(self.seen_seq, stored.seq)
        self.stats.caught_up(stored.seq)

    def _extend(self) -> None:
        self.items.extend(self.store)
        self.stats.grow(len(self.items))

    def _take_consents(self, since_seq: int) -> None:
        columns = ("shopper_row", "at_ms", "granted", "denied")
        for table in self.store.scan("consent", since_seq=since_seq, columns=columns):
            self.people.consent.observe(table)

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
        counters = self.counters
        owned = counters.bought.of(members, asked.now_ms)
        try:
            recent = self.live.recent(np.array(members, np.int32))
        except StoreError:
            bare = self._bare(asked, personal=True)
            return Seen(bare, self.seen_seq, "live_state_down")
        item, kind, at_ms, seen = recent.item_row, recent.kind, recent.at_ms, recent.seen_seq
        if len(members) > 1:
            item, kind, at_ms, seen = *_woven(item, kind, at_ms), seen.max(keepdims=True)
        age = np.empty(item.shape, np.float32)
        used = _aged(item, at_ms, asked.now_ms, age)  # the padding would be looked at again
        item, kind, age = item[:, :used], kind[:, :used], age[:, :used]
        refused = counters.refused.of(members, asked.now_ms)
        if len(refused.item):
            item, kind, age = _with_refused(item, kind, age, refused)
        context = self._context(asked, row, item, counters.read(kind), age, owned)
        rated = counters.rated.of(members, asked.now_ms + 1)
        if rated is not None:
            context = replace(context, rated=rated)
        if self.impressions is not None:
            shown, shown_age = self.impressions.of(members, asked.now_ms)
            context = replace(context, shown_item=shown[None], shown_age_days=shown_age[None])
        return Seen(context, max(self.seen_seq, int(seen[0])))

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
        indptr = np.array([0, len(owned.item)], np.int64)
        return Context(
            asked.surface,
            np.array([asked.now_ms], np.int64),
            np.array([row], np.int32),
            item,
            kind,
            age,
            np.array([self.items.rows(asked.anchors)], np.int32) if asked.anchors else _NO_ANCHORS,
            Owned(indptr, owned.item, owned.count, owned.age_days, owned.first_age_days),
            (asked.device,),
            (asked.locale,),
            (asked.query,),
            _ALL if personal else _NONE,
            platform=(asked.platform,),
        )


def _told(stored: Stored) -> int:
    """How many facts are stored that change the shop: slates shown do not."""
    return sum(n for kind, n in stored.facts.items() if kind != "shown")


_SHOWN_COLUMNS: Final = ("id", "at_ms", "shopper_row", "body")
_shown_body: Final = msgspec.json.Decoder(ShownBody).decode
_RECALLED: Final = 200_000  # facts of the past read at the start for what was shown
_OWN_SLATES: Final = 10_000
_ABOUT_TO_BE_TOLD_SECONDS: Final = 0.1
"""How long a commit that is durable may take until it is told of here."""

_NO_ANCHORS: Final = np.empty((1, 0), np.int32)
_ALL: Final = np.ones(1, np.bool_)
_NONE: Final = np.zeros(1, np.bool_)
_NOTHING: Final = Entries(
    np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.float32)
)


@nb.njit(cache=True, nogil=True)
def _aged(
    item: NDArray[np.int32], at_ms: NDArray[np.int64], now_ms: int, age: NDArray[np.float32]
) -> int:
    """Write the age in days of each action (1, L); up to where there are any, but 1 at least."""
    used = 1
    for j in range(item.shape[1]):
        if item[0, j] >= 0:
            used = j + 1
        age[0, j] = max(now_ms - at_ms[0, j], 0) / MS_PER_DAY
    return used


def _woven(
    item: NDArray[np.int32], kind: NDArray[np.uint8], at_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """The recent actions of several rows that are one person, as one list (1, L)."""
    length = item.shape[1]
    when = np.where(item >= 0, at_ms, -np.iinfo(np.int64).max).ravel()  # its negative is a number
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
