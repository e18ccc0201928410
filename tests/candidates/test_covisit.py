"""Ties between items, against a reference that looks at every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import beauty
from benchmarks.leave_one_out import evaluate
from habitue.candidates.covisit import CovisitConfig, CovisitLearner, CovisitSource
from habitue.facts import MS_PER_DAY, ActionLog
from tests import needs
from tests.candidates.shop import BUY, NOW_MS, VIEW, facts_of, log_of, requests

RNG = np.random.default_rng(0)
PLAIN = CovisitConfig(
    kinds_from=("view_item",),
    kinds_to=("view_item",),
    moment_decay=0.5,
    backward_weight=0.25,
    damping_from=0.0,
    damping_to=0.0,
)


def fit(log: ActionLog, config: CovisitConfig) -> CovisitSource:
    return CovisitLearner(config).fit(facts_of(log), RNG)


def dense(source: CovisitSource, n_items: int) -> NDArray[np.float64]:
    """The whole table as a matrix (from, to)."""
    out = np.zeros((n_items, n_items))
    for item in range(n_items):
        rows, strengths = source.table.of(item)
        out[item, rows] = strengths
    return out


def ties(
    *rows: tuple[float, int, int, int, int], config: CovisitConfig = PLAIN
) -> list[list[float]]:
    log = log_of(rows)
    return dense(fit(log, config), log.n_items).tolist()


def test_forwards_counts_more_than_backwards_and_near_more_than_far() -> None:
    assert ties((1, VIEW, 0, 0, -1), (2, VIEW, 0, 1, -1), (3, VIEW, 0, 2, -1)) == [
        [0, 1.0, 0.5],
        [0.25, 0, 1.0],
        [0.125, 0.25, 0],
    ]


def test_the_next_shopper_starts_anew() -> None:
    assert ties((1, VIEW, 0, 0, -1), (2, VIEW, 1, 1, -1)) == [[0, 0], [0, 0]]


def test_lines_of_one_order_have_no_order() -> None:
    config = PLAIN.model_copy(update={"kinds_from": ("purchase",), "kinds_to": ("purchase",)})
    lines = [(1, BUY, 0, 0, 7), (1, BUY, 0, 1, 7), (1, BUY, 0, 2, 7), (5, BUY, 0, 3, 8)]
    assert ties(*lines, config=config) == [
        [0, 1, 1, 1.0],
        [1, 0, 1, 1.0],
        [1, 1, 0, 1.0],
        [0.25, 0.25, 0.25, 0],
    ]


def test_an_order_is_one_moment_though_its_lines_came_apart() -> None:
    config = PLAIN.model_copy(update={"kinds_from": ("purchase",), "kinds_to": ("purchase",)})
    assert ties((1, BUY, 0, 0, 7), (2, BUY, 0, 1, 7), config=config) == [[0, 1], [1, 0]]


def test_views_lead_to_purchases_only_where_asked() -> None:
    config = PLAIN.model_copy(update={"kinds_to": ("purchase",)})
    assert ties((1, VIEW, 0, 0, -1), (2, VIEW, 0, 1, -1), (3, BUY, 0, 1, -1), config=config) == [
        [0, 0.5],
        [0, 0],
    ]


def test_popularity_is_damped_at_both_ends() -> None:
    config = PLAIN.model_copy(update={"damping_from": 0.5, "damping_to": 1.0})
    rows = [(1, VIEW, 0, 0, -1), (2, VIEW, 0, 1, -1), *((3, VIEW, s, 1, -1) for s in (1, 2))]
    strength = np.array(ties(*rows, config=config))
    assert strength[0, 1] == pytest.approx((1 + 1) ** -0.5 * (1 + 3) ** -1)
    assert strength[1, 0] == pytest.approx(0.25 * (1 + 3) ** -0.5 * (1 + 1) ** -1)


def test_old_ties_and_long_gaps_fade() -> None:
    config = PLAIN.model_copy(update={"gap_half_life_days": 1.0, "half_life_days": 100.0})
    strength = np.array(ties((298, VIEW, 0, 0, -1), (300, VIEW, 0, 1, -1), config=config))
    assert strength[0, 1] == pytest.approx(0.25 * 0.5, rel=1e-6)


def test_only_the_strongest_are_kept() -> None:
    config = PLAIN.model_copy(update={"neighbours": 1})
    source = fit(log_of([(d, VIEW, 0, d, -1) for d in range(4)]), config)
    assert [source.table.of(item)[0].tolist() for item in range(4)] == [[1], [2], [3], [2]]


def test_a_heavy_shopper_is_read_from_the_end() -> None:
    config = PLAIN.model_copy(update={"max_actions_per_shopper": 2})
    rows = [(1, VIEW, 0, 0, -1), (2, VIEW, 0, 1, -1), (3, VIEW, 0, 2, -1)]
    assert ties(*rows, config=config) == [[0, 0, 0], [0, 0, 1], [0, 0.25, 0]]


def test_reach_bounds_what_is_looked_at() -> None:
    config = PLAIN.model_copy(update={"max_reach_actions": 1})
    rows = [(1, VIEW, 0, 0, -1), (2, VIEW, 0, 1, -1), (3, VIEW, 0, 2, -1)]
    assert ties(*rows, config=config) == [[0, 1, 0], [0.25, 0, 1], [0, 0.25, 0]]


def every_pair(log: ActionLog, config: CovisitConfig) -> NDArray[np.float64]:
    """The same by definition: every ordered pair of one shopper's actions, one after the other."""
    starts = {VIEW: "view_item", BUY: "purchase"}
    out = np.zeros((log.n_items, log.n_items))
    popular = np.zeros((2, log.n_items))
    fade = [
        0.5 ** ((NOW_MS - at) / MS_PER_DAY / (config.half_life_days or np.inf)) for at in log.at_ms
    ]
    used = [
        n
        for n in range(len(log))
        if starts[int(log.kind[n])] in (*config.kinds_from, *config.kinds_to)
    ]
    for n in used:
        name = starts[int(log.kind[n])]
        popular[0, log.item_row[n]] += fade[n] * (name in config.kinds_from)
        popular[1, log.item_row[n]] += fade[n] * (name in config.kinds_to)
    for shopper in range(log.n_shoppers):
        mine = [n for n in used if log.shopper_row[n] == shopper]
        moment = [0] * len(mine)
        for k in range(1, len(mine)):
            a, b = mine[k - 1], mine[k]
            together = log.at_ms[a] == log.at_ms[b] or log.order_row[a] == log.order_row[b] >= 0
            moment[k] = moment[k - 1] + (not together)
        for p, q in np.ndindex(len(mine), len(mine)):
            a, b, apart = mine[p], mine[q], moment[q] - moment[p]
            if p == q or abs(apart) > config.window_moments or log.item_row[a] == log.item_row[b]:
                continue
            if starts[int(log.kind[a])] not in config.kinds_from:
                continue
            if starts[int(log.kind[b])] not in config.kinds_to:
                continue
            weight = config.together_weight
            if apart:
                weight = config.forward_weight if apart > 0 else config.backward_weight
                weight *= config.moment_decay ** (abs(apart) - 1)
            gap_days = abs(log.at_ms[a] - log.at_ms[b]) / MS_PER_DAY
            weight *= 0.5 ** (gap_days / (config.gap_half_life_days or np.inf)) * fade[max(a, b)]
            weight *= (moment.count(moment[p]) * moment.count(moment[q])) ** (
                -config.crowd_damping / 2
            )
            out[log.item_row[a], log.item_row[b]] += weight
    out *= ((1 + popular[0]) ** -config.damping_from)[:, None]
    return out * (1 + popular[1]) ** -config.damping_to


