"""Surfaces a shop names itself: built on one of the house, otherwise where it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from habitue.app import Shop, open_shop
from habitue.app.warm import _SMALL, _facts
from habitue.errors import BadSetting
from habitue.settings import Settings

NOW = 1_760_000_000_000

TOML = """
[surfaces.home.rules]
epsilon = 0.0

[surfaces.sidebar]
built_on = "item"
sources = { popular_now = 20 }
rules = { brand_cap = 1, epsilon = 0.0 }

[surfaces.arrivals]
built_on = "fresh"
objective = "home"
rules = { diversity = 0.5, epsilon = 0.0 }

[surfaces.banner]
built_on = "home"
rules = { epsilon = 0.0, include = 'brand == "brand-1"' }

[surfaces.popular]
sources = { popular = 30 }
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that has trained, with surfaces of its own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "habitue.toml").write_text(TOML)
    told = {**_SMALL, "server.slate_budget_ms": 10_000}
    with open_shop(folder / "shop.db", settings=folder / "habitue.toml", overrides=told) as one:
        one.ingest(_facts(NOW))
        one.train()
        yield one


def ids(
    shop: Shop, surface: str, *items: str, shopper: str | None = "shopper-1", n: int = 6
) -> list[str]:
    slate = shop.recommend(shopper, surface=surface, items=items, n=n, now_ms=NOW, seed=1)
    assert slate.fallback == ""
    return [slot.item for slot in slate.items]


def test_a_surface_has_what_it_does_not_say_from_its_kind(shop: Shop) -> None:
    surfaces = shop.parts.settings.surfaces.by_name()
    assert surfaces["sidebar"].rules.bought == "show"  # as item
    assert surfaces["sidebar"].rules.brand_cap == 1
    assert surfaces["banner"].rules.category_cap == 6  # as home
    assert surfaces["arrivals"].rules.fresh_days == 30


def test_its_sources_and_rules_hold(shop: Shop) -> None:
    slate = shop.recommend(surface="sidebar", items=["item-3"], n=6, now_ms=NOW, seed=1)
    assert {slot.source for slot in slate.items} == {"popular_now"}
    assert len({int(slot.item[5:]) % 6 for slot in slate.items}) == len(slate.items) == 6
    assert slate.surface == "sidebar"
    assert all(int(item[5:]) % 6 == 1 for item in ids(shop, "banner"))


def test_named_sources_take_the_place_of_the_houses(shop: Shop) -> None:
    slate = shop.recommend("shopper-1", surface="popular", n=6, now_ms=NOW, seed=1)
    assert {slot.source for slot in slate.items} == {"popular"}
    assert {slot.source for slot in shop.recommend(surface="fresh", n=3).items} == {"fresh"}


def test_a_trained_ranker_may_order_a_surface_of_the_house(shop: Shop) -> None:
    arrivals, fresh = ids(shop, "arrivals"), ids(shop, "fresh")
    assert arrivals != fresh
    slate = shop.recommend("shopper-1", surface="arrivals", n=3, now_ms=NOW)
    assert {slot.reason for slot in slate.items} == {"New in the shop"}


def test_diversity_is_told_by_what_is_said_of_items(shop: Shop) -> None:
    assert len(shop.parts.switch.current.policies["arrivals"]._vectors) == 60
    assert len(shop.parts.switch.current.policies["home"]._vectors) == 0


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[surfaces.hom]\nobjective = 'x'\n", "Did you mean home?"),
        ("[surfaces.rail]\nrules = {}\n", "one of your own says built_on"),
        ("[surfaces.rail]\nbuilt_on = 'hall'\n", "surfaces.rail.built_on"),
        ("[surfaces.home]\nbuilt_on = 'cart'\n", "give yours another name"),
        ("[surfaces.rail]\nbuilt_on = 'home'\nsorces = {}\n", "surfaces.rail.sorces"),
    ],
)
def test_a_surface_that_cannot_be_is_told(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "habitue.toml"
    file.write_text(table)
    with pytest.raises(BadSetting) as caught:
        Settings.load(file)
    assert said in str(caught.value)
