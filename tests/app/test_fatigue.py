"""What a shopper ignores makes room in the next slate, whichever process shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from habitue.app import Shop, open_shop
from habitue.facts import Action, Item

NOW = 1_760_000_000_000
MINUTE = 60_000


@pytest.fixture(params=["memory", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Shop]]:
    """Opens the same shop again and again: two showings, and an item is left out."""
    live = "memory" if request.param == "memory" else request.getfixturevalue("redis_url")
    told = {
        "live.address": live,
        "live.max_shoppers": 1_000,
        "server.slate_budget_ms": 10_000,
        "surfaces.home.rules.epsilon": 0.0,
        "surfaces.home.rules.fatigue_shows": 2,
        "surfaces.home.rules.fatigue_damping": 0.0,
    }
    shops: list[Shop] = []

    def one() -> Shop:
        shops.append(open_shop(tmp_path / "shop.db", overrides=told))
        return shops[-1]

    yield one
    for shop in shops:
        shop.close()


def slate(shop: Shop, minutes: int) -> list[str]:
    shown = shop.recommend("ana", n=4, now_ms=NOW + minutes * MINUTE, seed=1)
    return [slot.item for slot in shown.items]


def settle(shop: Shop, n_shown: int) -> None:
    """Wait until so many slates are stored: nobody waits for the record of a slate."""
    for _ in range(500):
        if shop.stored().facts["shown"] >= n_shown:
            return
        shop.ingest([])
    raise AssertionError("the slates were not stored")


def test_two_processes_tire_a_shopper_together(opened: Callable[[], Shop]) -> None:
    one = opened()
    one.ingest([Item(id=f"i{x}", brand=f"b{x}", product_type=f"c{x}") for x in range(12)])
    one.ingest([Action(kind="view_item", shopper="ana", item="i11", at=NOW)])
    first = slate(one, 1)
    settle(one, 1)
    other = opened()  # reads it at its start
    assert slate(other, 2) == first
    settle(other, 2)
    third = slate(one, 3)  # reads the other's
    assert not set(third) & set(first)
    settle(one, 3)
    one.ingest([Action(kind="select_item", shopper="ana", item=first[0], at=NOW + 4 * MINUTE)])
    fourth = slate(other, 5)
    assert first[0] in fourth
    assert not set(fourth) & set(first[1:])
    assert slate(one, 6)[0] == first[0]


def test_a_shop_without_such_rules_follows_nobody(tmp_path: Path) -> None:
    with open_shop(tmp_path / "shop.db", overrides={"live.max_shoppers": 100}) as shop:
        assert shop.parts.live.impressions is None
