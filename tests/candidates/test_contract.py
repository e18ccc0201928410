"""What every source promises, asked of every source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from habitue.behaviour import BehaviourConfig
from habitue.behaviour.config import ScheduleConfig, StudentConfig
from habitue.candidates import Proposals, Source, TrainingFacts, preparing
from habitue.candidates.additive import AdditiveConfig
from habitue.candidates.bpr import BprConfig
from habitue.candidates.cold import ColdConfig
from habitue.candidates.factor import FactorConfig
from habitue.candidates.fresh import FreshConfig
from habitue.candidates.graph import GraphConfig
from habitue.candidates.graph_config import GatConfig, GraphSageConfig
from habitue.candidates.item_knn import ItemKnnConfig
from habitue.candidates.knowledge import KnowledgeConfig
from habitue.candidates.linear import LinearConfig
from habitue.candidates.roster import DEFAULT_SOURCES, SourceConfig, learner_of, load_source
from habitue.candidates.sequence import SequenceConfig
from habitue.candidates.social import SocialConfig
from habitue.candidates.trending import TrendingConfig
from habitue.candidates.two_tower import TwoTowerConfig
from habitue.candidates.two_tower_config import TowerScheduleConfig
from habitue.candidates.user_knn import UserKnnConfig
from habitue.errors import SchemaTooNew, SnapshotError
from habitue.facts import NO_ROW, Context, Owned
from tests.candidates.shop import (
    BUY,
    CART,
    VIEW,
    TwoTastes,
    catalogue_of,
    facts_of,
    log_of,
    one,
    requests,
    rows_of,
    two_tastes,
    with_friends,
    with_ratings,
)

SHAPES = {"more shoppers than items": (60, 14), "more items than shoppers": (20, 40)}
GRAPH = GraphConfig(dim=16, negatives=32, batch=64, epochs=10, rate=0.01, temperature=0.05)
SOURCES: tuple[SourceConfig, ...] = (
    *DEFAULT_SOURCES,
    LinearConfig(penalty=5.0),
    LinearConfig(name="linear_next", penalty=5.0, transitions=0.5, closeness=0.9, repeats=True),
    ItemKnnConfig(),
    UserKnnConfig(),
    BprConfig(factors=8, passes=200),
    TrendingConfig(short_half_life_days=20.0, long_half_life_days=100.0),
    FreshConfig(oldest_days=1000.0),
    SequenceConfig(
        behaviour=BehaviourConfig(dim=16, schedule=ScheduleConfig(epochs=20, tokens=200))
    ),
    GRAPH,
    GRAPH.model_copy(update={"name": "graphsage", "network": GraphSageConfig()}),
    GRAPH.model_copy(update={"name": "gat", "network": GatConfig()}),
    SequenceConfig(
        name="sequence_light",
        precision="int8",
        behaviour=BehaviourConfig(
            dim=16, schedule=ScheduleConfig(epochs=20, tokens=200), student=StudentConfig(dim=8)
        ),
    ),
    SequenceConfig(
        name="both_ways",
        behaviour=BehaviourConfig(
            encoder="bidirectional", dim=16, schedule=ScheduleConfig(epochs=40, tokens=200)
        ),
    ),
    SequenceConfig(
        name="listed",
        behaviour=BehaviourConfig(
            encoder="encoder-decoder", dim=16, schedule=ScheduleConfig(epochs=60, tokens=200)
        ),
    ),
    SocialConfig(),
    ColdConfig(validation_days=60.0, least_judged=2, half_life_days=None),
    FactorConfig(),
    FactorConfig(name="factor_als", method="als", loss="squared"),
    AdditiveConfig(),
    KnowledgeConfig(),
    FactorConfig(name="factor_sgd", method="sgd", rounds=40, learning_rate=0.05),
    TwoTowerConfig(
        dim=16, hidden=(32,), negatives=16, schedule=TowerScheduleConfig(epochs=20, batch=64)
    ),
)
UNPERSONAL = ("popular", "popular_now", "new_buyers", "trending", "fresh", "additive")
GREETING = ("cold", "factor", "factor_als", "factor_sgd")
"""Personal, and with something to say to whoever comes for the first time."""


@pytest.fixture(scope="module", params=SHAPES, ids=lambda name: name.replace(" ", "-"))
def shop(request: pytest.FixtureRequest) -> TwoTastes:
    return two_tastes(*SHAPES[request.param])


@pytest.fixture(scope="module", params=SOURCES, ids=lambda config: config.name)
def config(request: pytest.FixtureRequest) -> SourceConfig:
    return request.param


@pytest.fixture(scope="module")
def source(config: SourceConfig, shop: TwoTastes) -> Source:
    return learner_of(config).fit(told(config, shop), np.random.default_rng(7))


def told(config: SourceConfig, shop: TwoTastes) -> TrainingFacts:
    """What a source learns of the shop: where it reads ratings or friends, they are given."""
    if isinstance(config, SocialConfig):
        return with_friends(shop).facts
    return with_ratings(shop).facts if isinstance(config, FactorConfig) else shop.facts


MIXED = requests(
    [
        [(0, VIEW, 0.1), (2, CART, 0.2), (4, BUY, 3.0)],
        [],
        [(1, VIEW, 0.1)],
        [(999, VIEW, 0.5), (3, BUY, 1.0)],
    ],
    shoppers=[0, 1, NO_ROW, 10_000],
    anchors=[[2], [], [3, 5], [999]],
    owned=[[(4, 1, 3.0), (2, 2, 90.0)], [], [], [(3, 1, 1.0), (999, 1, 5.0)]],
    rated=[[(2, 5.0, 0.1), (1, 1.0, 3.0)], [], [], [(999, 4.0, 0.5), (3, 2.0, 1.0)]],
)


INEXACT = ("sequence", "sequence_light", "both_ways", "listed")
"""Networks: the last bits of a product depend on what it is worked out beside."""


def close(source: Source, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    if source.name in INEXACT:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_array_equal(a, b)


def alike(source: Source, a: Proposals, b: Proposals) -> None:
    close(source, a.score, b.score)
    if source.name not in INEXACT:
        np.testing.assert_array_equal(a.item_row, b.item_row)


def same(a: Proposals, b: Proposals) -> None:
    np.testing.assert_array_equal(a.item_row, b.item_row)
    np.testing.assert_array_equal(a.score, b.score)


def test_it_is_a_source_by_the_name_of_its_config(source: Source, config: SourceConfig) -> None:
    assert isinstance(source, Source)
    assert source.name == config.name


def test_proposals_are_distinct_known_items_best_first(source: Source, shop: TwoTastes) -> None:
    found = source.propose(MIXED, 9)
    assert found.item_row.shape == found.score.shape == (4, 9)
    assert found.item_row.dtype == np.int32
    assert found.score.dtype == np.float32
    for row, score in zip(found.item_row, found.score, strict=True):
        items = rows_of(row)
        assert len(set(items)) == len(items)
        assert all(0 <= item < shop.n_items or item in MIXED.owned.item for item in items)
        assert (row[len(items) :] == NO_ROW).all(), "gaps stand at the end"
        assert (score[len(items) :] == 0).all()
        assert (np.diff(score[: len(items)]) <= 0).all()


def test_score_says_what_propose_said(source: Source) -> None:
    found = source.propose(MIXED, 9)
    np.testing.assert_array_equal(source.score(MIXED, found.item_row), found.score)


def test_nothing_scores_higher_than_what_was_proposed(source: Source, shop: TwoTastes) -> None:
    """But what the request itself names: whether that is offered again is not a source's to say."""
    everything = np.tile(np.arange(shop.n_items, dtype=np.int32), (4, 1))
    score = source.score(MIXED, everything)
    found = source.propose(MIXED, 5)
    for b in range(4):
        named = {*MIXED.recent_item[b].tolist(), *MIXED.anchor_item[b].tolist()}
        others = [item for item in range(shop.n_items) if item not in named]
        proposed = [
            s for i, s in zip(found.item_row[b], found.score[b], strict=True) if i not in named
        ]
        best = np.maximum(np.sort(score[b][others])[::-1][: len(proposed)], 0)
        np.testing.assert_allclose(proposed, best, rtol=1e-5, atol=1e-6)


