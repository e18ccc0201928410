"""Wants along the graph: communities are found, all who act are placed alike, items come new."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from habitue.candidates.contract import ExtendingSource
from habitue.candidates.graph import GraphConfig, GraphLearner, GraphSource, InductiveGraphSource
from habitue.candidates.graph_config import GatConfig, GraphSageConfig, LightGcnConfig
from habitue.candidates.graph_edges import Edges, edges_of, normalised, said_by
from habitue.candidates.graph_layers import Layer, Layers, Near
from habitue.candidates.graph_learning import held_out
from habitue.candidates.graph_walks import Walks, or_else
from habitue.candidates.graph_ways import spread
from habitue.candidates.roster import load_source
from habitue.errors import MissingPiece
from habitue.facts import MS_PER_DAY, NO_ROW, Catalogue
from tests.candidates.shop import (
    BUY,
    NOW_MS,
    VIEW,
    catalogue_of,
    facts_of,
    log_of,
    requests,
    rows_of,
)

N_COMMUNITIES, N_ITEMS, N_SHOPPERS = 3, 30, 60
WORDS = ("green tea", "roast coffee", "garden rake")
CONFIG = GraphConfig(
    dim=16,
    negatives=64,
    batch=128,
    epochs=15,
    rate=0.02,
    half_life_days=50.0,
    position_decay=0.9,
    temperature=0.05,
)
NETWORKS = {
    "lightgcn": LightGcnConfig(),
    "graphsage": GraphSageConfig(neighbours=5),
    "gat": GatConfig(neighbours=5, heads=2),
}


def history(shopper: int) -> list[tuple[float, int, int]]:
    """(day, kind, item), of this shopper's community alone: items of one remainder by three."""
    rng = np.random.default_rng(shopper)
    items = rng.permutation(np.arange(shopper % N_COMMUNITIES, N_ITEMS, N_COMMUNITIES))[:5]
    kinds = (VIEW, BUY)
    return [(300.0 + 7 * p + shopper / 100, kinds[p % 2], int(i)) for p, i in enumerate(items)]


def titles(rows: range) -> list[str]:
    return [f"{WORDS[row % N_COMMUNITIES]} number{row}" for row in rows]


@pytest.fixture(scope="module", params=NETWORKS)
def source(request: pytest.FixtureRequest) -> GraphSource:
    acts = [(d, k, s, i, -1) for s in range(N_SHOPPERS) for d, k, i in history(s)]
    told = catalogue_of(N_ITEMS, title=titles(range(N_ITEMS)))
    facts = facts_of(log_of(acts, n_items=N_ITEMS), told)
    config = CONFIG.model_copy(update={"network": NETWORKS[request.param]})
    return GraphLearner(config).fit(facts, np.random.default_rng(1))


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


def test_a_known_shopper_stands_where_their_actions_put_them(source: GraphSource) -> None:
    """Each action's item over the root of what it was wanted, faded by age and by moments.

    What was wanted less than once says no more than that.
    """
    graph, profile = np.zeros((2, N_SHOPPERS, N_ITEMS))
    for shopper in range(N_SHOPPERS):
        for place, (day, kind, item) in enumerate(history(shopper)):
            value = {VIEW: 0.3, BUY: 1.0}[kind] * 0.5 ** ((400 - day) / 50)
            graph[shopper, item] += value
            profile[shopper, item] += value * 0.9 ** (4 - place)
    item = source.read_vectors * np.sqrt(np.maximum(graph.sum(axis=0), 1))[:, None]
    np.testing.assert_allclose(
        item / np.linalg.norm(item, axis=1, keepdims=True), source.search.vectors, atol=1e-5
    )
    wanted = profile @ source.read_vectors
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    asked = requests([[]] * N_SHOPPERS, shoppers=list(range(N_SHOPPERS)))
    np.testing.assert_allclose(source.vectors(asked), wanted, atol=1e-5)


def test_what_is_wanted_by_many_says_little_and_nothing_says_more_than_once() -> None:
    assert said_by(np.array([0.0, 0.01, 1.0, 4.0])).tolist() == [1.0, 1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "later", [[], [(405.0, BUY, 1), (409.0, VIEW, 2)], [(405.0, BUY, 1), (405.0, BUY, 2)]]
)
def test_a_stranger_who_did_the_same_stands_in_the_same_place(
    source: GraphSource, later: list[tuple[float, int, int]]
) -> None:
    """Ten days on, with or without what was done since, in one moment or two."""
    acts = recent(*history(0), *later, now=410.0)
    asked = requests([acts, acts], shoppers=[0, NO_ROW])
    asked = replace(asked, now_ms=np.full(2, NOW_MS + 10 * MS_PER_DAY))
    known, stranger = source.vectors(asked)
    np.testing.assert_allclose(known, stranger, atol=1e-5)
    still = source.vectors(requests([recent(*history(0))], shoppers=[0]))[0]
    assert np.allclose(known, still, atol=1e-5) == (not later)


