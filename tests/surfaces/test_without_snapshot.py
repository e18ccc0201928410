"""A shop that has trained nothing yet still answers, and knows the last thing it was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from habitue.errors import BadFilter, BadInput
from habitue.facts import Action, Alias, Consent, Item
from habitue.policy.rules import SurfaceRules
from tests.slates.small_shop import DAY, SmallShop, items_of


@pytest.fixture
def shop(tmp_path: Path) -> SmallShop:
    return SmallShop(tmp_path)


def test_an_empty_shop_answers_with_an_empty_slate(shop: SmallShop) -> None:
    answer = shop.ask()
    assert answer.items == []
    assert answer.fallback == "no_snapshot"
    assert answer.next_page is None
    assert shop.shown == []


def test_items_without_a_single_action_are_shown(shop: SmallShop) -> None:
    shop.post(8)
    assert len(shop.ask(n=5).items) == 5


def test_what_sells_comes_first(shop: SmallShop) -> None:
    shop.post()
    for who in range(6):
        shop.act(f"s{who}", "purchase", "i7", *(["i4"] if who < 3 else []))
    shop.act("s9", "view_item", "i2")
    assert items_of(shop.ask(n=3)) == ["i7", "i4", "i2"]


def test_an_item_is_addressable_the_moment_it_is_posted(shop: SmallShop) -> None:
    shop.post()
    shop.tell(Item(id="new", title="New", product_type="Shop > A"))
    shop.act("ana", "view_item", "new")
    assert items_of(shop.ask("bob", "item", ("i0",), n=1)) == ["new"]


def test_a_change_of_stock_or_a_deletion_holds_at_once(shop: SmallShop) -> None:
    shop.post(5)
    assert "i3" in items_of(shop.ask(n=5))
    shop.tell(Item(id="i3", stock=0), Item(id="i2", deleted=True))
    assert sorted(items_of(shop.ask(n=5))) == ["i0", "i1", "i4"]
    shop.tell(Item(id="i3", stock=7))
    assert "i3" in items_of(shop.ask(n=5))


def test_a_version_from_tomorrow_waits_until_then(shop: SmallShop) -> None:
    shop.post(2)
    shop.tell(Item(id="i1", availability="out_of_stock", valid_from=shop.now_ms + 10_000))
    assert "i1" in items_of(shop.ask())
    shop.now_ms += 20_000
    shop.shop.catch_up(shop.now_ms)
    assert "i1" not in items_of(shop.ask())


def test_the_view_before_colours_the_next_slate(shop: SmallShop) -> None:
    shop.post()
    assert items_of(shop.ask("ana", n=3)) != ["i28", "i25", "i22"]
    shop.act("ana", "view_item", "i1")  # category B: 1, 4, 7, ... 28; brand 1: 1, 6, 11, ...
    first = items_of(shop.ask("ana", n=4))
    assert all(int(item[1:]) % 3 == 1 for item in first)


def test_what_either_id_of_a_person_looked_at_colours_the_next_slate(shop: SmallShop) -> None:
    shop.post()
    shop.tell(Alias(shopper="ana", alias="anon-ana"))
    shop.act("anon-ana", "view_item", "i1")  # category B: 1, 4, 7, ... 28
    assert all(int(item[1:]) % 3 == 1 for item in items_of(shop.ask("ana", n=4)))
    shop.act("ana", "view_item", "i2")  # category C
    assert {int(item[1:]) % 3 for item in items_of(shop.ask("ana", n=8))} == {1, 2}


def test_not_interested_removes_the_item_from_the_very_next_slate(shop: SmallShop) -> None:
    shop.post()
    for item in items_of(shop.ask("ana", n=10)):
        shop.act("ana", "not_interested", item)
        assert item not in items_of(shop.ask("ana", n=20))


def test_a_refusal_outlives_the_recent_actions(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path, length=4)
    shop.post()
    shop.act("ana", "not_interested", "i9")
    for x in range(8):
        shop.act("ana", "view_item", f"i{x}")
    assert "i9" not in items_of(shop.ask("ana", n=30))


def test_what_was_bought_is_not_offered_again_on_home(shop: SmallShop) -> None:
    shop.post()
    best = items_of(shop.ask("ana", n=3))
    shop.act("ana", "purchase", *best)
    assert not set(best) & set(items_of(shop.ask("ana", n=27)))


def test_a_withdrawn_consent_ends_personalisation_at_once(shop: SmallShop) -> None:
    shop.post()
    before = items_of(shop.ask("ana"))
    shop.act("ana", "view_item", "i1")
    assert items_of(shop.ask("ana")) != before
    shop.tell(Consent(shopper="ana", denied=["personalisation"]))
    answer = shop.ask("ana")
    assert answer.fallback == "no_consent"
    assert items_of(answer) == items_of(shop.ask(None))
    assert shop.shown[-2].shopper is None
    shop.tell(Consent(shopper="ana", granted=["personalisation"]))
    assert shop.ask("ana").fallback == "no_snapshot"


def test_two_ids_of_one_person_share_a_past(shop: SmallShop) -> None:
    shop.post()
    shop.act("cookie", "view_item", "i1")
    shop.act("cookie", "not_interested", "i28")
    shop.act("ana", "view_item", "i0")
    shop.tell(Alias(shopper="ana", alias="cookie"))
    for who in ("ana", "cookie"):
        shown = items_of(shop.ask(who, n=30))
        assert "i28" not in shown
    shop.tell(Alias(shopper="ana", alias="cookie", undo=True))
    assert "i28" in items_of(shop.ask("ana", n=30))


def test_an_erased_shopper_is_a_stranger_at_once(shop: SmallShop) -> None:
    shop.post()
    shop.act("ana", "not_interested", "i28")
    shop.shop.forget("ana")
    answer = shop.ask("ana", n=30)
    assert answer.fallback == "unknown_shopper"
    assert "i28" in items_of(answer)
    shop.store.forget("ana")
    assert shop.ask("ana").fallback == "unknown_shopper"


def test_seen_seq_reaches_every_acknowledged_fact(shop: SmallShop) -> None:
    shop.post(5)
    for x in range(5):
        acknowledged = shop.act("ana", "view_item", f"i{x}").last_seq
        assert shop.ask("ana").seen_seq >= acknowledged
        assert shop.ask(None).seen_seq >= acknowledged


def test_what_another_process_wrote_is_known_after_catching_up(shop: SmallShop) -> None:
    shop.post(10)
    shop.act("ana", "view_item", "i5")
    facts = [
        Item(id="theirs", title="Theirs"),
        *(Action(kind="purchase", shopper=f"s{x}", item="theirs") for x in range(9)),
        Action(kind="not_interested", shopper="ana", item="i3"),
    ]
    appended = shop.store.append(facts, received_at_ms=shop.now_ms)
    shop.act("bob", "view_item", "i5")  # an own append after theirs
    for _ in range(2):  # the second finds nothing new
        assert shop.shop.catch_up(shop.now_ms) >= appended.last_seq
        assert items_of(shop.ask(n=1)) == ["theirs"]
        assert "i3" not in items_of(shop.ask("ana", n=10))
        bought = shop.shop.stats.total[shop.shop.items.row("theirs")]
        viewed = shop.shop.stats.total[shop.shop.items.row("i5")]
        assert (bought[2], viewed[0]) == (9, 2)


def test_what_another_process_wrote_is_known_though_as_much_has_expired(shop: SmallShop) -> None:
    shop.post(10)
    shop.act("ana", "view_item", "i1", "i2", "i3", days_ago=50)
    shop.shop.catch_up(shop.now_ms)
    assert shop.store.expire("action", before_ms=shop.now_ms - 40 * DAY) == 3
    theirs = [Action(kind="purchase", shopper=f"s{x}", item="i7") for x in range(3)]
    shop.store.append(theirs, received_at_ms=shop.now_ms)
    shop.act("bob", "view_item", "i5")
    shop.shop.catch_up(shop.now_ms)
    assert shop.shop.stats.total[shop.shop.items.row("i7")][2] == 3


def test_a_restart_rebuilds_the_same_shop(shop: SmallShop) -> None:
    shop.post(10)
    shop.act("ana", "purchase", "i1", "i2")
    shop.act("ana", "not_interested", "i3")
    shop.act("bob", "view_item", "i4")
    shop.tell(Consent(shopper="bob", denied=["personalisation"]))
    before = shop.ask("ana", n=10)
    again = SmallShop(shop.path, now_ms=shop.now_ms)
    after = again.ask("ana", n=10)
    assert items_of(after) == items_of(before)
    assert again.ask("bob").fallback == "no_consent"
    assert after.seen_seq == before.seen_seq


def test_pages_of_one_slate_never_repeat_and_end(shop: SmallShop) -> None:
    shop.post(23)
    answer = shop.ask("ana", n=5)
    seen = items_of(answer)
    for step in range(10):
        if answer.next_page is None:
            break
        shop.act("ana", "view_item", f"i{step}")  # the shop moves on between pages
        shop.act("bob", "purchase", f"i{step + 9}")
        answer = shop.ask("ana", n=5, page=answer.next_page)
        seen += items_of(answer)
    assert len(seen) == len(set(seen)) == 23
    assert [record.first_slot for record in shop.shown] == [0, 5, 10, 15, 20]


def test_a_page_token_is_good_only_where_it_was_made(shop: SmallShop) -> None:
    shop.post()
    token = shop.ask("ana", n=5).next_page
    assert token is not None
    for who, page in (("bob", token), ("ana", token[:-2] + "AA"), ("ana", "%%"), ("ana", "")):
        with pytest.raises(BadInput, match="page token"):
            shop.ask(who, page=page)


def test_filters_hold_and_bad_ones_are_refused(shop: SmallShop) -> None:
    shop.post()
    shown = items_of(shop.ask("ana", n=30, only='price <= 9 and brand != "brand 2"'))
    assert sorted(shown, key=lambda item: int(item[1:])) == [
        "i0",
        "i1",
        "i3",
        "i4",
        "i5",
        "i6",
        "i8",
    ]
    with pytest.raises(BadFilter):
        shop.ask("ana", only="price <")


def test_caps_hold_on_a_surface(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path, SurfaceRules(epsilon=0.3, brand_cap=2, category_cap=3))
    shop.post()
    shop.act("ana", "view_item", "i1")
    for _ in range(20):
        numbers = [int(item[1:]) for item in items_of(shop.ask("ana", n=9))]
        assert len(numbers) == 9
        assert max(sum(x % 5 == brand for x in numbers) for brand in range(5)) <= 2
        assert max(sum(x % 3 == category for x in numbers) for category in range(3)) <= 3


def test_the_item_page_shows_its_kind_but_not_itself(shop: SmallShop) -> None:
    shop.post()
    shown = items_of(shop.ask(None, "item", ("i4",), n=6))
    assert "i4" not in shown
    assert all(int(item[1:]) % 3 == 1 for item in shown)
    assert shop.ask(None, "item", ("nobody",)).fallback == "unknown_item"
    with pytest.raises(BadInput, match="needs the item"):
        shop.ask(None, "item")


def test_the_cart_is_read_from_actions_when_the_request_names_none(shop: SmallShop) -> None:
    shop.post()
    shop.act("ana", "add_to_cart", "i2", "i4")
    shop.act("ana", "remove_from_cart", "i4")
    shown = items_of(shop.ask("ana", "cart", n=30))
    assert "i2" not in shown
    assert "i4" in shown
    assert int(shown[1][1:]) % 3 == 2  # after i4, which somebody put into a cart
    told = items_of(shop.ask("ana", "cart", ("i4",), n=30))
    assert [record.anchors for record in shop.shown] == [["i2"], ["i4"]]
    assert "i4" not in told
    assert "i2" in told


def test_an_unknown_surface_is_refused(shop: SmallShop) -> None:
    with pytest.raises(BadInput, match="no surface"):
        shop.ask(surface="basement")


def test_every_slate_is_recorded_as_it_was_shown(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path, SurfaceRules(epsilon=0.4))
    shop.post()
    answer = shop.ask("ana", n=6)
    (record,) = shop.shown
    assert record.id == answer.slate_id
    assert record.items == items_of(answer)
    assert record.propensities == [slot.propensity for slot in answer.items]
    assert record.scores == [slot.score for slot in answer.items]
    assert all(0 < p <= 1 for p in record.propensities)
    assert (record.shopper, record.surface, record.fallback) == ("ana", "home", answer.fallback)
    shop.store.append([record], received_at_ms=shop.now_ms)


def test_a_store_that_is_down_leaves_a_marked_answer(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from habitue.errors import Unavailable

    shop.post()
    shop.act("ana", "view_item", "i1")
    shop.ask("ana")

    def down(*_: object) -> None:
        raise Unavailable("down")

    monkeypatch.setattr(shop.live, "recent", down)
    answer = shop.ask("ana")
    assert (answer.fallback, len(answer.items)) == ("live_state_down", 5)
    monkeypatch.setattr(shop.store, "shopper_rows", down)
    answer = shop.ask("somebody new")
    assert (answer.fallback, len(answer.items)) == ("store_down", 5)
