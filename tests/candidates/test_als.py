"""Factors, folding in, and finding the best by vector: against plain linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.als import AlsConfig, AlsLearner, AlsSource
from habitue.candidates.descent import Descent
from habitue.candidates.foldin import confidences, fold_in, priors
from habitue.candidates.vectors import VectorConfig, VectorIndex, nearest
from habitue.facts import NO_ROW
from tests.candidates.shop import BUY, VIEW, facts_of, log_of, requests, rows_of, two_tastes

CONFIG = AlsConfig(factors=8, iterations=30)
SHOP = two_tastes(60, 14)


@pytest.fixture(scope="module")
def source() -> AlsSource:
    return AlsLearner(CONFIG).fit(SHOP.facts, np.random.default_rng(0))


def unit(rng: np.random.Generator, n: int, dim: int) -> NDArray[np.float32]:
    """Directions around a few centres, as items of a few kinds lie."""
    centre = rng.standard_normal((20, dim))
    vectors = centre[rng.integers(0, 20, n)] + 0.7 * rng.standard_normal((n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(seed=st.integers(0, 10**6), dim=st.integers(1, 12), share=st.sampled_from([0.2, 0.6, 1.0]))
def test_folding_in_solves_the_weighted_least_squares(seed: int, dim: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((12, dim)).astype(np.float32)
    gram = factors.T.astype(np.float64) @ factors + 0.7 * np.eye(dim)
    items = np.stack([rng.permutation(12)[:5] for _ in range(3)]).astype(np.int32)
    confidence = np.where(rng.random((3, 5)) < share, 1 + rng.random((3, 5)) * 9, 0)
    confidence = confidence.astype(np.float32)
    prior = np.zeros((3, dim), np.float32)
    prior[1] = rng.standard_normal(dim)  # somebody known: one Newton step from there
    out = np.empty((3, dim), np.float32)
    fold_in(prior, items, confidence, factors, gram, np.linalg.inv(gram), out)
    for b in range(3):
        y, c = factors[items[b]], confidence[b].astype(np.float64)
        known = y @ prior[b].astype(np.float64)
        wanted = np.where(c > 0, c - (c - 1) * known, 0)
        a = gram + y.T @ (np.where(c > 0, c - 1, 0)[:, None] * y)
        expected = prior[b] + np.linalg.solve(a, y.T @ wanted)
        np.testing.assert_allclose(out[b], expected, rtol=1e-3, atol=1e-4)


def test_folding_in_twice_is_folding_in_once_where_tastes_do_not_mix() -> None:
    """One step from the factor of the first action adds the second, if they share no direction."""
    factors = np.eye(2, dtype=np.float32)
    gram, inverse = np.eye(2) * 2, np.eye(2) / 2
    both, first, second = (np.empty((1, 2), np.float32) for _ in range(3))
    nothing = np.zeros((1, 2), np.float32)
    items = np.array([[0, 1]], np.int32)
    fold_in(nothing, items, np.array([[3, 5]], np.float32), factors, gram, inverse, both)
    fold_in(nothing, items, np.array([[3, 0]], np.float32), factors, gram, inverse, first)
    fold_in(first, items, np.array([[0, 5]], np.float32), factors, gram, inverse, second)
    assert both[0].tolist() == pytest.approx([3 / 4, 5 / 6])
    assert second[0].tolist() == pytest.approx(both[0].tolist())


def test_confidence_adds_up_an_item_and_leaves_out_what_is_old() -> None:
    items = np.array([[3, 1, 3, 2, NO_ROW, 9]], np.int32)  # the first is an anchor
    weights = np.array([[1.0, 1.0, 2.0, 1.0, 1.0, 1.0]], np.float32)
    age = np.array([[0.5, 1.0, 2.0, 0.0, 0.0]], np.float32)
    out = np.empty((1, 6), np.float32)
    confidences(items, weights, 1, age, np.full(1, 2.0, np.float32), 9, 10.0, False, out)
    assert out[0].tolist() == [31.0, 11.0, 0.0, 0.0, 0.0, 0.0]
    confidences(items, weights, 1, age, np.full(1, 2.0, np.float32), 9, 10.0, True, out)
    assert out[0, 0] == pytest.approx(1 + 10 * np.log(4))


def test_only_a_fitted_shopper_has_a_factor_to_start_from() -> None:
    factors = np.array([[1, 2], [0, 0]], np.float32)
    out, newer = np.empty((4, 2), np.float32), np.empty(4, np.float32)
    now = np.full(4, 3 * 86_400_000)
    shopper = np.array([0, 1, 7, NO_ROW], np.int32)
    priors(shopper, np.empty(0, np.bool_), now, factors, 86_400_000, out, newer)
    assert out.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0]]
    assert newer.tolist() == [2, np.inf, np.inf, np.inf]


def test_what_the_model_has_seen_is_not_counted_twice(source: AlsSource) -> None:
    """Actions before the fit are in a known shopper's factor; to a stranger they are news."""
    seen = [(0, VIEW, 1.5), (2, BUY, 2.0)]
    known = source.vectors(requests([seen], shoppers=[0]))
    np.testing.assert_array_equal(known[0], source.shopper_factors[0])
    stranger = source.vectors(requests([seen]))
    assert stranger.any()
    assert not np.array_equal(stranger, known)


