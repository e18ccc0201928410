"""What may be learnt from: read from a store, as of any moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from habitue.errors import BadInput
from habitue.facts import Action, Alias, Consent, Item, Link, Shown
from habitue.facts.cleaning.robots import RobotConfig
from habitue.facts.money import Rates
from habitue.portraits import ShopperIndex
from habitue.store.sqlite import SqliteFactStore
from habitue.training.dataset import facts_of_store
from habitue.training.shown import at_slates

DAY = 86_400_000
T0 = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteFactStore]:
    opened = SqliteFactStore(tmp_path / "shop.db")
    yield opened
    opened.close()


def view(shopper: str, item: str, days: float, **more: object) -> Action:
    return Action(kind="view_item", shopper=shopper, item=item, at=T0 + int(days * DAY), **more)


def buy(shopper: str, item: str, days: float, **more: object) -> Action:
    return Action(kind="purchase", shopper=shopper, item=item, at=T0 + int(days * DAY), **more)


def put(store: SqliteFactStore, *facts: object) -> None:
    store.append(list(facts), received_at_ms=T0 + 50 * DAY)


def test_actions_come_in_order_of_time_with_the_stores_rows(store: SqliteFactStore) -> None:
    put(store, buy("ben", "tea", 2, order_id="o1", quantity=3.0), view("anna", "cup", 1))
    log = facts_of_store(store).log
    assert log.at_ms.tolist() == [T0 + DAY, T0 + 2 * DAY]
    assert log.shopper_row.tolist() == [1, 0]
    assert log.item_row.tolist() == [1, 0]
    assert log.quantity.tolist() == [1.0, 3.0]
    assert log.order_row[0] == -1
    assert log.order_row[1] >= 0
    assert np.isnan(log.rating).all()


def test_aliases_are_one_person(store: SqliteFactStore) -> None:
    put(store, view("anna", "tea", 1), view("device-7", "cup", 2),
        Alias(shopper="anna", alias="device-7", at=T0))  # fmt: skip
    assert facts_of_store(store).log.shopper_row.tolist() == [0, 0]


def test_who_does_not_allow_it_is_not_read(store: SqliteFactStore) -> None:
    put(store, view("anna", "tea", 1), view("ben", "cup", 2),
        Consent(shopper="anna", denied=["personalisation"], at=T0))  # fmt: skip
    assert facts_of_store(store).log.shopper_row.tolist() == [1]
    assert len(facts_of_store(store, allowed_unless_said=()).log) == 0


def test_the_erased_are_not_read(store: SqliteFactStore) -> None:
    put(store, view("anna", "tea", 1), view("ben", "cup", 2))
    store.forget("anna", now_ms=T0)
    assert facts_of_store(store).log.shopper_row.tolist() == [1]


def test_nothing_behind_the_watermark_is_read(store: SqliteFactStore) -> None:
    put(store, view("anna", "tea", 1), Item(id="tea", title="Tea", valid_from=T0))
    watermark = store.stored().seq
    put(store, view("anna", "cup", 0.5), Item(id="tea", title="Old tea", valid_from=T0 + DAY))
    facts = facts_of_store(store, until_seq=watermark)
    assert facts.watermark == watermark
    assert len(facts.log) == 1
    assert facts.as_of(T0 + 9 * DAY).catalogue.frame["title"].to_list()[0] == "Tea"


def test_an_item_has_the_price_of_its_day(store: SqliteFactStore) -> None:
    put(
        store,
        Item(id="tea", price_micros=1_000_000, valid_from=T0),
        Item(id="tea", price_micros=2_000_000, valid_from=T0 + 5 * DAY),
        Item(id="cup", price_micros=9_000_000, valid_from=T0 + 7 * DAY),
        view("anna", "tea", 1),
    )
    facts = facts_of_store(store)
    early, late = (facts.as_of(T0 + d * DAY).catalogue.frame for d in (5, 8))
    assert early["price_micros"].to_list() == [1_000_000, None]  # a version holds after its moment
    assert early["id"].to_list() == ["tea", None]  # the cup is not known yet
    assert late["price_micros"].to_list() == [2_000_000, 9_000_000]
    assert late["first_seen_ms"].to_list() == [T0, T0 + 7 * DAY]
    assert late["item_row"].to_list() == [0, 1]


def test_a_refunded_line_counts_until_its_refund(store: SqliteFactStore) -> None:
    put(
        store,
        buy("anna", "tea", 1, order_id="o1", quantity=2.0),
        buy("anna", "cup", 1, order_id="o1", quantity=1.0),
        Action(kind="refund", shopper="anna", item="tea", quantity=2.0, order_id="r1",
               at=T0 + 4 * DAY),
    )  # fmt: skip
    facts = facts_of_store(store)

    def bought(days: float) -> list[int]:
        log = facts.as_of(T0 + int(days * DAY)).log
        return log.item_row[log.kind == 11].tolist()

    assert bought(3) == [0, 1]
    assert bought(5) == [1]


def test_prices_stand_in_the_base_currency(store: SqliteFactStore) -> None:
    put(store, buy("anna", "tea", 1, price_micros=10_000_000, currency="USD"))
    rates = Rates.of("EUR", [(date(2023, 1, 1), "USD", "0.5")])
    assert facts_of_store(store, rates=rates).log.price_micros.tolist() == [5_000_000]
    with pytest.raises(BadInput, match="USD"):
        facts_of_store(store, rates=Rates.of("EUR"))


def test_an_empty_store_is_an_empty_log(store: SqliteFactStore) -> None:
    facts = facts_of_store(store)
    assert len(facts.log) == 0
    assert len(facts.as_of(T0).catalogue) == 0


def shown(shopper: str | None, items: list[str], days: float, **more: object) -> Shown:
    n = len(items)
    given = {"surface": "home", "snapshot": "s", "arm": "a", **more}
    return Shown(
        id=f"slate-{shopper}-{days}-{given['surface']}", at=T0 + int(days * DAY), shopper=shopper,
        items=items, scores=[0.0] * n, propensities=[1.0] * n, sources=["popular"] * n, **given,
    )  # fmt: skip


def test_slates_teach_what_was_taken_up_of_them(store: SqliteFactStore) -> None:
    put(
        store,
        *(Item(id=one, valid_from=T0) for one in ("tea", "cup", "pot")),
        shown("anna", ["cup", "tea"], 3),
        shown("anna", ["pot", "tea"], 3.05, surface="item", anchors=["cup"]),
        shown("anna", ["pot"], 3.6, fallback="no_snapshot"),
        shown(None, ["pot"], 3.7),
        view("anna", "pot", 1),
        buy("anna", "tea", 3.1),
        buy("anna", "cup", 9),
    )
    facts = facts_of_store(store)
    assert facts.slates["home"].item_row.tolist() == [[1, 0]]
    index = ShopperIndex.of(facts.log)
    moments = at_slates(
        facts.slates["home"], index, T0, T0 + 20 * DAY, 5, limit=9, rng=np.random.default_rng(0)
    )
    assert moments.context.recent_item[0, 0] == 2  # the pot, looked at before the slate
    assert moments.shown is not None
    grade = moments.answers.of(np.array([0]), moments.shown)
    assert grade.tolist() == [[0, 3]]  # the tea within a day; the cup came too late
    beside = at_slates(
        facts.slates["item"], index, T0, T0 + 20 * DAY, 5, limit=9, rng=np.random.default_rng(0)
    )
    assert beside.context.surface == "item"
    assert beside.context.anchor_item.tolist() == [[1]]  # the cup the slate stood beside
    assert beside.shown is not None
    assert beside.answers.of(np.array([0]), beside.shown).tolist() == [[0, 3]]


def test_shoppers_at_rates_no_person_has_are_left_out_and_kept(store: SqliteFactStore) -> None:
    crawled = [view("crawler", f"i{n}", n / 86_400) for n in range(700)]
    put(store, *crawled, view("anna", "i1", 1), view("crawler-2", "i1", 1))
    put(store, Alias(shopper="crawler", alias="crawler-2", at=T0))
    assert len(facts_of_store(store).log) == 702
    kept = facts_of_store(store, robots=RobotConfig())
    assert kept.log.shopper_row.tolist() == [1]
    assert (kept.n_items, kept.n_robots) == (700, 1)
    assert store.stored().facts["action"] == 702
    assert len(facts_of_store(store, robots=RobotConfig(per_minute=90)).log) == 702


def test_slates_of_those_left_out_teach_nothing(store: SqliteFactStore) -> None:
    put(store, *(view("crawler", f"i{n}", n / 86_400) for n in range(700)))
    put(
        store,
        *(
            Shown(
                id=f"slate-{who}", at=T0 + DAY, shopper=who, surface="home", snapshot="s", arm="",
                items=["i1"], scores=[1.0], propensities=[1.0], sources=["popular"],
            )
            for who in ("crawler", "anna")
        ),
        view("anna", "i2", 2),
    )  # fmt: skip
    facts = facts_of_store(store, robots=RobotConfig())
    assert (facts.slates["home"].shopper_row >= 0).sum() == 1


def test_ties_are_read_by_their_last_version_both_ways_or_one(store: SqliteFactStore) -> None:
    """``erin`` has denied personalisation, ``phone`` is anna's, and a quarrel ends a friendship."""
    put(store, view("anna", "tea", 1), Alias(shopper="anna", alias="phone", at=T0))
    put(
        store,
        Link(kind="friend", head="phone", tail="ben", at=T0 + DAY),
        Link(kind="trust", head="carl", tail="anna", weight=0.5),
        Link(kind="friend", head="anna", tail="dora"),
        Link(kind="friend", head="anna", tail="erin"),
        Link(kind="knowledge", head="tea", relation="grows in", tail="Assam"),
        Consent(shopper="erin", denied=["personalisation"]),
    )
    store.append(
        [Link(kind="friend", head="anna", tail="dora", deleted=True)],
        received_at_ms=T0 + 60 * DAY,
    )
    links = facts_of_store(store).links
    assert links is not None
    row = dict(
        zip(["anna", "ben", "carl"], store.shopper_rows(["anna", "ben", "carl"]), strict=True)
    )
    found = zip(links.shopper_row, links.known_row, links.weight, links.at_ms, strict=True)
    assert {tuple(float(x) for x in tie) for tie in found} == {
        (row["anna"], row["ben"], 1.0, T0 + DAY),
        (row["ben"], row["anna"], 1.0, T0 + DAY),
        (row["carl"], row["anna"], 0.5, 0),
    }
    known = facts_of_store(store).as_of(T0 + DAY).links
    assert known is not None
    assert len(known) == 1
