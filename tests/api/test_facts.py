"""Facts over HTTP: what is stored, what is refused and why, and what the next slate knows."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.api.conftest import Client, Served

VIEW = {"kind": "view_item", "shopper": "s-1", "item": "item-1"}


def post(client: Client, *actions: dict[str, Any]) -> httpx.Response:
    return client.post("/v1/events", json={"actions": list(actions)})


def order(order_id: str, *items: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"kind": "purchase", "shopper": "s-1", "item": item, "order_id": order_id, **more}
        for item in items
    ]


def test_the_next_slate_knows_an_acknowledged_action(anywhere: Served) -> None:
    with Client(anywhere.app) as client:
        ask = {"surface": "home", "shopper": "s-1", "n": 5}
        first = client.post("/v1/recommend", json=ask).json()
        unwanted = first["items"][0]["item"]
        told = post(client, {"kind": "not_interested", "shopper": "s-1", "item": unwanted})
        assert told.status_code == 200
        after = client.post("/v1/recommend", json=ask).json()
        assert after["seen_seq"] >= told.json()["last_seq"] > first["seen_seq"]
        assert unwanted not in [slot["item"] for slot in after["items"]]


def test_a_batch_sent_again_is_no_error_and_stored_once(anywhere: Served) -> None:
    with Client(anywhere.app) as client:
        batch = [{**VIEW, "id": f"event-{n}", "at": 1_750_000_000_000 + n} for n in range(5)]
        first = post(client, *batch)
        assert (first.status_code, first.json()["new"]) == (200, 5)
        again = post(client, *batch)
        assert again.status_code == 200
        counts = {key: again.json()[key] for key in ("accepted", "new", "duplicate", "rejected")}
        assert counts == {"accepted": 5, "new": 0, "duplicate": 5, "rejected": []}
        assert anywhere.actions == 5
        slate = client.post("/v1/recommend", json={"surface": "home", "shopper": "s-1"}).json()
        assert slate["seen_seq"] >= again.json()["last_seq"]


def test_the_same_id_with_another_body_is_a_conflict_of_that_row(client: Client) -> None:
    post(client, {**VIEW, "id": "event-1", "at": 1_750_000_000_000})
    answer = post(
        client,
        {**VIEW, "id": "event-1", "item": "item-2", "at": 1_750_000_000_000},
        {**VIEW, "id": "event-2"},
    )
    assert answer.status_code == 207
    (row,) = answer.json()["rejected"]
    assert (row["row"], row["id"], row["problem"]) == (0, "event-1", "conflict")
    alone = post(client, {**VIEW, "id": "event-1", "item": "item-3", "at": 1_750_000_000_000})
    assert alone.status_code == 409
    assert alone.json()["rejected"][0]["problem"] == "conflict"


def test_an_order_is_stored_whole_or_not_at_all(client: Client, served: Served) -> None:
    lines = [*order("o-1", "item-1", "item-2"), *order("o-2", "item-3")]
    lines[1]["quantity"] = -1
    answer = post(client, *lines)
    assert answer.status_code == 207
    assert [(row["row"], row["problem"]) for row in answer.json()["rejected"]] == [
        (0, "order_incomplete"),
        (1, "invalid"),
    ]
    assert answer.json()["rejected"][1]["field"] == "quantity"
    assert served.actions == 1


def test_bad_rows_never_lose_the_good_ones(client: Client, served: Served) -> None:
    bad: list[tuple[dict[str, Any], str | None]] = [
        ({"kind": "look", "shopper": "s-1"}, "kind"),
        ({"kind": "view_item", "shopper": "s-1"}, "item"),
        ({"kind": "view_item", "item": "item-1"}, "shopper"),
        ({**VIEW, "at": "yesterday"}, "at"),
        ({**VIEW, "at": 10**14}, "at"),
        ({**VIEW, "at": 10**40}, "at"),
        ({**VIEW, "at": 1_750_000_000}, "at"),
        ({**VIEW, "price_micros": 1.5}, "price_micros"),
        ({**VIEW, "price_micros": 10**30}, "price_micros"),
        ({**VIEW, "colour": "red"}, "colour"),
        ({**VIEW, "shopper": ""}, "shopper"),
        ({**VIEW, "shopper": "x" * 201}, "shopper"),
    ]
    rows: list[dict[str, Any]] = []
    for wrong, _ in bad:
        rows += [VIEW, wrong]
    answer = post(client, *rows)
    assert answer.status_code == 207
    assert answer.json()["new"] == len(bad)
    said = [(row["row"], row["problem"], row.get("field")) for row in answer.json()["rejected"]]
    assert said == [(2 * n + 1, "invalid", field) for n, (_, field) in enumerate(bad)]
    assert all(row["message"] for row in answer.json()["rejected"])
    assert served.actions == len(bad)


def test_a_ga4_body_is_taken_as_it_is_sent(client: Client, served: Served) -> None:
    body = {
        "client_id": "c-1",
        "user_id": "s-1",
        "events": [
            {"name": "session_start"},
            {"name": "view_item", "params": {"items": [{"item_id": "item-1"}]}},
            {"name": "veiw_item", "params": {"items": [{"item_id": "item-1"}]}},
            {
                "name": "purchase",
                "params": {
                    "transaction_id": "t-1",
                    "currency": "EUR",
                    "items": [
                        {"item_id": "item-2", "price": 3.5, "quantity": 2},
                        {"item_id": "item-3", "price": 1},
                    ],
                },
            },
        ],
    }
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == 207
    (row,) = answer.json()["rejected"]
    assert row["row"] == 2
    assert "did you mean 'view_item'" in row["message"]
    assert served.actions == 3
    assert served.shop.stored().facts["alias"] == 1


def test_an_empty_batch_is_no_error(client: Client) -> None:
    assert post(client).json()["accepted"] == 0


def test_every_kind_of_fact_has_its_place(client: Client, served: Served) -> None:
    bodies = {
        "items": [{"id": "mug", "title": "Mug", "availability": "in_stock"}],
        "shoppers": [{"id": "s-1", "country": "DE"}],
        "links": [{"kind": "friend", "head": "s-1", "tail": "s-2"}],
        "consents": [{"shopper": "s-1", "denied": ["messages"]}],
        "aliases": [{"shopper": "s-1", "alias": "anon-1234567890123456"}],
    }
    before = served.shop.stored().facts
    for name, rows in bodies.items():
        answer = client.post(f"/v1/{name}", json={name: rows})
        assert (answer.status_code, answer.json()["new"]) == (200, 1), name
    after = served.shop.stored().facts
    for kind in ("item", "shopper", "link", "consent", "alias"):
        assert after[kind] == before[kind] + 1


def test_facts_of_another_kind_are_refused_as_a_whole(client: Client, served: Served) -> None:
    answer = client.post("/v1/events", json={"items": [{"id": "smuggled"}], "actions": [VIEW]})
    assert answer.status_code == 422
    assert served.actions == 0


@pytest.mark.parametrize("field", ["valid_from", "published_at"])
def test_an_item_of_no_time_is_refused(client: Client, field: str) -> None:
    answer = client.post("/v1/items", json={"items": [{"id": "x", field: 10**30}, {"id": "y"}]})
    assert answer.status_code == 207
    assert answer.json()["rejected"][0]["field"] == field


def test_an_item_is_shown_within_a_second_of_its_post(client: Client) -> None:
    client.post("/v1/items", json={"items": [{"id": "brand-new", "title": "New"}]})
    for shopper in range(30):
        post(client, {"kind": "purchase", "shopper": f"buyer-{shopper}", "item": "brand-new"})
    until = time.monotonic() + 1.0
    shown: list[str] = []
    while "brand-new" not in shown and time.monotonic() < until:
        slate = client.post("/v1/recommend", json={"surface": "home", "n": 200}).json()
        shown = [slot["item"] for slot in slate["items"]]
    assert "brand-new" in shown


def test_a_nul_is_refused_where_it_stands(client: Client) -> None:
    answer = post(client, {**VIEW, "shopper": "s\0"}, VIEW)
    assert answer.status_code == 207
    assert answer.json()["rejected"][0]["row"] == 0
    assert (
        client.post("/v1/recommend", json={"surface": "home", "shopper": "a\0"}).status_code == 422
    )


def test_clients_may_not_say_what_time_it_is(client: Client) -> None:
    answer = client.post("/v1/recommend", json={"surface": "home", "now_ms": 1})
    assert answer.status_code == 422
    assert answer.json()["field"] == "now_ms"