def test_a_batch_is_its_requests_one_by_one(source: Source) -> None:
    found = source.propose(MIXED, 6)
    score = source.score(MIXED, np.tile(np.arange(8, dtype=np.int32), (4, 1)))
    for b in range(4):
        alone = source.propose(one(MIXED, b), 6)
        alike(source, alone, Proposals(found.item_row[b : b + 1], found.score[b : b + 1]))
        wanted = np.arange(8, dtype=np.int32)[None, :]
        close(source, source.score(one(MIXED, b), wanted)[0], score[b])


def test_an_empty_batch_gets_an_empty_answer(source: Source) -> None:
    nobody = requests([])
    assert source.propose(nobody, 3).item_row.shape == (0, 3)
    assert source.score(nobody, np.empty((0, 2), np.int32)).shape == (0, 2)


def test_a_stranger_without_history_gets_the_popular_or_nothing(source: Source) -> None:
    found = source.propose(requests([[]]), 5)
    assert bool(rows_of(found.item_row[0])) == (source.name in (*UNPERSONAL, *GREETING))


def test_unknown_items_score_nothing(source: Source) -> None:
    wanted = np.array([[NO_ROW, 999, 2**31 - 1]], np.int32)
    np.testing.assert_array_equal(source.score(one(MIXED, 0), wanted), np.zeros((1, 3), np.float32))