def test_held_out_actions_are_foretold(source: GraphSource) -> None:
    assert source.measured["validation_ndcg@10"] > 0.3, "one of five left in its community"
    assert source.measured["validation_ndcg@10"] >= source.measured["untrained_ndcg@10"]
    assert source.measured["epochs"] >= 1


def tail_of(*rows: int) -> Catalogue:
    """Items behind the fitted ones, each of the community that its words are of."""
    told = {"item_row": list(rows), "id": [f"item-{row}" for row in rows]}
    said = [titles(range(row, row + 1))[0] for row in rows]
    return Catalogue(pl.DataFrame({**told, "title": said}, schema_overrides={"item_row": pl.Int32}))


def test_a_new_item_is_shown_to_whom_its_words_are_for(source: GraphSource) -> None:
    if source.config.network.kind == "lightgcn":
        assert not isinstance(source, ExtendingSource), "LightGCN reads no words"
        return
    assert isinstance(source, InductiveGraphSource)
    assert isinstance(source, ExtendingSource)
    longer = source.extend(tail_of(31, 32)).extend(tail_of(30))
    everyone = requests([[]] * 3, shoppers=[0, 1, 2])
    score = longer.score(everyone, np.tile(np.array([30, 31, 32], np.int32), (3, 1)))
    assert score.argmax(axis=1).tolist() == [0, 1, 2]
    for shopper, row in enumerate(longer.propose(everyone, 11).item_row):
        assert set(rows_of(row)) == set(range(shopper, 33, 3)), "the eleven of the community"
    assert (source.score(everyone, np.full((3, 1), 30, np.int32)) == 0).all(), "it stays as it was"


@pytest.mark.parametrize("kind", ["graphsage", "gat"])
def test_an_item_described_but_never_acted_on_is_shown_to_whom_its_words_are_for(kind: str) -> None:
    acts = [(d, k, s, i, -1) for s in range(N_SHOPPERS) for d, k, i in history(s)]
    facts = facts_of(log_of(acts, n_items=N_ITEMS), catalogue_of(33, title=titles(range(33))))
    config = CONFIG.model_copy(update={"network": NETWORKS[kind], "epochs": 5})
    fitted = GraphLearner(config).fit(facts, np.random.default_rng(1))
    found = fitted.propose(requests([[]] * 3, shoppers=[0, 1, 2]), 11)
    for shopper, row in enumerate(found.item_row):
        assert set(rows_of(row)) == set(range(shopper, 33, 3))


def test_whoever_takes_a_new_item_is_placed_by_it(source: GraphSource) -> None:
    if not isinstance(source, InductiveGraphSource):
        return
    longer = source.extend(tail_of(30, 31, 32))
    found = longer.propose(requests([[(31, BUY, 0.1)]]), 5)
    assert set(found.item_row[0] % N_COMMUNITIES) == {1}


def test_new_items_read_the_same_in_whatever_steps_they_come(source: GraphSource) -> None:
    if not isinstance(source, InductiveGraphSource):
        return
    at_once = source.extend(tail_of(30, 31, 33))
    in_steps = source.extend(tail_of(33)).extend(tail_of(31)).extend(tail_of(30))
    np.testing.assert_allclose(at_once.search.tail, in_steps.search.tail, atol=1e-5)
    assert at_once.search.tail.any(axis=1).tolist() == [True, True, False, True]
    assert at_once.extend(tail_of(31)) is at_once
    said_otherwise = tail_of(32).frame.with_columns(item_row=pl.lit(31, pl.Int32))
    other = at_once.extend(Catalogue(said_otherwise))
    np.testing.assert_allclose(
        other.tail_vectors[1], source.vector_of(said_otherwise)[0], atol=1e-5
    )
    np.testing.assert_array_equal(other.tail_vectors[[0, 3]], at_once.tail_vectors[[0, 3]])


def test_of_a_new_item_nobody_can_read_nothing_is_known(source: GraphSource) -> None:
    if isinstance(source, InductiveGraphSource):
        frame = tail_of(30).frame.with_columns(title=pl.lit("zyx"))
        assert not source.vector_of(frame).any()


