"""The pipeline: quotas, fall-backs between surfaces, and where each slot came from."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from habitue.errors import BadSetting
from habitue.facts import NO_ROW
from habitue.slates.pipeline import Pipeline, gather
from habitue.training.train import BestFirst
from tests.ranking import shop

QUOTAS = {"home": {"popular_now": 4, "bought_bought": 6}, "item": {"viewed_viewed": 5}}


def pipeline(**arguments: object) -> Pipeline:
    ranker = shop.shop_ranker().bound(shop.shop_features())
    return Pipeline(shop.shop_sources(), QUOTAS, {"home": ranker}, BestFirst(), **arguments)


def test_slots_hold_the_best_candidates_in_order() -> None:
    made = pipeline(rebuy=True)
    context = shop.contexts([0, 1, 2])
    found = made.candidates(context)
    slates = made.recommend(context, 5, np.random.default_rng(0))
    score = made.ranker("home").score(context, found.item_row)
    for b in range(3):
        best = found.item_row[b][np.argsort(-score[b], kind="stable")[:5]]
        assert slates.item_row[b].tolist() == best.tolist()
        assert (np.diff(slates.score[b]) <= 0).all()
    np.testing.assert_array_equal(slates.n_candidates, (found.item_row >= 0).sum(1))


def test_the_ranker_is_told_what_it_would_have_asked() -> None:
    """Scores worked out beside the proposals are those of the sources asked by themselves."""
    made = pipeline(rebuy=True)
    for shoppers in ([0], [0, 1, 2]):
        context = shop.contexts(shoppers)
        slates = made.recommend(context, 5, np.random.default_rng(0))
        found = made.candidates(context)
        features = shop.shop_features()
        asked = features.make(context, found.item_row)
        np.testing.assert_array_equal(slates.norms, asked.norms)


def test_a_slot_knows_its_source() -> None:
    made = pipeline(rebuy=True)
    context = shop.contexts([0])
    slates = made.recommend(context, 8, np.random.default_rng(0))
    popular = made.sources[0].propose(context, 4).item_row[0].tolist()
    for slot, item in enumerate(slates.item_row[0].tolist()):
        if item != NO_ROW:
            first = "popular_now" if item in popular else "bought_bought"
            assert slates.source_name(0, slot) == first


def test_what_is_owned_comes_only_where_buying_again_is_on() -> None:
    context = shop.contexts([0])
    owned = set(context.owned.item.tolist())
    assert owned & set(pipeline(rebuy=True).candidates(context).item_row[0].tolist())
    assert not owned & set(pipeline().candidates(context).item_row[0].tolist())
    assert owned & set(pipeline().candidates(context, rebuy=True).item_row[0].tolist())


def test_each_surface_asks_its_own_sources_and_others_ask_homes() -> None:
    made = pipeline(rebuy=True)
    item = shop.contexts([0], surface="item", anchors=[2])
    cart = shop.contexts([0], surface="cart", anchors=[2])
    asked = gather(made.sources, QUOTAS["item"], item, rebuy=True).item_row
    np.testing.assert_array_equal(made.candidates(item).item_row, asked)
    home = gather(made.sources, QUOTAS["home"], cart, rebuy=True).item_row
    np.testing.assert_array_equal(made.candidates(cart).item_row, home)
    assert 2 not in made.candidates(item).item_row


def test_barred_rows_are_no_candidates() -> None:
    barred = np.zeros(shop.N_ITEMS, np.bool_)
    barred[::2] = True
    rows = pipeline(rebuy=True).candidates(shop.contexts([0]), barred=barred).item_row
    assert not barred[rows[rows >= 0]].any()


def test_one_request_and_a_batch_get_the_same_slates() -> None:
    made = pipeline(rebuy=True)
    whole = made.recommend(shop.contexts([3, 4]), 5, np.random.default_rng(0))
    alone = made.recommend(shop.contexts([4]), 5, np.random.default_rng(0))
    assert whole.item_row[1].tolist() == alone.item_row[0].tolist()


def test_stages_are_timed_by_the_stopwatch_given() -> None:
    ticks = count()
    slates = pipeline().recommend(
        shop.contexts([0]), 3, np.random.default_rng(0), stopwatch=lambda: float(next(ticks))
    )
    assert slates.stage_seconds == {"sources": 1.0, "ranker": 1.0, "policy": 1.0}
    assert not pipeline().recommend(shop.contexts([0]), 3, np.random.default_rng(0)).stage_seconds


def test_quotas_of_unknown_sources_are_refused() -> None:
    ranker = shop.shop_ranker().bound(shop.shop_features())
    with pytest.raises(BadSetting, match="fortune"):
        Pipeline(shop.shop_sources(), {"home": {"fortune": 5}}, {"home": ranker}, BestFirst())
    with pytest.raises(BadSetting, match="home"):
        Pipeline(shop.shop_sources(), {"item": {}}, {"home": ranker}, BestFirst())


def test_a_shop_may_set_a_surfaces_quotas_and_whose_ranker_orders_it() -> None:
    made = pipeline(rebuy=True)
    mine = made.on_surfaces({"cart": {"popular_now": 3}}, {"cart": "home"})
    cart = shop.contexts([0, 1], surface="cart", anchors=[2])
    assert (mine.candidates(cart).item_row >= 0).sum(axis=1).max() <= 3
    assert (made.candidates(cart).item_row >= 0).sum(axis=1).max() > 3
    assert mine.rankers["cart"] is made.rankers["home"]
    assert "cart" not in made.rankers


def test_what_a_surface_asks_for_must_be_there() -> None:
    with pytest.raises(BadSetting, match="fortune"):
        pipeline().on_surfaces({"cart": {"fortune": 3}}, {})
    with pytest.raises(BadSetting, match="delight"):
        pipeline().on_surfaces({}, {"cart": "delight"})
