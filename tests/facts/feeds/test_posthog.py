"""Events as PostHog's SDKs send them, told as facts."""

from __future__ import annotations

from typing import Any

import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Shopper
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.posthog import decode_posthog, project_key
from habitue.facts.feeds.tracked import Terms

NOW = 1_700_000_000_000
VISITOR = "018bcfe5-6800-7c5e-9d3b-0c9f3f1f2a11"


def event(name: str, distinct: str = "u1", **more: Any) -> dict[str, Any]:
    return {
        "event": name,
        "distinct_id": distinct,
        "uuid": f"id {name}",
        "timestamp": "2023-11-14T22:12:20Z",  # a minute before NOW
        "properties": {"$lib": "web", **more},
    }


def send(*events: Any, terms: Terms | None = None) -> Decoded:
    return decode_posthog({"api_key": "k", "batch": list(events)}, terms or Terms(NOW))


def test_e_commerce_events_go_by_segments_names() -> None:
    order = {"order_id": "o-1", "products": [{"product_id": "mug", "price": 7.95}, {"sku": "pot"}]}
    said = send(event("Product Viewed", product_id="mug"), event("Order Completed", **order))
    told = [(fact.kind, fact.item, fact.at) for fact in said.facts if isinstance(fact, Action)]
    assert told == [
        ("view_item", "mug", NOW - 60_000),
        ("purchase", "mug", NOW - 60_000),
        ("purchase", "pot", NOW - 60_000),
    ]


def test_a_page_view_keeps_no_address() -> None:
    (page,) = send(event("$pageview", **{"$current_url": "https://s.example/?email=a"})).facts
    assert isinstance(page, Action)
    assert (page.kind, page.platform, page.extra) == ("page_view", "web", None)


def test_an_event_sent_again_makes_the_same_id() -> None:
    one = event("Product Viewed", product_id="mug")
    assert send(one).facts == send(one).facts
    (first,), (other,) = send(one).facts, send({**one, "uuid": "another"}).facts
    assert isinstance(first, Action)
    assert isinstance(other, Action)
    assert first.id != other.id


def test_the_ids_a_browser_made_up_are_anonymous() -> None:
    by_form = event("Product Viewed", VISITOR, product_id="a")
    by_device = event("Product Viewed", "0123", product_id="b", **{"$device_id": "0123"})
    by_mark = event("Product Viewed", "4567", product_id="c", **{"$is_identified": False})
    named = event("Product Viewed", "u1", product_id="d", **{"$device_id": VISITOR})
    shoppers = [f.shopper for f in send(by_form, by_device, by_mark, named).facts
                if isinstance(f, Action)]  # fmt: skip
    assert shoppers == [f"anon-{VISITOR}", "anon-0123", "anon-4567", "u1"]


def test_identify_ties_the_visitor_and_tells_of_the_person() -> None:
    said = event("$identify", "u1", **{"$anon_distinct_id": VISITOR})
    said["$set"] = {"plan": "gold", "email": "a@b.example", "$os": "x", "country": "PT"}
    assert send(said).facts == [
        Shopper(id="u1", country="PT", traits={"plan": "gold"}),
        Alias(shopper="u1", alias=f"anon-{VISITOR}"),
    ]
    (person,) = send(event("$set", "u1", **{"$set": {"plan": "silver"}})).facts
    assert person == Shopper(id="u1", traits={"plan": "silver"})


def test_an_alias_ties_the_id_known_before() -> None:
    server = event("$create_alias", VISITOR, distinct_id=VISITOR, alias="u1")
    browser = event("$create_alias", "u1", alias=VISITOR)
    plain = event("$create_alias", "old-17", distinct_id="old-17", alias="u1")
    assert (
        send(server).facts == send(browser).facts == [Alias(shopper="u1", alias=f"anon-{VISITOR}")]
    )
    assert send(plain).facts == [Alias(shopper="u1", alias="old-17")]


def test_a_browser_speaks_for_its_device() -> None:
    terms = Terms(NOW, speaks_for=lambda one: one.startswith("anon-") and len(one) >= 21)
    said = send(
        event("Product Viewed", "u1", product_id="a", **{"$device_id": VISITOR}),
        event("$identify", "u1", **{"$anon_distinct_id": VISITOR}),
        event("Product Viewed", "u1", product_id="b"),
        event("$create_alias", "u2", alias="u1"),
        terms=terms,
    )
    assert [fact.shopper for fact in said.facts if isinstance(fact, Action)] == [f"anon-{VISITOR}"]
    assert not any(isinstance(fact, Alias) for fact in said.facts)
    assert [bad.row for bad in said.rejected] == [2, 3]


def test_events_of_the_sdks_own_are_counted() -> None:
    said = send(event("$autocapture"), event("$feature_flag_called"), event("lamp dimmed"))
    assert (said.facts, said.rejected, sum(said.skipped.values())) == ([], [], 3)


def test_an_offset_says_how_long_ago_it_was() -> None:
    one = {"event": "Product Viewed", "properties": {"distinct_id": "u1", "product_id": "a"}}
    (action,) = decode_posthog({**one, "offset": 4_000}, Terms(NOW)).facts
    assert isinstance(action, Action)
    assert action.at == NOW - 4_000


def test_the_key_is_found_where_the_sdks_put_it() -> None:
    in_properties = {"event": "a", "properties": {"token": "k"}}
    assert project_key({"api_key": "k", "batch": []}) == "k"
    assert project_key(in_properties) == project_key([in_properties]) == "k"
    assert [project_key(said) for said in ({}, [], 17, [3])] == ["", "", "", ""]


def test_what_names_nobody_is_refused() -> None:
    said = send({"event": "Product Viewed"}, {"distinct_id": "u1"}, 17)
    assert [(bad.row, bad.field) for bad in said.rejected] == [
        (0, "distinct_id"), (1, "event"), (2, None),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, 17, "text"])
def test_what_is_no_body_is_said(body: object) -> None:
    with pytest.raises(BadInput):
        decode_posthog(body, Terms(NOW))