def test_where_nothing_is_told_layers_learn_from_neighbours_alone(tmp_path: Path) -> None:
    acts = [(d, k, s, i, -1) for s in range(N_SHOPPERS) for d, k, i in history(s)]
    config = CONFIG.model_copy(update={"network": NETWORKS["graphsage"]})
    facts = facts_of(log_of(acts, n_items=N_ITEMS))
    silent = GraphLearner(config).fit(facts, np.random.default_rng(1))
    assert not isinstance(silent, ExtendingSource), "it could not read new items"
    silent.save(tmp_path / "model")
    everyone = requests([[]] * N_SHOPPERS, shoppers=list(range(N_SHOPPERS)))
    found = load_source(tmp_path / "model").propose(everyone, 10)
    for shopper in range(N_SHOPPERS):
        assert set(found.item_row[shopper] % N_COMMUNITIES) == {shopper % N_COMMUNITIES}


@pytest.mark.parametrize("heads", [0, 2])
def test_layers_without_pytorch_say_what_the_network_says(heads: int) -> None:
    """A network of random weights, over the same neighbours; an item has none at all."""
    torch = pytest.importorskip("torch")
    from habitue.candidates.graph_networks import Layered

    rng = np.random.default_rng(4)
    near = Near(
        rng.integers(0, 9, (9, 3)).astype(np.int32),
        (rng.random((9, 3)) * (np.arange(9) != 5)[:, None]).astype(np.float32),
    )

    class Same:
        def draw(self, n: int, rng: np.random.Generator) -> Near:
            return near

    start, content = rng.standard_normal((9, 8)), rng.standard_normal((9, 4))
    nobody = Near(np.zeros((9, 3), np.int32), np.zeros((9, 3), np.float32))
    network = Layered(
        start.astype(np.float32), content.astype(np.float32), nobody, Same(),  # type: ignore[arg-type]
        layers=2, heads=heads, neighbours=3, as_new=0.0, rng=rng,
    )  # fmt: skip
    for weight in [*network.of_items, *network.of_all]:
        weight.data += 0.3 * torch.from_numpy(rng.standard_normal(weight.shape).astype("f4"))
    with torch.no_grad():
        wanted = network.vectors(rng).numpy()
    layers = network.settled()
    *known, found = layers.known(network.first(), near)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    new = layers.new(content.astype(np.float32), known, near)
    assert new.shape == (9, 8)
    assert not np.allclose(new, wanted, atol=1e-3), "who has just come has no vector of their own"


def test_attention_hears_most_whom_it_asks_for() -> None:
    """One head over (2,): logits 0 and 2, so shares are e^0 and e^2 where both count alike."""
    layer = Layer(
        inner=np.zeros((4, 2), np.float32), bias=np.zeros(2, np.float32),
        outer=np.zeros((2, 2), np.float32), turn=np.eye(2, dtype=np.float32),
        ask=np.zeros((1, 2), np.float32), tell=np.array([[0.0, 2.0]], np.float32),
    )  # fmt: skip
    others = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    own = np.zeros((1, 2), np.float32)
    near = Near(np.array([[0, 1]], np.int32), np.array([[0.5, 0.5]], np.float32))
    loud = np.exp(2) / (1 + np.exp(2))
    np.testing.assert_allclose(layer(own, others, near), [[(1 - loud) / 2, loud / 2]], rtol=1e-5)
    plain = replace(layer, turn=np.zeros((0, 0), np.float32))
    np.testing.assert_allclose(plain(own, others, near), [[0.25, 0.25]], rtol=1e-5)


def test_layers_come_back_from_their_arrays() -> None:
    rng = np.random.default_rng(0)
    shapes = ((4, 2), (2,), (2, 2), (2, 2), (1, 2), (1, 2))
    layer = Layer(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes))
    layers = Layers(np.ones((3, 2), np.float32), (layer, layer))
    again = Layers.of_arrays(layers.arrays())
    assert len(again.layers) == 2
    np.testing.assert_array_equal(again.layers[1].inner, layer.inner)


