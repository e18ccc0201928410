"""The simulated shop: the same each time, in order, and as shops are."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
import pytest

from habitue.facts import Action, Fact, Item, Link, Shopper, code_of
from habitue.facts.log import MS_PER_DAY
from habitue.world import Slate, World, WorldConfig, build_world

NOW_MS = 1_790_000_000_000
SMALL = WorldConfig(n_items=500, n_shoppers=400, days=90)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(NOW_MS, seed=3, config=SMALL)


def of_kind(world: World, kind: str) -> pl.DataFrame:
    return world.action_table.filter(pl.col("kind") == kind)


def test_the_same_seed_tells_the_same_history(world: World) -> None:
    again = build_world(NOW_MS, seed=3, config=SMALL)
    assert world.action_table.equals(again.action_table)
    assert list(world.items()) == list(again.items())
    assert list(world.shoppers()) == list(again.shoppers())
    assert list(world.links()) == list(again.links())


def test_another_seed_tells_another_history(world: World) -> None:
    other = build_world(NOW_MS, seed=4, config=SMALL)
    assert not world.action_table.equals(other.action_table)


def test_history_ends_just_before_now_and_begins_where_configured(world: World) -> None:
    at = world.action_table["at_ms"]
    assert at.is_sorted()
    assert NOW_MS - MS_PER_DAY < at.max() < NOW_MS
    assert world.start_ms == NOW_MS - 90 * MS_PER_DAY <= at.min() < world.start_ms + MS_PER_DAY


def test_the_truth_is_rectangular(world: World) -> None:
    utility = world.truth.utility(np.arange(400))
    assert utility.shape == (400, 500)
    assert np.isfinite(utility).all()


def test_utility_is_the_inner_product_of_the_factors(world: World) -> None:
    truth = world.truth
    by_hand = sum(
        float(a) * float(b)
        for a, b in zip(truth.shopper_factor[7], truth.item_factor[31], strict=True)
    ) + float(truth.item_bias[31])
    assert truth.utility(np.array([7]), np.array([31]))[0, 0] == pytest.approx(by_hand, abs=1e-4)


def test_shoppers_look_more_at_what_they_want(world: World) -> None:
    seen = of_kind(world, "view_item").select("shopper", "item").unique()
    shopper, item = world.shopper_index(seen["shopper"]), world.item_index(seen["item"])
    truth = world.truth
    wanted = np.einsum("nf,nf->n", truth.shopper_factor[shopper], truth.item_factor[item])
    wanted += truth.item_bias[item]
    usual = truth.utility(np.arange(400))
    assert wanted.mean() > usual.mean() + 0.75 * usual.std()


def test_nothing_happens_to_an_item_before_its_launch(world: World) -> None:
    published = pl.DataFrame(
        [(item.id, item.published_at) for item in world.items()], ["item", "launch"], orient="row"
    ).unique()
    acted = world.action_table.drop_nulls("item").join(published, on="item", how="left")
    assert acted["launch"].null_count() == 0
    assert (acted["at_ms"] >= acted["launch"]).all()
    assert (published["launch"] > world.start_ms).any()


def test_the_funnel_is_in_order(world: World) -> None:
    """Nobody buys what was not in the cart, nor fills a cart with what was not seen."""
    first = {
        kind: of_kind(world, kind).group_by("shopper", "item").agg(pl.col("at_ms").min())
        for kind in ("view_item", "add_to_cart", "purchase")
    }
    for before, after in (("view_item", "add_to_cart"), ("add_to_cart", "purchase")):
        both = first[after].join(
            first[before], on=["shopper", "item"], how="left", suffix="_before"
        )
        assert both["at_ms_before"].null_count() == 0, after
        assert (both["at_ms"] > both["at_ms_before"]).all(), after


def test_every_order_is_one_shopper_at_one_moment(world: World) -> None:
    orders = (
        of_kind(world, "purchase")
        .group_by("order_id")
        .agg(pl.col("shopper").n_unique(), pl.col("at_ms").n_unique(), lines=pl.len())
    )
    assert orders["shopper"].max() == 1
    assert orders["at_ms"].max() == 1
    assert orders["lines"].max() > 1


def test_only_ratings_and_reviews_follow_a_purchase(world: World) -> None:
    told = world.action_table.filter(pl.col("kind").is_in(["rate", "review"]))
    bought = of_kind(world, "purchase").group_by("shopper", "item").agg(pl.col("at_ms").min())
    both = told.join(bought, on=["shopper", "item"], how="left", suffix="_bought")
    assert both.height == told.height > 20
    assert (both["at_ms"] > both["at_ms_bought"]).all()
    assert told["rating"].is_between(1, 5).all()
    assert told.filter(pl.col("kind") == "review")["text"].null_count() == 0


def test_nothing_is_bought_that_is_out_of_stock(world: World) -> None:
    bought = of_kind(world, "purchase")
    day = ((bought["at_ms"] - world.start_ms) // MS_PER_DAY).to_numpy()
    assert world.shelves.in_stock[world.item_index(bought["item"]), day].mean() > 0.999
    assert not world.shelves.in_stock.all()


def test_durable_things_are_bought_once_and_used_up_things_again(world: World) -> None:
    bought = of_kind(world, "purchase")
    orders = bought.group_by("shopper", "item").agg(pl.col("order_id").n_unique())
    cycle = world.shelves.cycle_days[world.item_index(orders["item"])]
    assert (orders.filter(pl.Series(cycle == 0))["order_id"] == 1).all()
    refilled = orders.filter(pl.Series(cycle > 0))["order_id"]
    assert refilled.max() >= 3
    assert (refilled > 1).mean() > 0.1


def test_prices_are_positive_and_paid_as_marked(world: World) -> None:
    priced = world.action_table.drop_nulls("price_micros")
    assert (priced["price_micros"] > 0).all()
    bought = of_kind(world, "purchase")
    due = bought["price_micros"] // 10_000 * bought["quantity"].cast(pl.Int64)
    assert (bought["value_minor"] == due).all()
    for item in world.items():
        assert item.price_micros is not None
        assert item.price_micros > 0
        if item.sale_price_micros is not None:
            assert 0 < item.sale_price_micros < item.price_micros


def test_prices_are_log_normal_within_a_category() -> None:
    whole = build_world(NOW_MS, config=WorldConfig(n_shoppers=2)).shelves
    price = np.log(whole.price_minor[:, 0])
    for at, category in enumerate(whole.categories):
        typical = np.median(price[whole.category == at])
        assert typical == pytest.approx(np.log(100 * category.median_price), abs=0.75), (
            category.name
        )
    assert 0.3 < whole.price_level.std() < 1.3


def test_shares_of_kinds_are_those_of_a_shop(world: World) -> None:
    n = dict(world.action_table["kind"].value_counts().iter_rows())
    assert 0.05 < n["add_to_cart"] / n["view_item"] < 0.25
    assert 0.3 < n["purchase"] / n["add_to_cart"] < 0.8
    assert 0.03 < (n["rate"] + n["review"]) / n["purchase"] < 0.25
    assert 0 < n["not_interested"] < 0.02 * n["view_item"]
    for kind in ("search", "login", "sign_up", "add_to_wishlist", "remove_from_cart"):
        assert n[kind] > 0, kind


def test_popularity_has_a_head_and_a_tail(world: World) -> None:
    views = of_kind(world, "view_item")["item"].value_counts(sort=True)["count"].to_numpy()
    share_of_top_tenth = views[: len(views) // 10].sum() / views.sum()
    assert 0.2 < share_of_top_tenth < 0.6


def test_people_come_go_and_return(world: World) -> None:
    spells = world.people.spells
    came_later = spells[:, 0, 0] > 0
    drifted = spells[:, 0, 1] < 90
    returned = spells[:, 1, 0] < spells[:, 1, 1]
    assert 0.3 < came_later.mean() < 0.8
    assert 0.2 < drifted.mean() < 0.9
    assert 0.02 < returned.mean() < 0.5
    # Nobody acts before they came, but for the sign-up that opens the visit; ratings may follow.
    acts = of_kind(world, "view_item")
    day = (acts["at_ms"].to_numpy() - world.start_ms) / MS_PER_DAY
    assert (np.ceil(day) >= np.floor(spells[world.shopper_index(acts["shopper"]), 0, 0])).all()


def test_things_that_go_together_are_bought_together(world: World) -> None:
    whole = build_world(NOW_MS, seed=5, config=WorldConfig(n_shoppers=1500))
    lines = of_kind(whole, "purchase").select("order_id", "item")
    lines = lines.with_columns(c=pl.Series(whole.shelves.category[whole.item_index(lines["item"])]))
    pairs = lines.join(lines, on="order_id").filter(pl.col("c") != pl.col("c_right"))
    goes = whole.shelves.goes_with()
    matched = goes[pairs["c"].to_numpy(), pairs["c_right"].to_numpy()].mean()
    assert matched > 4 * goes.mean()


def test_friends_name_each_other_and_are_alike(world: World) -> None:
    links = [(link.head, link.tail) for link in world.links()]
    assert links
    assert {(tail, head) for head, tail in links} == set(links)
    taste = np.exp(world.people.category)
    head, tail = (world.shopper_index([pair[side] for pair in links]) for side in (0, 1))
    alike = (taste[head] * taste[tail]).sum(axis=1).mean()
    strangers = (taste[head] * taste[np.roll(tail, 7)]).sum(axis=1).mean()
    assert alike > 1.5 * strangers


def test_facts_are_valid_as_the_program_reads_them(world: World) -> None:
    """What is told passes the same checks as what a shop posts."""
    for fact in (*world.items(), *world.shoppers(), *world.links()):
        assert msgspec.json.decode(msgspec.json.encode(fact), type=type(fact)) == fact
    for name in world.action_table["kind"].unique():
        code_of(name)
    for _, action in zip(range(2_000), world.actions(), strict=False):
        assert msgspec.json.decode(msgspec.json.encode(action), type=Action) == action


def test_item_versions_follow_each_other_and_begin_with_the_launch(world: World) -> None:
    versions: dict[str, list[Item]] = {}
    for item in world.items():
        versions.setdefault(item.id, []).append(item)
    assert len(versions) == 500
    assert any(len(some) > 1 for some in versions.values())
    for some in versions.values():
        times = [item.valid_from for item in some]
        assert times == sorted(set(times))
        assert times[0] == some[0].published_at
    last = {name: some[-1] for name, some in versions.items()}
    gone = sum(item.availability == "out_of_stock" for item in last.values())
    assert 0 < gone < 50


def test_words_are_people_readable_and_free_of_placeholders(world: World) -> None:
    titles = world.shelves.frame["title"]
    assert titles.n_unique() > 0.9 * len(titles)
    told = [*titles, *world.shelves.frame["description"]]
    told += world.action_table["text"].drop_nulls().to_list()
    assert not [text for text in told if "{" in text or "None" in text or "  " in text]


class Ears:
    """A shop that only listens."""

    def __init__(self) -> None:
        self.heard: list[Fact] = []

    def ingest(self, facts: Sequence[Fact]) -> None:
        self.heard += facts


def test_pouring_tells_every_fact_once_items_first(world: World) -> None:
    shop = Ears()
    told = world.pour(shop, batch=999)
    assert told == len(shop.heard)
    kinds = [type(fact) for fact in shop.heard]
    assert kinds.count(Action) == world.action_table.height
    assert kinds.index(Action) > max(kinds.index(k) for k in (Item, Shopper, Link))
    ids = [fact.id for fact in shop.heard if isinstance(fact, Action)]
    assert len(set(ids)) == len(ids)


def test_a_visitor_clicks_as_often_as_the_truth_says(world: World) -> None:
    shopper = world.people.frame["id"][11]
    items = world.shelves.frame["id"].sample(8, seed=1).to_list()
    rng = np.random.default_rng(0)
    clicks = np.zeros(8)
    for _ in range(4_000):
        for action in world.step(Slate(shopper, items), rng, at_ms=NOW_MS):
            clicks[action.slot] += action.kind == "select_item"
    chance = world.click_probability(shopper, items)
    error = np.sqrt(chance * (1 - chance) / 4_000)
    assert (np.abs(clicks / 4_000 - chance) < 4.5 * error + 1e-9).all()


def test_answers_name_their_slate_and_slot_and_carts_follow_clicks(world: World) -> None:
    shopper, items = world.people.frame["id"][0], world.shelves.frame["id"][:20].to_list()
    rng = np.random.default_rng(2)
    answered = [
        action
        for _ in range(200)
        for action in world.step(Slate(shopper, items, "item", "slate-9"), rng, at_ms=NOW_MS)
    ]
    assert {action.slate_id for action in answered} == {"slate-9"}
    assert all(action.item == items[action.slot or 0] for action in answered)
    carted = [at for at, action in enumerate(answered) if action.kind == "add_to_cart"]
    assert carted
    assert all(answered[at - 1].kind == "view_item" for at in carted)
    assert all(answered[at - 1].item == answered[at].item for at in carted)
    assert world.step(Slate(shopper, []), rng, at_ms=NOW_MS) == []


def test_the_best_slate_gets_more_clicks_than_the_popular_one(world: World) -> None:
    """There is something to learn here: taste is worth several times popularity."""
    shoppers = np.arange(400)
    best = np.argsort(-world.truth.utility(shoppers), axis=1)[:, :10]
    top = of_kind(world, "view_item")["item"].value_counts(sort=True)["item"][:10].to_list()
    popular = np.tile(world.item_index(top), (400, 1))
    slots = np.arange(10)
    clicks = [
        world.truth.click_probability(shoppers, slate, slots).sum() for slate in (best, popular)
    ]
    assert clicks[0] > 2 * clicks[1]


def test_the_demo_shop_is_made_in_seconds() -> None:
    begun = time.process_time()
    whole = build_world(NOW_MS)
    spent = time.process_time() - begun
    assert 300_000 <= whole.action_table.height <= 400_000
    assert 3_000 <= len(whole.shelves) <= 4_000
    assert spent < 15  # about 3 s on a quiet core; a loop over actions would take minutes
