"""An order learnt as if a source were not there: what is kept, dropped and measured anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from habitue.portraits import ShopperIndex
from habitue.ranking.lambdamart import RankingSet
from habitue.slates.pipeline import gather, gather_proposed
from habitue.training.moments import at_cut
from habitue.training.orders import learn_without
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst, fit_sources, train
from habitue.training.windows import Moments, Window, lessons, window_of
from tests.ranking import shop as ranking_shop
from tests.training.shop import CONFIG, DAY, N_ITEMS, facts_of

CUT, UNTIL = 80 * DAY, 100 * DAY
NAMES = [source.name for source in CONFIG.sources]
QUOTA = {"popular_now": 5, "viewed_viewed": 4, "bought_bought": 6, "again": 3}


def asked() -> tuple[Window, Moments]:
    facts = facts_of()
    known = facts.as_of(CUT)
    sources = fit_sources(known, CONFIG, np.random.default_rng(0))
    index = ShopperIndex.of(facts.between(0, UNTIL))
    moments = at_cut(index, CUT, UNTIL, 20, limit=1000, rng=np.random.default_rng(1))
    return window_of(known, sources, CONFIG.item_stats), moments


def taught(window: Window, moments: Moments, **said: bool) -> RankingSet:
    return lessons(
        window.copy(), moments, QUOTA, rebuy=True, rng=np.random.default_rng(2), kept=1000, **said
    )


@pytest.mark.parametrize("left_out", [[], *([name] for name in NAMES), NAMES[:2]], ids=str)
def test_lessons_without_a_source_are_those_of_a_shop_that_has_none(left_out: list[str]) -> None:
    window, moments = asked()
    all_of_them = taught(window, moments, proposed=True).without(left_out)
    others = tuple(source for source in window.sources if source.name not in left_out)
    without = taught(replace(window, sources=others), moments)
    assert all_of_them.names == without.names
    np.testing.assert_array_equal(all_of_them.group, without.group)
    start = 0
    for n in without.group.tolist():  # candidates stand in other orders
        rows = slice(start, start + n)
        a, b = (one.x[rows] for one in (all_of_them, without))
        a, b = (x[np.lexsort(x.T)] for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        start += n
    assert sorted(all_of_them.grade.tolist()) == sorted(without.grade.tolist())


def test_who_proposed_is_told_of_every_candidate() -> None:
    window, moments = asked()
    rows, by = gather_proposed(window.sources, QUOTA, moments.context, rebuy=True)
    np.testing.assert_array_equal(
        rows, gather(window.sources, QUOTA, moments.context, rebuy=True).item_row
    )
    for place, source in enumerate(window.sources):
        proposed = source.propose(moments.context, QUOTA[source.name]).item_row
        said = (by >> np.uint64(place)) & np.uint64(1)
        for b in range(len(rows)):
            mine = set(proposed[b][proposed[b] >= 0].tolist())
            assert set(rows[b][said[b] > 0].tolist()) == mine & set(rows[b].tolist())
    assert (by[rows >= 0] > 0).all()
    assert (by[rows < 0] == 0).all()


def test_what_was_shown_stays_whoever_is_left_out() -> None:
    window, moments = asked()
    every = np.tile(np.arange(N_ITEMS, dtype=np.int32), (len(moments.context), 1))
    shown = taught(window, replace(moments, shown=every), proposed=True)
    left = shown.without(["popular_now"])
    np.testing.assert_array_equal(left.group, shown.group)
    np.testing.assert_array_equal(left.grade, shown.grade)
    assert not [name for name in left.names if name.startswith("popular_now")]


def test_weights_of_requests_go_with_them() -> None:
    window, moments = asked()
    both = RankingSet.joined(
        [taught(window, moments, proposed=True).weighted(w) for w in (0.5, 1.0)]
    )
    left = both.without(["bought_bought"])
    assert left.weight is not None
    half = len(left.group) // 2
    assert left.weight.tolist() == [0.5] * half + [1.0] * half


def test_an_order_without_a_source_answers_in_a_pipeline_without_it() -> None:
    made = train(facts_of(), CONFIG, rng=np.random.default_rng(0), keep=("home",))
    assert [list(span) for span in made.lessons] == [["home"]] * 2
    rankers = learn_without(made.lessons, CONFIG, ["again"], np.random.default_rng(3))
    assert list(rankers) == ["home"]
    pipeline = pipeline_of(
        CONFIG.without(["again"]),
        [one for one in made.sources if one.name != "again"],
        rankers,
        made.stats,
        made.columns,
        BestFirst(),
    )
    context = ranking_shop.contexts([0, 1], now_ms=130 * DAY)
    slates = pipeline.recommend(context, 6, np.random.default_rng(0))
    assert (slates.item_row >= 0).all()
    assert "again" not in slates.source_names


def test_lessons_are_kept_only_where_that_was_asked() -> None:
    made = train(facts_of(), CONFIG.model_copy(update={"windows": 1}), rng=np.random.default_rng(0))
    assert made.lessons == [{}]
