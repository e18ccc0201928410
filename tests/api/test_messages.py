"""Messages over HTTP: sent by the shop's server, ended by whoever gets them."""

from __future__ import annotations

import pytest

from habitue.app.messaging import unsubscribe_key
from habitue.facts import Consent, Shopper
from habitue.surfaces.unsubscribe import unsubscribe_token
from tests.api.conftest import Client, Served

CAMPAIGN = {"id": "c1", "subject": "Hi", "text": "{{ items | length }}", "n": 2}


@pytest.fixture
def told(served: Served, client: Client) -> tuple[Served, Client]:
    """A served shop with one shopper who allows messages."""
    served.shop.ingest(
        [
            Shopper(id="reader", traits={"email": "r@x.example"}),
            Consent(shopper="reader", granted=["messages"]),
        ]
    )
    return served, client


def test_a_campaign_is_sent_once(told: tuple[Served, Client]) -> None:
    _, client = told
    first = client.post("/v1/messages", json=CAMPAIGN)
    assert (first.status_code, first.json()["sent"]) == (200, 1)
    assert client.post("/v1/messages", json=CAMPAIGN).json()["skipped"] == {"already_sent": 1}


def test_only_the_shops_server_may_send(told: tuple[Served, Client]) -> None:
    served, client = told
    for scope, status in (("browser", 403), ("server", 200)):
        headers = {"authorization": f"Bearer {served.key(scope)}"}
        answer = client.post("/v1/messages", json=CAMPAIGN, headers=headers)
        assert answer.status_code == status
    assert client.post("/v1/messages", json=CAMPAIGN).status_code == 401


def test_a_campaign_that_cannot_be_read_is_told_why(told: tuple[Served, Client]) -> None:
    _, client = told
    for change, field in (
        ({"text": "{% if"}, "text"),
        ({"id": "../x"}, "id"),
        ({"surface": "nowhere"}, "surface"),
        ({"n": 0}, "n"),
    ):
        answer = client.post("/v1/messages", json=CAMPAIGN | change)
        assert answer.status_code == 422
        assert field in answer.text


def test_a_link_asks_and_its_button_ends_messages(told: tuple[Served, Client]) -> None:
    served, client = told
    token = unsubscribe_token("reader", unsubscribe_key(served.settings))
    page = client.get("/v1/unsubscribe", params={"token": token})
    assert page.status_code == 200
    assert token in page.text
    assert "<form" in page.text
    assert client.post("/v1/messages", json=CAMPAIGN).json()["sent"] == 1
    done = client.post("/v1/unsubscribe", params={"token": token}, data={"List-Unsubscribe": "x"})
    assert (done.status_code, "no more messages" in done.text) == (200, True)
    assert client.post("/v1/messages", json=CAMPAIGN | {"id": "c2"}).json()["sent"] == 0


def test_a_forged_link_ends_nothing(told: tuple[Served, Client]) -> None:
    _, client = told
    for token in ("", "x", unsubscribe_token("reader", b"guessed")):
        assert client.post("/v1/unsubscribe", params={"token": token}).status_code == 401
    page = client.get("/v1/unsubscribe", params={"token": '"><script>alert(1)</script>'})
    assert "<script>" not in page.text
    assert client.post("/v1/messages", json=CAMPAIGN).json()["sent"] == 1


@pytest.mark.parametrize("surface", ["fresh", "popular", "rebuy", "messages"])
def test_every_surface_answers(told: tuple[Served, Client], surface: str) -> None:
    _, client = told
    answer = client.post("/v1/recommend", json={"surface": surface, "shopper": "reader", "n": 3})
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == (0 if surface == "rebuy" else 3)
