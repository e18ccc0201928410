"""From facts to vectors: what is learnt, what is held out to judge it, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.beginnings import co_occurrence_vectors
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.graph_config import GraphConfig, LightGcnConfig
from habitue.candidates.graph_edges import Edges, edges_of, said_by
from habitue.candidates.graph_newcomers import Newcomers, alike_among
from habitue.candidates.graph_ways import LayeredWay, SpreadWay, Way
from habitue.candidates.item_space import ItemSpace, fit_space
from habitue.candidates.vectors import units
from habitue.metrics.ranks import mean_rank, ndcg_of_rank

__all__ = ["Learnt", "learn"]

_ASKED = 256  # shoppers that recall is measured with
_JUDGED = 3_000  # shoppers at most whose last action is foretold
_BEGIN = 0.5  # length of an item's vector before anything is learnt


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a source is made of."""

    item: NDArray[np.float32]  # (n_items, dim), 0 of whom nothing is known
    read: NDArray[np.float32]  # (n_items, dim) what an action of weight 1 adds to a shopper
    carried: NDArray[np.float32]  # (n_shoppers, dim) what each one's actions added up to
    asked: NDArray[np.float32]  # (q, dim) some of these
    newcomers: Newcomers | None
    measured: dict[str, float]


def learn(facts: TrainingFacts, config: GraphConfig, rng: np.random.Generator) -> Learnt:
    """The vectors of these facts."""
    edges = edges_of(facts, config.kind_weight, config.half_life_days)
    if not len(edges):
        nothing = np.zeros((edges.streams.n_items, config.dim), np.float32)
        nobody = np.zeros((edges.n_shoppers, config.dim), np.float32)
        return Learnt(nothing, nothing, nobody, nobody[:0], None, {})
    wanted = np.asarray(edges.graph().sum(axis=0), np.float64).ravel()
    way, space = _way(facts, config, wanted > 0, rng)
    settled, measured = _trained(edges, way, config, rng)
    *known, item = way.reader(edges, rng)(settled)
    newcomers = None
    if space is not None and isinstance(way, LayeredWay) and way.content.any():
        row = np.flatnonzero(way.content.any(axis=1) & (wanted > 0)).astype(np.int32)
        newcomers = Newcomers(
            space, settled.layers, way.content[row], row, known, way.config.neighbours
        )
        item[~(way.content.any(axis=1) | (wanted > 0))] = 0
    else:
        item[wanted == 0] = 0
    read = item * said_by(wanted)[:, None]
    profiles = edges.profiles(config.position_decay)
    carried = np.asarray(profiles @ read, np.float32)
    acting = rng.permutation(np.flatnonzero(np.diff(profiles.indptr)))
    asked = carried[acting[: max(_ASKED, config.vectors.measured_queries)]]
    return Learnt(item, read, carried, asked, newcomers, measured)


def _way(
    facts: TrainingFacts,
    config: GraphConfig,
    acted_on: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[Way, ItemSpace | None]:
    """The kind of network asked for, and the space of what is told of items where it reads that."""
    network = config.network
    if isinstance(network, LightGcnConfig):
        return SpreadWay(network), None
    frame = facts.catalogue.frame
    space, vectors, _ = fit_space(frame, network.space, rng)
    content = np.zeros((len(acted_on), space.dim), np.float32)
    content[: frame.height] = vectors
    alike = alike_among(content, acted_on, network.neighbours, rng)
    return LayeredWay(network, content, alike), space


def _trained(
    edges: Edges, way: Way, config: GraphConfig, rng: np.random.Generator
) -> tuple[Any, dict[str, float]]:
    """What is settled of the network after training, and figures."""
    from habitue.candidates.graph_fitting import Plan, fit

    learnt_from, shopper, target = held_out(edges, config.validation_share, rng)
    start = co_occurrence_vectors(learnt_from.streams, config.dim, rng) * np.float32(_BEGIN)
    start[np.bincount(learnt_from.streams.item_row, minlength=len(start)) == 0] = 0
    network, settled = way.begun(start, learnt_from, rng)
    judge = None
    if len(shopper):
        judge = _judge(learnt_from, way, shopper, target, config.position_decay, rng)
    plan = Plan(**{name: getattr(config, name) for name in Plan.__slots__})
    fitted = fit(learnt_from, network, settled, plan, judge, rng)
    return fitted.settled, fitted.measured


def held_out(
    edges: Edges, share: float, rng: np.random.Generator
) -> tuple[Edges, NDArray[np.int64], NDArray[np.int32]]:
    """The edges without the last item of a share of the shoppers, those shoppers, those items.

    Only shoppers of three items and more are asked.
    """
    streams, owner = edges.streams, edges.shopper_row
    able = np.flatnonzero(np.diff(edges.graph().indptr) >= 3)
    n = min(int(np.ceil(len(able) * share)), _JUDGED)
    if not n:
        return edges, np.empty(0, np.int64), np.empty(0, np.int32)
    asked = np.sort(rng.permutation(able)[:n])
    last = np.full(edges.n_shoppers, -1, np.int32)
    last[streams.shopper_row] = streams.item_row[streams.start[1:] - 1]
    target = np.full(edges.n_shoppers, -1, np.int32)
    target[asked] = last[asked]
    out = np.flatnonzero(streams.item_row == target[owner])
    return edges.without(out), asked, target[asked]


def _judge(
    edges: Edges,
    way: Way,
    shopper: NDArray[np.int64],
    target: NDArray[np.int32],
    position_decay: float,
    rng: np.random.Generator,
) -> Callable[[Any], float]:
    """NDCG@10 of the held-out items among all the shopper does not have."""
    profiles = edges.profiles(position_decay)[shopper]
    reader = way.reader(edges, rng)
    scale = said_by(np.asarray(edges.graph().sum(axis=0), np.float64).ravel())[:, None]

    def judge(settled: Any) -> float:
        item = reader(settled)[-1]
        query, unit = profiles @ (item * scale), units(item)
        total = 0.0
        for first in range(0, len(shopper), 1024):
            rows = slice(first, min(first + 1024, len(shopper)))
            score = query[rows] @ unit.T
            score[profiles[rows].nonzero()] = -np.inf
            total += float(ndcg_of_rank(mean_rank(score, target[rows]), 10).sum())
        return total / len(shopper)

    return judge