def test_walks_meet_neighbours_as_often_as_the_graph_says() -> None:
    """Item 0 is one shopper's with item 1 (weights 1 and 3), another's with item 2 (1 and 1).

    From 0 half go to each; three quarters of the first half end at 1, half of the second at 2.
    """
    weight = sp.csr_matrix(np.array([[1.0, 3.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]))
    near = Walks(weight).draw(20_000, np.random.default_rng(0))
    met = near.matrix().toarray()
    away = 0.5 * 0.75 + 0.5 * 0.5
    np.testing.assert_allclose(met[0], [0, 0.375 / away, 0.25 / away, 0], atol=0.01)
    np.testing.assert_allclose(met[1], [1, 0, 0, 0], atol=1e-4)
    assert not met[3].any(), "nobody acted on it"


def test_whoever_has_nobody_hears_others_instead() -> None:
    near = Near(np.array([[1], [0]], np.int32), np.array([[1.0], [0.0]], np.float32))
    other = Near(np.array([[1, 1], [0, 1]], np.int32), np.full((2, 2), 0.5, np.float32))
    found = or_else(near, other, np.array([False, False]))
    assert found.row.tolist() == [[1, 0], [0, 1]]
    assert found.share.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def edges(*acts: tuple[float, int, int]) -> Edges:
    """Edges of purchases: (day, shopper, item)."""
    rows = [(day, BUY, shopper, item, -1) for day, shopper, item in acts]
    return edges_of(facts_of(log_of(rows, n_shoppers=3, n_items=6)), {"purchase": 2.0}, 10.0)


def test_around_an_action_stand_its_shopper_s_others() -> None:
    """Two days apart is 0.5 ** 0.2, a moment apart 0.5, and what comes after counts half again.

    The same item stands aside.
    """
    shop = edges((1.0, 0, 3), (3.0, 0, 1), (3.0, 0, 2), (5.0, 0, 3), (4.0, 1, 5))
    asked = np.array([0, 1, 4])
    found = shop.around(asked, position_decay=0.5, after_weight=0.5, within=2).toarray()
    day = 0.5**0.1
    wanted = np.zeros((3, 6))
    wanted[0, [1, 2]] = 0.5 * (2 * 0.5 * day**2)
    wanted[1, 3] = 1.5 * (2 * 0.5 * day**2)
    wanted[1, 2] = 0.5 * 2.0
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    near = shop.around(asked[:1], position_decay=0.5, after_weight=1.0, within=1).toarray()
    np.testing.assert_allclose(near[0], [0, 2 * 0.5 * day**2, 0, 0, 0, 0], rtol=1e-5)


def dense(rows: dict[tuple[int, int], float]) -> NDArray[np.float64]:
    out = np.zeros((3, 6))
    for at, value in rows.items():
        out[at] = value
    return out


def test_a_graph_adds_up_and_a_profile_fades_by_moments() -> None:
    shop = edges((390.0, 0, 3), (400.0, 0, 1), (400.0, 0, 3), (380.0, 2, 5))
    np.testing.assert_allclose(
        shop.graph().toarray(), dense({(0, 3): 1 + 2, (0, 1): 2, (2, 5): 0.5}), rtol=1e-5
    )
    np.testing.assert_allclose(
        shop.profiles(0.5).toarray(), dense({(0, 3): 0.5 + 2, (0, 1): 2, (2, 5): 0.5}), rtol=1e-5
    )


def test_of_those_held_out_the_last_item_is_gone() -> None:
    shop = edges(
        (1.0, 0, 3), (2.0, 0, 1), (3.0, 0, 2), (4.0, 0, 1), (1.0, 1, 1), (2.0, 1, 2), (1.0, 2, 5)
    )
    kept, who, what = held_out(shop, 1.0, np.random.default_rng(0))
    assert who.tolist() == [0], "only one shopper has three items"
    assert what.tolist() == [1]
    assert kept.graph().toarray()[0].nonzero()[0].tolist() == [2, 3]
    assert kept.graph()[1:].toarray().tolist() == shop.graph()[1:].toarray().tolist()
    assert kept.moment.tolist() == [0, 1, 0, 1, 0]


def test_attentions_share_a_vector_evenly() -> None:
    with pytest.raises(ValidationError, match="dim 10 is no multiple of heads 4"):
        GraphConfig(dim=10, network=GatConfig(heads=4))


def test_a_network_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="'lightgcn', 'graphsage', 'gat'"):
        GraphConfig.model_validate({"network": {"kind": "transformer"}})


def test_serving_it_needs_no_torch(source: GraphSource, tmp_path: Path) -> None:
    source.save(tmp_path / "model")
    asked = f"""
import json, pathlib, sys
from habitue.candidates.roster import load_source
from tests.candidates.shop import VIEW, requests
from tests.candidates.test_graph import tail_of
model = load_source(pathlib.Path({str(tmp_path / "model")!r}))
if hasattr(model, "extend"):
    model = model.extend(tail_of(30, 31))
found = model.propose(requests([[(3, VIEW, 1.0)], []], shoppers=[-1, 4]), 11)
print(json.dumps([found.item_row.tolist(), "torch" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    rows, torch_there = json.loads(done.stdout)
    longer = source
    if isinstance(source, InductiveGraphSource):
        longer = source.extend(tail_of(30, 31))
    here = longer.propose(requests([[(3, VIEW, 1.0)], []], shoppers=[-1, 4]), 11)
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
