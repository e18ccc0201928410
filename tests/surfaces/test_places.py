"""Surfaces that stand on the running shop alone, and what rules do to the next slate."""

from __future__ import annotations

from pathlib import Path

import pytest

from habitue.errors import BadInput
from habitue.facts import Alias, Consent, Item, Shown
from habitue.policy.rules import SurfaceRules
from tests.slates.small_shop import DAY, MINUTE, SmallShop, items_of


@pytest.fixture
def shop(tmp_path: Path) -> SmallShop:
    return SmallShop(tmp_path)


def test_fresh_shows_what_came_last(shop: SmallShop) -> None:
    shop.post(6, valid_from=shop.now_ms - 90 * DAY)
    for x in (10, 11, 12):
        shop.tell(Item(id=f"i{x}", title="New"))
    answer = shop.ask("ana", "fresh", n=3)
    assert items_of(answer) == ["i12", "i11", "i10"]
    assert {slot.reason for slot in answer.items} == {"New in the shop"}
    assert answer.fallback == "unknown_shopper"
    assert shop.ask(None, "fresh").fallback == ""
    shop.tell(Item(id="i11", stock=0), Item(id="i3", title="Changed"))
    assert items_of(shop.ask(None, "fresh", n=2)) == ["i12", "i10"]
    assert shop.shown[-1].surface == "fresh"


def test_a_version_to_come_is_not_new_yet(shop: SmallShop) -> None:
    shop.post(2)
    shop.tell(Item(id="soon", availability="in_stock", valid_from=shop.now_ms + DAY))
    assert items_of(shop.ask(None, "fresh", n=2))[0] != "soon"
    shop.now_ms += 2 * DAY
    shop.shop.catch_up(shop.now_ms)
    assert items_of(shop.ask(None, "fresh", n=1)) == ["soon"]


def test_popular_is_the_same_for_everyone(shop: SmallShop) -> None:
    shop.post()
    for who in range(6):
        shop.act(f"s{who}", "purchase", "i7", *(["i4"] if who < 3 else []))
    shop.act("ana", "view_item", "i2", "i5", "i8")
    shop.now_ms += 11_000
    assert items_of(shop.ask("ana", "popular", n=2)) == ["i7", "i4"]
    assert items_of(shop.ask(None, "popular", n=4)) == items_of(shop.ask("ana", "popular", n=4))
    shop.act("ana", "not_interested", "i7")
    assert "i7" not in items_of(shop.ask("ana", "popular", n=30))
    assert "i7" in items_of(shop.ask("bob", "popular", n=30))


def test_rebuy_shows_what_is_due_and_nothing_else(tmp_path: Path) -> None:
    rules = SurfaceRules(epsilon=0.0, rebuy_days=30, rebuy_share=1.0)
    shop = SmallShop(tmp_path, per_surface={"rebuy": rules})
    shop.post(9)
    shop.act("ana", "purchase", "i1", days_ago=35)
    shop.act("ana", "purchase", "i2", days_ago=90)
    shop.act("ana", "purchase", "i3", days_ago=3)
    shop.act("bob", "purchase", "i4", days_ago=40)
    answer = shop.ask("ana", "rebuy", n=5)
    assert items_of(answer) == ["i1", "i2"]
    assert answer.items[0].reason == "Time to buy it again"
    assert items_of(shop.ask("bob", "rebuy")) == ["i4"]
    assert items_of(shop.ask(None, "rebuy")) == []
    shop.act("ana", "purchase", "i1")
    assert items_of(shop.ask("ana", "rebuy", n=5)) == ["i2"]


def test_what_was_bought_more_often_is_due_first(tmp_path: Path) -> None:
    rules = SurfaceRules(epsilon=0.0, rebuy_days=30, rebuy_share=1.0)
    shop = SmallShop(tmp_path, per_surface={"rebuy": rules})
    shop.post(9)
    for days in (101, 71, 40):
        shop.act("ana", "purchase", "i5", days_ago=days)
    shop.act("ana", "purchase", "i6", days_ago=40)
    assert items_of(shop.ask("ana", "rebuy")) == ["i5", "i6"]


def test_a_surface_nobody_knows_names_those_there_are(shop: SmallShop) -> None:
    with pytest.raises(BadInput, match="no surface 'hom'") as caught:
        shop.ask(surface="hom")
    assert "fresh, popular, rebuy" in caught.value.remedy


# ---------------------------------------------------------------- paging under caps


def test_paging_under_a_strict_cap_ends_when_all_is_shown(tmp_path: Path) -> None:
    """Three categories of ten, one item of each a page: ten pages of three."""
    shop = SmallShop(tmp_path, SurfaceRules(epsilon=0.0, category_cap=1))
    shop.post(30)
    answer, pages = shop.ask("ana", n=5), []
    while True:
        pages.append(items_of(answer))
        if answer.next_page is None:
            break
        answer = shop.ask("ana", n=5, page=answer.next_page)
    assert [len(page) for page in pages] == [3] * 10
    assert all(len({int(item[1:]) % 3 for item in page}) == 3 for page in pages)
    assert len({item for page in pages for item in page}) == 30
    assert [record.first_slot for record in shop.shown] == list(range(0, 30, 3))


def test_a_full_last_page_has_no_next(shop: SmallShop) -> None:
    shop.post(10)
    first = shop.ask("ana", n=5)
    assert first.next_page is not None
    assert shop.ask("ana", n=5, page=first.next_page).next_page is None


