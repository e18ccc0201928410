"""Where the one right item stands, and that ties are nobody's gain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from habitue.metrics import (
    hit_of_rank,
    mean_rank,
    ndcg,
    ndcg_of_rank,
    reciprocal_of_rank,
    reciprocal_rank,
)


def test_the_best_score_stands_first():
    assert mean_rank(np.array([[0.1, 0.9, 0.5]]), np.array([1])).tolist() == [1.0]


def test_equal_scores_share_their_mean_rank():
    same = np.zeros((1, 5))
    assert mean_rank(same, np.array([0])).tolist() == mean_rank(same, np.array([4])).tolist() == [3]


def test_what_must_not_compete_does_not():
    scores = np.array([[0.1, -np.inf, -np.inf]])
    assert mean_rank(scores, np.array([0])).tolist() == [1.0]


def test_a_target_that_was_not_ranked_is_never_found():
    rank = mean_rank(np.array([[0.1, -np.inf]]), np.array([1]))
    assert np.isinf(rank).all()
    assert ndcg_of_rank(rank, 10).tolist() == [0.0]
    assert reciprocal_of_rank(rank).tolist() == [0.0]


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        mean_rank(np.array([[np.nan, 1.0]]), np.array([1]))


def test_a_rank_beyond_the_cut_off_earns_nothing():
    ranks = np.array([1.0, 2.0, 3.0, 10.0, 10.5])
    assert ndcg_of_rank(ranks, 10) == pytest.approx(
        [1.0, 0.6309297535714574, 0.5, 0.2890648263178879, 0.0]
    )
    assert hit_of_rank(ranks, 3).tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert reciprocal_of_rank(ranks, 3).tolist() == [1.0, 1 / 2, 1 / 3, 0.0, 0.0]


@given(
    scores=hnp.arrays(
        np.float64, st.tuples(st.integers(1, 4), st.integers(2, 12)), elements=st.integers(0, 4)
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_ranks_are_scipys(scores, seed):
    from scipy.stats import rankdata

    target = np.random.default_rng(seed).integers(0, scores.shape[1], len(scores))
    expected = rankdata(-scores, axis=1)[np.arange(len(scores)), target]
    assert mean_rank(scores, target).tolist() == expected.tolist()


@given(order=st.permutations(range(12)), n=st.integers(1, 12))
def test_without_ties_ranks_and_lists_agree(order, n):
    scores = -np.argsort(order).astype(float)[None, :]  # the item order[0] stands first
    target = np.array([5])
    hits = (np.array(order) == 5)[None, :n]
    rank = mean_rank(scores, target)
    assert ndcg_of_rank(rank, n) == pytest.approx(ndcg(hits, np.array([1])))
    assert reciprocal_of_rank(rank, n) == pytest.approx(reciprocal_rank(hits, np.array([1])))
