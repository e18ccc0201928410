"""Interests that flow from item over relation and entity to item, with the path as a reason.

Items and shoppers are factorised as in ``als``; what an item is to shoppers is then foretold from
its sides in the item graph, each relation as far as it can be trusted, and added to what was learnt
of the item itself, the less the more acted on it. So an item nobody has acted on stands where its
sides put it (Gantner et al., Learning Attribute-to-Feature Mappings for Cold-Start Recommendations,
2010), and what two items have in common counts for all (Wang et al., Learning Intents behind
Interactions with Knowledge Graph for Recommendation, 2021, learn weights of relations for the same
end, by gradient).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.als import AlsConfig, AlsSource, confidence, factorised, shoppers_of
from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.growing import Growing
from habitue.candidates.item_graph import GraphOfItemsConfig, ItemGraph, Side
from habitue.candidates.knowledge_fitting import (
    chosen_penalty,
    incidence,
    relation_weights,
    side_vectors,
)
from habitue.candidates.layout import plain, scratch, sealed
from habitue.candidates.neighbours import NeighbourTable
from habitue.candidates.paths import Paths, best_paths
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.search import ItemSearch, Sought
from habitue.facts import Catalogue, Context

__all__ = ["KnowledgeConfig", "KnowledgeLearner", "KnowledgeSource"]


class KnowledgeConfig(BaseModel):
    """The graph, and how much it says of an item beside what shoppers did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["knowledge"] = "knowledge"
    name: str = Field(
        default="knowledge", min_length=1, description="its name in slates and features"
    )
    als: AlsConfig = Field(
        default=AlsConfig(), description="how shoppers and items are factorised and folded in"
    )
    graph: GraphOfItemsConfig = Field(
        default=GraphOfItemsConfig(), description="what items have in common"
    )
    penalty: float | None = Field(
        default=None, gt=0,
        description="ridge penalty on the vectors of sides, in items; where not said, the one that "
        "ranks items best that are held out",
    )  # fmt: skip
    support: float = Field(
        default=30.0, ge=0,
        description="shoppers who acted on an item with whom what its sides foretell counts half",
    )  # fmt: skip


