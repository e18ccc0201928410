"""What a path is called, and when it is told."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from habitue.candidates.als import AlsConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.item_graph import GraphOfItemsConfig
from habitue.candidates.knowledge import KnowledgeConfig, KnowledgeLearner, KnowledgeSource
from habitue.candidates.layout import sealed
from habitue.facts import NO_ROW, ActionKind, Context
from habitue.ranking.blend import BlendRanker
from habitue.ranking.features import FeatureMaker
from habitue.ranking.reasons import Reason, Reasons, ReasonsConfig
from habitue.ranking.tied import Path
from tests.ranking import shop
from tests.ranking.test_reasons import Shown

TITLES = {1: "Alien", 2: "Aliens", 3: "Prometheus"}


def title(row: int) -> str:
    return TITLES[row]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (Path(1, "director", "Ridley Scott", NO_ROW), "Same director as Alien: Ridley Scott"),
        (Path(1, "film.film.directed_by", "R. S.", NO_ROW), "Directed by R. S., like Alien"),
        (Path(1, "^film.director.film", "R. S.", NO_ROW), "Shares R. S. with Alien"),
        (Path(1, "director/born_in", "Wales", NO_ROW), "Director born in Wales, like Alien"),
        (Path(1, "sequel", "p", 3), "Sequel of Alien"),
        (Path(1, "based_on", "p", 3), "Alien: based on this"),
        (Path(2, "sequel", "aliens", 2), "Its sequel: Aliens"),
        (Path(2, "part of", "aliens", 2), "Part of Aliens"),
        (Path(1, "prequel", "aliens", 2), "Same prequel as Alien: Aliens"),
    ],
)
def test_a_path_reads_like_a_sentence(path: Path, words: str) -> None:
    assert path.words(3, title) == words


CONFIG = KnowledgeConfig(
    als=AlsConfig(factors=8), graph=GraphOfItemsConfig(broad_share=1.0), penalty=5
)
LATER = shop.CUT + 20 * shop.DAY
FACTS = TrainingFacts(shop.shop_log().before(shop.CUT), shop.CATALOGUE, shop.CUT)


@pytest.fixture(scope="module")
def graph() -> KnowledgeSource:
    return KnowledgeLearner(CONFIG).fit(FACTS, np.random.default_rng(0))


def ranked(graph: KnowledgeSource, context: Context) -> tuple[BlendRanker, Shown]:
    """An order by the graph alone, and the best of each context."""
    seen = shop.shop_features()
    features = FeatureMaker([*seen.sources, graph], seen.stats, seen.columns)
    ranker = BlendRanker(features, {"knowledge": 1.0})
    every = np.tile(np.arange(shop.N_ITEMS, dtype=np.int32), (len(context), 1))
    best = np.argsort(-ranker.score(context, every), axis=1)[:, :8]
    return ranker, Shown(best.astype(np.int32), None)


def explained(graph: KnowledgeSource, context: Context) -> Iterator[Told]:
    """Every slot's item, its reason, and the one it has where nothing is known of items."""
    ranker, slate = ranked(graph, context)
    config = ReasonsConfig(least_drop=0.001)
    with_it, without = (
        Reasons({"home": ranker}, config, graph=one).explain(context, slate, str)
        for one in (graph, None)
    )
    for b in range(len(context)):
        yield from zip([b] * 8, slate.item_row[b].tolist(), with_it[b], without[b], strict=True)


Told = tuple[int, int, Reason, Reason]


@pytest.mark.parametrize("now_ms", [shop.CUT, LATER])
def test_paths_lie_in_the_catalogue_and_begin_with_what_the_shopper_has(
    graph: KnowledgeSource, now_ms: int
) -> None:
    """At the cut all that was done lies in what was learnt of the shoppers; later not all."""
    context = shop.contexts(list(range(20)), now_ms=now_ms)
    n_paths: dict[str, int] = {}
    for b, item, reason, plain in explained(graph, context):
        path = reason.path
        if path is None:
            assert reason == plain
            continue
        n_paths[reason.kind] = n_paths.get(reason.kind, 0) + 1
        assert path.from_row in context.recent_item[b]
        assert path.from_row != item
        said = shop.CATALOGUE.frame[path.relation].str.to_lowercase()
        assert said[path.from_row].endswith(path.entity.lower())
        assert said[item].endswith(path.entity.lower())
        if reason.kind == "known":
            assert plain.kind in ("", "popular", "new")
            assert reason.drop > 0.001
            assert (reason.causes, reason.text) == ((path.from_row,), path.words(item, str))
        else:
            assert reason._replace(text="", path=None) == plain._replace(text="")
    assert sum(n_paths.values()) > 30
    assert set(n_paths) & ({"looked", "bought", "brand"} if now_ms == LATER else {"known"})


def test_what_the_side_adds_is_what_the_item_loses_without_it(graph: KnowledgeSource) -> None:
    context = shop.contexts([3])
    paths = graph.paths(context, context.recent_item, np.arange(24, dtype=np.int32)[None, :])
    liked = graph.als.vectors(context)[0]
    for item, side, adds in zip(range(24), paths.side[0], paths.adds[0], strict=True):
        if side == NO_ROW:
            continue
        sides, strength = graph.graph.table.of(item)
        worth = dict(zip(sides.tolist(), strength.tolist(), strict=True))[int(side)]
        shoppers = np.unique(FACTS.log.shopper_row[FACTS.log.item_row == item]).size
        leaning = CONFIG.support / (CONFIG.support + shoppers)
        said = worth * float(graph.side_vectors[side] @ liked)
        assert adds == pytest.approx(leaning * said, rel=1e-4)


def test_a_side_that_speaks_against_an_item_is_no_reason(graph: KnowledgeSource) -> None:
    turned = copy(graph)
    turned.side_vectors = sealed(-graph.side_vectors, np.float32)
    context = shop.contexts(list(range(6)), now_ms=LATER)
    kept, lost = (
        sum(reason.path is not None for *_, reason, _ in explained(one, context))
        for one in (graph, turned)
    )
    assert kept > 10
    assert lost < kept / 4


def test_what_was_refused_is_nothing_to_begin_with(graph: KnowledgeSource) -> None:
    context = shop.contexts(list(range(6)))
    refused = np.full(context.recent_kind.shape, int(ActionKind.not_interested), np.uint8)
    told = explained(graph, replace(context, recent_kind=refused))
    assert all(reason.path is None for *_, reason, _ in told)


def test_without_consent_no_path_is_told(graph: KnowledgeSource) -> None:
    context = shop.contexts(list(range(6)))
    told = explained(graph, replace(context, personal=np.zeros(6, np.bool_)))
    assert all(reason.path is None for *_, reason, _ in told)


def test_a_ranker_that_does_not_ask_the_graph_has_no_paths(graph: KnowledgeSource) -> None:
    context = shop.contexts(list(range(6)))
    _, slate = ranked(graph, context)
    ranker = shop.shop_ranker().bound(shop.shop_features())
    told = Reasons({"home": ranker}, graph=graph).explain(context, slate, str)
    assert all(reason.path is None for line in told for reason in line)
