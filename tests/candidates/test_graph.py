"""Wants spread over the graph: communities are found, and whoever acts is placed alike."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from habitue.candidates.graph import GraphConfig, GraphLearner, GraphSource, normalised, spread
from habitue.candidates.roster import load_source
from habitue.errors import MissingPiece
from habitue.facts import MS_PER_DAY, NO_ROW
from tests.candidates.shop import BUY, NOW_MS, VIEW, facts_of, log_of, requests

N_COMMUNITIES, N_ITEMS, N_SHOPPERS = 3, 30, 60
CONFIG = GraphConfig(
    dim=16, negatives=64, batch=128, epochs=20, rate=0.03, half_life_days=50.0, hops=2
)


def history(shopper: int) -> list[tuple[float, int, int]]:
    """(day, kind, item), of this shopper's community alone: items of one remainder by three."""
    rng = np.random.default_rng(shopper)
    items = rng.permutation(np.arange(shopper % N_COMMUNITIES, N_ITEMS, N_COMMUNITIES))[:5]
    kinds = (VIEW, BUY)
    return [(300.0 + 7 * p + shopper / 100, kinds[p % 2], int(i)) for p, i in enumerate(items)]


@pytest.fixture(scope="module")
def source() -> GraphSource:
    acts = [(d, k, s, i, -1) for s in range(N_SHOPPERS) for d, k, i in history(s)]
    facts = facts_of(log_of(acts, n_items=N_ITEMS))
    return GraphLearner(CONFIG).fit(facts, np.random.default_rng(1))


def recent(*acts: tuple[float, int, int], now: float = 400.0) -> list[tuple[int, int, float]]:
    return [(item, kind, now - day) for day, kind, item in sorted(acts, reverse=True)]


def test_a_community_is_shown_what_its_own_people_want(source: GraphSource) -> None:
    """Five of ten items were acted on by each: the other five are reached through neighbours."""
    found = source.propose(requests([[]] * N_SHOPPERS, shoppers=list(range(N_SHOPPERS))), 10)
    for shopper in range(N_SHOPPERS):
        assert set(found.item_row[shopper] % N_COMMUNITIES) == {shopper % N_COMMUNITIES}


@given(st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_spreading_is_what_dense_matrices_say(hops: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.random((7, 5)) * (rng.random((7, 5)) < 0.5)
    start = rng.standard_normal((5, 3)).astype(np.float32)
    along = np.zeros((7, 5))
    for u in range(7):
        for i in range(5):
            if weight[u, i]:
                along[u, i] = weight[u, i] / np.sqrt(weight[u].sum() * weight[:, i].sum())
    wanted = sum(np.linalg.matrix_power(along.T @ along, k) @ start for k in range(hops + 1))
    normal = normalised(sp.csr_matrix(weight))
    np.testing.assert_allclose(normal.toarray(), along, rtol=1e-5)
    np.testing.assert_allclose(spread(normal, start, hops), wanted / (hops + 1), atol=1e-5)


def test_a_known_shopper_stands_where_the_graph_puts_them(source: GraphSource) -> None:
    """One step over the normalised edges from the items' spread vectors, as a dense sum."""
    weight = np.zeros((N_SHOPPERS, N_ITEMS))
    for shopper in range(N_SHOPPERS):
        for day, kind, item in history(shopper):
            value = {VIEW: 0.3, BUY: 1.0}[kind] * 0.5 ** ((400 - day) / 50)
            weight[shopper, item] += value
    spread_vectors = source.read_vectors * np.sqrt(weight.sum(axis=0))[:, None]
    along = weight / np.sqrt(np.outer(weight.sum(axis=1), weight.sum(axis=0)))
    wanted = along @ spread_vectors
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    asked = requests([[]] * N_SHOPPERS, shoppers=list(range(N_SHOPPERS)))
    np.testing.assert_allclose(source.vectors(asked), wanted, atol=1e-5)


@pytest.mark.parametrize("later", [[], [(405.0, BUY, 1), (409.0, VIEW, 2)]])
def test_a_stranger_who_did_the_same_stands_in_the_same_place(
    source: GraphSource, later: list[tuple[float, int, int]]
) -> None:
    """Ten days on, with or without what was done since."""
    acts = recent(*history(0), *later, now=410.0)
    asked = requests([acts, acts], shoppers=[0, NO_ROW])
    asked = replace(asked, now_ms=np.full(2, NOW_MS + 10 * MS_PER_DAY))
    known, stranger = source.vectors(asked)
    np.testing.assert_allclose(known, stranger, atol=1e-5)
    still = source.vectors(requests([recent(*history(0))], shoppers=[0]))[0]
    assert np.allclose(known, still, atol=1e-5) == (not later)


def test_held_out_actions_are_foretold(source: GraphSource) -> None:
    assert source.measured["validation_ndcg@10"] > 0.3, "one of five left in its community"
    assert source.measured["epochs"] >= 1


def test_serving_it_needs_no_torch(source: GraphSource, tmp_path: Path) -> None:
    source.save(tmp_path / "model")
    asked = f"""
import json, pathlib, sys
from habitue.candidates.roster import load_source
from tests.candidates.shop import VIEW, requests
model = load_source(pathlib.Path({str(tmp_path / "model")!r}))
found = model.propose(requests([[(3, VIEW, 1.0)], []], shoppers=[-1, 4]), 5)
print(json.dumps([found.item_row.tolist(), "torch" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    rows, torch_there = json.loads(done.stdout)
    here = source.propose(requests([[(3, VIEW, 1.0)], []], shoppers=[-1, 4]), 5)
    assert rows == here.item_row.tolist()
    assert not torch_there


def test_its_folder_is_read_back(source: GraphSource, tmp_path: Path) -> None:
    source.save(tmp_path / "model")
    loaded = load_source(tmp_path / "model")
    assert isinstance(loaded, GraphSource)
    assert loaded.config == source.config
    assert loaded.measured == source.measured
    np.testing.assert_array_equal(loaded.carried, source.carried)


def test_without_pytorch_it_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPiece) as told:
        GraphLearner(CONFIG).fit(facts_of(log_of([(1.0, BUY, 0, 0, -1)])), np.random.default_rng(0))
    assert "pip install 'habitue[deep]'" in str(told.value.remedy)
