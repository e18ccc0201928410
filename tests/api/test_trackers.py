"""Trackers over HTTP: where each puts its key, how it is answered, and what is stored."""

from __future__ import annotations

import gzip
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habitue.api import create_app
from tests.api.conftest import Client, Served, opened, settings_in

VISITOR = "018bcfe5-6800-7c5e-9d3b-0c9f3f1f2a11"
HEX = "4f9d0c2b7a61e358"
VIEW = {"type": "track", "event": "Product Viewed", "anonymousId": VISITOR, "messageId": "m1",
        "properties": {"product_id": "item-1"}}  # fmt: skip
SEEN = {"event": "Product Viewed", "distinct_id": VISITOR, "uuid": "e1",
        "properties": {"product_id": "item-1"}}  # fmt: skip
GA4 = {"client_id": "1234567890.1234567890",
       "events": [{"name": "view_item", "params": {"items": [{"item_id": "item-1"}]}}]}  # fmt: skip
MATOMO = {"rec": 1, "_id": HEX, "url": "https://www.shop.example/", "_pks": "item-1"}


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}


def measured(client: Client, key: str, name: str) -> float:
    text = client.get("/metrics", headers={"x-api-key": key}).text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name)))


@pytest.mark.parametrize(
    "path",
    ["/v1/track", "/v1/t", "/v1/batch", "/v1/b", "/v1/import"],
)
def test_segment_is_answered_as_its_sdks_expect(served: Served, client: Client, path: str) -> None:
    key = served.key("browser")
    body = VIEW if path[-1] in "tk" and path != "/v1/import" else {"batch": [VIEW]}
    told = client.post(path, json=body, headers=basic(key))
    assert (told.status_code, told.json()) == (200, {"success": True})
    assert served.actions == 1
    assert client.post(path, json=body, headers=basic(key)).status_code == 200
    assert served.actions == 1


def test_each_call_has_its_own_path(served: Served, client: Client) -> None:
    who = {"userId": "u-1", "anonymousId": VISITOR}
    for path, said in (
        ("/v1/identify", {**who, "traits": {"plan": "gold"}}),
        ("/v1/p", who), ("/v1/page", who), ("/v1/screen", who), ("/v1/s", who),
        ("/v1/group", {**who, "groupId": "g"}), ("/v1/g", {**who, "groupId": "g"}),
        ("/v1/alias", {"userId": "u-1", "previousId": VISITOR}),
        ("/v1/a", {"userId": "u-1", "previousId": VISITOR}), ("/v1/i", who),
    ):  # fmt: skip
        assert client.post(path, json=said).json() == {"success": True}, path
    held = client.get("/v1/shoppers/u-1").json()
    assert held["known_as"] == ["u-1", f"anon-{VISITOR}"]
    assert [row["kind"] for row in held["held"]["action"]] == ["page_view"] * 4


def test_a_beacon_carries_its_key_in_the_body(served: Served, client: Client) -> None:
    body = json.dumps({**VIEW, "writeKey": served.key("browser")})
    headers = {"content-type": "text/plain", "origin": "https://www.shop.example"}
    told = client.post("/v1/t", content=body, headers=headers)
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == "https://www.shop.example"
    assert served.actions == 1


def test_a_page_asks_where_to_send(client: Client) -> None:
    told = client.get("/v1/projects/k%22ey/settings", headers={"host": "127.0.0.1:8000"})
    assert told.json()["integrations"] == {
        "Segment.io": {"apiKey": 'k"ey', "apiHost": "127.0.0.1:8000/v1", "protocol": "http"}
    }


@pytest.mark.parametrize("path", ["/batch/", "/batch", "/capture/", "/e/", "/i/v0/e/", "/i/v0/e"])
def test_posthog_is_answered_as_its_sdks_expect(served: Served, client: Client, path: str) -> None:
    key = served.key("browser")
    said = {"api_key": key, **({"batch": [SEEN]} if "batch" in path else SEEN)}
    packed = gzip.compress(json.dumps(said).encode())
    by_header = {"content-encoding": "gzip"}
    by_address = {"content-type": "text/plain"}
    for address, headers in ((path, by_header), (f"{path}?compression=gzip-js", by_address)):
        told = client.post(address, content=packed, headers=headers)
        assert (told.status_code, told.json()) == (200, {"status": 1})
    assert served.actions == 1


def test_posthog_may_send_a_form(served: Served, client: Client) -> None:
    said = {**SEEN, "api_key": served.key("browser")}
    data = b64encode(json.dumps(said).encode()).decode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    told = client.post("/e/?compression=base64", content=urlencode({"data": data}), headers=form)
    assert (told.status_code, served.actions) == (200, 1)


