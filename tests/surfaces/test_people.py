"""People and groups: through friends, by taste, and only those the shop shows."""

from __future__ import annotations

from math import log
from pathlib import Path

import pytest

from habitue.facts import Alias, Consent, Item, Link
from tests.slates.small_shop import SmallShop, items_of

PEOPLE = ("ana", "bob", "cem", "dua", "eve", "fay")


@pytest.fixture
def shop(tmp_path: Path) -> SmallShop:
    """Six public people and a group; ana knows bob, bob knows cem and dua, dua knows eve."""
    shop = SmallShop(tmp_path)
    shop.post(8)
    shop.tell(*(Item(id=who, title=who.title(), item_type="person") for who in PEOPLE))
    shop.tell(Item(id="club", title="The club", item_type="group"))
    tie(shop, "ana", "bob")
    tie(shop, "bob", "cem", "dua")
    tie(shop, "dua", "eve")
    return shop


def tie(shop: SmallShop, head: str, *tails: str, kind: str = "friend", **told: object) -> None:
    shop.tell(*(Link(kind=kind, head=head, tail=tail, **told) for tail in tails))  # type: ignore[arg-type]


def scores(shop: SmallShop, who: str | None) -> dict[str, float]:
    return {slot.item: slot.score for slot in shop.ask(who, "people", n=20).items}


def test_friends_of_friends_come_first(shop: SmallShop) -> None:
    found = scores(shop, "ana")
    assert set(found) == {"cem", "dua", "eve", "fay", "club"}
    assert "ana" not in found  # themselves
    assert "bob" not in found  # whom they know
    # Bob is known by three, so he counts 1 / log 5; eve is three steps away.
    assert found["cem"] == pytest.approx(1 / log(5) + 1e-3 * log(2), rel=1e-5)
    assert list(found)[:2] == ["dua", "cem"]  # dua is known by two
    assert found["eve"] == pytest.approx(1e-3 * log(2), rel=1e-5)


def test_every_common_friend_counts(shop: SmallShop) -> None:
    tie(shop, "ana", "eve")
    found = scores(shop, "ana")
    assert next(iter(found)) == "dua"
    assert found["dua"] == pytest.approx(1 / log(5) + 1 / log(4) + 1e-3 * log(3), rel=1e-5)


def test_trust_goes_one_way(shop: SmallShop) -> None:
    tie(shop, "fay", "ana", kind="trust")
    assert next(iter(scores(shop, "fay"))) == "bob"
    assert "fay" in scores(shop, "ana")
    assert "ana" not in scores(shop, "fay")


def test_a_tie_that_was_undone_ties_nobody(shop: SmallShop) -> None:
    tie(shop, "bob", "cem", deleted=True)
    assert scores(shop, "ana")["cem"] < 0.01


def test_a_shared_taste_counts_and_a_common_one_less(shop: SmallShop) -> None:
    shop.act("ana", "view_item", "i1", "i2")
    shop.act("fay", "purchase", "i1")
    shop.act("eve", "purchase", "i2")
    for who in ("bob", "cem", "dua"):
        shop.act(who, "view_item", "i2")
    found = scores(shop, "ana")
    assert found["fay"] > found["eve"] > 0.1
    shop.act("eve", "view_item", "i1")
    shop.now_ms += 11_000  # others' tastes are known within ten seconds
    assert scores(shop, "ana")["eve"] > found["fay"]


def test_a_group_has_the_taste_of_its_members(shop: SmallShop) -> None:
    for who in ("eve", "fay"):
        tie(shop, who, "club")
        shop.act(who, "like", "i5")
    shop.act("gus", "view_item", "i5")
    found = scores(shop, "gus")
    assert found["club"] > 0.9
    assert scores(shop, "eve").keys() == set(PEOPLE) - {"eve", "dua"}  # who is a member knows it


def test_only_the_public_are_shown(shop: SmallShop) -> None:
    tie(shop, "bob", "hidden")
    assert "hidden" not in scores(shop, "ana")
    shop.tell(Item(id="hidden", item_type="person"))
    assert next(iter(scores(shop, "ana"))) in ("dua", "hidden")
    shop.tell(Item(id="hidden", deleted=True))
    assert "hidden" not in scores(shop, "ana")


def test_strangers_and_who_denies_get_who_is_known_best(shop: SmallShop) -> None:
    stranger = items_of(shop.ask(None, "people", n=2))
    assert stranger == ["bob", "dua"]
    shop.tell(Consent(shopper="ana", denied=["personalisation"]))
    assert items_of(shop.ask("ana", "people", n=2)) == stranger


def test_who_denies_ties_nobody(shop: SmallShop) -> None:
    shop.tell(Consent(shopper="bob", denied=["personalisation"]))
    assert scores(shop, "ana")["cem"] < 0.01


def test_aliases_share_ties(shop: SmallShop) -> None:
    tie(shop, "phone", "fay")
    shop.tell(Alias(shopper="bob", alias="phone"))
    assert scores(shop, "ana")["fay"] > 0.3


def test_the_erased_are_gone(shop: SmallShop) -> None:
    shop.shop.forget("bob")
    shop.store.forget("bob")
    shop.shop.people.renew()
    assert scores(shop, "ana")["cem"] < 0.01


def test_the_taste_of_who_asks_is_in_the_next_slate(shop: SmallShop) -> None:
    shop.act("fay", "purchase", "i1")
    assert scores(shop, "ana")["fay"] < 0.01
    shop.act("ana", "view_item", "i1")
    assert scores(shop, "ana")["fay"] > 0.5


def test_ties_kept_as_they_come_equal_ties_read_at_once(shop: SmallShop) -> None:
    for step, who in enumerate((*PEOPLE, *PEOPLE)):
        shop.act(who, "view_item", f"i{step % 5}", f"i{step % 3}")
        tie(shop, who, PEOPLE[step * 2 % 5], kind=("friend", "trust")[step % 2], weight=step + 1.0)
        scores(shop, "ana")
        shop.now_ms += 11_000
    again = SmallShop(shop.path, now_ms=shop.now_ms)
    for who in PEOPLE:
        assert scores(again, who) == pytest.approx(scores(shop, who), rel=1e-6)


def test_a_shop_without_people_shows_none(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path)
    shop.post(5)
    assert shop.ask("ana", "people").items == []
