"""SIGTERM under load: within ten seconds, and everything that was answered is stored."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from habitue.app import open_shop
from habitue.facts import Item
from habitue.facts.ids import uuid7s
from habitue.settings import Settings

MOST_SECONDS = 10.0
CLIENTS = 6


@dataclass
class Client:
    """Tells of views and asks for slates, until the server is gone."""

    url: str
    acknowledged: list[str] = field(default_factory=list)
    slates: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while True:
                try:
                    self.tell(client)
                    self.ask(client)
                except httpx.TransportError as error:
                    # Not begun: refused, or a connection kept alive that the server has closed.
                    if isinstance(error, httpx.ReadTimeout):
                        self.odd.append(repr(error))
                    return

    def tell(self, client: httpx.Client) -> None:
        ids = uuid7s(int(time.time() * 1000), 20)
        rows = [
            {"id": one, "kind": "view_item", "shopper": f"s-{n}", "item": f"item-{n % 8}"}
            for n, one in enumerate(ids)
        ]
        answer = client.post("/v1/events", json={"actions": rows})
        if answer.status_code == 200:
            self.acknowledged += ids
        elif answer.status_code != 503:
            self.odd.append(answer.text)

    def ask(self, client: httpx.Client) -> None:
        answer = client.post("/v1/recommend", json={"surface": "home", "shopper": "s-1", "n": 4})
        if answer.status_code == 200:
            self.slates.append(answer.json()["slate_id"])
        else:
            self.odd.append(answer.text)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_nothing_that_was_answered(
    tmp_path: Path, workers: int, request: pytest.FixtureRequest
) -> None:
    live = "memory" if workers == 1 else request.getfixturevalue("redis_url")
    settings = tmp_path / "habitue.toml"
    settings.write_text(
        f'[store]\naddress = "sqlite:///{tmp_path}/shop.db"\n[live]\naddress = "{live}"\n'
        f'[snapshots]\npath = "{tmp_path}/snapshots"\n'
        f'[server]\nkeys_file = "{tmp_path}/keys.json"\nworkers = {workers}\n'
    )
    with open_shop(settings=settings) as shop:
        shop.ingest([Item(id=f"item-{n}", title=f"Thing {n}") for n in range(8)])
    port = _free_port()
    with httpx.Client() as probe:
        command = [sys.executable, "-m", "habitue", "serve", "--settings", str(settings)]
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _until_it_answers(probe, url, server)
            clients = [Client(url) for _ in range(CLIENTS)]
            threads = [threading.Thread(target=client.run) for client in clients]
            for thread in threads:
                thread.start()
            time.sleep(2.0)
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            _, told = server.communicate(timeout=60)
            took = time.monotonic() - began
            for thread in threads:
                thread.join(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    assert took < MOST_SECONDS
    assert server.returncode == 0
    assert b"Traceback" not in told
    assert [client.odd for client in clients] == [[]] * CLIENTS
    _check_stored(settings, clients)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _until_it_answers(
    probe: httpx.Client, url: str, server: subprocess.Popen[bytes], seconds: float = 120
) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.poll() is None, server.communicate()
        try:
            if probe.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("no answer")


def _check_stored(settings: Path, clients: list[Client]) -> None:
    with open_shop(settings=settings) as shop:
        actions = {i for t in shop.parts.store.scan("action") for i in t["id"].to_pylist()}
        shown = {i for t in shop.parts.store.scan("shown") for i in t["id"].to_pylist()}
    acknowledged = {one for client in clients for one in client.acknowledged}
    slates = {one for client in clients for one in client.slates}
    assert len(acknowledged) > 200
    assert len(slates) > 20
    assert acknowledged - actions == set()
    assert slates - shown == set()


def test_the_default_leaves_time_before_a_container_is_killed() -> None:
    assert Settings().server.drain_seconds + 3 < MOST_SECONDS
