"""Ranked lists: figures by hand, by ranx, and the laws every list metric keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from habitue.metrics import (
    LIST_METRICS,
    average_precision,
    hit_rate,
    hits_of,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)

# Three shoppers saw four slots each. Ana's first and third were right, of two; Ben's second, of
# five; nothing of Cleo's three was found.
HITS = np.array(
    [[True, False, True, False], [False, True, False, False], [False, False, False, False]]
)
RELEVANT = np.array([2, 5, 3])


@pytest.mark.parametrize(
    ("metric", "by_hand"),
    [
        # (1 + 1/2) / (1 + 1/log2 3); (1/log2 3) / (1 + 1/log2 3 + 1/2 + 1/log2 5)
        (ndcg, [1.5 / 1.6309297535714573, 0.6309297535714573 / 2.561606311644851, 0.0]),
        (recall, [1.0, 1 / 5, 0.0]),
        (precision, [2 / 4, 1 / 4, 0.0]),
        (hit_rate, [1.0, 1.0, 0.0]),
        (reciprocal_rank, [1.0, 1 / 2, 0.0]),
        (average_precision, [(1 / 1 + 2 / 3) / 2, (1 / 2) / 5, 0.0]),
    ],
)
def test_the_figures_worked_out_by_hand(metric, by_hand):
    assert metric(HITS, RELEVANT) == pytest.approx(by_hand)


def test_a_shorter_cut_off_reads_fewer_slots():
    assert ndcg(HITS[:, :1], RELEVANT) == pytest.approx([1.0, 0.0, 0.0])
    assert recall(HITS[:, :2], RELEVANT) == pytest.approx([1 / 2, 1 / 5, 0.0])


@pytest.mark.parametrize("name", LIST_METRICS)
def test_a_list_for_which_nothing_is_right_says_nothing(name):
    assert np.isnan(LIST_METRICS[name](np.array([[False, False]]), np.array([0]))).all()


def ranked_lists(seed: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Sixty lists of 12 of 40 items, some cut short, with 1 to 20 relevant items each."""
    rng = np.random.default_rng(seed)
    ranked = np.array([rng.permutation(40)[:12] for _ in range(60)], np.int32)
    for row, length in zip(ranked, rng.integers(3, 13, 60), strict=True):
        row[length:] = -1
    relevant = [rng.permutation(40)[:size] for size in rng.integers(1, 21, 60)]
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in relevant])])
    return ranked, indptr, np.concatenate(relevant).astype(np.int32)


RANX = """
import json, sys
from ranx import Qrels, Run, evaluate
truth, run = json.load(sys.stdin)
names = ["ndcg", "recall", "precision", "hit_rate", "mrr", "map"]
asked = [f"{name}@{n}" for name in names for n in (1, 5, 12)]
got = evaluate(Qrels(truth), Run(run), asked, return_mean=False)
json.dump({name: list(values) for name, values in got.items()}, sys.stdout)
"""


def test_ranx_gets_the_same_figures():
    ranked, indptr, relevant = ranked_lists(seed=3)
    truth = {f"{b:03}": {str(i): 1 for i in relevant[indptr[b] : indptr[b + 1]]} for b in range(60)}
    run = {
        f"{b:03}": {str(i): 1.0 / (slot + 1) for slot, i in enumerate(row) if i >= 0}
        for b, row in enumerate(ranked)
    }
    # Compiling its kernels would take a minute; interpreted, sixty lists take none.
    done = subprocess.run(
        [sys.executable, "-c", RANX],
        input=json.dumps([truth, run]),
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout)
    hits = hits_of(ranked, indptr, relevant)
    assert len(theirs) == 3 * len(LIST_METRICS)
    for name, expected in theirs.items():
        metric, _, n = name.partition("@")
        ours = LIST_METRICS[metric](hits[:, : int(n)], np.diff(indptr))
        assert ours == pytest.approx(expected, abs=1e-12), name


def test_hits_are_what_a_set_says():
    ranked, indptr, relevant = ranked_lists(seed=5)
    expected = [
        [i >= 0 and i in set(relevant[indptr[b] : indptr[b + 1]].tolist()) for i in row]
        for b, row in enumerate(ranked.tolist())
    ]
    assert hits_of(ranked, indptr, relevant).tolist() == expected


def test_an_item_shown_twice_is_found_once():
    hits = hits_of(np.array([[4, 4, 4]], np.int32), np.array([0, 1]), np.array([4], np.int32))
    assert hits.tolist() == [[True, False, False]]


def test_there_may_be_no_lists_at_all():
    nobody = hits_of(np.empty((0, 5), np.int32), np.array([0]), np.empty(0, np.int32))
    assert nobody.shape == (0, 5)
    assert ndcg(nobody, np.empty(0, np.int64)).shape == (0,)


lists = st.lists(st.booleans(), min_size=1, max_size=15)


@given(hits=lists, more=st.integers(0, 10))
def test_every_metric_lies_between_nothing_and_perfect(hits, more):
    relevant = np.array([max(1, sum(hits) + more)])
    for metric in LIST_METRICS.values():
        assert 0.0 <= metric(np.array([hits]), relevant)[0] <= 1.0 + 1e-12


@given(hits=lists, more=st.integers(0, 10))
def test_moving_a_hit_up_never_hurts(hits, more):
    relevant = np.array([max(1, sum(hits) + more)])
    for metric in (ndcg, reciprocal_rank, average_precision):
        best = metric(np.array([sorted(hits, reverse=True)]), relevant)[0]
        assert metric(np.array([hits]), relevant)[0] <= best + 1e-12


@given(hits=lists)
def test_all_that_is_right_at_the_top_is_a_perfect_ndcg(hits):
    found = sum(hits)
    if found:
        perfect = np.array([sorted(hits, reverse=True)])
        assert ndcg(perfect, np.array([found]))[0] == pytest.approx(1.0)
        assert average_precision(perfect, np.array([found]))[0] == pytest.approx(1.0)