def test_asked_for_more_than_there_is_it_fills_up_with_nothing(
    source: Source, shop: TwoTastes
) -> None:
    found = source.propose(MIXED, 1_500)
    assert found.item_row.shape == (4, 1_500)
    assert all(len(rows_of(row)) <= shop.n_items for row in found.item_row)


def test_without_consent_the_past_is_not_looked_at(source: Source) -> None:
    history = [(0, VIEW, 0.1), (2, BUY, 0.2)]
    bought = [(2, 1.0, 0.2)]
    asked = requests(
        [history, history], shoppers=[0, 0], owned=[bought, bought], personal=[False, True]
    )
    nobody = requests([[]])
    same(source.propose(one(asked, 0), 5), source.propose(nobody, 5))


def test_read_only_and_strided_columns_are_as_good_as_any(source: Source) -> None:
    wide = requests([[(0, VIEW, 0.1), (2, CART, 0.2)], [(1, VIEW, 0.1), (3, BUY, 1.0)]])
    for column in (wide.recent_item, wide.recent_kind, wide.recent_age_days, wide.shopper_row):
        column.setflags(write=False)
    fortran = requests([[(0, VIEW, 0.1), (2, CART, 0.2)], [(1, VIEW, 0.1), (3, BUY, 1.0)]])
    object.__setattr__(fortran, "recent_item", np.asfortranarray(fortran.recent_item))
    same(source.propose(wide, 5), source.propose(fortran, 5))


def test_it_comes_back_from_disk_as_it_was(source: Source, tmp_path: Path) -> None:
    source.save(tmp_path / "source")
    loaded = load_source(tmp_path / "source")
    assert type(loaded) is type(source)
    assert loaded.name == source.name
    alike(source, loaded.propose(MIXED, 9), source.propose(MIXED, 9))


def test_the_same_seed_gives_the_same_model(config: SourceConfig, shop: TwoTastes) -> None:
    a, b = (learner_of(config).fit(told(config, shop), np.random.default_rng(3)) for _ in range(2))
    same(a.propose(MIXED, 9), b.propose(MIXED, 9))


