"""What a shopper would give an item, over HTTP: learnt, told with evidence, and withheld."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from habitue.facts import Action, Consent, Item
from tests.api.conftest import Client, Served, opened, settings_in
from tests.app.worlds import SMALL_TRAINING

DAY = 86_400_000
LEARNT_MS = int(time.time() * 1000) - 40 * DAY
SOURCES = [{"source": "popular"}, {"source": "factor", "factors": 2}]


@pytest.fixture(params=["sqlite, memory", "postgresql, memory"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    overrides: dict[str, object] = {
        **SMALL_TRAINING,
        "training.sources": SOURCES,
        "training.quotas": {"home": {"popular": 10, "factor": 10}},
    }
    if request.param.startswith("postgresql"):
        overrides["store.address"] = request.getfixturevalue("fresh_postgres_dsn")
    with opened(settings_in(tmp_path, overrides)) as one:
        yield one


def rated(shopper: str, item: str, rating: float, at_ms: int | None = None) -> dict[str, Any]:
    told = {"kind": "rate", "shopper": shopper, "item": item, "rating": rating}
    return told if at_ms is None else {**told, "at": at_ms}


def tell(served: Served) -> None:
    """Tea of two brands and coffee; even tasters love Leaf and bear no coffee, odd ones not so."""
    rng = np.random.default_rng(4)
    items = [
        Item(
            id=f"{kind}-{n}",
            title=f"{kind} {n}",
            brand="Leaf" if kind == "tea" and n % 2 else "Bean",
            product_type=f"Drinks > {kind}",
            price_micros=5_000_000,
            valid_from=LEARNT_MS - 60 * DAY,
            currency="EUR",
        )
        for kind in ("tea", "coffee")
        for n in range(8)
    ]
    actions = []
    for taster in range(40):
        for at, item in enumerate(rng.permutation(np.array(items, object))[:10]):
            likes = (item.brand == "Leaf") == (taster % 2 == 0)
            score = float(np.clip(round(3.6 + (1.2 if likes else -1.4) + rng.normal(0, 0.4)), 1, 5))
            when = LEARNT_MS - (taster * 20 + at) * DAY // 40
            actions.append(Action(**rated(f"taster-{taster}", item.id, score, when)))
    served.shop.ingest([*items, *actions])


def ask(client: Client, shopper: str, items: str, **more: str) -> httpx.Response:
    return client.get(f"/v1/shoppers/{shopper}/ratings", params={"items": items, **more})


def test_a_rating_is_foretold_with_what_it_rests_on(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    given = {
        item: ask(client, "taster-0", item).json()["ratings"][0]["given"]
        for item in ("tea-1", "tea-3", "tea-5", "tea-7", "coffee-2", "coffee-4", "coffee-6")
    }
    leaf = next(item for item, own in given.items() if own is None and item.startswith("tea"))
    bean = next(item for item, own in given.items() if own is None and item.startswith("coffee"))

    answer = ask(client, "taster-0", f"{leaf},{bean}")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["shopper"], told["personalisation"], told["level"]) == ("taster-0", True, 0.8)
    assert told["rated"] == 10
    tea, coffee = told["ratings"]
    assert (tea["item"], coffee["item"]) == (leaf, bean)
    assert tea["rating"] > 4.0 > 3.0 > coffee["rating"]
    for one in (tea, coffee):
        assert told["scale"][0] <= one["low"] <= one["rating"] <= one["high"] <= told["scale"][1]
        parts = one["usual"] + one["shopper"] + one["mood"] + one["taste"]
        whole = parts + sum(side["adds"] for side in one["sides"])
        assert one["rating"] == pytest.approx(np.clip(whole, *told["scale"]), abs=0.05)
        assert all(own["item"] != one["item"] for own in one["evidence"])

    sides = {(side["kind"], side["name"]): side for side in tea["sides"]}
    assert sides["brand", "Leaf"]["says"] == "praise"
    blamed = {(side["kind"], side["name"]): side["says"] for side in coffee["sides"]}
    assert blamed["brand", "Bean"] == "blame"
    for own in sides["brand", "Leaf"]["evidence"]:
        assert own["item"] in ("tea-1", "tea-3", "tea-5", "tea-7")
    assert tea["evidence"]
    assert [abs(own["adds"]) for own in tea["evidence"]] == sorted(
        (abs(own["adds"]) for own in tea["evidence"]), reverse=True
    )


def test_a_rating_given_a_moment_ago_counts(served: Served, client: Client) -> None:
    """For who was there at the training, and for who came since."""
    tell(served)
    served.shop.train(seed=1)
    assert client.post("/v1/events", json={"actions": [rated("new", "tea-0", 3)]}).is_success
    for shopper in ("taster-1", "new"):
        before = ask(client, shopper, "tea-1").json()
        more = [rated(shopper, f"tea-{n}", 5) for n in (3, 5, 7)]
        assert client.post("/v1/events", json={"actions": more}).is_success
        after = ask(client, shopper, "tea-1").json()
        assert after["ratings"][0]["rating"] > before["ratings"][0]["rating"] + 0.3
        own = {one["item"]: one["rating"] for one in after["ratings"][0]["evidence"]}
        assert own["tea-3"] == 5.0


def test_the_interval_is_as_wide_as_is_asked(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    narrow, wide = (
        ask(client, "taster-4", "coffee-1", level=level).json()["ratings"][0]
        for level in ("0.5", "0.95")
    )
    assert wide["low"] <= narrow["low"] < narrow["high"] <= wide["high"]
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_of_an_item_nobody_knows_the_usual_is_said(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    told = ask(client, "taster-0", "never-posted,tea-1").json()["ratings"]
    assert [one["known"] for one in told] == [False, True]
    assert told[0]["sides"] == told[0]["evidence"] == []
    assert told[0]["rating"] == pytest.approx(
        told[0]["usual"] + told[0]["shopper"] + told[0]["mood"], abs=0.01
    )


def test_the_source_stands_in_slates_by_its_name(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    told = client.post("/v1/events", json={"actions": [rated("taster-0", "tea-2", 4)]})
    assert told.is_success
    slate = client.post("/v1/recommend", json={"surface": "home", "shopper": "taster-0", "n": 12})
    assert slate.json()["fallback"] == ""
    assert "factor" in {slot["source"] for slot in slate.json()["items"]}


def test_who_does_not_allow_it_is_foretold_nothing(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    served.shop.ingest([Consent(shopper="taster-0", denied=["personalisation"], at=LEARNT_MS)])
    told = ask(client, "taster-0", "tea-1").json()
    assert (told["personalisation"], told["rated"], told["ratings"]) == (False, 0, [])


def test_the_erased_are_strangers(served: Served, client: Client) -> None:
    tell(served)
    served.shop.train(seed=1)
    assert client.request("DELETE", "/v1/shoppers/taster-0").status_code == 200
    assert ask(client, "taster-0", "tea-1").status_code == 404


def test_what_cannot_be_answered_says_why(served: Served, client: Client) -> None:
    tell(served)
    untrained = ask(client, "taster-0", "tea-1")
    assert untrained.status_code == 409
    assert "factor" in untrained.json()["remedy"]
    served.shop.train(seed=1)
    assert ask(client, "nobody", "tea-1").status_code == 404
    for items, more in (("", {}), (",".join(["x"] * 101), {}), ("tea-1", {"level": "1"})):
        refused = ask(client, "taster-0", items, **more)
        assert refused.status_code == 422, refused.text
        assert refused.json()["field"] in ("items", "level")
    assert ask(client, "taster-0", "tea-1", level="high").json()["field"] == "level"


def test_only_a_server_may_ask(served: Served, client: Client) -> None:
    tell(served)
    key = served.key("browser")
    refused = client.get(
        "/v1/shoppers/taster-0/ratings", params={"items": "tea-1"}, headers={"x-api-key": key}
    )
    assert refused.status_code == 403
