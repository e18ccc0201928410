"""Bodies one can send as they stand: shown in the OpenAPI document, sent by the tests."""

from __future__ import annotations

from typing import Final

from habitue.api.operation import Example

__all__ = ["ALIASES", "CARDS", "CONSENTS", "EVENTS", "ITEMS", "LINKS", "RECOMMEND", "SHOPPERS"]

EVENTS: Final = (
    Example(
        "A view and a purchase",
        {
            "actions": [
                {"kind": "view_item", "shopper": "s-1", "item": "mug-blue"},
                {
                    "kind": "purchase",
                    "shopper": "s-1",
                    "item": "mug-blue",
                    "order_id": "order-1001",
                    "quantity": 2,
                    "price_micros": 7_950_000,
                    "value_minor": 1590,
                    "currency": "EUR",
                },
            ]
        },
    ),
    Example(
        "An answer to a slate, with an id so that it can be sent again",
        {
            "actions": [
                {
                    "id": "018bcfe5-6800-7000-8000-000000000001",
                    "kind": "select_item",
                    "shopper": "s-1",
                    "item": "teapot-white",
                    "surface": "home",
                    "slate_id": "018bcfe5-6800-7000-8000-0000000000aa",
                    "slot": 3,
                }
            ]
        },
    ),
)

ITEMS: Final = (
    Example(
        "A new item, and one that is gone",
        {
            "items": [
                {
                    "id": "mug-blue",
                    "title": "Blue mug",
                    "description": "Stoneware, 0.3 l, dishwasher safe.",
                    "brand": "Kiln",
                    "product_type": "Kitchen > Mugs",
                    "price_micros": 7_950_000,
                    "currency": "EUR",
                    "availability": "in_stock",
                },
                {"id": "mug-red", "deleted": True},
            ]
        },
    ),
)

SHOPPERS: Final = (
    Example(
        "A shopper and what is known of them",
        {"shoppers": [{"id": "s-1", "country": "DE", "locale": "de-DE", "traits": {"club": True}}]},
    ),
)

LINKS: Final = (
    Example(
        "A friend and a piece of knowledge",
        {
            "links": [
                {"kind": "friend", "head": "s-1", "tail": "s-2"},
                {
                    "kind": "knowledge",
                    "head": "mug-blue",
                    "relation": "designed_by",
                    "tail": "A. Potter",
                },
            ]
        },
    ),
)

CONSENTS: Final = (
    Example(
        "Personalisation yes, messages no",
        {"consents": [{"shopper": "s-1", "granted": ["personalisation"], "denied": ["messages"]}]},
    ),
)

ALIASES: Final = (
    Example(
        "An anonymous visitor signs in",
        {"aliases": [{"shopper": "s-1", "alias": "anon-4f9d0c2b7a61e358"}]},
    ),
)

RECOMMEND: Final = (
    Example("The home page of a shopper", {"surface": "home", "shopper": "s-1", "n": 8}),
    Example(
        "What goes with a cart",
        {"surface": "cart", "shopper": "s-1", "items": ["mug-blue", "teapot-white"], "n": 4},
    ),
)

CARDS: Final = (Example("What a page shows of two items", {"items": ["mug-blue", "teapot-white"]}),)
