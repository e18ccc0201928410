"""Knowledge: what items have in common counts, and every path it names is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.als import AlsConfig, AlsLearner, confidence, shoppers_of
from habitue.candidates.contract import ExtendingSource
from habitue.candidates.item_graph import GraphOfItemsConfig, ItemGraph
from habitue.candidates.knowledge import KnowledgeConfig, KnowledgeLearner, KnowledgeSource
from habitue.candidates.paths import PathSource
from habitue.candidates.roster import load_source
from habitue.facts import NO_ROW
from tests.candidates.shop import (
    BUY,
    VIEW,
    catalogue_of,
    facts_of,
    log_of,
    requests,
    rows_of,
    tail,
    triples,
    two_tastes,
)

SHOP = two_tastes(60, 14)
N_ITEMS = 8


def fit(facts: object, **config: object) -> KnowledgeSource:
    learner = KnowledgeLearner(KnowledgeConfig.model_validate(config))
    return learner.fit(facts, np.random.default_rng(0))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def source() -> KnowledgeSource:
    return fit(SHOP.facts, graph={"broad_share": 1.0})


def new(first: int, *brands: str) -> object:
    return tail(first, *(f"new {brand}" for brand in brands), brand=list(brands))


def test_it_grows_and_names_paths(source: KnowledgeSource) -> None:
    assert isinstance(source, ExtendingSource)
    assert isinstance(source, PathSource)


def test_an_item_nobody_has_acted_on_stands_where_its_sides_put_it(source: KnowledgeSource) -> None:
    grown = source.extend(new(14, "Leaf", "bean", "Nobody's"))
    asked = SHOP.contexts()
    score = grown.score(asked, np.tile(np.array([[14, 15, 16]], np.int32), (2, 1)))
    assert score[0, 0] > score[0, 1], "the tea drinker is for the leaf"
    assert score[1, 1] > score[1, 0]
    assert (score[:, 2] == 0).all(), "nothing is known of what nothing is told of"
    assert 14 in rows_of(grown.propose(asked, 12).item_row[0])
    assert (source.score(asked, np.full((2, 1), 14, np.int32)) == 0).all(), "it stays as it was"


def test_a_new_item_has_a_path_and_is_one_to_come_from(source: KnowledgeSource) -> None:
    grown = source.extend(new(14, "Leaf"))
    asked = requests([[(14, VIEW, 0.0)]])
    paths = grown.paths(asked, asked.recent_item, np.array([[2, 3]], np.int32))
    assert paths.from_row.tolist() == [[14, NO_ROW]]
    assert grown.side(int(paths.side[0, 0]))[:2] == ("brand", "Leaf")
    assert rows_of(grown.propose(asked, 3).item_row[0]), "who looked at it is known by it"
    back = requests([[(2, VIEW, 0.0)]])
    alone = np.array([[14]], np.int32)
    adds = grown.paths(back, back.recent_item, alone).adds
    assert adds == pytest.approx(grown.score(back, alone), rel=1e-4), "it has that side alone"


def test_in_whatever_steps_items_come_it_is_the_same(source: KnowledgeSource) -> None:
    at_once = source.extend(new(14, "Leaf", "Bean", "Leaf"))
    steps = source.extend(new(16, "Bean"))
    steps = steps.extend(new(14, "Leaf", "Bean")).extend(new(16, "Leaf"))
    asked = SHOP.contexts()
    every = np.tile(np.arange(18, dtype=np.int32), (2, 1))
    np.testing.assert_array_equal(at_once.score(asked, every), steps.score(asked, every))
    found = [one.paths(asked, asked.recent_item, every) for one in (at_once, steps)]
    np.testing.assert_array_equal(found[0].side, found[1].side)
    assert steps.extend(new(16, "Leaf")) is steps, "told again as it was"
    assert source.extend(new(3, "Bean")) is source, "a fitted item stays as it is"


def test_saved_and_loaded_it_grows_as_before(source: KnowledgeSource, tmp_path: Path) -> None:
    source.save(tmp_path)
    loaded = load_source(tmp_path)
    assert isinstance(loaded, KnowledgeSource)
    assert loaded.measured == source.measured
    asked, every = SHOP.contexts(), np.tile(np.arange(15, dtype=np.int32), (2, 1))
    one, other = (each.extend(new(14, "Leaf")) for each in (source, loaded))
    np.testing.assert_array_equal(one.score(asked, every), other.score(asked, every))
    ours, theirs = (each.paths(asked, asked.recent_item, every) for each in (one, other))
    np.testing.assert_array_equal(ours.side, theirs.side)
    assert one.side(0) == other.side(0)


def test_without_a_graph_it_is_the_factorisation() -> None:
    bare = replace(SHOP.facts, catalogue=catalogue_of(14))
    asked, every = SHOP.contexts(), np.tile(np.arange(14, dtype=np.int32), (2, 1))
    als = AlsLearner(AlsConfig()).fit(bare, np.random.default_rng(0))
    np.testing.assert_allclose(
        fit(bare).score(asked, every), als.score(asked, every), atol=0.03
    )  # shoppers are solved for once more
    all_known = fit(SHOP.facts, support=0.0)
    np.testing.assert_allclose(
        all_known.score(asked, every), fit(bare).score(asked, every), atol=1e-6
    )


def test_shoppers_are_those_that_go_with_the_items() -> None:
    """By the normal equations, one shopper after the other."""
    config = AlsConfig(factors=3)
    wanted = confidence(SHOP.facts, config)
    item = np.random.default_rng(0).standard_normal((14, 3)).astype(np.float32)
    found = shoppers_of(wanted, item, config)
    for shopper in range(0, 60, 7):
        trust = np.asarray(wanted[shopper].todense()).ravel()
        weight = np.where(trust > 0, trust, 1.0)
        gram = (item * weight[:, None]).T @ item + config.regularisation * np.eye(3)
        expected = np.linalg.solve(gram, item.T @ (weight * (trust > 0)))
        np.testing.assert_allclose(found[shopper], expected, rtol=1e-3, atol=1e-5)


TOLD = st.lists(
    st.tuples(
        st.integers(0, N_ITEMS - 1), st.sampled_from(["director", "genre", "sequel"]),
        st.sampled_from(["A", "B", "C", "item-3"]),
    ),
    max_size=20,
)  # fmt: skip
TAKEN = st.lists(st.tuples(st.integers(0, 5), st.integers(0, N_ITEMS - 1)), min_size=1, max_size=20)


def by_hand(
    source: KnowledgeSource, liked: NDArray[np.float32], profile: list[int], item: int
) -> float:
    """The worth of the best path from a profile to an item, by loops over edges."""
    graph: ItemGraph = source.graph
    edges = [dict(zip(*graph.table.of(row), strict=True)) for row in range(N_ITEMS)]
    best = 0.0
    for side, strength in edges[item].items():
        holders = [row for row in profile if side in edges[row]]
        if not holders or holders[0] == item or not graph.telling[side]:
            continue
        held = sum(float(edges[row][side]) for row in holders)
        like = max(float(liked @ source.side_vectors[side]), 0.0) + 1e-6
        best = max(best, held * float(strength) * float(graph.telling[side]) * like)
    return best


@given(told=TOLD, taken=TAKEN, profile=st.lists(st.integers(0, N_ITEMS - 1), max_size=4))
@settings(max_examples=60)
def test_every_edge_of_a_path_is_in_the_graph(
    told: list[tuple[int, str, str]], taken: list[tuple[int, int]], profile: list[int]
) -> None:
    """And no path that is there says more, and none is left out."""
    log = log_of(
        [(390.0, BUY, who, item, x) for x, (who, item) in enumerate(taken)], n_items=N_ITEMS
    )
    given_triples = triples(*told, rows={"item-3": 3})
    facts = replace(facts_of(log, catalogue_of(N_ITEMS)), triples=given_triples)
    config = {"als": {"factors": 4}, "graph": {"broad_share": 1.0}}
    source = fit(facts, **config)
    asked = requests([[(row, VIEW, 0.1) for row in profile]])
    every = np.arange(N_ITEMS, dtype=np.int32)[None, :]
    paths = source.paths(asked, asked.recent_item, every)
    facts_told = set(told)
    for item in range(source.n_fitted):
        start, side = int(paths.from_row[0, item]), int(paths.side[0, item])
        worth = by_hand(source, source.als.vectors(asked)[0], profile, item)
        assert (side != NO_ROW) == (worth > 0)
        if side == NO_ROW:
            continue
        relation, entity, row = source.side(side)
        assert start in profile
        assert start != item
        for end in (start, item):
            assert (end, relation, entity) in facts_told or end == row
        assert start in profile
        assert worth > 0


def test_what_fits_the_taste_is_named_before_what_is_common() -> None:
    """Two sides tie the items; the one that shoppers go by is the reason."""
    n = 40
    rows = [
        (300.0 + x / 10, BUY, who, item, x)
        for x, (who, item) in enumerate(
            (who, item) for who in range(60) for item in range(who % 2, n, 2) if (who + item) % 5
        )
    ]
    told = [(item, "school", f"s{item % 2}") for item in range(n)]
    told += [(item, "letter", f"l{item * 7 % 20 // 2}") for item in range(n)]
    facts = facts_of(log_of(rows, n_items=n), catalogue_of(n))
    source = fit(
        replace(facts, triples=triples(*told)), als={"factors": 8}, graph={"broad_share": 1.0}
    )
    asked = requests([[(0, BUY, 1.0)]], shoppers=[0])
    paths = source.paths(asked, asked.recent_item, np.arange(2, n, 2, dtype=np.int32)[None, :])
    named = [source.side(int(side)).relation for side in paths.side[0]]
    assert named.count("school") > 0.8 * len(named)
    assert source.measured["weight school"] > source.measured["weight letter"]


def test_configs_hold_their_bounds() -> None:
    with pytest.raises(ValueError, match="penalty"):
        KnowledgeConfig(penalty=0)
    with pytest.raises(ValueError, match="least_items"):
        GraphOfItemsConfig(least_items=0)
