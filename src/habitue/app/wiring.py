"""From settings to a shop's parts. Nothing else in the house chooses an implementation."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from habitue.app.clock import clock_ms
from habitue.app.places import sqlite_path
from habitue.app.secrets import cursor_key
from habitue.app.snapshots import make_servable, open_active
from habitue.facts import code_of
from habitue.facts.meaning import could_be_bought
from habitue.policy import SurfaceRules
from habitue.privacy.consent import ConsentGate
from habitue.privacy.pseudonyms import Pseudonyms
from habitue.settings import Settings
from habitue.slates.counters import Counters
from habitue.slates.fallback import PopularNow, popular_pipeline
from habitue.slates.impressions import Impressions
from habitue.slates.live import LiveShop
from habitue.slates.people import People
from habitue.slates.serving import Servable, Switch, places_of, policies_of
from habitue.store.contract import Appended, FactStore, LiveState
from habitue.store.group_commit import GroupCommit, GroupStore, Told
from habitue.store.snapshots import SnapshotStore
from habitue.surfaces.compose import Surfaces

__all__ = ["Parts", "Problems", "ShopStore", "Slating", "build"]


class ShopStore(FactStore, GroupStore, Protocol):
    """A fact store as a shop needs it: also in bulk, and for live state."""

    def append_columns(self, actions: pa.Table, *, received_at_ms: int) -> Appended:
        """Store a table of actions in one durable commit, by the same rules as ``append``."""
        ...

    def recent(self, shopper_row: int, n: int) -> list[tuple[int, int, int, int]]:
        """The last item actions of a shopper, as (seq, at_ms, kind, item_row)."""
        ...


class Problems(list[str]):
    """The last things that went wrong beside a request, newest last."""

    def note(self, problem: Exception) -> None:
        """Keep one more, and forget the oldest."""
        self.append(f"{type(problem).__name__}: {problem}")
        del self[:-20]


@dataclass(frozen=True, slots=True)
class Slating:
    """What makes slates: the running shop in memory, and what answers from it."""

    live_state: LiveState
    consent: ConsentGate
    live: LiveShop
    popular: PopularNow
    switch: Switch
    surfaces: Surfaces


class Parts:
    """A shop's parts. The store is open at once; what slates need is read when first asked for.

    So importing, training and listing do not wait for a shop to come to life in memory.
    """

    def __init__(self, settings: Settings, store: ShopStore, snapshots: SnapshotStore) -> None:
        self.settings = settings
        self.store = store
        self.snapshots = snapshots
        self.pseudonyms = _pseudonyms(settings)
        self.problems = Problems()
        self.committer = GroupCommit(store, observe=self._observe)
        self._slating: Slating | None = None
        self._lock = threading.RLock()

    def come_alive(self, now_ms: int) -> Slating:
        """Read what slates need, unless that is done; then every append is followed."""
        with self._lock:
            if self._slating is None:
                self._slating = _slating(self, now_ms)
            return self._slating

    @property
    def alive(self) -> bool:
        """Whether slates can be made without reading the shop first."""
        return self._slating is not None

    @property
    def slating(self) -> Slating:
        """What makes slates, brought to life where it is not."""
        return self._slating or self.come_alive(clock_ms())

    @property
    def live_state(self) -> LiveState:
        """The recent actions of shoppers."""
        return self.slating.live_state

    @property
    def live(self) -> LiveShop:
        """Items and people as they are now."""
        return self.slating.live

    @property
    def popular(self) -> PopularNow:
        """What answers without a snapshot."""
        return self.slating.popular

    @property
    def switch(self) -> Switch:
        """What answers now."""
        return self.slating.switch

    @property
    def surfaces(self) -> Surfaces:
        """Where slates are asked for."""
        return self.slating.surfaces

    def close(self) -> None:
        """Store what is queued and let go."""
        self.committer.close()
        self.store.close()

    def _observe(self, batches: Sequence[Told]) -> None:
        with self._lock:  # nothing is stored unseen while the shop comes to life
            if self._slating is not None:
                self._slating.live.take_all(batches)


def build(settings: Settings) -> Parts:
    """Wire a shop. Raises ``StoreError`` where the store cannot be opened."""
    store = _open_store(settings)
    try:
        return Parts(settings, store, SnapshotStore(settings.snapshots.path))
    except BaseException:
        store.close()
        raise


def _open_store(settings: Settings) -> ShopStore:
    path = sqlite_path(settings)
    if path is not None:
        from habitue.store.sqlite import SqliteFactStore

        return SqliteFactStore(path)
    from habitue.store.postgres import PostgresFactStore

    return PostgresFactStore(settings.store.address)


def _open_live_state(settings: Settings, store: ShopStore) -> LiveState:
    live = settings.live
    if live.address == "memory":
        from habitue.store.live_memory import MemoryLiveState

        return MemoryLiveState(live.recent_actions, live.max_shoppers, store.recent)
    from habitue.store.live_redis import RedisLiveState

    return RedisLiveState(
        live.address, live.recent_actions, store.recent, namespace=store.stored().lineage
    )


def _slating(parts: Parts, now_ms: int) -> Slating:
    """The shop in memory: its catalogue and people, its live state, and what answers."""
    settings, store, note = parts.settings, parts.store, parts.problems.note
    consent = ConsentGate(settings.privacy.default_consent)
    people = People(store, consent=consent)
    live_state = _open_live_state(settings, store)
    active = open_active(parts.snapshots, store.stored().lineage, note)
    live = LiveShop(
        store,
        live_state,
        people,
        columns=active.pieces.columns if active else None,
        impressions=_impressions(settings),
        robots=settings.training.robots if settings.training.leave_out_robots else None,
    )
    live.start(now_ms, active.counters() if active else Counters(taken=_taken(settings)))
    popular = PopularNow(live)
    popular.refresh(now_ms)
    policies = policies_of(live, _rules(settings))
    kinds = settings.surfaces.kinds()
    places = places_of(live, policies, kinds)
    fallback = Servable("", popular_pipeline(popular, policies["home"]), policies, places=places)
    switch = Switch(fallback)
    if active is not None:
        made = make_servable(active, live, settings, now_ms, note, started=True)
        if made is not None:
            switch.activate(made)
    surfaces = Surfaces(
        live,
        switch,
        fallback,
        write=lambda shown: parts.committer.append_later((shown,), received_at_ms=shown.at),
        cursor_key=cursor_key(settings),
        failed=note,
        clock=time.perf_counter,
        budget_seconds=settings.server.slate_budget_ms / 1000,
        kinds=kinds,
    )
    return Slating(live_state, consent, live, popular, switch, surfaces)


def _taken(settings: Settings) -> tuple[str, ...]:
    """What stands for a purchase until a training has looked."""
    return could_be_bought(code_of(name) for name in settings.shop.conversions)


def _impressions(settings: Settings) -> Impressions | None:
    """What shoppers were shown, where a surface's rules ask for it."""
    rules = _rules(settings).values()
    followed = any(one.fatigue_shows or one.exposure_floor for one in rules)
    return Impressions(settings.live.max_shoppers) if followed else None


def _rules(settings: Settings) -> dict[str, SurfaceRules]:
    return {name: one.rules for name, one in settings.surfaces.by_name().items()}


def _pseudonyms(settings: Settings) -> Pseudonyms | None:
    if not settings.privacy.pseudonyms:
        return None
    return Pseudonyms.open(settings.server.keys_file.with_suffix(".pseudonym"))
