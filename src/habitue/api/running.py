"""How the shop runs: snapshots, health, readiness, measurements."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.meters import Meters
from habitue.api.wire import HealthAnswer, ReadyAnswer, SnapshotAnswer, SnapshotsAnswer

if TYPE_CHECKING:
    from habitue.app.snapshots import SnapshotInfo

__all__ = ["RunningDoor"]

_encode = msgspec.json.Encoder().encode
_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class RunningDoor:
    """Answers what an operator asks."""

    shop: Shop
    meters: Meters
    version: str

    async def snapshots(self, ask: Ask) -> Reply:
        """The snapshots, newest first."""
        del ask
        listed = await asyncio.to_thread(self.shop.snapshots)
        return Reply(200, _encode(SnapshotsAnswer([_told(info) for info in listed])))

    async def activate(self, ask: Ask) -> Reply:
        """Answer from this snapshot from now on."""
        name = ask.scope["path_params"]["name"]
        return Reply(200, _encode(_told(await asyncio.to_thread(self.shop.activate, name))))

    async def roll_back(self, ask: Ask) -> Reply:
        """Answer from the snapshot before the active one."""
        del ask
        return Reply(200, _encode(_told(await asyncio.to_thread(self.shop.roll_back))))

    async def health(self, ask: Ask) -> Reply:
        """The process answers."""
        del ask
        return Reply(200, _encode(HealthAnswer("ok", self.version)))

    async def ready(self, ask: Ask) -> Reply:
        """Whether slates can be answered, and by what; 503 where not."""
        del ask
        checks = dict(await asyncio.to_thread(self.shop.ready))
        ready = not any(checks.values())
        return Reply(200 if ready else 503, _encode(ReadyAnswer(ready, checks)))

    async def metrics(self, ask: Ask) -> Reply:
        """Measurements for Prometheus."""
        del ask
        self.meters.robots.set(self.shop.n_robots())
        return Reply(200, self.meters.text(), _PROMETHEUS)


def _told(info: SnapshotInfo) -> SnapshotAnswer:
    return SnapshotAnswer(
        info.name, info.active, info.watermark, info.made_at_ms, dict(info.metrics)
    )
