"""Several shops behind one address: the key chooses, and nothing of one reaches another."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from habitue.app import RunningShop, create_key, open_shop, settings_for, shops_of
from habitue.app.turn import turn
from habitue.cli import app as command_line
from habitue.cli.serving import _named, _settings_of, _several
from habitue.errors import BadSetting
from habitue.facts import Action, Item
from habitue.settings import Settings
from tests.api.conftest import listening

ANYBODY = "anon-4f9d0c2b7a61e358"


@dataclass
class Mall:
    """Two shops that are being served: what each calls itself, and its keys by scope."""

    client: httpx.Client
    running: dict[str, RunningShop]
    key: dict[str, dict[str, str]]
    log: io.BytesIO

    def ask(self, shop: str, scope: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"x-api-key": self.key[shop][scope], **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)


@pytest.fixture
def mall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mall]:
    log = io.BytesIO()
    monkeypatch.setattr("habitue.cli.serving.sys", SimpleNamespace(stdout=Written(log)))
    handed = {
        "store": None,
        "settings": None,
        "server.port": 0,
        "server.keys_file": str(tmp_path / "keys.json"),
        "snapshots.path": str(tmp_path / "snapshots"),
        "shops": {
            "tea": {"store": str(tmp_path / "tea.db"), "shop": {"base_currency": "GBP"}},
            "books": {
                "store": str(tmp_path / "books.db"),
                "server": {"cors_origins": ["https://books.example"]},
            },
        },
    }
    settings, several = _settings_of(handed)
    keys: dict[str, dict[str, str]] = {}
    for name, one in several.items():
        with open_shop(overrides=_places(one)) as shop:
            shop.ingest([Item(id=f"{name}-{n}", title=f"{name} {n}") for n in range(6)])
            shop.ingest([Action(kind="purchase", shopper="s-1", item=f"{name}-1")])
        ring = {}
        for scope in ("browser", "server", "admin"):
            ring[scope] = create_key(scope, scope, one.store.address.removeprefix("sqlite:///"))
        keys[name] = ring
    with ExitStack() as opened:
        app = _several(opened, settings, several)
        with listening(app, settings) as url, httpx.Client(base_url=url) as client:
            running: dict[str, Any] = {name: door.shop for name, door in app._doors.items()}
            yield Mall(client, running, keys, log)


@dataclass
class Written:
    """Standard output, as the access log sees it."""

    buffer: io.BytesIO


def _places(settings: Settings) -> dict[str, object]:
    return {
        "store.address": settings.store.address,
        "snapshots.path": settings.snapshots.path,
        "server.keys_file": settings.server.keys_file,
    }


def view(item: str) -> dict[str, Any]:
    return {"actions": [{"kind": "view_item", "shopper": ANYBODY, "item": item}]}


def test_the_key_chooses_the_shop(mall: Mall) -> None:
    for name in ("tea", "books"):
        slate = mall.ask(name, "browser", "POST", "/v1/recommend", json={"surface": "home"}).json()
        assert slate["items"]
        assert {one["item"].partition("-")[0] for one in slate["items"]} == {name}


def test_what_one_is_told_another_does_not_know(mall: Mall) -> None:
    told = mall.ask("tea", "server", "POST", "/v1/items", json={"items": [{"id": "tea-9"}]})
    assert told.status_code == 200
    assert mall.ask("tea", "browser", "POST", "/v1/events", json=view("tea-9")).status_code == 200
    counts = {name: one.shop.stored().facts for name, one in mall.running.items()}
    assert counts["tea"]["action"] - counts["books"]["action"] == 1
    assert counts["tea"]["item"] - counts["books"]["item"] == 1
    known = mall.ask("tea", "server", "GET", f"/v1/shoppers/{ANYBODY}")
    strange = mall.ask("books", "server", "GET", f"/v1/shoppers/{ANYBODY}")
    assert (known.status_code, strange.status_code) == (200, 404)


def test_a_key_of_one_opens_nothing_of_another(mall: Mall) -> None:
    token = mall.running["tea"].tokens.sign("s-1", expires_ms=int(time.time() * 1000) + 60_000)
    body = {"surface": "home", "shopper": "s-1"}
    with_token = {"x-shopper-token": token}
    answers = [
        mall.ask(name, "browser", "POST", "/v1/recommend", json=body, headers=with_token)
        for name in ("tea", "books")
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    mall.running["tea"].keys.revoke("admin", now_ms=1)
    assert mall.ask("tea", "admin", "GET", "/v1/snapshots").status_code == 401
    assert mall.ask("books", "admin", "GET", "/v1/snapshots").status_code == 200


def test_a_cursor_of_one_is_nonsense_to_another(mall: Mall) -> None:
    first = mall.ask("tea", "browser", "POST", "/v1/recommend", json={"surface": "home", "n": 2})
    body = {"surface": "home", "n": 2, "page": first.json()["next_page"]}
    assert mall.ask("tea", "browser", "POST", "/v1/recommend", json=body).status_code == 200
    assert mall.ask("books", "browser", "POST", "/v1/recommend", json=body).status_code == 422


def test_without_a_key_only_what_is_the_same_for_all(mall: Mall) -> None:
    assert mall.client.get("/health").json()["status"] == "ok"
    ready = mall.client.get("/ready").json()
    assert ready["ready"]
    assert {"tea.store", "books.store", "tea.catalogue"} <= set(ready["checks"])
    for path in ("/docs", "/openapi.json", "/habitue.js", "/habitue.d.ts"):
        assert mall.client.get(path).status_code == 200, path
    for method, path in (
        ("POST", "/v1/recommend"), ("POST", "/v1/events"), ("GET", "/metrics"),
        ("GET", "/v1/snapshots"), ("GET", "/nowhere"),
    ):  # fmt: skip
        answer = mall.client.request(method, path, content=b"{}" if method == "POST" else None)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_key_waits_like_anywhere(mall: Mall) -> None:
    wrong = {"x-api-key": "hb_server_" + "x" * 43}
    statuses = [mall.client.get("/metrics", headers=wrong).status_code for _ in range(40)]
    assert set(statuses) == {401, 429}


@pytest.mark.parametrize("where", ["bearer", "basic", "address", "body", "packed body"])
def test_a_key_is_found_wherever_a_sender_puts_it(mall: Mall, where: str) -> None:
    key = mall.key["books"]["browser"]
    body = json.dumps(view("books-1"))
    packed = gzip.compress(json.dumps({"api_key": key, "batch": []}).encode())
    answer = {
        "bearer": lambda: mall.client.post(
            "/v1/events", content=body, headers={"authorization": f"Bearer {key}"}
        ),
        "basic": lambda: mall.client.get("/", auth=("me", mall.key["books"]["admin"])),
        "address": lambda: mall.client.post(f"/v1/events?key={key}", content=body),
        "body": lambda: mall.client.post("/nowhere", content=json.dumps({"api_key": key})),
        "packed body": lambda: mall.client.post(
            "/nowhere", content=packed, headers={"content-encoding": "gzip"}
        ),
    }[where]()
    # A path that nobody knows is a 404 of the shop that was chosen, a 401 where none was.
    assert answer.status_code == (404 if "body" in where else 200)


def test_the_pages_ask_for_an_admin_key_and_show_that_shop(mall: Mall) -> None:
    asked = mall.client.get("/")
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert "tea 1" in mall.client.get("/", auth=("", mall.key["tea"]["admin"])).text


def test_each_shop_has_its_own_sites(mall: Mall) -> None:
    def allowed(origin: str) -> bool:
        asked = {"origin": origin, "access-control-request-method": "POST"}
        return mall.client.options("/v1/events", headers=asked).status_code == 204

    assert allowed("https://books.example")
    assert not allowed("https://elsewhere.example")
    site = {"origin": "https://books.example"}
    for name, status in (("books", 200), ("tea", 403)):
        told = mall.ask(name, "browser", "POST", "/v1/events", json=view("x"), headers=site)
        assert told.status_code == status


def test_measurements_and_log_lines_name_the_shop(mall: Mall) -> None:
    mall.ask("tea", "browser", "POST", "/v1/events", json=view("tea-1"))
    measured = mall.ask("tea", "server", "GET", "/metrics").text
    assert 'habitue_facts_total{kind="action",outcome="new",shop="tea"} 1.0' in measured
    assert 'shop="books"' not in measured
    other = mall.ask("books", "server", "GET", "/metrics").text
    assert "habitue_facts_total{" not in other
    lines = [json.loads(line) for line in mall.log.getvalue().splitlines()]
    assert [line["shop"] for line in lines if line["route"] == "/v1/events"] == ["tea"]


def toml(folder: Path, more: str = "") -> Path:
    file = folder / "habitue.toml"
    file.write_text(
        f'[server]\nkeys_file = "{folder}/keys.json"\n'
        f'[snapshots]\npath = "{folder}/snapshots"\n[live]\nrecent_actions = 50\n'
        f'[shops.a]\nstore = "{folder}/a.db"\n[shops.b.shop]\nname = "Bee"\n' + more
    )
    return file


def test_a_settings_file_names_shops_and_what_is_their_own(tmp_path: Path) -> None:
    shops = shops_of(Settings.load(toml(tmp_path, "[shops.b.live]\nrecent_actions = 20\n")))
    a, b = shops["a"], shops["b"]
    assert (a.shop.name, b.shop.name) == ("a", "Bee")
    assert (a.live.recent_actions, b.live.recent_actions) == (50, 20)
    assert a.store.address == f"sqlite:///{tmp_path}/a.db"
    assert b.store.address == f"sqlite:///{tmp_path}/b.db"
    assert b.server.keys_file == tmp_path / "b.keys.json"
    assert a.snapshots.training_lock == b.snapshots.training_lock is not None


def test_commands_name_the_shop_they_mean(tmp_path: Path) -> None:
    settings = toml(tmp_path)
    with open_shop("a", settings=settings) as shop:
        shop.ingest([Item(id="x")])
    assert (tmp_path / "a.db").exists()
    with pytest.raises(BadSetting, match="--store a"):
        settings_for(None, settings)
    done = CliRunner().invoke(
        command_line, ["keys", "create", "till", "--store", "b", "--settings", str(settings)]
    )
    assert done.output.startswith("hb_server_")
    assert (tmp_path / "b.keys.json").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[shops.b.server]\nport = 9\n", "shops.b.server.port"),
        ("[shops.b.store]\naddress = 'sqlite:///{folder}/a.db'\n", "same store.address"),
        ("[shops.b.snapshots]\npath = '{folder}/a.snapshots'\n", "same snapshots.path"),
        ("[shops.b.server]\nkeys_file = '{folder}/a.keys.json'\n", "same server.keys_file"),
        ("[shops.b.shop]\n[shops.b.live]\nrecent_acts = 3\n", "live.recent_actions"),
        ("[shops.'no good']\nstore = 'x.db'\n", "no good"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(tmp_path: Path, more: str, told: str) -> None:
    text = more.replace("{folder}", str(tmp_path)).replace("[shops.b.shop]\n", "")
    with pytest.raises(BadSetting) as caught:
        shops_of(Settings.load(toml(tmp_path, text)))
    assert told in str(caught.value)


def test_a_shop_without_a_key_or_with_a_copied_store_is_not_served(tmp_path: Path) -> None:
    handed: dict[str, object] = {"store": None, "settings": str(toml(tmp_path))}
    settings, several = _settings_of(handed)
    with ExitStack() as opened, pytest.raises(BadSetting, match="keys create"):
        _several(opened, settings, several)
    (tmp_path / "b.db").write_bytes((tmp_path / "a.db").read_bytes())
    for name in ("a", "b"):
        create_key("k", "server", name, settings=tmp_path / "habitue.toml")
    with ExitStack() as opened, pytest.raises(BadSetting, match="copies of one another"):
        _several(opened, settings, several)


def test_shops_on_the_command_line_are_names_and_stores() -> None:
    assert _named(["a=a.db", "b=postgresql://db/b"]) == {
        "a": {"store": "a.db"},
        "b": {"store": "postgresql://db/b"},
    }
    for wrong in (["a"], ["=a.db"], ["a="], ["a=x", "a=y"]):
        with pytest.raises(BadSetting, match="NAME=STORE"):
            _named(wrong)


def test_trainings_of_one_server_run_one_after_another(tmp_path: Path) -> None:
    lock, told, order = tmp_path / "lock", [], []
    inside = threading.Event()

    def second() -> None:
        with turn(lock, lambda step, done, total: told.append(step)):
            order.append("second")

    with turn(lock, lambda *_: None):
        other = threading.Thread(target=second)
        other.start()
        inside.wait(0.3)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
    assert told == ["waiting for another training"]
    with turn(None, lambda *_: None):
        order.append("at once")
