"""A shop behind HTTP: in process, and behind a real server on a free port."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from habitue.api import create_app
from habitue.api.serve import listen, options
from habitue.app import RunningShop, Shop, build
from habitue.facts import Item
from habitue.settings import Settings

NOW_MS = 1_750_000_000_000


@dataclass
class Served:
    """A running shop and the ways to reach it."""

    running: RunningShop
    app: Any
    settings: Settings
    log: io.BytesIO = field(default_factory=io.BytesIO)

    @property
    def shop(self) -> Shop:
        return self.running.shop

    def key(self, scope: Any) -> str:
        """A fresh key of this scope."""
        return self.running.keys.add(f"{scope} key", scope, now_ms=NOW_MS)

    def token(self, shopper: str, *, seconds: int = 60) -> str:
        """A token the shop's server signs for its shopper."""
        return self.running.tokens.sign(
            shopper, expires_ms=int(time.time() * 1000) + seconds * 1000
        )


def settings_in(folder: Path, overrides: Mapping[str, object] | None = None) -> Settings:
    """Settings of a shop that lies in ``folder``."""
    return Settings.load(
        None,
        {
            "store.address": f"sqlite:///{folder}/shop.db",
            "snapshots.path": str(folder / "snapshots"),
            "server.keys_file": str(folder / "keys.json"),
            "server.cors_origins": ["https://www.shop.example"],
            "surfaces.home.rules.epsilon": 0.0,
            **(overrides or {}),
        },
    )


@contextmanager
def opened(settings: Settings) -> Iterator[Served]:
    """The shop of these settings, with a small catalogue."""
    running = RunningShop(Shop(build(settings)), seed=7)
    log = io.BytesIO()
    try:
        running.shop.ingest(
            [
                Item(id=f"item-{n}", title=f"Thing {n}", price_micros=n * 1_000_000, currency="EUR")
                for n in range(1, 21)
            ]
        )
        running.start()
        yield Served(running, create_app(running, settings, log=log), settings, log)
    finally:
        running.shop.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A shop on SQLite with live state in memory."""
    with opened(settings_in(tmp_path)) as one:
        yield one


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """A client of ``served``, in process."""
    with TestClient(served.app, base_url="http://127.0.0.1") as one:
        yield one


@contextmanager
def listening(app: Any, settings: Settings) -> Iterator[str]:
    """A real uvicorn on a free port; gives its address."""
    with listen("127.0.0.1", 0) as taken:
        server = uvicorn.Server(uvicorn.Config(app, **options(settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(
    params=[
        "sqlite, memory",
        "sqlite, redis",
        pytest.param("postgresql, memory"),
        pytest.param("postgresql, redis"),
    ]
)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A shop on every pair of store and live state."""
    store, live = request.param.split(", ")
    overrides: dict[str, object] = {}
    if store == "postgresql":
        overrides["store.address"] = request.getfixturevalue("fresh_postgres_dsn")
    if live == "redis":
        overrides["live.address"] = request.getfixturevalue("redis_url")
    with opened(settings_in(tmp_path, overrides)) as one:
        yield one
