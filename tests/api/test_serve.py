"""The server: where it listens, how many processes, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.http_server import Server
from habitue.api import check_bind
from habitue.api.serve import calm_collector, check_workers, listen
from habitue.errors import BadSetting, Unavailable
from habitue.privacy import Keyring
from habitue.settings import Settings
from tests.api.conftest import NOW_MS, Served, listening


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_without_a_key_loopback_may_be_bound(tmp_path: Path, host: str) -> None:
    check_bind(host, Keyring(tmp_path / "keys.json"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "shop.example", ""])
def test_without_a_key_nothing_else_may_be_bound(tmp_path: Path, host: str) -> None:
    keys = Keyring(tmp_path / "keys.json")
    with pytest.raises(BadSetting, match="habitue keys create"):
        check_bind(host, keys)
    keys.add("first", "server", now_ms=NOW_MS)
    check_bind(host, keys)


def test_several_workers_need_live_state_they_share() -> None:
    with pytest.raises(BadSetting, match="Redis"):
        check_workers(Settings.load(overrides={"server.workers": 2}))
    check_workers(Settings.load(overrides={"server.workers": 1}))
    check_workers(
        Settings.load(overrides={"server.workers": 2, "live.address": "redis://127.0.0.1/0"})
    )


def test_a_busy_port_is_said_in_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSetting) as caught:
            listen("127.0.0.1", port)
    assert str(caught.value) == (
        f"The server cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Stop what listens there, or choose another server.port."
    )


def test_a_real_server_answers(served: Served) -> None:
    with listening(served.app, served.settings) as url, httpx.Client(base_url=url) as client:
        assert client.get("/health").json()["status"] == "ok"
        told = client.post(
            "/v1/events",
            json={"actions": [{"kind": "view_item", "shopper": "s-1", "item": "item-1"}]},
        )
        assert told.status_code == 200
        slate = client.post("/v1/recommend", json={"surface": "home", "shopper": "s-1"})
        assert slate.json()["seen_seq"] >= told.json()["last_seq"]
        assert "server" not in slate.headers
        text = client.get("/metrics").text
    assert 'habitue_facts_total{kind="action",outcome="new"} 1.0' in text
    assert 'habitue_request_seconds_count{route="/v1/recommend",status="200"} 1.0' in text


def test_requests_in_flight_are_answered_and_the_queue_is_drained(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = served.shop.parts.store
    original, begun = store.append_many, threading.Event()  # type: ignore[attr-defined]

    def slow(batches: object) -> object:
        begun.set()
        time.sleep(0.5)
        return original(batches)

    monkeypatch.setattr(store, "append_many", slow)
    answers: list[int] = []

    def send(url: str) -> None:
        action = {"kind": "view_item", "shopper": "s-1", "item": "item-1"}
        answers.append(
            httpx.post(f"{url}/v1/events", json={"actions": [action]}, timeout=20).status_code
        )

    with listening(served.app, served.settings) as url:
        thread = threading.Thread(target=send, args=(url,))
        thread.start()
        assert begun.wait(10)
    thread.join()
    assert answers == [200]
    assert served.actions == 1
    with pytest.raises(Unavailable):
        asyncio.run(served.running.append((), received_at_ms=NOW_MS))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_cleanly(tmp_path: Path, sent: signal.Signals) -> None:
    server = Server(tmp_path)
    server.start()
    assert httpx.get(f"http://127.0.0.1:{server.port}/health").status_code == 200
    assert server.end(sent) == 0


def test_who_serves_never_looks_again_at_what_was_there_before() -> None:
    threshold = gc.get_threshold()
    try:
        calm_collector()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > threshold[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
