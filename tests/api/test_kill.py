"""The server is killed under load; nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.http_server import Server
from benchmarks.kill_http import Killing, verdict_of


@pytest.mark.slow
@pytest.mark.parametrize(("where", "kills"), [("sqlite", 10), ("postgresql", 3)])
def test_what_was_acknowledged_survives_sigkill(
    request: pytest.FixtureRequest, tmp_path: Path, where: str, kills: int
) -> None:
    address = f"sqlite:///{tmp_path}/shop.db"
    if where == "postgresql":
        address = request.getfixturevalue("fresh_postgres_dsn")
    killing = Killing(Server(tmp_path, {"store.address": address}))
    rng = random.Random(5)
    for _ in range(kills):
        killing.live(rng.randrange(1, 40))
    assert killing.sent, "no request was in flight at the last kill"
    killing.finish()
    verdict = verdict_of(killing, address)
    assert verdict.acknowledged >= 20 * kills
    assert (verdict.lost, verdict.doubled, verdict.broken_orders) == (0, 0, 0)