CONFIGS = st.builds(
    CovisitConfig,
    kinds_from=st.sampled_from([("view_item",), ("purchase",), ("view_item", "purchase")]),
    kinds_to=st.sampled_from([("view_item",), ("purchase",)]),
    window_moments=st.integers(0, 4),
    moment_decay=st.sampled_from([1.0, 0.7]),
    backward_weight=st.sampled_from([0.0, 0.5]),
    together_weight=st.sampled_from([0.0, 2.0]),
    gap_half_life_days=st.sampled_from([None, 3.0]),
    half_life_days=st.sampled_from([None, 50.0]),
    crowd_damping=st.sampled_from([0.0, 0.5]),
)
ACTIONS = st.lists(
    st.tuples(
        st.integers(300, 312),
        st.sampled_from([VIEW, BUY]),
        st.integers(0, 2),
        st.integers(0, 5),
        st.just(-1),
    ),
    max_size=25,
)


@given(config=CONFIGS, actions=ACTIONS)
def test_ties_are_those_of_every_pair(
    config: CovisitConfig, actions: list[tuple[int, int, int, int, int]]
) -> None:
    """Purchases of one shopper on one day are one order; the numbers agree to single precision."""
    rows = [
        (day, kind, shopper, item, shopper * 1000 + day if kind == BUY else -1)
        for day, kind, shopper, item, _ in actions
    ]
    log = log_of(rows, n_shoppers=3, n_items=6)
    expected = every_pair(log, config)
    np.testing.assert_allclose(dense(fit(log, config), 6), expected, rtol=1e-5, atol=1e-9)


def test_one_table_answers_for_the_profile_and_for_the_anchors() -> None:
    rows = [(1, VIEW, 0, 0, -1), (2, VIEW, 0, 1, -1), (1, VIEW, 1, 2, -1), (2, VIEW, 1, 3, -1)]
    source = fit(log_of(rows), PLAIN)
    asked = requests([[(0, VIEW, 0.0)]], anchors=[[2]])
    beside, alone = source.reading("anchors", "beside"), source.reading("profile", "alone")
    assert (beside.name, alone.name) == ("beside", "alone")
    assert beside.propose(asked, 2).item_row.tolist() == [[3, -1]]
    assert alone.propose(asked, 2).item_row.tolist() == [[1, -1]]
    assert source.propose(asked, 2).item_row.tolist() == [[3, 1]]


def test_beauty_is_answered_as_well_as_promised() -> None:
    """Leave-one-out on public data, by the benchmark's own code: NDCG@10 and recall@10."""
    path = needs.table("amazon_beauty_s3rec/Beauty.txt")
    ndcg, recall, *_ = evaluate(beauty.read_beauty(path), beauty.covisit)
    assert ndcg >= 0.0525
    assert recall >= 0.083
