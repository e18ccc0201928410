"""The browser's snippet as a file: small, cached, the same names as its types; and its cards."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path

import httpx
import pytest

from habitue.api.snippet import served
from habitue.facts import Item
from tests.api.conftest import Client, Served

SOURCE = Path(__file__).parents[2] / "src" / "habitue" / "api"
MOST_BYTES = 4096


def test_it_is_small(client: Client) -> None:
    answer = client.get("/habitue.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) <= MOST_BYTES
    assert len(gzip.compress(answer.content, 9)) <= MOST_BYTES
    assert answer.headers["content-type"].startswith("text/javascript")


def test_any_site_may_load_it_and_keep_it(client: Client) -> None:
    answer = client.get("/habitue.js", headers={"origin": "https://elsewhere.example"})
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age=3600" in answer.headers["cache-control"]
    again = client.get("/habitue.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_no_key_is_needed_and_no_compression(served: Served, client: Client) -> None:
    served.key("admin")
    plain = client.get("/habitue.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == client.get("/habitue.js").content == b"".join([served_js()])
    assert client.get("/habitue.d.ts").text.count("export interface") > 5


def served_js() -> bytes:
    return served("habitue.js")


def test_only_comments_and_indentation_are_left_out() -> None:
    source = (SOURCE / "habitue.js").read_text("utf-8").splitlines()
    kept = [line.strip() for line in source if line.strip() and not line.strip().startswith("//")]
    assert [line.rstrip() for line in served_js().decode().splitlines()] == kept


def test_the_types_name_what_a_page_may_call() -> None:
    script = (SOURCE / "habitue.js").read_text("utf-8")
    inside = script[script.index("const api = {") : script.index("const asked")]
    short = inside.splitlines()[1].strip().rstrip(",").split(", ")
    called = {*short, *re.findall(r"^    (\w+): ", inside, re.MULTILINE)}
    types = (SOURCE / "habitue.d.ts").read_text("utf-8")
    body = types[types.index("interface Habitue {") : types.index("declare global")]
    assert called == set(re.findall(r"^  (\w+)\(", body, re.MULTILINE))


def ask(client: Client, items: list[str]) -> httpx.Response:
    return client.post("/v1/cards", json={"items": items})


def test_cards_tell_what_a_page_shows_and_never_the_cost(served: Served, client: Client) -> None:
    served.shop.ingest(
        [
            Item(
                id="mug", title="Mug", link="https://shop.example/mug", price_micros=9_000_000,
                sale_price_micros=7_000_000, cost_micros=2_000_000, currency="EUR", stock=0,
            )
        ]
    )  # fmt: skip
    (card,) = ask(client, ["mug"]).json()["cards"]
    assert card == {
        "id": "mug",
        "title": "Mug",
        "link": "https://shop.example/mug",
        "price_micros": 9_000_000,
        "sale_price_micros": 7_000_000,
        "currency": "EUR",
        "availability": "out_of_stock",
    }


def test_cards_come_as_asked_without_what_is_not_sold(served: Served, client: Client) -> None:
    served.shop.ingest([Item(id="item-2", deleted=True)])
    told = ask(client, ["item-3", "nothing", "item-2", "item-1", "item-3"]).json()["cards"]
    assert [card["id"] for card in told] == ["item-3", "item-1", "item-3"]


def test_a_card_is_of_the_version_in_force(served: Served, client: Client) -> None:
    now_ms = int(time.time() * 1000)
    for title, valid_from in (
        ("now", now_ms - 1000), ("long ago", now_ms - 9000), ("one day", now_ms + 86_400_000),
    ):  # fmt: skip
        served.shop.ingest([Item(id="item-1", title=title, valid_from=valid_from)])
    assert ask(client, ["item-1"]).json()["cards"][0]["title"] == "Thing 1"  # posted after these
    later = served.shop.parts.store.items_in_force(["item-1"], now_ms + 90_000_000)
    assert later[0] is not None
    assert '"one day"' in later[0]
    early = served.shop.parts.store.items_in_force(["item-1"], now_ms - 5000)
    assert early[0] is not None
    assert '"long ago"' in early[0]


@pytest.mark.parametrize("items", [["x"] * 201, [""], "mug", [1]])
def test_cards_of_nonsense_are_refused(client: Client, items: object) -> None:
    assert client.post("/v1/cards", json={"items": items}).status_code == 422


def test_cards_are_the_same_on_every_store(anywhere: Served) -> None:
    store = anywhere.shop.parts.store
    now_ms = int(time.time() * 1000) + 1000
    told = store.items_in_force(["item-7", "nothing", "item-7"], now_ms)
    assert told[1] is None
    assert told[0] == told[2]
    assert told[0] is not None
    assert '"Thing 7"' in told[0]


def test_the_types_say_how_a_shopper_comes() -> None:
    """Of actions and of requests: the script fills in what a page does not say."""
    types = (SOURCE / "habitue.d.ts").read_text("utf-8")
    for name in ("Fields", "SlateRequest"):
        inside = types.split(f"export interface {name} {{")[1].split("\n}")[0]
        assert {"platform", "device", "locale"} <= set(re.findall(r"(\w+)\?: string;", inside))
