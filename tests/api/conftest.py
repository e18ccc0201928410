"""A shop behind HTTP: in process, and behind a real server on a free port."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import uvicorn

from habitue.api import create_app
from habitue.api.serve import listen, options
from habitue.app import RunningShop, Shop, build
from habitue.facts import Action, Item
from habitue.settings import Settings

NOW_MS = 1_750_000_000_000


@dataclass
class Served:
    """A running shop and the ways to reach it."""

    running: RunningShop
    app: Any
    settings: Settings
    log: io.BytesIO = field(default_factory=io.BytesIO)
    before: int = 0

    @property
    def shop(self) -> Shop:
        return self.running.shop

    @property
    def actions(self) -> int:
        """How many actions a test has stored."""
        return self.shop.stored().facts["action"] - self.before

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
            "messages.quiet_from": 0,  # tests run at any hour of the day
            "messages.quiet_until": 0,
            **(overrides or {}),
        },
    )


@contextmanager
def opened(settings: Settings) -> Iterator[Served]:
    """The shop of these settings, with a small catalogue of which some is bought more often."""
    running = RunningShop(Shop(build(settings)), seed=7)
    log = io.BytesIO()
    try:
        running.shop.ingest(
            [
                Item(id=f"item-{n}", title=f"Thing {n}", price_micros=n * 1_000_000, currency="EUR")
                for n in range(1, 21)
            ]
        )
        running.shop.ingest(
            [
                Action(kind="purchase", shopper=f"regular-{who}", item=f"item-{n}")
                for n in range(1, 21)
                for who in range(n)
            ]
        )
        running.shop.catch_up()
        running.start()
        before = running.shop.stored().facts["action"]
        yield Served(running, create_app(running, settings, log=log), settings, log, before)
    finally:
        with ThreadPoolExecutor(1) as beside:  # a browser's driver has a loop in this thread
            beside.submit(asyncio.run, running.drain()).result()
        running.shop.close()


class Client:
    """Asks the application in this process, without a socket between."""

    def __init__(self, app: Any) -> None:
        self._loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request."""
        return self._loop.run_until_complete(self._client.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A shop on SQLite with live state in memory."""
    with opened(settings_in(tmp_path)) as one:
        yield one


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    """A client of ``served``, in process."""
    with Client(served.app) as one:
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
