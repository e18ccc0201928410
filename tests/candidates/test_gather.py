"""The compiled loops say what plain numpy says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.candidates.layout import plain, scratch, sealed
from habitue.candidates.neighbours import NeighbourTable
from habitue.candidates.popular import PopularConfig, PopularSource
from habitue.candidates.products import dot_score, dot_top, profile_vectors
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.roster import warm
from habitue.facts import NO_ROW, ActionKind
from tests.candidates.shop import BUY, CART, VIEW, requests


def best_of(score: NDArray[np.float64], n: int) -> tuple[list[int], list[float]]:
    """The best ``n`` positive entries, ties to the lower row."""
    order = sorted(
        (row for row in range(len(score)) if score[row] > 0), key=lambda r: (-score[r], r)
    )
    return order[:n], [float(score[row]) for row in order[:n]]


def whole_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Small whole numbers: sums of their products are exact, so that ties are ties."""
    return rng.integers(0, 5, shape).astype(np.float32)


@given(seed=st.integers(0, 10**6), n=st.integers(0, 12), tail=st.integers(0, 3))
def test_gathering_is_a_weighted_sum_of_table_rows(seed: int, n: int, tail: int) -> None:
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(1, 60))  # enough that few of many are kept
    dense = whole_numbers(rng, (n_items + tail, n_items)) * (
        rng.random((n_items + tail, n_items)) < 0.5
    )
    item, neighbour = np.nonzero(dense[:n_items])
    table = NeighbourTable.of_edges(
        item.astype(np.int32),
        neighbour.astype(np.int32),
        dense[item, neighbour],
        n_items=n_items,
    )
    everything = np.tile(np.arange(n_items, dtype=np.int32), (tail, 1))
    table = table.with_more_tail(everything[:1], dense[n_items : n_items + 1])
    table = table.with_more_tail(everything[1:], dense[n_items + 1 :])
    items = rng.integers(-1, n_items + tail + 2, (3, 4)).astype(np.int32)
    weights = whole_numbers(rng, (3, 4)) - 1
    expected = np.zeros((3, n_items))
    for b, p in np.ndindex(3, 4):
        if 0 <= items[b, p] < n_items + tail and weights[b, p] > 0:
            expected[b] += weights[b, p] * dense[items[b, p]]

    found = table.top(items, weights, n)
    for b in range(3):
        rows, scores = best_of(expected[b], n)
        assert [int(r) for r in found.item_row[b] if r != NO_ROW] == rows
        np.testing.assert_array_equal(found.score[b, : len(rows)], scores)
        assert (found.score[b, len(rows) :] == 0).all()
    everything = np.tile(np.arange(n_items, dtype=np.int32), (3, 1))
    np.testing.assert_array_equal(table.score(items, weights, everything), expected)
    assert not scratch.total.any(), "the work space is left as it was found"


@given(seed=st.integers(0, 10**6), n=st.integers(0, 12))
def test_what_speaks_against_an_item_is_taken_off(seed: int, n: int) -> None:
    """Totals may cancel out, and come back: nothing at or below 0 is proposed."""
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(1, 40))
    dense = rng.integers(-2, 3, (n_items, n_items)).astype(np.float32)
    item, neighbour = np.nonzero(dense)
    table = NeighbourTable.of_csr(
        np.concatenate([[0], np.cumsum((dense != 0).sum(1))]),
        neighbour.astype(np.int32),
        dense[item, neighbour],
        signed=True,
    )
    items = rng.integers(-1, n_items + 2, (3, 6)).astype(np.int32)
    weights = np.ones((3, 6), np.float32)
    expected = np.zeros((3, n_items))
    for b, p in np.ndindex(3, 6):
        if 0 <= items[b, p] < n_items:
            expected[b] += dense[items[b, p]]
    found = table.top(items, weights, n)
    for b in range(3):
        rows, scores = best_of(expected[b], n)
        assert [int(r) for r in found.item_row[b] if r != NO_ROW] == rows
        np.testing.assert_array_equal(found.score[b, : len(rows)], scores)
    everything = np.tile(np.arange(n_items, dtype=np.int32), (3, 1))
    np.testing.assert_allclose(table.score(items, weights, everything), expected, atol=1e-20)
    assert not scratch.total.any(), "the work space is left as it was found"


def test_neighbours_are_told_strongest_first() -> None:
    table = NeighbourTable.of_edges(
        np.array([1, 0, 0, 0], np.int32),
        np.array([0, 2, 1, 3], np.int32),
        np.array([0.5, 0.2, 0.9, 0.0], np.float32),
        n_items=4,
    )
    rows, strengths = table.of(0)
    assert rows.tolist() == [1, 2], "a tie of no strength is no tie"
    assert strengths.tolist() == pytest.approx([0.9, 0.2])
    assert table.of(3)[0].tolist() == []
    assert table.of(99)[0].tolist() == []


