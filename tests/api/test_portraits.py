"""Who a shopper is, over HTTP: with what it rests on, and withheld where it is not allowed."""

from __future__ import annotations

from habitue.facts import Action, Consent, Item
from tests.api.conftest import NOW_MS, Client, Served

DAY = 86_400_000


def tell(served: Served) -> None:
    served.shop.ingest(
        [
            Item(id="cup", brand="Kona", product_type="Home > Cups", price_micros=5_000_000),
            Item(id="pot", brand="Aldo", product_type="Home > Tea", price_micros=9_000_000),
            Action(kind="view_item", shopper="ana", item="cup", at=NOW_MS - 2 * DAY),
            Action(
                kind="purchase", shopper="ana", item="pot", at=NOW_MS - DAY, order_id="o-1",
                value_minor=900, currency="EUR",
            ),
            Action(kind="view_item", shopper="ben", item="cup", at=NOW_MS),
            Consent(shopper="ben", denied=["personalisation"], at=NOW_MS),
        ]
    )  # fmt: skip


def test_a_portrait_names_what_it_rests_on(served: Served, client: Client) -> None:
    tell(served)
    answer = client.get("/v1/shoppers/ana/portrait")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["shopper"], said["personalisation"], said["actions"]) == ("ana", True, 2)
    assert said["lifecycle"]["stage"] == "one-time"  # the clock is far past the order
    tea, cups = said["categories"]
    assert (tea["name"], cups["name"]) == ("Home > Tea", "Home > Cups")
    assert tea["evidence"] == [{"item": "pot", "kind": "purchase", "at": "2025-06-14T15:06:40Z"}]
    assert said["rfv"]["value_minor"] == 900
    assert said["rfv"]["evidence"][0]["items"] == ["pot"]


def test_who_does_not_allow_it_has_no_portrait(served: Served, client: Client) -> None:
    tell(served)
    said = client.get("/v1/shoppers/ben/portrait").json()
    assert said["personalisation"] is False
    assert said["actions"] == 0
    assert said["lifecycle"] is said["rfv"] is said["price"] is None
    assert said["categories"] == said["brands"] == []
    assert "cup" not in client.get("/v1/shoppers/ben/portrait").text


def test_a_stranger_has_none(client: Client) -> None:
    assert client.get("/v1/shoppers/nobody/portrait").status_code == 404


def test_only_a_server_may_ask(served: Served, client: Client) -> None:
    tell(served)
    key = served.key("browser")
    refused = client.get("/v1/shoppers/ana/portrait", headers={"x-api-key": key})
    assert refused.status_code == 403
