"""A shop that is served forgets what it no longer keeps, without being told to."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from habitue.app import RunningShop, open_shop, running
from habitue.app.clock import clock_ms
from habitue.facts import MS_PER_DAY, Action


@pytest.mark.parametrize(("days", "left"), [(None, 2), (30, 1)])
def test_a_running_shop_deletes_what_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int | None, left: int
) -> None:
    monkeypatch.setattr(running, "_RETENTION_SECONDS", (0.0, 0.05))
    with open_shop(tmp_path / "shop.db", overrides={"privacy.action_days": days}) as shop:
        for age in (10, 40):
            at = clock_ms() - age * MS_PER_DAY
            shop.ingest([Action(kind="view_item", shopper="ana", item="cup", at=at)])
        served = RunningShop(shop)
        served.start()
        until = time.monotonic() + 10
        while shop.stored().facts["action"] != left and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        assert shop.stored().facts["action"] == left
        assert list(shop.parts.problems) == []
        asyncio.run(served.drain())