def test_a_new_action_moves_a_known_shopper_towards_it(source: AlsSource) -> None:
    later = requests([[(1, BUY, 0.5)]], shoppers=[0])
    later.now_ms[:] += 86_400_000
    coffee = np.array([[1]], np.int32)
    before = source.score(requests([[]], shoppers=[0]), coffee)
    assert source.score(later, coffee) > before + 0.1


def test_folded_in_a_shopper_gets_about_the_factor_the_fit_gave(source: AlsSource) -> None:
    """The same actions, told as recent ones of a stranger, say the same about every item."""
    log = SHOP.facts.log
    mine = np.flatnonzero(log.shopper_row == 0)[::-1]
    age = (SHOP.facts.now_ms - log.at_ms[mine]) / 86_400_000
    recent = list(zip(log.item_row[mine], log.kind[mine], age, strict=True))
    folded = source.vectors(requests([recent]))[0] @ source.item_factors.T
    fitted = source.shopper_factors[0] @ source.item_factors.T
    np.testing.assert_allclose(folded, fitted, atol=0.05)


def test_anchors_speak_for_a_stranger(source: AlsSource) -> None:
    found = source.propose(requests([[]], anchors=[[3]]), 2)
    assert rows_of(found.item_row[0])
    assert set(rows_of(found.item_row[0])) <= SHOP.likes(1)


def test_items_without_an_action_are_never_proposed() -> None:
    log = log_of([(1.0, BUY, 0, 0, -1), (2.0, BUY, 1, 0, -1)], n_items=5)
    source = AlsLearner(CONFIG).fit(facts_of(log), np.random.default_rng(0))
    found = source.propose(requests([[(0, BUY, 0.1)]]), 5)
    assert rows_of(found.item_row[0]) == [0]


@pytest.mark.parametrize(("flat_up_to", "coded"), [(10_000, False), (100, True)])
def test_recall_is_measured_against_exact_search(flat_up_to: int, coded: bool) -> None:
    rng = np.random.default_rng(1)
    vectors, queries = unit(rng, 3000, 16), unit(rng, 50, 16)
    row = rng.permutation(5000)[:3000].astype(np.int32)
    index = VectorIndex.build(vectors, row, queries, VectorConfig(flat_up_to=flat_up_to))
    assert index.coded == coded
    found = index.candidates(queries, 100)
    exact = row[np.argsort(-(queries @ vectors.T), axis=1)[:, :100]]
    recall = np.mean([len(np.intersect1d(a, b)) / 100 for a, b in zip(exact, found, strict=True)])
    assert index.recall == pytest.approx(recall)
    assert recall >= 0.95


def test_codes_that_find_too_little_give_way_to_the_flat_scan() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng, 3000, 16)
    row = np.arange(3000, dtype=np.int32)
    config = VectorConfig(flat_up_to=100, refine_factor=1, min_recall=0.99)
    index = VectorIndex.build(vectors, row, vectors[:50], config)
    assert not index.coded
    assert index.recall >= 0.99


@pytest.mark.parametrize("exact_up_to", [10_000, 100])
def test_nearest_others_are_found(exact_up_to: int) -> None:
    rng = np.random.default_rng(2)
    vectors = unit(rng, 2000, 16)
    place, product, recall = nearest(vectors, 10, rng, exact_up_to=exact_up_to)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    exact = np.argsort(-likeness, axis=1)[:, :10]
    assert (place != np.arange(2000)[:, None]).all()
    hits = np.mean([len(np.intersect1d(a, b)) for a, b in zip(exact, place, strict=True)]) / 10
    assert hits >= (1.0 if exact_up_to == 10_000 else 0.85)
    assert recall == pytest.approx(hits, abs=0.05)
    own = np.take_along_axis(likeness, place, axis=1)
    np.testing.assert_allclose(product, own, atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_handful_of_vectors_have_few_others(n: int) -> None:
    place, product, recall = nearest(np.eye(3, dtype=np.float32)[:n], 5, np.random.default_rng(0))
    assert place.shape == product.shape == (n, max(n - 1, 0))
    assert recall == 1.0


@pytest.mark.parametrize("n", [1, 7, 300])
def test_descending_the_lengths_finds_exactly_the_largest_products(n: int) -> None:
    rng = np.random.default_rng(n)
    vectors = rng.normal(size=(500, 8)).astype(np.float32) * rng.pareto(1.0, (500, 1)) ** 0.5
    vectors = vectors.astype(np.float32)
    row = np.flatnonzero(rng.random(500) < 0.8).astype(np.int32)
    queries = rng.normal(size=(20, 8)).astype(np.float32)
    queries[3] = 0.0
    descent = Descent(vectors, row, queries)
    found = descent.top(queries, n)
    for query, rows, scores in zip(queries, found.item_row, found.score, strict=True):
        product = vectors[row].astype(np.float64) @ query
        best = np.sort(product[product > 1e-4])[::-1][:n]
        there = rows[: len(best)]
        assert len(set(there.tolist()) & set(row.tolist())) == len(best)
        assert scores[: len(best)] == pytest.approx(best, rel=1e-4)
        assert scores[: len(best)] == pytest.approx(vectors[there] @ query, rel=1e-4)
        assert (scores[len(best) :] < 1e-3).all()


def test_vectors_of_one_length_have_to_be_looked_at_one_and_all() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(512, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    long = vectors * (1 + 99 * (np.arange(512) < 256)[:, None]).astype(np.float32)
    row = np.arange(512, dtype=np.int32)
    assert Descent(vectors, row, vectors[:10], n=10).share > 0.9
    assert Descent(long, row, vectors[:10], n=10).share == pytest.approx(0.5)
