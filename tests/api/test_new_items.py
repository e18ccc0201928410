"""An item just posted is in slates of the trained surfaces, in every worker, before a training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from habitue.api import create_app
from habitue.app import RunningShop, Shop, build
from habitue.settings import Settings
from tests.api.conftest import Client, opened, settings_in
from tests.app.worlds import SMALL_TRAINING, tell

SURFACES = ("home", "item", "cart")
IN_TIME_SECONDS = 5.0
"""Long beside the second that is promised: that is measured by ``benchmarks.new_items``."""


@pytest.fixture(params=["sqlite, memory", "postgresql, redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    patient = {"server.slate_budget_ms": 10_000}  # a busy machine must not fall back to popular
    overrides: dict[str, object] = {**SMALL_TRAINING, **patient}
    if request.param == "postgresql, redis":
        overrides["store.address"] = request.getfixturevalue("fresh_postgres_dsn")
        overrides["live.address"] = request.getfixturevalue("redis_url")
    return settings_in(tmp_path, overrides)


@contextmanager
def worker(settings: Settings) -> Iterator[Client]:
    """One more process's worth of a running shop."""
    running = RunningShop(Shop(build(settings)), seed=7)
    running.start()
    try:
        with Client(create_app(running, settings)) as client:
            yield client
            client._loop.run_until_complete(running.drain())
    finally:
        running.shop.close()


def slate(client: Client, surface: str, shopper: str, like: str) -> dict[str, Any]:
    items = [] if surface == "home" else [like]
    told = client.post(
        "/v1/recommend",
        json={"surface": surface, "shopper": shopper, "items": items, "n": 100},
    )
    assert told.status_code == 200, told.text
    answer: dict[str, Any] = told.json()
    return answer


def sources_of(client: Client, surface: str, shopper: str, like: str, wanted: str) -> list[str]:
    """Where the item came from, as soon as a slate holds it; nothing if none does in time."""
    until = time.monotonic() + IN_TIME_SECONDS
    while time.monotonic() < until:
        items = slate(client, surface, shopper, like)["items"]
        if found := [slot["source"] for slot in items if slot["item"] == wanted]:
            return found
    return []


def test_a_posted_item_is_in_every_workers_slates_and_stays(settings: Settings) -> None:
    with opened(settings) as served, Client(served.app) as client:
        world = tell(served.shop)
        made = served.shop.train(seed=1)
        like = world.action_table["item"].drop_nulls().mode()[0]
        (told,) = (item for item in world.items() if item.id == like)
        seen = {"kind": "view_item", "shopper": "newcomer", "item": like}
        assert client.post("/v1/events", json={"actions": [seen]}).status_code == 200
        for surface in SURFACES:
            new = {"id": f"new-{surface}", "title": told.title, "brand": told.brand}
            new |= {"product_type": told.product_type, "description": told.description}
            assert client.post("/v1/items", json={"items": [new]}).status_code == 200
            found = sources_of(client, surface, "newcomer", like, new["id"])
            assert found == ["content"], surface
        with worker(settings) as started_later:
            for surface in SURFACES:
                answer = slate(started_later, surface, "newcomer", like)
                assert f"new-{surface}" in [slot["item"] for slot in answer["items"]], surface
                assert answer["snapshot"] == made.name
            new["id"] = "told-elsewhere"
            if settings.live.address != "memory":  # two workers that share what is live
                assert client.post("/v1/items", json={"items": [new]}).status_code == 200
                assert sources_of(started_later, "item", "newcomer", like, "told-elsewhere")
        deleted = {**new, "id": "new-item", "deleted": True}
        assert client.post("/v1/items", json={"items": [deleted]}).status_code == 200
        answer = slate(client, "item", "newcomer", like)
        assert "new-item" not in [slot["item"] for slot in answer["items"]]


def test_another_snapshot_knows_what_was_posted_before_it_answers(settings: Settings) -> None:
    with opened(settings) as served, Client(served.app) as client:
        world = tell(served.shop)
        first = served.shop.train(seed=1)
        like = world.action_table["item"].drop_nulls().mode()[0]
        (told,) = (item for item in world.items() if item.id == like)
        new = {"id": "new", "title": told.title, "product_type": told.product_type}
        assert client.post("/v1/items", json={"items": [new]}).status_code == 200
        second = served.shop.train(seed=2)
        served.shop.activate(first.name)  # back to the one that was trained without it
        answer = slate(client, "item", "newcomer", like)
        assert (answer["snapshot"], second.active) == (first.name, True)
        assert "new" in [slot["item"] for slot in answer["items"]]
