"""The graph of items: which sides there are, what they say, and how far relations are trusted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.item_graph import GraphOfItemsConfig, ItemGraph
from habitue.candidates.knowledge_fitting import incidence, relation_weights, side_vectors
from habitue.facts import NO_ROW, Catalogue, Triples
from tests.candidates.shop import catalogue_of, triples

PLAIN = GraphOfItemsConfig(rarity=0, crowd=0)
FILMS = catalogue_of(
    5,
    title=["Alien", "Aliens", "Blade Runner", "Heat", "Ran"],
    brand=["Fox", "Fox ", None, "Warner", "Toho"],
    attributes=['{"year": 1979}', '{"year": 1986}', None, None, '{"year": 1986}'],
)


def sides_of(graph: ItemGraph, item: int) -> dict[tuple[str, str], float]:
    """What the graph says of one item."""
    side, strength = graph.table.of(item)
    named = [graph.side(int(one)) for one in side]
    return {(s.relation, s.entity): float(x) for s, x in zip(named, strength, strict=True)}


def test_attributes_and_triples_make_sides_of_what_items_share() -> None:
    told = triples((0, "director", "Scott"), (2, "director", "scott"), (3, "director", "Mann"))
    graph = ItemGraph.of(FILMS, told, 5, PLAIN)
    assert sides_of(graph, 0) == {("brand", "Fox"): 1, ("director", "Scott"): 1}
    assert sides_of(graph, 1) == {("brand", "Fox"): 1, ("year", "1986"): 1}
    assert sides_of(graph, 2) == {("director", "Scott"): 1}
    assert sides_of(graph, 3) == {}, "nobody else is Mann's, or Warner's"


def test_sides_are_named_as_the_shop_first_wrote_them() -> None:
    films = catalogue_of(
        3,
        product_type=["Film > Science Fiction", "film/science fiction", None],
        attributes=['{"director": "Mei Ando"}', '{"director": "mei ando "}', None],
    )
    graph = ItemGraph.of(films, None, 3, PLAIN)
    named = {
        ("product_type", "Film"),
        ("product_type", "Science Fiction"),
        ("director", "Mei Ando"),
    }
    assert set(sides_of(graph, 0)) == set(sides_of(graph, 1)) == named


def test_with_sides_of_one_item_all_is_there() -> None:
    alone = GraphOfItemsConfig(rarity=0, crowd=0, least_items=1)
    graph = ItemGraph.of(FILMS, triples((3, "director", "Mann")), 5, alone)
    assert sides_of(graph, 3) == {("brand", "Warner"): 1, ("director", "Mann"): 1}
    no_attributes = GraphOfItemsConfig(attributes=False, least_items=1)
    graph = ItemGraph.of(FILMS, triples((3, "director", "Mann")), 5, no_attributes)
    assert set(sides_of(graph, 3)) == {("director", "Mann")}


def test_an_item_that_is_an_entity_has_its_own_side() -> None:
    told = triples((0, "sequel", "Aliens"), rows={"Aliens": 1})
    graph = ItemGraph.of(catalogue_of(3), told, 3, PLAIN)
    assert sides_of(graph, 0) == sides_of(graph, 1) == {("sequel", "Aliens"): 1}
    side = graph.side(int(graph.table.of(0)[0][0]))
    assert side.row == 1


def test_rare_sides_say_more_and_each_of_a_crowd_less() -> None:
    told = triples(
        (0, "actor", "A"), (0, "actor", "B"), (0, "genre", "X"), (1, "actor", "A"),
        (1, "actor", "B"), (1, "genre", "X"), (2, "genre", "X"), (3, "genre", "X"),
    )  # fmt: skip
    config = GraphOfItemsConfig(rarity=1, crowd=1)
    said = sides_of(ItemGraph.of(catalogue_of(9), told, 9, config), 0)
    assert said["actor", "A"] == said["actor", "B"] == pytest.approx(1 / math.sqrt(2))
    assert said["genre", "X"] == pytest.approx(1)
    raw = GraphOfItemsConfig(rarity=1, crowd=0)
    said = sides_of(ItemGraph.of(catalogue_of(9), told, 9, raw), 0)
    assert said["actor", "A"] == pytest.approx(math.log(10 / 2))
    assert said["genre", "X"] == pytest.approx(math.log(10 / 4))


@pytest.mark.parametrize("copies", [1, 30])
def test_a_new_item_is_read_as_a_fitted_one_of_the_same_attributes(copies: int) -> None:
    """Few are read one by one, many as a frame."""
    frame = FILMS.frame
    graph = ItemGraph.of(FILMS, None, 5, GraphOfItemsConfig(rarity=0.7, crowd=0.3))
    graph = graph.weighed(np.linspace(0.5, 2, len(graph.relations)))
    many = Catalogue(frame.select(frame.columns).clear().vstack(frame))
    frame = many.frame if copies == 1 else frame.clear().vstack(frame)
    for _ in range(copies - 1):
        frame = frame.vstack(many.frame)
    side, strength = graph.read(frame)
    for place in range(frame.height):
        assert rounded(side[place], strength[place]) == rounded(*graph.table.of(place % 5))


def rounded(side: NDArray[np.int32], strength: NDArray[np.float32]) -> set[tuple[int, float]]:
    told = zip(side.tolist(), strength.tolist(), strict=True)
    return {(one, round(x, 5)) for one, x in told if x > 0}


def test_what_most_have_is_no_reason() -> None:
    told = triples(*((x, "in", "colour") for x in range(8)), (0, "by", "Scott"), (1, "by", "Scott"))
    graph = ItemGraph.of(catalogue_of(10), told, 10, GraphOfItemsConfig(broad_share=0.3))
    telling = {graph.side(s).entity: float(x) for s, x in enumerate(graph.telling)}
    assert telling["colour"] == 0
    assert telling["Scott"] == pytest.approx(math.log(11 / 2) ** 2)


@given(st.integers(0, 2**32 - 1))
def test_sides_are_the_ridge_regression_they_are_said_to_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = ItemGraph.of(catalogue_of(12), random_triples(rng, 12), 12, PLAIN)
    whole, item = incidence(graph), rng.standard_normal((12, 3))
    there = rng.random(12) < 0.7
    found = side_vectors(whole, item, there, penalty=2.0)
    a = whole.toarray()[there]
    exact = np.linalg.solve(a.T @ a + 2.0 * np.eye(a.shape[1]), a.T @ item[there])
    np.testing.assert_allclose(found, exact, atol=1e-3)


def random_triples(rng: np.random.Generator, n_items: int) -> Triples:
    return triples(
        *((x, f"r{rng.integers(3)}", f"e{rng.integers(5)}") for x in range(n_items) for _ in "ab")
    )


def two_worlds(n: int) -> tuple[NDArray[np.float64], Triples]:
    """Items of two tastes; ``school`` tells them apart, ``letter`` is drawn by lot."""
    rng = np.random.default_rng(3)
    taste = np.arange(n) % 2
    item = np.stack([1.0 - taste, taste], axis=1) + 0.1 * rng.standard_normal((n, 2))
    told = [(x, "school", f"s{taste[x]}{x // 2 % 2}") for x in range(n)]
    told += [(x, "letter", f"l{rng.integers(4)}") for x in range(n)]
    return item, triples(*told)


def test_a_relation_is_trusted_as_far_as_it_foretells() -> None:
    n = 2_000
    item, told = two_worlds(n)
    item -= item.mean(axis=0)
    graph = ItemGraph.of(catalogue_of(n), told, n, PLAIN)
    shopper = np.random.default_rng(0).standard_normal((50, 2))
    weight, edges = relation_weights(graph, item, np.ones(n), shopper)
    trusted = dict(zip(graph.relations, weight, strict=True))
    assert trusted["school"] == 1
    assert trusted["letter"] < 0.2
    assert edges.tolist() == [n, n]


def test_where_nothing_foretells_all_relations_count_alike() -> None:
    graph = ItemGraph.of(catalogue_of(4), triples((0, "a", "x"), (1, "a", "x")), 4, PLAIN)
    weight, _ = relation_weights(graph, np.zeros((4, 2)), np.zeros(4), np.zeros((3, 2)))
    assert weight.tolist() == [1.0]


def test_relations_without_weight_leave_no_edges() -> None:
    told = triples((0, "a", "x"), (1, "a", "x"), (0, "b", "y"), (1, "b", "y"))
    graph = ItemGraph.of(catalogue_of(2), told, 2, PLAIN).weighed(np.array([0.0, 0.25]))
    assert sides_of(graph, 0) == {("b", "y"): 0.5}


def test_triples_before_a_moment_are_those_that_held() -> None:
    told = triples((0, "a", "x"), (1, "a", "y"))
    later = told.before(0)
    assert len(told.before(1)) == 2
    assert len(later) == 0
    assert later.entities == told.entities
    assert (told.entity_row == NO_ROW).all()