@given(seed=st.integers(0, 10**6), n=st.integers(1, 10), tail=st.integers(0, 4))
def test_vector_scores_are_dot_products(seed: int, n: int, tail: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = whole_numbers(rng, (8 + tail, 3)) - 2
    base, behind = sealed(vectors[:8], np.float32), sealed(vectors[8:], np.float32)
    items = rng.integers(-1, 8 + tail + 1, (2, 4)).astype(np.int32)
    weights = whole_numbers(rng, (2, 4))
    query = np.empty((2, 3), np.float32)
    profile_vectors(items, weights, base, behind, query)
    for b in range(2):
        known = (items[b] >= 0) & (items[b] < 8 + tail) & (weights[b] > 0)
        expected = np.zeros(3)
        if known.any():
            expected = np.average(vectors[items[b][known]], axis=0, weights=weights[b][known])
        np.testing.assert_allclose(query[b], expected, rtol=1e-5, atol=1e-6)

    query = whole_numbers(rng, (2, 3)) - 2
    wanted = np.array([[0, 3, 7, NO_ROW, 8, 99], [5, 4, 3, 2, 1, 0]], np.int32)
    scores = np.full((*wanted.shape, 2), 7, np.float32)
    dot_score(query, base, behind, wanted, scores, 1)
    score = scores[:, :, 1]
    assert (scores[:, :, 0] == 7).all(), "other sources' places are left alone"
    exact = query @ vectors.T
    for b, c in np.ndindex(*wanted.shape):
        known = 0 <= wanted[b, c] < 8 + tail
        assert score[b, c] == (exact[b, wanted[b, c]] if known else 0)

    row, best = np.empty((2, n), np.int32), np.empty((2, n), np.float32)
    dot_top(query, base, behind, wanted, 0.0, row, best)
    for b in range(2):
        offered = np.full(8 + tail, -1.0)
        in_base = [w for w in wanted[b] if 0 <= w < 8]
        offered[in_base] = exact[b, in_base]
        offered[8:] = exact[b, 8:]
        rows, scores = best_of(offered, n)
        assert [int(r) for r in row[b] if r != NO_ROW] == rows
        assert best[b, : len(rows)].tolist() == scores


def test_looking_up_knows_its_bounds() -> None:
    source = PopularSource(PopularConfig(), np.array([3, 4], np.float32))
    score = source.score(requests([[]]), np.array([[1, 0, 2, NO_ROW]], np.int32))
    assert score.tolist() == [[4, 3, 0, 0]]


def test_sealed_arrays_are_read_only_and_leave_their_source_alone() -> None:
    given_array = np.arange(3, dtype=np.int32)
    held = sealed(given_array, np.int32)
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 1
    given_array[0] = 9
    assert plain(held, np.int32).flags.writeable


def weigh(config: ProfileConfig, *args: object, **kwargs: object) -> tuple[list[int], list[float]]:
    items, weights = Weigher(config).weigh(requests(*args, **kwargs))  # type: ignore[arg-type]
    return items[0].tolist(), weights[0].tolist()


FORGETFUL = ProfileConfig(
    kind_weight={"view_item": 1.0, "purchase": 4.0},
    position_decay=0.5,
    half_life_days=10.0,
    anchor_weight=3.0,
    beside_anchor=0.25,
)


def test_a_profile_forgets_by_position_and_by_age() -> None:
    items, weights = weigh(FORGETFUL, [[(7, VIEW, 0.0), (8, BUY, 10.0), (9, VIEW, 20.0)]])
    assert items == [7, 8, 9]
    assert weights == pytest.approx([1.0, 4 * 0.5 * 0.5, 1 * 0.25 * 0.25])


def test_the_lines_of_one_order_share_a_position() -> None:
    _, weights = weigh(FORGETFUL, [[(1, BUY, 0.0), (2, BUY, 0.0), (3, BUY, 10.0)]])
    assert weights == pytest.approx([4.0, 4.0, 4 * 0.5 * 0.5])


def test_kinds_that_count_nothing_take_no_position() -> None:
    _, weights = weigh(FORGETFUL, [[(1, CART, 0.0), (2, VIEW, 0.0)]])
    assert weights == pytest.approx([0.0, 1.0])


def test_beside_anchors_the_profile_counts_less() -> None:
    items, weights = weigh(FORGETFUL, [[(1, VIEW, 0.0)]], anchors=[[5, NO_ROW, 6]])
    assert items == [5, NO_ROW, 6, 1]
    assert weights == pytest.approx([3.0, 0.0, 3.0, 0.25])


@pytest.mark.parametrize(
    ("reads", "expected"), [("both", [3.0, 0.25]), ("profile", [0.0, 1.0]), ("anchors", [3.0, 0.0])]
)
def test_a_source_may_read_one_part_only(reads: str, expected: list[float]) -> None:
    config = FORGETFUL.model_copy(update={"reads": reads})
    _, weights = weigh(config, [[(1, VIEW, 0.0)]], anchors=[[5]])
    assert weights == pytest.approx(expected)


def test_a_profile_is_no_longer_than_it_may_be() -> None:
    config = FORGETFUL.model_copy(update={"max_actions": 2})
    _, weights = weigh(config, [[(1, VIEW, 0.0), (2, CART, 0.0), (3, VIEW, 0.0), (4, VIEW, 0.0)]])
    assert [weight > 0 for weight in weights] == [True, False, True, False]


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        ProfileConfig(kind_weight={"sniff": 1.0})


def test_warming_twice_does_no_harm() -> None:
    warm()
    warm()
    assert int(ActionKind.view_item) == VIEW