@pytest.mark.parametrize("path", ["/flags/?v=2", "/decide/?v=3", "/decide"])
def test_posthog_is_told_that_nothing_is_switched_on(client: Client, path: str) -> None:
    told = client.post(path, json={"token": "k", "distinct_id": "u"}).json()
    assert (told["featureFlags"], told["flags"], told["sessionRecording"]) == ({}, {}, False)
    assert client.get("/array/k/config").json()["hasFeatureFlags"] is False


def test_ga4_is_answered_with_nothing(served: Served, client: Client) -> None:
    key = served.key("server")
    address = f"/mp/collect?measurement_id=G-1&api_secret={key}"
    told = client.post(address, json={**GA4, "user_id": "u-1"})
    assert (told.status_code, told.content) == (204, b"")
    held = client.get("/v1/shoppers/u-1", headers={"x-api-key": key}).json()
    assert held["known_as"] == ["u-1", "anon-1234567890.1234567890"]
    assert served.actions == 1


def test_ga4_bodies_can_be_checked_without_storing_them(served: Served, client: Client) -> None:
    wrong = [{"name": "view_items"}, {"name": "view_item", "params": {}}]
    told = client.post("/debug/mp/collect", json={**GA4, "events": wrong}).json()
    places = [message["fieldPath"] for message in told["validationMessages"]]
    assert places == ["events[0].name", "events[1].items"]
    assert "did you mean 'view_item'" in told["validationMessages"][0]["description"]
    assert client.post("/debug/mp/collect", json=GA4).json() == {"validationMessages": []}
    assert client.post("/debug/mp/collect", json={}).json()["validationMessages"]
    assert served.actions == 0


@pytest.mark.parametrize("path", ["/matomo.php", "/piwik.php"])
def test_matomo_is_answered_with_a_picture(served: Served, client: Client, path: str) -> None:
    query = urlencode({**MATOMO, "idsite": served.key("browser")})
    picture = client.get(f"{path}?{query}")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/gif")
    assert picture.content[:6] == b"GIF89a"
    silent = client.get(f"{path}?{query}&send_image=0")
    assert (silent.status_code, silent.content) == (204, b"")
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post(path, content=query, headers=form).status_code == 200
    assert served.actions == 3


def test_matomo_in_bulk_says_which_requests_were_wrong(served: Served, client: Client) -> None:
    good, wrong = "?" + urlencode(MATOMO), "?_pks=item-1"
    said = {"requests": [good, wrong, good], "token_auth": served.key("server")}
    told = client.post("/matomo.php", json=said).json()
    assert told == {"status": "success", "tracked": 2, "invalid": 1, "invalid_indices": [1]}
    assert served.actions == 2
    key = served.key("browser")
    alone = client.get(f"/matomo.php?_pks=item-1&idsite={key}")
    assert (alone.status_code, alone.json()["field"]) == (400, "_id")


