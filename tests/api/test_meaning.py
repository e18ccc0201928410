"""Shops where nobody buys learn by default: told over HTTP, trained, and asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from habitue.api import create_app
from habitue.app import RunningShop, Shop, build
from habitue.settings import Settings
from tests.api.conftest import NOW_MS, Client, settings_in
from tests.app.worlds import SMALL_TRAINING

DAY = 86_400_000
N_ITEMS, N_SHOPPERS, EACH = 40, 120, 8
RATED = {"rating": 4.0}


def settings(folder: Path, more: dict[str, object]) -> Settings:
    """Defaults but for a training that is done in seconds, and no haste in answering."""
    patient = {"server.slate_budget_ms": 10_000, "surfaces.home.rules.fresh_floor": 0}
    return settings_in(folder, {**SMALL_TRAINING, **patient, **more})


@contextmanager
def running(of: Settings) -> Iterator[tuple[Shop, Client]]:
    shop = RunningShop(Shop(build(of)), seed=7)
    shop.start()
    try:
        with Client(create_app(shop, of)) as client:
            yield shop.shop, client
            client._loop.run_until_complete(shop.drain())
    finally:
        shop.shop.close()


def history(kind: str) -> list[dict[str, Any]]:
    """Even shoppers take even items, odd ones odd ones; each item once."""
    rng = np.random.default_rng(5)
    told = []
    for who in range(N_SHOPPERS):
        for item in rng.choice(np.arange(who % 2, N_ITEMS, 2), EACH, replace=False).tolist():
            at = NOW_MS - int(rng.integers(100 * DAY))
            told.append({"kind": kind, "shopper": f"s{who}", "item": f"i{item}", "at": at}
                        | (RATED if kind == "rate" else {}))  # fmt: skip
    return told


def post(client: Client, path: str, **body: Any) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text


def home(client: Client, shopper: str, n: int = 10) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json={"surface": "home", "shopper": shopper, "n": n})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture(params=["sqlite, memory", "postgresql, redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite, memory":
        return settings(tmp_path, {})
    return settings(
        tmp_path,
        {
            "store.address": request.getfixturevalue("fresh_postgres_dsn"),
            "live.address": request.getfixturevalue("redis_url"),
        },
    )


@pytest.mark.parametrize(
    ("kind", "word"), [("rate", "rated"), ("like", "liked"), ("sign_up", "chosen")]
)
def test_such_a_shop_learns_and_sees_the_last_action(where: Settings, kind: str, word: str) -> None:
    with running(where) as (shop, client):
        post(client, "/v1/items", items=[
            {"id": f"i{n}", "title": f"Thing {n}"} for n in range(N_ITEMS)
        ])  # fmt: skip
        post(client, "/v1/events", actions=history(kind))
        made = shop.train(seed=1)
        assert made.metrics["home/ndcg@10"] > 0.3  # by lot, of 40 items: about 0.1
        told = shop.evaluate()
        assert told.report.line("habitue").intervals["ndcg@10"].estimate > 0.2
        for parity in (0, 1):
            shopper, mine = f"newcomer-{parity}", [f"i{parity + 2 * n}" for n in range(5)]
            post(client, "/v1/events", actions=[
                {"kind": kind, "shopper": shopper, "item": one} for one in mine
            ])  # fmt: skip
            slots = home(client, shopper)["items"]
            assert home(client, shopper)["fallback"] == ""
            items = [int(slot["item"][1:]) for slot in slots]
            assert len(items) == 10
            assert sum(item % 2 == parity for item in items) >= 8, items
            assert not {f"i{item}" for item in items} & set(mine)  # had already
            reasons = {slot.get("reason", "") for slot in slots}
            assert not any("ought" in reason for reason in reasons), reasons
            assert any(word in reason for reason in reasons), reasons


def test_before_the_first_training_the_most_rated_come_first(tmp_path: Path) -> None:
    with running(settings(tmp_path, {"shop.conversions": ["rate"]})) as (shop, client):
        post(client, "/v1/events", actions=[
            {"kind": "rate", "shopper": f"s{who}", "item": f"i{n}", **RATED}
            for n in range(9) for who in range(n * (n % 2))
        ])  # fmt: skip
        shop.catch_up()
        items = [slot["item"] for slot in home(client, "stranger", 4)["items"]]
        assert items == ["i7", "i5", "i3", "i1"]
