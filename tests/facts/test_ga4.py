"""GA4 events as Google's documentation sends them, told as facts."""

import json
from typing import Any

import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Consent, Item
from habitue.facts.feeds.ga4 import decode_ga4, decode_measurement
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.tracked import Terms

NOW = 1_700_000_000_000
THEN_US = (NOW - 60_000) * 1000

TEE = {
    "item_id": "SKU_12345",
    "item_name": "Stan and Friends Tee",
    "affiliation": "Google Merchandise Store",
    "coupon": "SUMMER_FUN",
    "discount": 2.22,
    "index": 0,
    "item_brand": "Google",
    "item_category": "Apparel",
    "item_category2": "Adult",
    "item_list_id": "related_products",
    "item_variant": "green",
    "price": 10.01,
    "quantity": 3,
}
GRAPHIC = {"item_id": "SKU_12346", "item_name": "Women's Tee", "price": 21.01, "quantity": 2}
PURCHASE = {
    "name": "purchase",
    "params": {
        "transaction_id": "T_12345",
        "value": 72.05,
        "tax": 3.60,
        "shipping": 5.99,
        "currency": "USD",
        "coupon": "SUMMER_SALE",
        "items": [TEE, GRAPHIC],
    },
}


def send(*events: Any, with_items: bool = False, **body: Any) -> Decoded:
    sent = {"client_id": "c.1", "timestamp_micros": THEN_US, **body, "events": list(events)}
    return decode_ga4(json.dumps(sent).encode(), now_ms=NOW, with_items=with_items)


def actions(said: Decoded) -> list[Action]:
    assert said.rejected == []
    return [fact for fact in said.facts if isinstance(fact, Action)]


def test_a_purchase_is_one_action_an_order_line() -> None:
    tee, graphic = actions(send(PURCHASE))
    assert (tee.kind, tee.shopper, tee.item, tee.order_id) == (
        "purchase", "c.1", "SKU_12345", "T_12345",
    )  # fmt: skip
    assert (tee.price_micros, tee.quantity, tee.value_minor) == (10_010_000, 3, 3003)
    assert (graphic.price_micros, graphic.quantity, graphic.value_minor) == (21_010_000, 2, 4202)
    assert (tee.currency, tee.at, tee.slot) == ("USD", NOW - 60_000, 0)
    assert (tee.coupon, graphic.coupon) == ("SUMMER_FUN", "SUMMER_SALE")
    assert tee.extra == {"tax": 3.6, "shipping": 5.99}


def test_a_resend_makes_the_same_ids() -> None:
    view = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}
    assert send(PURCHASE, view).facts == send(PURCHASE, view).facts
    ids = [action.id for action in actions(send(PURCHASE, view))]
    assert len(set(ids)) == 3


def test_a_purchase_is_known_by_its_transaction_whenever_the_page_is_loaded_again() -> None:
    first = actions(send(PURCHASE))
    again = actions(send(PURCHASE, timestamp_micros=THEN_US + 5_000_000))
    assert [a.id for a in first] == [a.id for a in again]
    refund = PURCHASE | {"name": "refund"}
    assert not {a.id for a in first} & {a.id for a in actions(send(refund))}


def test_two_views_at_different_times_are_two() -> None:
    view = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}
    later = view | {"timestamp_micros": THEN_US + 1}
    one, two = actions(send(view, later))
    assert one.id != two.id
    (untold,) = actions(send(view, timestamp_micros=None))
    assert untold.id is None
    named = {"name": "view_item", "params": {"items": [{"item_id": "a"}], "event_id": "e1"}}
    assert actions(send(named))[0].id == actions(send(named))[0].id


def test_a_known_customer_is_the_shopper_and_the_cookie_an_alias() -> None:
    said = send({"name": "login"}, user_id="u1")
    assert said.facts[0] == Alias(shopper="u1", alias="c.1", at=NOW - 60_000)
    assert actions(said)[0].shopper == "u1"


def test_consent_to_storage_is_consent_to_purposes() -> None:
    answer = {
        "personalization_storage": "DENIED",
        "analytics_storage": "granted",
        "ad_user_data": "GRANTED",
    }
    (consent,) = send(consent=answer).facts
    assert consent == Consent(
        shopper="c.1", granted=["analytics"], denied=["personalisation"], at=NOW - 60_000
    )
    assert send(consent={"ad_user_data": "GRANTED"}).facts == []


def test_searches_and_lists() -> None:
    search, first, second = actions(
        send(
            {"name": "search", "params": {"search_term": "tea", "ga_session_id": 17}},
            {
                "name": "view_item_list",
                "params": {"items": [{"item_id": "a", "index": 4}, {"item_name": "B"}]},
            },
        )
    )
    assert (search.kind, search.query, search.session_id, search.item) == (
        "search", "tea", "17", None,
    )  # fmt: skip
    assert (first.item, first.slot, second.item, second.slot) == ("a", 4, "B", None)