SENDINGS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/track", VIEW),
    ("POST", "/batch/", SEEN),
    ("POST", "/mp/collect", GA4),
    ("GET", f"/matomo.php?{urlencode(MATOMO)}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SENDINGS)
def test_without_a_key_nothing_is_taken_once_there_is_one(
    served: Served, client: Client, method: str, path: str, body: Any
) -> None:
    assert client.request(method, path, json=body).status_code in (200, 204)
    served.key("server")
    assert client.request(method, path, json=body).status_code == 401
    headers = {"x-api-key": "wrong"}
    assert client.request(method, path, json=body, headers=headers).status_code == 401
    assert served.actions == 1


def test_a_wrong_key_is_refused_wherever_it_stands(served: Served, client: Client) -> None:
    admin, _ = served.key("admin"), served.key("server")
    assert client.post("/v1/track", json=VIEW, headers=basic("wrong")).status_code == 401
    assert client.post("/v1/t", json={**VIEW, "writeKey": "wrong"}).status_code == 401
    assert client.post("/e/", json={**SEEN, "api_key": "wrong"}).status_code == 401
    assert client.post("/mp/collect?api_secret=wrong", json=GA4).status_code == 401
    assert client.post(f"/mp/collect?api_secret={admin}", json=GA4).status_code == 401
    assert client.get(f"/matomo.php?token_auth={admin}&{urlencode(MATOMO)}").status_code == 401
    assert served.actions == 0


def test_a_browser_key_stores_what_its_visitor_did_and_believes_no_user(
    served: Served, client: Client
) -> None:
    server, browser = served.key("server"), served.key("browser")
    by_user = {**VIEW, "userId": "victim"}
    identify = {"type": "identify", "userId": "victim", "anonymousId": VISITOR}
    batch = {"batch": [identify, by_user, {**by_user, "anonymousId": None, "messageId": "m2"}]}
    told = client.post("/v1/batch", json=batch, headers=basic(browser)).json()
    assert [row["row"] for row in told["rejected"]] == [2]
    assert client.get("/v1/shoppers/victim", headers={"x-api-key": server}).status_code == 404
    held = client.get(f"/v1/shoppers/anon-{VISITOR}", headers={"x-api-key": server}).json()
    assert len(held["held"]["action"]) == 1


def test_a_token_lets_a_browser_speak_for_its_shopper(served: Served, client: Client) -> None:
    headers = {**basic(served.key("browser")), "x-shopper-token": served.token("u-1")}
    told = client.post("/v1/track", json={**VIEW, "userId": "u-1"}, headers=headers)
    assert told.json() == {"success": True}
    held = client.get("/v1/shoppers/u-1", headers={"x-api-key": served.key("server")}).json()
    assert held["known_as"] == ["u-1", f"anon-{VISITOR}"]


def test_two_who_share_a_device_both_keep_what_they_did(served: Served, client: Client) -> None:
    first, second = ({**VIEW, "userId": f"u-{n}", "messageId": f"m{n}"} for n in (1, 2))
    identify = {"type": "identify", "userId": "u-2", "anonymousId": VISITOR}
    told = client.post("/v1/batch", json={"batch": [first, second, identify]}).json()
    assert told == {"success": True}
    for user in ("u-1", "u-2"):
        assert len(client.get(f"/v1/shoppers/{user}").json()["held"]["action"]) == 1
    told = client.post("/v1/identify", json=identify).json()
    assert [(row["row"], row["field"]) for row in told["rejected"]] == [(0, "alias")]


def test_a_shop_may_believe_its_browsers(tmp_path: Path) -> None:
    with (
        opened(settings_in(tmp_path, {"trackers.trust_browsers": True})) as served,
        Client(served.app) as client,
    ):
        server, browser = served.key("server"), served.key("browser")
        client.post("/v1/track", json={**VIEW, "userId": "u-1"}, headers=basic(browser))
        held = client.get("/v1/shoppers/u-1", headers={"x-api-key": server}).json()
    assert held["known_as"] == ["u-1", f"anon-{VISITOR}"]


def test_products_become_items_where_the_shop_wants_it_and_nobody_described_them(
    tmp_path: Path,
) -> None:
    told = {"product_id": "lamp", "name": "Lamp", "price": 20, "currency": "EUR"}
    known = {"product_id": "item-1", "name": "A browser's own idea", "price": 0.01}
    views = {"batch": [{**VIEW, "messageId": p["name"], "properties": p} for p in (told, known)]}
    for wanted in (False, True):
        folder = tmp_path / str(wanted)
        folder.mkdir()
        with (
            opened(settings_in(folder, {"trackers.create_items": wanted})) as served,
            Client(served.app) as client,
        ):
            before = served.shop.stored().facts["item"]
            for _ in range(2):
                assert client.post("/v1/batch", json=views).json() == {"success": True}
            assert served.shop.stored().facts["item"] == before + wanted
            assert served.running.undescribed(["lamp", "item-1", "ghost"]) == (
                {"ghost"} if wanted else {"lamp", "ghost"}
            )


def test_what_is_dropped_is_counted_and_logged_without_what_it_said(
    served: Served, client: Client
) -> None:
    server = served.key("server")
    wrong = {**VIEW, "messageId": "m2", "properties": {"product_id": "a", "price": "ana@b.example"}}
    unknown = {**VIEW, "messageId": "m3", "event": "Lamp Dimmed"}
    told = client.post("/v1/batch", json={"batch": [VIEW, wrong, unknown]}, headers=basic(server))
    assert [row["field"] for row in told.json()["rejected"]] == ["properties.price"]
    name = "habitue_tracker_events_total"
    for outcome in ("taken", "rejected", "ignored"):
        line = f'{name}{{outcome="{outcome}",tracker="segment"}}'
        assert measured(client, server, line) == 1
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "refused"]
    assert (line["feed"], line["fields"]) == ("segment", {"properties.price": 1})
    assert b"ana@b.example" not in served.log.getvalue()


def test_of_several_shops_the_log_says_which_refused(served: Served) -> None:
    log = io.BytesIO()
    with Client(create_app(served.running, served.settings, log=log, named="north")) as client:
        assert client.post("/v1/track", json={"event": "Product Viewed"}).json()["rejected"]
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["shop"] for line in lines] == ["north", "north"]


def test_bodies_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    with (
        opened(settings_in(tmp_path, {"limits.body_bytes": 2048})) as served,
        Client(served.app) as client,
    ):
        bomb = gzip.compress(b" " * 1_000_000)
        assert len(bomb) < 2048
        assert client.post("/v1/batch", content=bomb).status_code == 413
        cut = gzip.compress(json.dumps(VIEW).encode())[:-12]
        assert client.post("/v1/track", content=cut).status_code == 400
        broken = gzip.compress(b"{}")[:3] + b"\xff" * 20
        assert client.post("/v1/track", content=broken).status_code == 400