def test_taste_is_found(source: Source, shop: TwoTastes) -> None:
    """Tea drinkers are shown tea and coffee drinkers coffee; popularity shows both the same."""
    context = shop.contexts()
    found = source.propose(context, 4)
    if source.name in UNPERSONAL:
        np.testing.assert_array_equal(found.item_row[0], found.item_row[1])
        return
    for shopper in (0, 1):
        items = rows_of(found.item_row[shopper])
        assert items, "somebody who looked around is shown something"
        assert set(items) <= shop.likes(shopper)


def test_a_shop_without_facts_is_answered_with_nothing(config: SourceConfig) -> None:
    empty = facts_of(log_of([]), catalogue_of(0))
    source = learner_of(config).fit(empty, np.random.default_rng(0))
    asked = replace(MIXED, owned=Owned.nothing(4))
    assert (source.propose(asked, 4).item_row == NO_ROW).all()
    assert (source.score(asked, np.zeros((4, 2), np.int32)) == 0).all()


def test_items_known_from_actions_alone_do_no_harm(config: SourceConfig) -> None:
    """A catalogue shorter than the log's rows, with nulls for what nobody posted."""
    facts = facts_of(
        log_of([(1.0, VIEW, 0, 0, -1), (2.0, BUY, 0, 5, -1), (3.0, BUY, 1, 5, -1)]),
        catalogue_of(3, title=[None, "green tea", None]),
    )
    source = learner_of(config).fit(facts, np.random.default_rng(0))
    source.propose(MIXED, 4)
    assert source.score(MIXED, np.full((4, 1), 5, np.int32)).shape == (4, 1)


def test_a_folder_without_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="holds no"):
        load_source(tmp_path)


def test_a_source_of_another_kind_is_refused(source: Source, tmp_path: Path) -> None:
    source.save(tmp_path)
    described = (tmp_path / "source.json").read_text()
    (tmp_path / "source.json").write_text(described.replace('"format": 1', '"format": 2'))
    with pytest.raises(SchemaTooNew, match="reads up to 1"):
        load_source(tmp_path)
    (tmp_path / "source.json").write_text('{"source": "oracle", "config": {}}')
    with pytest.raises(SnapshotError, match="unknown kind"):
        load_source(tmp_path)


def test_prepared_once_it_says_the_same_as_asked_twice(source: Source) -> None:
    """Whatever order it is asked in, about one request or several."""
    everything = np.tile(np.arange(12, dtype=np.int32), (4, 1))
    for context in (MIXED, *(one(MIXED, b) for b in range(4))):
        wanted = everything[: len(context)]
        read = preparing(source)(context)
        np.testing.assert_array_equal(read.score(wanted), source.score(context, wanted))
        same(read.propose(6), source.propose(context, 6))
        np.testing.assert_array_equal(read.score(wanted), source.score(context, wanted))
        same(read.propose(3), source.propose(context, 3))


def test_a_source_that_prepares_nothing_is_asked_as_it_is(shop: TwoTastes) -> None:
    class Last:
        """Proposes the last item, to everybody."""

        name = "last"

        def propose(self, context: Context, n: int) -> Proposals:
            row = np.full((len(context), n), NO_ROW, np.int32)
            row[:, 0] = shop.n_items - 1
            return Proposals(row, (row >= 0).astype(np.float32))

        def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
            return (item_row == shop.n_items - 1).astype(np.float32)

        def save(self, path: Path) -> None: ...

        @classmethod
        def load(cls, path: Path) -> Self: ...  # type: ignore[empty-body]

    read = preparing(Last())(MIXED)
    assert read.propose(2).item_row[0].tolist() == [shop.n_items - 1, NO_ROW]
    assert read.score(read.propose(2).item_row).tolist() == [[1, 0]] * 4