def test_numbers_may_be_written_as_text() -> None:
    line = {"item_id": "a", "price": "15.00", "quantity": "2"}
    event = {"name": "add_to_cart", "params": {"currency": "JPY", "items": [line]}}
    (action,) = actions(send(event, timestamp_micros=str(THEN_US)))
    assert (action.price_micros, action.value_minor) == (15_000_000, 30)


def test_what_google_collects_by_itself_is_counted_and_no_error() -> None:
    said = send({"name": "session_start"}, {"name": "scroll"}, {"name": "scroll"})
    assert (said.facts, said.rejected) == ([], [])
    assert said.skipped == {"session_start": 1, "scroll": 2}


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        ({"name": "add_to_crt"}, "name", "did you mean 'add_to_cart'"),
        ({"name": "view_item"}, "items", "must name its items"),
        ({"name": "view_item", "params": {"items": [{"price": 3}]}}, "items[0].item_id", "item_id"),
        (
            {"name": "view_item", "params": {"items": [{"item_id": "a", "price": 3}]}},
            "currency",
            "currency",
        ),
        (
            {
                "name": "purchase",
                "params": {"currency": "EUR", "items": [GRAPHIC, {**TEE, "price": -1}]},
            },
            "items[1]",
            ">= 0",
        ),
        ({"name": "refund", "params": {}}, "items", "must name its items"),
        ({"name": "view_item", "params": {"items": [TEE] * 201}}, "items", "at most 200"),
        ({"name": "login", "timestamp_micros": NOW}, "timestamp_micros", "1990"),
        ({"name": "login", "timestamp_micros": THEN_US * 2}, "timestamp_micros", "future"),
        (7, None, "object"),
        ({}, None, "name"),
        (
            {
                "name": "view_item",
                "params": {"currency": "EUR", "items": [{"item_id": "a", "price": "x"}]},
            },
            "items[0]",
            "float",
        ),
    ],
)  # fmt: skip
def test_a_wrong_event_is_refused_and_the_others_are_kept(
    event: Any, field: str | None, reason: str
) -> None:
    said = send({"name": "login"}, event, {"name": "sign_up"})
    assert [fact.kind for fact in said.facts if isinstance(fact, Action)] == ["login", "sign_up"]
    (bad,) = said.rejected
    assert (bad.row, bad.field) == (1, field)
    assert reason in bad.reason


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"{", b'{"events": []}', b'{"client_id": "c", "events": 5}', b"\xff"]
)
def test_what_is_no_ga4_body_is_refused_with_the_right_shape(body: bytes) -> None:
    with pytest.raises(BadInput, match="Send"):
        decode_ga4(body, now_ms=NOW)


def test_late_events_are_counted() -> None:
    said = send({"name": "login"}, timestamp_micros=(NOW - 2 * 86_400_000) * 1000)
    assert said.late == 1


def test_items_become_versions_only_when_asked() -> None:
    assert not [fact for fact in send(PURCHASE).facts if isinstance(fact, Item)]
    tee = next(fact for fact in send(PURCHASE, with_items=True).facts if isinstance(fact, Item))
    assert tee == Item(
        id="SKU_12345", title="Stan and Friends Tee", brand="Google",
        product_type="Apparel > Adult", price_micros=10_010_000, currency="USD",
        attributes={"variant": "green"}, valid_from=NOW - 60_000,
    )  # fmt: skip


def test_a_measurement_knows_visitors_from_users() -> None:
    body = {"client_id": "555.123", "user_id": "u1", "timestamp_micros": THEN_US}
    view = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}
    sent = json.dumps({**body, "events": [view, {"name": "lamp_dimmed"}]}).encode()
    said = decode_measurement(sent, Terms(NOW))
    assert said.facts[0] == Alias(shopper="u1", alias="anon-555.123", at=NOW - 60_000)
    assert [action.shopper for action in actions(said)] == ["u1"]
    assert said.skipped == {"lamp_dimmed": 1}
    visitor = json.dumps({"client_id": "555.123", "events": [view]}).encode()
    assert actions(decode_measurement(visitor, Terms(NOW)))[0].shopper == "anon-555.123"
    told = decode_measurement(sent, Terms(NOW), skip_unknown=False)
    assert [(bad.row, bad.field) for bad in told.rejected] == [(1, "name")]


def test_a_measurement_of_a_browser_speaks_for_its_visitor() -> None:
    view = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}
    terms = Terms(NOW, speaks_for=lambda one: one.startswith("anon-"))
    both = json.dumps({"client_id": "555.123", "user_id": "u1", "events": [view]}).encode()
    said = decode_measurement(both, terms)
    assert [type(fact) for fact in said.facts] == [Action]
    assert actions(said)[0].shopper == "anon-555.123"
    with pytest.raises(BadInput, match="does not speak for a user"):
        decode_measurement(json.dumps({"user_id": "u1", "events": [view]}).encode(), terms)
    with pytest.raises(BadInput, match="names nobody"):
        decode_measurement(json.dumps({"events": [view]}).encode(), terms)


def test_a_refund_without_items_is_of_the_whole_order() -> None:
    (refund,) = actions(send({"name": "refund", "params": {"transaction_id": "T"}}))
    assert (refund.kind, refund.order_id, refund.item) == ("refund", "T", None)
