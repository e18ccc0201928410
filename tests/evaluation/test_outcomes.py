"""Every answer of a shopper is credited to one slot, the right one."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from habitue.errors import BadInput
from habitue.evaluation import attribute, off_policy, rates_by, rates_table, slots_of
from habitue.facts import ActionKind

HOUR = 3_600_000
VIEW, SELECT, BUY = (
    int(ActionKind.view_item),
    int(ActionKind.select_item),
    int(ActionKind.purchase),
)
ITEMS = ["tea", "cup", "pot", "jam"]
TEA, CUP, POT, JAM = range(4)
ANA, BEN = 0, 1


def slate(name, at_hours, shopper, items, *, surface="home", first_slot=0, propensity=None):
    return {
        "id": name,
        "at_ms": at_hours * HOUR,
        "shopper_row": shopper,
        "surface": surface,
        "snapshot": "s1",
        "arm": "main",
        "first_slot": first_slot,
        "fallback": "",
        "body": json.dumps(
            [items, [1.0] * len(items), propensity or [0.5] * len(items), ["popular"] * len(items)]
        ),
    }


def shown(*slates):
    schema = {"at_ms": pl.Int64, "shopper_row": pl.Int32, "first_slot": pl.Int32}
    return pl.DataFrame(list(slates), schema_overrides=schema)


def did(*lines):
    """Lines of (hours, kind, shopper, item, slate_id, value_minor)."""
    return pl.DataFrame(
        [(round(h * HOUR), *rest) for h, *rest in lines],
        schema={
            "at_ms": pl.Int64,
            "kind": pl.UInt8,
            "shopper_row": pl.Int32,
            "item_row": pl.Int32,
            "slate_id": pl.String,
            "value_minor": pl.Int64,
        },
        orient="row",
    )


TWO = slots_of(
    shown(slate("a", 1, ANA, ["tea", "cup"]), slate("b", 3, ANA, ["cup", "pot"], surface="item")),
    ITEMS,
)


def marks(slots, column="clicked"):
    return dict(
        zip(zip(slots["slate_id"], slots["item_row"], strict=True), slots[column], strict=True)
    )


def test_a_slate_becomes_its_slots():
    assert TWO.select("slate_id", "slot", "item_row", "source").rows() == [
        ("a", 0, TEA, "popular"),
        ("a", 1, CUP, "popular"),
        ("b", 0, CUP, "popular"),
        ("b", 1, POT, "popular"),
    ]


def test_a_second_page_goes_on_counting_and_unknown_items_stay():
    slots = slots_of(shown(slate("a", 1, ANA, ["jam", "gone"], first_slot=12)), ITEMS)
    assert slots["slot"].to_list() == [12, 13]
    assert slots["item_row"].to_list() == [JAM, -1]


def test_an_empty_slate_has_no_slots():
    assert slots_of(shown(slate("a", 1, ANA, [])), ITEMS).height == 0
    assert slots_of(shown(slate("a", 1, ANA, [])).clear(), ITEMS).height == 0


def test_a_shopper_of_two_names_is_one_person():
    who = np.array([1, 1], np.int32)
    assert slots_of(shown(slate("a", 1, ANA, ["tea"])), ITEMS, who)["shopper_row"].to_list() == [1]


def test_an_answer_that_names_its_slate_is_credited_there():
    slots = attribute(TWO, did((4, SELECT, ANA, CUP, "a", 0)))
    assert marks(slots) == {
        ("a", TEA): False,
        ("a", CUP): True,
        ("b", CUP): False,
        ("b", POT): False,
    }


def test_an_answer_without_a_slate_goes_to_where_the_item_was_last_shown():
    slots = attribute(TWO, did((4, BUY, ANA, CUP, None, 250)))
    assert marks(slots, "converted")["b", CUP]
    assert not marks(slots, "converted")["a", CUP]
    assert marks(slots, "value_minor")["b", CUP] == 250
    assert not any(marks(slots).values())  # a purchase is no click


def test_between_two_slates_it_was_the_first():
    slots = attribute(TWO, did((2, VIEW, ANA, CUP, None, 0)))
    assert [key for key, clicked in marks(slots).items() if clicked] == [("a", CUP)]


@pytest.mark.parametrize(
    "line",
    [
        (0.5, VIEW, ANA, TEA, None, 0),  # before it was shown
        (0.5, VIEW, ANA, TEA, "a", 0),  # a slate named before it was shown
        (25.5, VIEW, ANA, TEA, None, 0),  # a day later
        (2.0, VIEW, BEN, TEA, None, 0),  # another shopper
        (2.0, VIEW, ANA, JAM, None, 0),  # another item
        (2.0, int(ActionKind.add_to_wishlist), ANA, TEA, None, 0),  # another kind
    ],
)
def test_what_is_no_answer_is_not_credited(line):
    slots = attribute(TWO, did(line))
    assert not slots["clicked"].any()
    assert not slots["converted"].any()


def test_the_window_can_be_wider():
    slots = attribute(TWO, did((25.5, VIEW, ANA, TEA, None, 0)), window_hours=48)
    assert marks(slots)["a", TEA]


def test_a_named_slate_counts_beyond_the_window_and_for_strangers():
    slots = slots_of(shown(slate("a", 1, -1, ["tea"])), ITEMS)
    assert attribute(slots, did((99, SELECT, BEN, TEA, "a", 0)))["clicked"].to_list() == [True]
    assert attribute(slots, did((2, SELECT, -1, TEA, None, 0)))["clicked"].to_list() == [False]


def test_clicking_twice_is_one_click_and_buying_twice_is_worth_both():
    slots = attribute(
        TWO,
        did(
            (1.1, VIEW, ANA, TEA, "a", 0),
            (1.2, VIEW, ANA, TEA, "a", 0),
            (1.3, BUY, ANA, TEA, "a", 100),
            (1.4, BUY, ANA, TEA, None, 50),
        ),
    )
    assert slots.height == TWO.height
    assert marks(slots, "value_minor")["a", TEA] == 150
    assert int(slots["clicked"].sum()) == 1


def test_an_item_that_stands_twice_in_a_slate_earns_once():
    slots = slots_of(shown(slate("a", 1, ANA, ["tea", "tea"])), ITEMS)
    slots = attribute(slots, did((2, BUY, ANA, TEA, "a", 100)))
    assert slots["value_minor"].to_list() == [100, 0]


def test_rates_are_by_slot_and_by_slate():
    slots = attribute(TWO, did((1.1, VIEW, ANA, TEA, "a", 0), (3.5, BUY, ANA, CUP, "b", 300)))
    home, item = rates_by(slots, "surface", np.random.default_rng(0))
    assert (home.name, home.n_slates, home.n_slots) == ("home", 1, 2)
    assert home.click_through.estimate == 1 / 2
    assert home.conversion.estimate == 0.0
    assert item.conversion.estimate == 1.0
    assert item.value_per_slate_minor.estimate == 300.0


def test_a_source_is_judged_by_the_slots_it_filled():
    slots = attribute(
        TWO.with_columns(source=pl.Series(["popular", "covisit", "covisit", "content"])),
        did((3.5, VIEW, ANA, CUP, "b", 0)),
    )
    rates = {one.name: one.click_through.estimate for one in rates_by(slots, "source", rng())}
    assert rates == {"content": 0.0, "covisit": 0.5, "popular": 0.0}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_eager_shopper_is_one_witness():
    slates = [slate(f"s{k}", k, min(20, k), ["tea"]) for k in range(40)]
    clicks = [(k + 0.1, VIEW, 20, TEA, f"s{k}", 0) for k in range(20, 40)]
    slots = attribute(slots_of(shown(*slates), ITEMS), did(*clicks))
    (rates,) = rates_by(slots, "surface", rng())
    assert rates.click_through.estimate == 0.5
    # Half of all slots were clicked, all by one of twenty-one shoppers: nobody knows much.
    assert rates.click_through.low == 0.0
    assert rates.click_through.high > 0.7


def test_the_rates_read_as_a_table():
    page = io.StringIO()
    slots = attribute(TWO, did((1.1, VIEW, ANA, TEA, "a", 0)))
    Console(file=page, width=140).print(rates_table(rates_by(slots, "surface", rng()), "surface"))
    assert "50.00%" in page.getvalue()
    assert "home" in page.getvalue()


def test_off_policy_finds_what_another_policy_would_have_got():
    random = np.random.default_rng(5)
    n = 20_000
    pay, logged, target = np.array([0.05, 0.3]), np.array([0.8, 0.2]), np.array([0.2, 0.8])
    item = random.choice(2, n, p=logged)
    slots = pl.DataFrame(
        {
            "propensity": logged[item],
            "clicked": random.random(n) < pay[item],
            "shopper_row": np.arange(n) % 4000,
        }
    )
    found = off_policy(slots, target[item], rng(), n_resamples=300)
    assert found.low < pay @ target < found.high
    assert found.high - found.low < 0.03


def test_a_slot_without_a_chance_is_refused():
    slots = pl.DataFrame({"propensity": [0.0], "clicked": [True], "shopper_row": [1]})
    with pytest.raises(BadInput, match="propensity is 0"):
        off_policy(slots, np.ones(1), rng())
