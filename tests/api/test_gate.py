"""Who may do what: keys, scopes, shopper tokens, origins, rates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.conftest import Client, Served, opened, settings_in

ANONYMOUS = "anon-4f9d0c2b7a61e358"
SITE = "https://www.shop.example"


def view(shopper: str) -> dict[str, object]:
    return {"actions": [{"kind": "view_item", "shopper": shopper, "item": "item-1"}]}


CALLS: dict[str, tuple[str, str, object]] = {
    "events": ("POST", "/v1/events", view(ANONYMOUS)),
    "consents": ("POST", "/v1/consents", {"consents": [{"shopper": ANONYMOUS}]}),
    "recommend": ("POST", "/v1/recommend", {"surface": "home", "shopper": ANONYMOUS}),
    "items": ("POST", "/v1/items", {"items": [{"id": "x"}]}),
    "shoppers": ("POST", "/v1/shoppers", {"shoppers": [{"id": "x"}]}),
    "links": ("POST", "/v1/links", {"links": [{"kind": "friend", "head": "x", "tail": "y"}]}),
    "aliases": ("POST", "/v1/aliases", {"aliases": [{"shopper": "x", "alias": "y"}]}),
    "export": ("GET", "/v1/shoppers/nobody", None),
    "erase": ("DELETE", "/v1/shoppers/nobody", None),
    "metrics": ("GET", "/metrics", None),
    "snapshots": ("GET", "/v1/snapshots", None),
    "activate": ("POST", "/v1/snapshots/none/activate", None),
    "roll back": ("POST", "/v1/snapshots/rollback", None),
}
BROWSER = {"events", "consents", "recommend"}
ADMIN = {"snapshots", "activate", "roll back"}


def call(client: Client, name: str, headers: dict[str, str]) -> int:
    method, path, body = CALLS[name]
    return client.request(method, path, json=body, headers=headers).status_code


@pytest.mark.parametrize("scope", ["browser", "server", "admin"])
def test_a_key_may_do_what_its_scope_says(served: Served, client: Client, scope: str) -> None:
    headers = {"X-API-Key": served.key(scope)}
    allowed = {
        "browser": BROWSER,
        "server": set(CALLS) - ADMIN,
        "admin": set(CALLS),
    }[scope]
    for name in CALLS:
        status = call(client, name, headers)
        assert (status != 403) == (name in allowed), (name, status)
        assert status < 500


def test_without_a_key_nothing_but_health_is_answered(served: Served, client: Client) -> None:
    served.key("admin")
    for name in CALLS:
        assert call(client, name, {}) == 401, name
        assert call(client, name, {"X-API-Key": "hb_admin_wrong"}) == 401, name
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 200


def test_both_headers_carry_a_key(served: Served, client: Client) -> None:
    key = served.key("admin")
    assert call(client, "snapshots", {"Authorization": f"Bearer {key}"}) == 200
    assert call(client, "snapshots", {"Authorization": f"bearer {key}"}) == 200
    assert call(client, "snapshots", {"X-API-Key": key}) == 200
    assert call(client, "snapshots", {"Authorization": f"Basic {key}"}) == 401


def test_a_revoked_key_is_wrong_at_once(served: Served, client: Client) -> None:
    admin = served.key("admin")
    key = served.key("server")
    assert call(client, "items", {"X-API-Key": key}) == 200
    served.running.keys.revoke("server key", now_ms=1)
    assert call(client, "items", {"X-API-Key": key}) == 401
    assert call(client, "items", {"X-API-Key": admin}) == 200


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommend", "/v1/consents"])
def test_a_browser_speaks_only_for_the_shopper_of_its_token(
    served: Served, client: Client, path: str
) -> None:
    key = {"X-API-Key": served.key("browser")}

    def status(shopper: str, token: str | None) -> int:
        body = {
            "/v1/events": view(shopper),
            "/v1/recommend": {"surface": "home", "shopper": shopper},
            "/v1/consents": {"consents": [{"shopper": shopper, "granted": ["analytics"]}]},
        }[path]
        headers = key | ({"X-Shopper-Token": token} if token else {})
        return client.post(path, json=body, headers=headers).status_code

    token = served.token("s-1")
    assert status("s-1", token) == 200
    assert status("s-2", token) == 403
    assert status("s-1", None) == 403
    assert status(ANONYMOUS, None) == 200
    assert status(ANONYMOUS, token) == 200  # a visit may begin before the login
    assert status("anon-short", None) == 403
    assert status("s-1", token[:-1] + ("A" if token[-1] != "A" else "B")) == 401
    assert status("s-1", served.token("s-1", seconds=-1)) == 401


def test_one_foreign_row_refuses_a_browsers_whole_batch(served: Served, client: Client) -> None:
    body = {"actions": [*view(ANONYMOUS)["actions"], *view("s-2")["actions"]]}  # type: ignore[misc]
    headers = {"X-API-Key": served.key("browser")}
    assert client.post("/v1/events", json=body, headers=headers).status_code == 403
    assert served.actions == 0


def test_a_browser_joins_nobody_to_itself_through_ga4(served: Served, client: Client) -> None:
    body = {"client_id": "c-1", "user_id": "s-1", "events": [{"name": "login"}]}
    headers = {"X-API-Key": served.key("browser"), "X-Shopper-Token": served.token("s-1")}
    assert client.post("/v1/events", json=body, headers=headers).status_code == 403
    body["client_id"] = ANONYMOUS
    assert client.post("/v1/events", json=body, headers=headers).status_code == 200


def test_send_beacon_works(served: Served, client: Client) -> None:
    key = served.key("browser")
    answer = client.post(
        "/v1/events",
        params={"key": key, "token": served.token("s-1")},
        content=json.dumps(view("s-1")),
        headers={"Content-Type": "text/plain;charset=UTF-8", "Origin": SITE},
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize("scope", ["server", "admin"])
def test_a_stronger_key_may_not_stand_in_the_address(
    served: Served, client: Client, scope: str
) -> None:
    answer = client.post("/v1/events", params={"key": served.key(scope)}, json=view("s-1"))
    assert answer.status_code == 401
    assert "replace it" in answer.json()["remedy"]


def test_a_page_of_the_shop_may_ask_first_and_then_call(served: Served, client: Client) -> None:
    asked = client.request(
        "OPTIONS",
        "/v1/events",
        headers={
            "Origin": SITE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key,content-type",
        },
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == SITE
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "x-shopper-token" in asked.headers["access-control-allow-headers"]
    told = client.post(
        "/v1/events",
        json=view(ANONYMOUS),
        headers={"Origin": SITE, "X-API-Key": served.key("browser")},
    )
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == SITE
    assert "origin" in told.headers["vary"]


def test_a_page_of_another_site_may_not(served: Served, client: Client) -> None:
    key = served.key("browser")
    asked = client.request(
        "OPTIONS",
        "/v1/events",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert asked.status_code == 403
    told = client.post(
        "/v1/events",
        json=view(ANONYMOUS),
        headers={"Origin": "https://evil.example", "X-API-Key": key},
    )
    assert told.status_code == 403
    assert "access-control-allow-origin" not in told.headers
    assert served.actions == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),  # a name that was made to point here
        ({"Host": "["}, 403),
    ],
)
def test_without_keys_only_this_machine_is_answered(
    client: Client, headers: dict[str, str], status: int
) -> None:
    body = json.dumps(view("s-1"))
    plain = {"Content-Type": "text/plain", **headers}
    assert client.post("/v1/events", content=body, headers=plain).status_code == status


def test_who_asks_too_often_is_told_how_long_to_wait(tmp_path: Path) -> None:
    limits = {"limits.browser_per_second": 0.5, "limits.browser_burst": 3}
    with opened(settings_in(tmp_path, limits)) as served:
        headers = {"X-API-Key": served.key("browser")}
        other = {"X-API-Key": served.key("server")}
        with Client(served.app) as client:
            statuses = [call(client, "recommend", headers) for _ in range(5)]
            assert statuses == [200, 200, 200, 429, 429]
            answer = client.post("/v1/events", json=view(ANONYMOUS), headers=headers)
            assert 1 <= int(answer.headers["retry-after"]) <= 3
            assert call(client, "recommend", other) == 200


def test_guessing_keys_ends_in_waiting(tmp_path: Path) -> None:
    limits = {"limits.failed_keys_per_second": 0.01, "limits.failed_keys_burst": 4}
    with opened(settings_in(tmp_path, limits)) as served:
        key = served.key("server")
        with Client(served.app) as client:
            wrong = [call(client, "items", {"X-API-Key": f"guess {n}"}) for n in range(6)]
            assert call(client, "items", {"X-API-Key": key}) == 200  # from the same address
    assert wrong == [401, 401, 401, 401, 429, 429]


def test_the_log_names_no_shopper_no_key_and_no_query(served: Served, client: Client) -> None:
    key, token = served.key("browser"), served.token("secret-shopper")
    server = served.running.keys.add("back end", "server", now_ms=1)
    client.post("/v1/events", params={"key": key, "token": token}, json=view("secret-shopper"))
    client.post(
        "/v1/recommend",
        json={"surface": "home", "shopper": "secret-shopper"},
        headers={"X-API-Key": key, "X-Shopper-Token": token},
    )
    client.get("/v1/shoppers/secret-shopper", headers={"X-API-Key": server})
    client.get("/v1/shoppers/secret-shopper/nothing", headers={"X-API-Key": server})
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    assert [line["route"] for line in lines] == [
        "/v1/events", "/v1/recommend", "/v1/shoppers/{id}", "other",
    ]  # fmt: skip
    assert [line["key"] for line in lines] == ["browser key", "browser key", "back end", "nobody"]
    text = served.log.getvalue().decode()
    for secret in (key, token, server, "secret-shopper"):
        assert secret not in text