class KnowledgeSource(PreparingSource):
    """Scores an item by the product of the shopper's vector with the item's own and its sides'."""

    def __init__(
        self,
        config: KnowledgeConfig,
        als: AlsSource,
        graph: ItemGraph,
        sides: NDArray[np.float32],
        leaning: NDArray[np.float32],
        measured: dict[str, float],
        *,
        whole: Growing | None = None,
    ) -> None:
        """``sides`` (n_sides, factors) foretell items, each of which takes its ``leaning`` of it.

        ``whole`` (n_rows, factors) are the vectors of all items; it goes on behind the fitted ones,
        as the graph's table does.
        """
        self.config = config
        self.name = config.name
        self.als = als
        self.graph = graph
        self.side_vectors = sealed(sides, np.float32)
        self.measured = measured
        self._leaning = leaning
        self._whole = whole or Growing(als.search.vectors)

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on."""
        return self.graph.table.n_items

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """The vector of every item, new ones included: (n_rows, factors)."""
        vectors: NDArray[np.float32] = self._whole.rows
        return vectors

    def prepare(self, context: Context) -> Sought:
        """The vectors of the requests' shoppers."""
        return self.als.prepare(context)

    def paths(
        self, context: Context, from_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> Paths:
        """The best path to each of the items (B, n) from any of ``from_row`` (B, P)."""
        shape = item_row.shape
        found = Paths(
            np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(shape, np.float32)
        )
        best_paths(
            plain(from_row, np.int32), plain(item_row, np.int32), *self.graph.table.columns(),
            self.graph.telling, self.side_vectors, self.als.vectors(context),
            *scratch.of(len(self.graph)), found.from_row, found.side, found.adds,
        )  # fmt: skip
        fitted = (item_row >= 0) & (item_row < len(self._leaning))
        found.adds[fitted] *= self._leaning[item_row[fitted]]
        return found

    def side(self, number: int) -> Side:
        """What a side is called."""
        return self.graph.side(number)

    def extend(self, catalogue_tail: Catalogue) -> KnowledgeSource:
        """A source that also knows these items, by their attributes.

        Fitted rows stay as they are. An item costs its attributes; what is behind the fitted items
        is copied where an item in it now reads otherwise.
        """
        frame = catalogue_tail.frame.filter(pl.col("item_row") >= self.n_fitted)
        if not frame.height:
            return self
        row = frame["item_row"].to_numpy().astype(np.int64)
        side, strength = self.graph.read(frame)
        new = row >= len(self._whole)
        again = self._reread(row[~new], side[~new], strength[~new])
        return again._longer(row[new], side[new], strength[new])

    def _longer(
        self, row: NDArray[np.int64], side: NDArray[np.int32], strength: NDArray[np.float32]
    ) -> KnowledgeSource:
        """With items behind all there are; rows between them say nothing."""
        if not len(row):
            return self
        first = len(self._whole)
        n = int(row.max()) + 1 - first
        sides = np.zeros((n, side.shape[1]), np.int32)
        strengths = np.zeros(sides.shape, np.float32)
        sides[row - first], strengths[row - first] = side, strength
        more = self._vectors(sides, strengths)
        return self._with(
            self.graph.table.with_more_tail(sides, strengths), self._whole.append(more)
        )

    def _reread(
        self, row: NDArray[np.int64], side: NDArray[np.int32], strength: NDArray[np.float32]
    ) -> KnowledgeSource:
        """With other sides of items there are, where they are others."""
        vectors = self._vectors(side, strength)
        other = (self._whole.rows[row] != vectors).any(axis=1)
        if not other.any():
            return self
        whole = self._whole.rows.copy()
        whole[row[other]] = vectors[other]
        table = self.graph.table.with_other_tail(
            row[other] - self.n_fitted, side[other], strength[other]
        )
        return self._with(table, Growing(whole))

    def _vectors(
        self, side: NDArray[np.int32], strength: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Vectors (n, factors) of items by their sides (n, width) alone."""
        out = np.zeros((len(side), self.side_vectors.shape[1]), np.float32)
        for place in range(side.shape[1]):  # one of an item's sides after the other
            out += strength[:, place, None] * self.side_vectors[side[:, place]]
        return out

    def _with(self, table: NeighbourTable, whole: Growing) -> KnowledgeSource:
        return KnowledgeSource(
            self.config, self.als.with_items(whole.rows), self.graph.with_table(table),
            self.side_vectors, self._leaning, self.measured, whole=whole,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``; the live tail is not part of it."""
        search = self.als.search
        search.save(path)
        self.graph.save(path)
        saved = Saved(
            source="knowledge",
            config=self.config.model_dump(),
            numbers={"fitted_until_ms": self.als.fitted_until_ms, **search.numbers()},
            measured=self.measured,
        )
        own = {
            "shopper": self.als.shopper_factors,
            "sides": self.side_vectors,
            "leaning": self._leaning,
        }
        write(path, saved, {**own, **self.graph.table.arrays(), **search.arrays()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its vectors memory-mapped."""
        saved, arrays = read(path, "knowledge")
        config = KnowledgeConfig.model_validate(saved.config)
        als = AlsSource(
            config.als,
            arrays["shopper"],
            ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"]),
            fitted_until_ms=saved.numbers["fitted_until_ms"],
        )
        table = NeighbourTable.of_arrays(arrays, n_targets=len(arrays["sides"]))
        graph = ItemGraph.load(path, table, config.graph)
        return cls(config, als, graph, arrays["sides"], arrays["leaning"], saved.measured)


class KnowledgeLearner:
    """Factorises, foretells the items' vectors from the graph, and folds shoppers in anew."""

    def __init__(self, config: KnowledgeConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> KnowledgeSource:
        """The source of these facts."""
        config = self.config
        wanted = confidence(facts, config.als)
        shopper, item = factorised(wanted, config.als, seed=int(rng.integers(2**31 - 1)))
        support = np.bincount(wanted.indices, minlength=wanted.shape[1]).astype(np.float64)
        graph = ItemGraph.of(facts.catalogue, facts.triples, len(support), config.graph)
        acted, vectors = support > 0, item.astype(np.float64)
        seen = shopper.astype(np.float64)
        weight, edges = relation_weights(graph, vectors, support, seen)
        graph = graph.weighed(weight)
        whole = incidence(graph)
        penalty = config.penalty or chosen_penalty(whole, vectors, wanted, seen, rng)
        sides = side_vectors(whole, vectors, acted, penalty)
        leaning = config.support / (config.support + support) if config.support else 1.0 - acted
        vectors = (vectors + leaning[:, None] * (whole @ sides)).astype(np.float32)
        told = np.flatnonzero(vectors.any(axis=1)).astype(np.int32)
        n_items = int(told.max(initial=-1)) + 1  # what comes behind is to be told of yet: a tail
        shopper = shoppers_of(wanted, vectors, config.als)
        acting = np.flatnonzero(np.diff(wanted.indptr))
        asked = shopper[rng.permutation(acting)[: config.als.vectors.measured_queries]]
        search = ItemSearch.build(vectors[:n_items], told, asked, config.als.vectors)
        als = AlsSource(config.als, shopper, search, fitted_until_ms=facts.now_ms)
        graph = graph.with_table(graph.table.head(n_items))
        measured = {**search.measured, "penalty": penalty, **_measured(graph, weight, edges)}
        return KnowledgeSource(
            config,
            als,
            graph,
            sides.astype(np.float32),
            leaning[:n_items].astype(np.float32),
            measured,
        )


def _measured(
    graph: ItemGraph, weight: NDArray[np.float64], edges: NDArray[np.int64]
) -> dict[str, float]:
    """What a snapshot tells of the graph: its size, and how far each relation is trusted."""
    told = {"sides": float(len(graph)), "edges": float(edges.sum())}
    commonest = np.argsort(-edges, kind="stable")[:30].tolist()
    return told | {f"weight {graph.relations[r]}": float(weight[r]) for r in commonest}
