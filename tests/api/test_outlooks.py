"""When a customer is expected back, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from habitue.facts import Action, Consent
from tests.api.conftest import Client, Served, opened, settings_in

DAY = 86_400_000


@pytest.fixture(params=["sqlite, memory", "postgresql, memory"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """The shop on both stores: an outlook is read from their facts."""
    overrides: dict[str, object] = {}
    if request.param.startswith("postgresql"):
        overrides["store.address"] = request.getfixturevalue("fresh_postgres_dsn")
    with opened(settings_in(tmp_path, overrides)) as one:
        yield one


def tell(served: Served) -> None:
    """Forty-two customers who have come every ten days until now."""
    now_ms = int(time.time() * 1000)
    served.shop.ingest(
        [
            Action(
                kind="purchase", shopper=who, item="item-1", at=now_ms - 10 * DAY * n - 1000,
                order_id=f"{who}-{n}", value_minor=900, currency="EUR",
            )
            for n in range(1, 21)
            for who in ("ana", "ben", *(f"c{k}" for k in range(40)))
        ]
    )  # fmt: skip
    served.shop.ingest([Consent(shopper="ben", denied=["personalisation"], at=now_ms)])


def test_before_a_training_only_orders_are_told(served: Served, client: Client) -> None:
    tell(served)
    answer = client.get("/v1/shoppers/ana/outlook")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["shopper"], said["personalisation"], said["orders"]) == ("ana", True, 20)
    assert said["purchase_within_30_days"] is None


def test_after_a_training_a_return_is_expected(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    said = client.get("/v1/shoppers/ana/outlook").json()
    assert 0 < said["purchase_within_30_days"] < 1
    assert said["usual_gap_days"] == 10
    assert len(said["evidence"]) == 3
    assert said["evidence"][0]["value_minor"] == 900
    assert said["evidence"][0]["items"] == ["item-1"]
    assert {pull["what"] for pull in said["pulls"]} >= {"recency", "rhythm", "frequency"}


def test_who_does_not_allow_it_has_no_outlook(served: Served, client: Client) -> None:
    tell(served)
    said = client.get("/v1/shoppers/ben/outlook").json()
    assert said["personalisation"] is False
    assert (said["orders"], said["evidence"], said["pulls"]) == (0, [], [])
    assert "item-1" not in client.get("/v1/shoppers/ben/outlook").text


def test_a_stranger_has_none_and_a_browser_may_not_ask(served: Served, client: Client) -> None:
    tell(served)
    assert client.get("/v1/shoppers/nobody/outlook").status_code == 404
    key = served.key("browser")
    refused = client.get("/v1/shoppers/ana/outlook", headers={"x-api-key": key})
    assert refused.status_code == 403
