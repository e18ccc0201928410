"""The shop as a server meets it: asynchronous appends, slates, and the keeping of house beside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import msgspec
import numpy as np

from habitue.app.clock import clock_ms
from habitue.app.messaging import unsubscribe
from habitue.app.secrets import shopper_tokens
from habitue.app.shop import Shop
from habitue.app.snapshots import SnapshotInfo
from habitue.behaviour.returning import Outlook
from habitue.candidates.embedded import Embedding
from habitue.candidates.foretold import ForetoldRatings
from habitue.errors import HabitueError, NotFound, StoreError
from habitue.facts import Fact, Item
from habitue.portraits import Portrait
from habitue.privacy.access import access_document
from habitue.privacy.keys import Keyring
from habitue.store.contract import Appended, Erased
from habitue.surfaces import SlateAnswer, SurfaceRequest
from habitue.surfaces.messages import Campaign, Sent

__all__ = ["RunningShop"]

_ITEM: Final = msgspec.json.Decoder(Item)
_CATCH_UP_SECONDS: Final = 0.1
_SNAPSHOT_SECONDS: Final = 1.0
_STAMP_SECONDS: Final = 60.0
_LEAVE_SECONDS: Final = 2.0  # for what is done beside requests to come to its end
_RETENTION_SECONDS: Final = (60.0, 86_400.0)  # after the start, and again


class RunningShop:
    """A ``Shop`` that is being served. Start it on the way up, ``drain`` it on the way down."""

    def __init__(self, shop: Shop, *, seed: int | None = None) -> None:
        """``seed`` makes exploration repeatable, for tests."""
        self.shop = shop
        self.parts = shop.parts
        settings = shop.parts.settings
        self.name = settings.shop.name
        self.currency = settings.shop.base_currency
        self.keys = Keyring(settings.server.keys_file)
        self.tokens = shopper_tokens(settings)
        self._rng = np.random.default_rng(seed)
        self._stop = threading.Event()
        self._keepers: list[threading.Thread] = []

    def start(self) -> None:
        """Follow what other processes write, and which snapshot is active, until ``drain``."""
        self.parts.come_alive(clock_ms())
        if not self._keepers:
            self._keepers = [
                threading.Thread(target=self._keep_house, name="habitue-house", daemon=True),
                threading.Thread(target=self._retain_daily, name="habitue-retention", daemon=True),
                threading.Thread(target=self._extend, name="habitue-tail", daemon=True),
            ]
            for keeper in self._keepers:
                keeper.start()

    async def drain(self) -> None:
        """Finish what is queued; nothing is taken any more."""
        self._stop.set()
        for keeper in self._keepers:
            await asyncio.to_thread(keeper.join, _LEAVE_SECONDS)
        await asyncio.to_thread(self.parts.committer.close)
        self._stamp()

    # ------------------------------------------------------------------ facts and slates

    async def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store facts; on return they are durable and live state knows them."""
        names = self.parts.pseudonyms
        told = facts if names is None else names.over(facts)
        return await self.parts.committer.append(told, received_at_ms=received_at_ms)

    def undescribed(self, items: Sequence[str]) -> set[str]:
        """Those of the items of which no version is known."""
        listed = self.parts.live.items
        return {item for item in items if not listed.described(item)}

    def recommend(self, request: SurfaceRequest, *, now_ms: int) -> SlateAnswer:
        """Make and log one slate."""
        names = self.parts.pseudonyms
        if names is not None and request.shopper is not None:
            request = msgspec.structs.replace(request, shopper=names.of(request.shopper))
        return self.parts.surfaces.recommend(request, now_ms, self._rng)

    def items(self, ids: Sequence[str], *, now_ms: int) -> list[Item | None]:
        """The version in force of each item; ``None`` for one nobody knows, or that is deleted."""
        bodies = self.parts.store.items_in_force(ids, now_ms)
        return [None if body is None else _ITEM.decode(body) for body in bodies]

    def send(self, campaign: Campaign) -> Sent:
        """Send a campaign, or what is left of it; raises as ``Shop.send`` does."""
        return self.shop.send(campaign)

    def unsubscribe(self, token: str) -> None:
        """End messages for whoever the token was made for; raises ``Unauthorised`` for no token."""
        unsubscribe(self.parts, token)

    # ------------------------------------------------------------------ people

    def export(self, shopper: str) -> bytes:
        """All that is held of a shopper, as a JSON document; raises ``NotFound`` for a stranger."""
        held = self.shop.export(shopper)
        row = cast("int", held["name"][0]["shopper_row"])  # consent is the same under every id
        consent = self.parts.slating.consent
        return access_document(held, consent, shopper_row=row, now_ms=clock_ms())

    def portrait(self, shopper: str, *, now_ms: int) -> Portrait:
        """Who a shopper is; raises ``NotFound`` for a stranger."""
        return self.shop.portrait(shopper, now_ms=now_ms)

    def outlook(self, shopper: str, *, now_ms: int) -> Outlook:
        """When a customer is expected back; raises ``NotFound`` for a stranger."""
        return self.shop.outlook(shopper, now_ms=now_ms)

    def embedding(self, shopper: str, *, source: str | None, now_ms: int) -> Embedding:
        """A shopper as a vector; raises as ``Shop.embedding`` does."""
        return self.shop.embedding(shopper, source=source, now_ms=now_ms)

    def ratings(
        self, shopper: str, items: Sequence[str], *, level: float, now_ms: int
    ) -> ForetoldRatings:
        """What a shopper would give the items; raises as ``Shop.ratings`` does."""
        return self.shop.ratings(shopper, items, level=level, now_ms=now_ms)

    def forget(self, shopper: str) -> Erased:
        """Erase a shopper everywhere; raises ``NotFound`` for a stranger."""
        return self.shop.forget(shopper)

    # ------------------------------------------------------------------ snapshots

    def snapshots(self) -> list[SnapshotInfo]:
        """The snapshots, newest first."""
        return self.shop.snapshots()

    def activate(self, name: str) -> SnapshotInfo:
        """Answer from this snapshot from now on; raises ``NotFound``, ``SnapshotRefused``."""
        return self.shop.activate(name)

    def roll_back(self) -> SnapshotInfo:
        """Answer from the snapshot before the active one; raises ``NotFound``."""
        return self.shop.roll_back()

    # ------------------------------------------------------------------ health

    def ready(self) -> Mapping[str, str]:
        """What each part says of itself; empty text where all is well."""
        return {
            "store": _said(self.parts.store.stored),
            "live_state": "" if self.parts.live_state.healthy() else "does not answer",
            "catalogue": "" if self.parts.live.n_items else "no item has been told of yet",
        }

    def n_robots(self) -> int:
        """How many shoppers act as no person does, so that nothing they do counts for others."""
        return self.parts.live.n_robots

    def _keep_house(self) -> None:
        """Between requests: tail the store, refresh what is popular, follow the active snapshot."""
        looked = stamped = 0.0
        while not self._stop.wait(_CATCH_UP_SECONDS):
            looked += _CATCH_UP_SECONDS
            stamped += _CATCH_UP_SECONDS
            if stamped >= _STAMP_SECONDS:
                stamped = 0.0
                self._stamp()
            try:
                self.shop.catch_up()
                if looked >= _SNAPSHOT_SECONDS:
                    looked = 0.0
                    self.shop.follow_snapshot()
            except (HabitueError, OSError) as problem:
                self.parts.problems.note(problem)

    def _extend(self) -> None:
        """As soon as items are posted let the sources know: a snapshot's loading delays nothing."""
        arrived = self.parts.live.items.arrived
        while not self._stop.is_set():
            if arrived.wait(_CATCH_UP_SECONDS):
                arrived.clear()
                self.shop.extend()

    def _stamp(self) -> None:
        """Write down when keys were last used."""
        try:
            self.keys.stamp()
        except (HabitueError, OSError) as problem:
            self.parts.problems.note(problem)

    def _retain_daily(self) -> None:
        """Delete what is older than the settings keep it, beside everything else."""
        first, again = _RETENTION_SECONDS
        wait = first
        while not self._stop.wait(wait):
            wait = again
            try:
                self.shop.retain()
            except (HabitueError, OSError) as problem:
                self.parts.problems.note(problem)


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except (StoreError, NotFound) as problem:
        return problem.message
    return ""