# ---------------------------------------------------------------- fatigue


@pytest.fixture
def tired(tmp_path: Path) -> SmallShop:
    """Two ignored showings within a week, and an item is left out."""
    shop = SmallShop(
        tmp_path, SurfaceRules(epsilon=0.0, fatigue_shows=2, fatigue_damping=0, fatigue_days=7)
    )
    shop.post()
    shop.act("ana", "view_item", "i29")
    shop.act("bob", "view_item", "i29")
    return shop


def test_what_is_ignored_twice_makes_room_in_the_next_slate(tired: SmallShop) -> None:
    first = items_of(tired.ask("ana", n=4))
    assert items_of(tired.ask("ana", n=4)) == first
    third = items_of(tired.ask("ana", n=4))
    assert not set(third) & set(first)
    assert items_of(tired.ask("bob", n=4)) == first


def test_a_click_between_keeps_the_item(tired: SmallShop) -> None:
    first = items_of(tired.ask("ana", n=4))
    tired.now_ms += MINUTE
    tired.act("ana", "select_item", first[1])
    tired.now_ms += MINUTE
    tired.ask("ana", n=4)
    third = items_of(tired.ask("ana", n=20))
    assert first[1] in third


def test_an_ignored_item_comes_back_after_its_days(tired: SmallShop) -> None:
    first = items_of(tired.ask("ana", n=4))
    tired.ask("ana", n=4)
    tired.now_ms += 8 * DAY
    assert set(first) <= set(items_of(tired.ask("ana", n=30)))


def test_all_ids_of_a_person_tire_together(tired: SmallShop) -> None:
    first = items_of(tired.ask("ana", n=4))
    tired.act("cookie", "view_item", "i29")
    tired.ask("cookie", n=30)
    tired.tell(Alias(shopper="ana", alias="cookie"))
    assert not set(first) & set(items_of(tired.ask("ana", n=20)))


def test_without_consent_nobody_is_followed(tired: SmallShop) -> None:
    tired.tell(Consent(shopper="ana", denied=["personalisation"]))
    slates = [items_of(tired.ask("ana", n=4)) for _ in range(4)]
    assert slates[0] == slates[3]


def test_slates_another_process_showed_count_once_here(tired: SmallShop) -> None:
    now = tired.now_ms
    first = items_of(tired.ask("ana", n=4))
    for slate in (*tired.shown, _slate("elsewhere", now, "ana", first[:2])):
        tired.store.append([slate], received_at_ms=now)
    tired.shop.catch_up(tired.now_ms)
    tired.shop.catch_up(tired.now_ms)
    second = items_of(tired.ask("ana", n=4))
    assert second[:2] == first[2:]
    assert not set(first[:2]) & set(second)


def test_a_restart_remembers_what_was_shown_and_what_was_done(tired: SmallShop) -> None:
    first = items_of(tired.ask("ana", n=4))
    tired.ask("ana", n=4)
    for slate in tired.shown:
        tired.store.append([slate], received_at_ms=slate.at)
    tired.now_ms += MINUTE
    tired.act("ana", "select_item", first[0])
    again = SmallShop(tired.path, tired.rules, now_ms=tired.now_ms)
    shown = items_of(again.ask("ana", n=20))
    assert first[0] in shown
    assert not set(first[1:]) & set(shown)


def test_the_erased_leave_no_showings(tired: SmallShop) -> None:
    tired.ask("ana", n=4)
    row = tired.shop.people.row_of("ana")
    assert tired.shop.impressions is not None
    assert len(tired.shop.impressions.of([row], tired.now_ms)[0]) == 4
    tired.shop.forget("ana")
    assert len(tired.shop.impressions.of([row], tired.now_ms)[0]) == 0


# ---------------------------------------------------------------- floors


def test_new_and_unseen_items_get_their_slots(tmp_path: Path) -> None:
    rules = SurfaceRules(
        epsilon=0.0, fresh_floor=1, fresh_days=7, exposure_floor=1, exposure_shows=1
    )
    shop = SmallShop(tmp_path, rules)
    shop.post(20, valid_from=shop.now_ms - 60 * DAY)
    for x in range(12):
        shop.act("bob", "purchase", f"i{x}")
    shop.tell(Item(id="new", title="New", valid_from=shop.now_ms - DAY))
    first = items_of(shop.ask(None, n=6))
    assert "new" in first
    second = items_of(shop.ask(None, n=6))
    assert "new" in second
    assert set(second) - set(first)


def test_the_reasons_of_a_refusal_reach_brand_and_category(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path, SurfaceRules(epsilon=0.0, not_interested_damping=0.01))
    shop.post()
    shop.act("ana", "not_interested", "i28")  # category B: 1, 4, ... 28; brand 3: 3, 8, ... 28
    shown = items_of(shop.ask("ana", n=30))
    kin = [item for item in shown if int(item[1:]) % 3 == 1 or int(item[1:]) % 5 == 3]
    assert "i28" not in shown
    assert shown[-len(kin) :] == kin


def _slate(name: str, at: int, shopper: str, items: list[str]) -> Shown:
    return Shown(
        id=name,
        at=at,
        shopper=shopper,
        surface="home",
        snapshot="",
        arm="main",
        items=items,
        scores=[0.0] * len(items),
        propensities=[1.0] * len(items),
        sources=["popular"] * len(items),
    )