def test_a_batch_of_too_many_messages_is_refused(tmp_path: Path) -> None:
    with (
        opened(settings_in(tmp_path, {"limits.batch_rows": 3})) as served,
        Client(served.app) as client,
    ):
        batch = [{**VIEW, "messageId": str(n)} for n in range(4)]
        assert client.post("/v1/batch", json={"batch": batch}).status_code == 413
        assert client.post("/v1/batch", json={"batch": batch[:3]}).status_code == 200


def test_an_address_of_too_many_parameters_is_refused(client: Client) -> None:
    query = "&".join(f"p{n}=1" for n in range(1000))
    for path in ("/mp/collect", "/matomo.php"):
        assert client.post(f"{path}?{query}", json=GA4).status_code in (400, 422)


# ---------------------------------------------------------------- whatever is sent

PATHS = ["/v1/batch", "/v1/track", "/v1/identify", "/v1/alias", "/v1/page", "/batch/", "/e/",
         "/capture/", "/mp/collect", "/debug/mp/collect", "/matomo.php"]  # fmt: skip

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20), st.sampled_from([VISITOR, "item-1", "u-1", "2023-11-14T22:12:20Z",
                                           "1e400", "\0", "9" * 300, 10**30, -1, 1e308, ""]),
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = ["type", "event", "userId", "anonymousId", "previousId", "messageId", "timestamp", "sentAt",
        "properties", "traits", "context", "distinct_id", "uuid", "offset", "$set", "api_key",
        "name", "params", "timestamp_micros", "_id", "uid", "_pks", "_pkp", "ec_items", "ec_id",
        "idgoal", "search", "cdt", "url"]  # fmt: skip
NAMES = ["track", "identify", "alias", "page", "Product Viewed", "Order Completed", "view_item",
         "purchase", "$identify", "$create_alias", "$set", "$pageview"]  # fmt: skip
product = st.dictionaries(
    st.sampled_from(["product_id", "item_id", "price", "quantity", "currency", "name", "position"]),
    scalars,
)
properties = st.dictionaries(
    st.sampled_from(["products", "items", "product_id", "order_id", "transaction_id", "price",
                     "currency", "value", "rating", "query", "$device_id", "alias", "$set"]),
    scalars | st.lists(product | scalars, max_size=3) | product,
)  # fmt: skip
message = st.dictionaries(
    st.sampled_from(KEYS), scalars | st.sampled_from(NAMES) | properties | anything, max_size=9
)
body = st.one_of(
    anything,
    message,
    st.lists(message, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "batch": st.lists(message | anything, max_size=3),
            "events": st.lists(message | anything, max_size=3),
            "requests": st.lists(message | scalars, max_size=3),
            "client_id": scalars,
            "user_id": scalars,
            "timestamp_micros": scalars,
            "consent": anything,
            "sentAt": scalars,
            "context": anything,
        },
    ),
)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """Two shops for all examples: one that keeps to its defaults, one that believes everybody."""
    trusting = {"trackers.create_items": True, "trackers.trust_browsers": True}
    with (
        opened(settings_in(tmp_path_factory.mktemp("careful"))) as one,
        opened(settings_in(tmp_path_factory.mktemp("trusting"), trusting)) as other,
        Client(one.app) as careful,
        Client(other.app) as open_,
    ):
        yield careful, open_


def answers(told: httpx.Response) -> None:
    assert told.status_code < 500, (told.status_code, told.text)


many = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("path", PATHS)
def test_no_json_brings_the_server_to_its_knees(standing: tuple[Client, Client], path: str) -> None:
    @many
    @given(said=body)
    def hold(said: Any) -> None:
        content = json.dumps(said).encode()
        for client in standing:
            answers(client.post(path, content=content))

    hold()


@pytest.mark.parametrize("path", PATHS)
def test_no_bytes_bring_the_server_to_its_knees(standing: tuple[Client, Client], path: str) -> None:
    @settings(max_examples=50, suppress_health_check=list(HealthCheck))
    @given(said=st.binary(max_size=60), packed=st.booleans(), form=st.booleans())
    def hold(said: bytes, packed: bool, form: bool) -> None:
        content = gzip.compress(said) if packed else said
        headers = {"content-type": "application/x-www-form-urlencoded"} if form else {}
        answers(standing[0].post(path, content=content, headers=headers))

    hold()


@many
@given(said=st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), scalars.map(str)))
def test_no_query_brings_the_server_to_its_knees(
    standing: tuple[Client, Client], said: dict[str, str]
) -> None:
    for client in standing:
        answers(client.get("/matomo.php", params=said))
