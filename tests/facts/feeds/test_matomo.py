"""Requests as Matomo's trackers send them, told as facts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Item
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.matomo import decode_matomo, parameters, requests_of
from habitue.facts.feeds.tracked import Terms

NOW = 1_700_000_000_000
VISITOR = "4f9d0c2b7a61e358"
LINES = [["mug", "Blue mug", ["Kitchen", "Mugs"], 7.95, 2], ["pot", "Pot", "Kitchen", "10", "1"]]


def send(*requests: dict[str, Any], terms: Terms | None = None) -> Decoded:
    said = [{"idsite": "1", "rec": "1", "_id": VISITOR, **one} for one in requests]
    return decode_matomo([parameters(query(one)) for one in said], terms or Terms(NOW))


def query(said: dict[str, Any]) -> str:
    from urllib.parse import urlencode

    return urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in said.items()})


def actions(said: Decoded) -> list[Action]:
    assert said.rejected == []
    return [fact for fact in said.facts if isinstance(fact, Action)]


def test_a_product_view_names_its_item() -> None:
    (view,) = actions(
        send({"url": "https://s.example/mug", "_pks": "mug", "_pkn": "Blue mug", "_pkp": "7.95",
              "_pkc": ["Kitchen", "Mugs"]}, terms=Terms(NOW, "GBP"))
    )  # fmt: skip
    assert (view.kind, view.item, view.shopper) == ("view_item", "mug", f"anon-{VISITOR}")
    assert (view.price_micros, view.currency) == (7_950_000, "GBP")


def test_an_order_is_one_purchase_a_line_and_known_by_its_number() -> None:
    order = {"idgoal": 0, "ec_id": "o-1", "revenue": "25.90", "ec_items": LINES}
    mug, pot = actions(send(order))
    assert (mug.kind, mug.item, mug.order_id, mug.quantity) == ("purchase", "mug", "o-1", 2)
    assert (mug.value_minor, pot.value_minor) == (1590, 1000)
    assert [one.id for one in actions(send(order))] == [mug.id, pot.id]


def test_a_cart_told_again_the_same_day_adds_only_what_is_new() -> None:
    first = actions(send({"idgoal": 0, "ec_items": LINES[:1]}))
    second = actions(send({"idgoal": 0, "ec_items": [LINES[1], LINES[0]]}))
    assert [one.kind for one in second] == ["add_to_cart", "add_to_cart"]
    assert second[1].id == first[0].id
    assert second[0].id != first[0].id
    tomorrow = actions(send({"idgoal": 0, "ec_items": LINES[:1]}, terms=Terms(NOW + 86_400_000)))
    assert tomorrow[0].id != first[0].id


def test_searches_categories_and_pages() -> None:
    search, category, page = actions(
        send({"search": "blue mugs", "url": "u"}, {"_pkc": "Mugs", "url": "u"}, {"url": "u"})
    )
    assert (search.kind, search.query) == ("search", "blue mugs")
    assert (category.kind, category.extra) == ("view_item_list", {"item_list_name": "Mugs"})
    assert (page.kind, page.extra) == ("page_view", None)


def test_a_user_is_the_shopper_and_the_visitor_theirs() -> None:
    said = send({"uid": "u1", "_pks": "mug"})
    assert said.facts[0] == Alias(shopper="u1", alias=f"anon-{VISITOR}")
    assert [fact.shopper for fact in said.facts if isinstance(fact, Action)] == ["u1"]


def test_a_time_is_utc_or_seconds() -> None:
    told, counted = actions(
        send({"_pks": "a", "cdt": "2023-11-14 22:12:20"}, {"_pks": "b", "cdt": "1699999940"})
    )
    assert (told.at, counted.at) == (NOW - 60_000, NOW - 60_000)
    (now,) = actions(send({"_pks": "a"}))
    assert now.at is None


def test_products_become_items_only_where_that_is_wanted() -> None:
    view = {"_pks": "mug", "_pkn": "Blue mug", "_pkc": ["Kitchen", "Mugs"], "url": "https://s/?a"}
    assert not any(isinstance(fact, Item) for fact in send(view).facts)
    item = send(view, terms=Terms(NOW, with_items=True)).facts[0]
    assert item == Item(
        id="mug", title="Blue mug", product_type="Kitchen > Mugs", link="https://s/"
    )


def test_what_says_nothing_of_items_is_counted() -> None:
    said = send({"ping": 1}, {"e_c": "Video"}, {"link": "https://x"}, {"idgoal": 3},
                {"idgoal": 0, "ec_items": []})  # fmt: skip
    assert (said.facts, said.rejected) == ([], [])
    assert said.skipped == {"ping": 1, "event": 1, "outlink": 1, "goal": 1, "empty cart": 1}


def test_one_wrong_request_costs_only_itself() -> None:
    said = send(
        {"idgoal": 0, "ec_id": "o-1"},
        {"idgoal": 0, "ec_items": "[broken"},
        {"idgoal": 0, "ec_id": "o-2", "ec_items": [["mug"], []]},
        {"_pks": "mug", "_pkp": "seven"},
        {},
        {"_pks": "mug", "_id": ""},
        {"_pks": "mug", "cdt": "9" * 300},
        {"_pks": "mug"},
    )
    assert [(bad.row, bad.field) for bad in said.rejected] == [
        (0, "ec_items"), (1, "ec_items"), (2, "ec_items[1]"), (3, "_pks.price"), (4, "url"),
        (5, "_id"), (6, "cdt"),
    ]  # fmt: skip
    assert len(said.facts) == 1


def test_a_bulk_body_holds_query_strings_or_objects() -> None:
    said = requests_of({"requests": ["?_id=a&url=u", {"_id": "b"}, 17]})
    assert said == [{"_id": "a", "url": "u"}, {"_id": "b"}, 17]
    for body in (None, [], {"requests": 3}, {}):
        with pytest.raises(BadInput):
            requests_of(body)
    with pytest.raises(BadInput):
        parameters("&".join(f"p{n}=1" for n in range(1000)))
