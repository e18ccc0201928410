"""Messages as Segment's and RudderStack's SDKs send them, told as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Consent, Item, Shopper
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.segment import decode_segment, kind_of
from habitue.facts.feeds.tracked import Terms

NOW = 1_700_000_000_000
VISITOR = "9ea6b1f0-6f0d-4c5e-9d3b-0c9f3f1f2a11"
MUG = {"product_id": "mug", "name": "Blue mug", "brand": "Kiln", "category": "Kitchen > Mugs",
       "price": 7.95, "quantity": 2, "currency": "USD"}  # fmt: skip


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def track(event: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {"type": "track", "event": event, "userId": "u1", "messageId": f"m {event}"}
    return {**said, "timestamp": iso(NOW - 60_000), "properties": properties or {}, **more}


def send(*messages: Any, terms: Terms | None = None, **body: Any) -> Decoded:
    return decode_segment({"batch": list(messages), **body}, terms or Terms(NOW))


def actions(said: Decoded) -> list[Action]:
    assert said.rejected == []
    return [fact for fact in said.facts if isinstance(fact, Action)]


def test_an_order_is_one_purchase_a_product() -> None:
    order = {
        "order_id": "o-1", "currency": "GBP", "revenue": 25.9, "tax": 2, "coupon": "MAY",
        "products": [
            {"product_id": "mug", "price": 7.95, "quantity": 2, "position": 1},
            {"sku": "pot", "price": "10.00"},
        ],
    }  # fmt: skip
    mug, pot = actions(send(track("Order Completed", order)))
    assert (mug.kind, mug.item, mug.order_id, mug.quantity) == ("purchase", "mug", "o-1", 2)
    assert (mug.price_micros, mug.value_minor, mug.currency) == (7_950_000, 1590, "GBP")
    assert (mug.slot, mug.coupon, mug.extra) == (1, "MAY", {"tax": 2})
    assert (pot.item, pot.quantity, pot.price_micros, pot.value_minor) == (
        "pot",
        1,
        10_000_000,
        1000,
    )
    assert mug.at == pot.at == NOW - 60_000


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("Product Viewed", "view_item"),
        ("Product Clicked", "select_item"),
        ("Product Added", "add_to_cart"),
        ("Product Removed", "remove_from_cart"),
        ("Product Added to Wishlist", "add_to_wishlist"),
        ("Order Refunded", "refund"),
        ("Order Cancelled", "refund"),
        ("Product Reviewed", "review"),
        ("Product Shared", "share"),
    ],
)
def test_product_events_go_by_their_ga4_kinds(event: str, kind: str) -> None:
    (action,) = actions(send(track(event, MUG)))
    assert (action.kind, action.item, action.shopper) == (kind, "mug", "u1")


def test_events_without_a_product_keep_what_they_say() -> None:
    searched = track("Products Searched", {"query": "blue mugs"})
    promoted = track("Promotion Clicked", {"promotion_id": "p-1", "email": "a@b.example"})
    search, promotion, page = actions(send(searched, promoted, {"type": "page", "userId": "u1"}))
    assert (search.kind, search.query) == ("search", "blue mugs")
    assert (promotion.kind, promotion.extra) == ("select_promotion", {"promotion_id": "p-1"})
    assert (page.kind, page.item, page.extra) == ("page_view", None, None)


def test_a_review_brings_its_rating_and_words() -> None:
    said = {"product_id": "mug", "rating": "4", "review_body": "Holds tea."}
    (review,) = actions(send(track("Product Reviewed", said)))
    assert (review.rating, review.text) == (4.0, "Holds tea.")


@pytest.mark.parametrize("name", ["product viewed", "Product_Viewed", "Viewed Product"])
def test_names_may_be_written_in_other_ways(name: str) -> None:
    assert kind_of(name) is not None
    assert kind_of("Lamp Dimmed") is None


def test_a_message_sent_again_makes_the_same_ids() -> None:
    view = track("Product Viewed", MUG)
    first, again = actions(send(view, sentAt=iso(NOW))), actions(send(view, sentAt=iso(NOW + 900)))
    assert first == again
    assert first[0].id != actions(send({**view, "messageId": "other"}))[0].id


def test_an_order_is_known_by_its_number_however_often_the_page_is_loaded() -> None:
    order = {"order_id": "o-1", "products": [{"product_id": "mug"}]}
    first = actions(send(track("Order Completed", order)))
    again = actions(send(track("Order Completed", order, messageId="m2", timestamp=iso(NOW))))
    assert [one.id for one in first] == [one.id for one in again]


def test_a_clock_that_runs_wrong_is_set_right_by_when_it_says_it_sent() -> None:
    behind = 3_600_000
    view = track("Product Viewed", MUG, timestamp=iso(NOW - behind - 5_000))
    (action,) = actions(send(view, sentAt=iso(NOW - behind)))
    assert action.at == NOW - 5_000
    (ahead,) = actions(
        send(track("Product Viewed", MUG, timestamp=iso(NOW + behind)), sentAt=iso(NOW + behind))
    )
    assert ahead.at == NOW


def test_what_is_in_the_future_by_the_senders_own_clock_is_refused() -> None:
    said = send(track("Product Viewed", MUG, timestamp=iso(NOW + 900_000)), sentAt=iso(NOW))
    assert [(bad.row, bad.field) for bad in said.rejected] == [(0, "timestamp")]


def test_identify_tells_of_the_shopper_and_ties_the_visitor_to_them() -> None:
    traits = {"plan": "gold", "orders": 3, "email": "ana@example.com", "firstName": "Ana",
              "address": {"country": "PT", "street": "R. Nova 1"}}  # fmt: skip
    said = send(
        {"type": "identify", "userId": "u1", "anonymousId": VISITOR, "traits": traits,
         "context": {"locale": "pt-PT"}}
    )  # fmt: skip
    assert said.facts == [
        Shopper(id="u1", country="PT", locale="pt-PT", traits={"plan": "gold", "orders": 3}),
        Alias(shopper="u1", alias=f"anon-{VISITOR}"),
    ]


def test_identify_without_traits_does_not_forget_what_was_known() -> None:
    said = send({"type": "identify", "userId": "u1", "anonymousId": VISITOR})
    assert said.facts == [Alias(shopper="u1", alias=f"anon-{VISITOR}")]


def test_a_visitor_who_said_nothing_is_anonymous() -> None:
    (action,) = actions(send(track("Product Viewed", MUG, userId=None, anonymousId=VISITOR)))
    assert action.shopper == f"anon-{VISITOR}"


def test_an_alias_joins_two_ids_of_a_person() -> None:
    old = {"type": "alias", "userId": "u1", "previousId": "old-17"}
    visitor = {"type": "alias", "userId": "u1", "previousId": VISITOR}
    assert send(old, visitor).facts == [
        Alias(shopper="u1", alias="old-17"),
        Alias(shopper="u1", alias=f"anon-{VISITOR}"),
    ]


def test_consent_is_read_where_it_is_given() -> None:
    preferences = {"Analytics": True, "C0003": False, "Advertising": False}
    segment = {"consent": {"categoryPreferences": preferences}}
    rudder = {"consentManagement": {"allowedConsentIds": ["research"],
                                    "deniedConsentIds": ["analytics"]}}  # fmt: skip
    said = send(
        track("Cart Viewed", context=segment), track("Cart Viewed", userId="u2", context=rudder)
    )
    assert [fact for fact in said.facts if isinstance(fact, Consent)] == [
        Consent(shopper="u1", granted=["analytics"], denied=["personalisation"], at=NOW - 60_000),
        Consent(shopper="u2", granted=["research"], denied=["analytics"], at=NOW - 60_000),
    ]


def test_products_become_items_only_where_that_is_wanted() -> None:
    view = track("Product Viewed", {**MUG, "image_url": "https://i.example/mug.jpg",
                                    "url": "https://s.example/mug?session=17"})  # fmt: skip
    assert not any(isinstance(fact, Item) for fact in send(view).facts)
    item, action = send(view, terms=Terms(NOW, with_items=True)).facts
    assert item == Item(
        id="mug", title="Blue mug", brand="Kiln", product_type="Kitchen > Mugs",
        image_link="https://i.example/mug.jpg", link="https://s.example/mug",
        price_micros=7_950_000, currency="USD", valid_from=NOW - 60_000,
    )  # fmt: skip
    assert isinstance(action, Action)


def test_a_price_without_a_currency_is_in_the_shops() -> None:
    (action,) = actions(
        send(track("Product Added", {"product_id": "a", "price": 2}), terms=Terms(NOW, "CHF"))
    )
    assert (action.price_micros, action.currency) == (2_000_000, "CHF")


def test_one_wrong_message_costs_only_itself() -> None:
    said = send(
        track("Product Viewed", MUG),
        track("Product Viewed", {}),
        track("Product Added", {"product_id": "a", "price": "seven"}),
        "no object",
        {"type": "sing", "userId": "u1"},
        {"type": "track", "event": "Product Viewed", "properties": MUG},
        track("Order Completed", {"order_id": "o", "products": [{"product_id": "a"}, {}]}),
        track("Product Viewed", {"product_id": "b"}),
    )
    assert [(bad.row, bad.field) for bad in said.rejected] == [
        (1, "product_id"),
        (2, "properties.price"),
        (3, None),
        (4, "type"),
        (5, "userId"),
        (6, "properties.products[1].product_id"),
    ]
    assert [fact.item for fact in said.facts if isinstance(fact, Action)] == ["mug", "b"]
    assert said.rows == [0, 7]


def test_events_with_no_meaning_here_are_counted() -> None:
    said = send(track("Lamp Dimmed"), track("Lamp Dimmed"), {"type": "group", "userId": "u1"})
    assert (said.facts, said.rejected) == ([], [])
    assert said.skipped == {"Lamp Dimmed": 2, "group": 1}


def test_late_events_are_taken_and_counted() -> None:
    said = send(track("Product Viewed", MUG, timestamp=iso(NOW - 172_800_000)))
    assert (len(said.facts), said.late) == (1, 1)


def from_browser(shopper: str) -> bool:
    return shopper.startswith("anon-") and len(shopper) >= 21


def test_a_browser_speaks_for_its_visitor_and_not_for_the_user_it_names() -> None:
    terms = Terms(NOW, speaks_for=from_browser)
    said = send(
        track("Product Viewed", MUG, anonymousId=VISITOR),
        {"type": "identify", "userId": "u1", "anonymousId": VISITOR, "traits": {"plan": "gold"}},
        track("Product Viewed", MUG),
        track("Product Viewed", MUG, userId=None, anonymousId="short"),
        {"type": "alias", "userId": "u1", "previousId": "u2"},
        terms=terms,
    )
    assert {getattr(fact, "shopper", None) or fact.id for fact in said.facts} == {  # type: ignore[union-attr]
        f"anon-{VISITOR}"
    }
    assert not any(isinstance(fact, Alias) for fact in said.facts)
    assert [bad.row for bad in said.rejected] == [2, 3, 4]


@pytest.mark.parametrize("body", [None, 17, [], "text", {"batch": {}}, {"batch": 3}])
def test_what_is_no_body_is_said(body: object) -> None:
    with pytest.raises(BadInput):
        decode_segment(body, Terms(NOW))


def test_a_refund_without_products_is_of_the_whole_order() -> None:
    (refund,) = actions(send(track("Order Refunded", {"order_id": "o-1"})))
    assert (refund.kind, refund.order_id, refund.item) == ("refund", "o-1", None)
