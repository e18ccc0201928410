"""Who wants what, learnt along the edges between shoppers and items.

Only items have vectors of their own; a shopper is what its items say. So whoever came later, or
has acted since, is placed by the same step over the graph as those who were known at training.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.behaviour.needed import need_torch
from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.graph_config import GraphConfig, LightGcnConfig
from habitue.candidates.graph_newcomers import Newcomers
from habitue.candidates.graph_step import shoppers_now
from habitue.candidates.item_tail import ItemTail
from habitue.candidates.layout import plain, sealed
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.search import ItemSearch, Sought
from habitue.candidates.vectors import units
from habitue.facts import Catalogue, Context

__all__ = ["GraphConfig", "GraphLearner", "GraphSource", "InductiveGraphSource"]


class GraphSource(PreparingSource):
    """Scores an item by its cosine with the shopper."""

    def __init__(
        self,
        config: GraphConfig,
        search: ItemSearch,
        read: NDArray[np.float32],
        carried: NDArray[np.float32],
        measured: dict[str, float],
        *,
        fitted_until_ms: int,
    ) -> None:
        """``read`` (n_items, dim) is what an action of weight 1 on an item adds to a shopper.

        ``carried`` (n_shoppers, dim) is what each shopper's actions had added up to at training.
        """
        self.config = config
        self.name = config.name
        self.search = search
        self.read_vectors = sealed(read, np.float32)
        self.carried = sealed(carried, np.float32)
        self.tail_vectors = sealed(np.empty((0, search.dim), np.float32), np.float32)
        """What actions on items beyond the fitted ones add: (n_tail, dim)."""
        self.fitted_until_ms = fitted_until_ms
        self.measured = measured
        self._weigher = Weigher(
            ProfileConfig(
                kind_weight=config.kind_weight,
                position_decay=config.position_decay,
                half_life_days=config.half_life_days,
                max_actions=config.max_recent,
                anchor_weight=max(config.anchor_weight, 1e-9),
                beside_anchor=1.0,
                reads="both" if config.anchor_weight > 0 else "profile",
            )
        )

    def vectors(self, context: Context) -> NDArray[np.float32]:
        """The unit vector (B, dim) of each request's shopper as of now; 0 where none is known."""
        out = np.empty((len(context), self.search.dim), np.float32)
        weigher = self._weigher
        shoppers_now(
            plain(context.recent_item, np.int32),
            plain(context.recent_kind, np.uint8),
            plain(context.recent_age_days, np.float32),
            plain(context.anchor_item, np.int32),
            plain(context.personal, np.bool_),
            plain(context.shopper_row, np.int32),
            plain(context.now_ms, np.int64),
            weigher.kind_weight,
            self.config.position_decay,
            weigher.half_life_days,
            weigher.anchor_weight,
            self.config.max_recent,
            self.carried,
            self.fitted_until_ms,
            self.read_vectors,
            self.tail_vectors,
            out,
        )
        return out

    def prepare(self, context: Context) -> Sought:
        """The vectors of the requests' shoppers."""
        return Sought(self.search, self.vectors(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        self.search.save(path)
        saved = Saved(
            source="graph",
            config=self.config.model_dump(),
            numbers={"fitted_until_ms": self.fitted_until_ms, **self.search.numbers()},
            measured=self.measured,
        )
        arrays = {"read": self.read_vectors, "carried": self.carried, **self._more_arrays(path)}
        write(path, saved, {**arrays, **self.search.arrays()})

    def _more_arrays(self, path: Path) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        """What else is written down."""
        return {}

    @classmethod
    def load(cls, path: Path) -> GraphSource:
        """The model written there, its vectors memory-mapped."""
        saved, arrays = read(path, "graph")
        config = GraphConfig.model_validate(saved.config)
        source = GraphSource(
            config,
            ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"]),
            arrays["read"],
            arrays["carried"],
            saved.measured,
            fitted_until_ms=saved.numbers["fitted_until_ms"],
        )
        network = config.network
        if isinstance(network, LightGcnConfig) or "told" not in arrays:
            return source
        newcomers = Newcomers.load(path, network.space, arrays, network.neighbours)
        return InductiveGraphSource.over(source, newcomers)


class InductiveGraphSource(GraphSource):
    """One that also reads items that came after the training, by what is told of them."""

    newcomers: Newcomers
    _tail: ItemTail

    @classmethod
    def over(cls, source: GraphSource, newcomers: Newcomers) -> Self:
        """The ``source``, with what makes vectors of new items."""
        found = cls(
            source.config, source.search, source.read_vectors, source.carried, source.measured,
            fitted_until_ms=source.fitted_until_ms,
        )  # fmt: skip
        found.newcomers = newcomers
        found._tail = ItemTail.none(source.search.dim)
        return found

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on."""
        return len(self.read_vectors)

    def vector_of(self, items: pl.DataFrame) -> NDArray[np.float32]:
        """Vectors (n, dim) of items nobody has acted on, from the columns of a catalogue."""
        return self.newcomers.vectors(items)

    def extend(self, catalogue_tail: Catalogue) -> Self:
        """A source that also knows these items, whose rows lie beyond the fitted ones.

        An item costs its words, one look at what is told of every item acted on, and the layers;
        the tail is copied where an item in it now reads otherwise.
        """
        tail = self._tail.with_items(catalogue_tail, self.n_fitted, self.vector_of)
        if tail is self._tail:
            return self
        longer = copy(self)
        longer._tail, longer.tail_vectors = tail, tail.read.rows
        longer.search = self.search.with_tail(tail.unit.rows)
        return longer

    def _more_arrays(self, path: Path) -> dict[str, NDArray[Any]]:
        return self.newcomers.save(path)


class GraphLearner:
    """Learns the vectors on the graph of all actions; the extra ``deep`` brings what it needs."""

    def __init__(self, config: GraphConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> GraphSource:
        """The source of these facts. Raises ``MissingPiece`` where PyTorch is not installed."""
        need_torch("a graph model")
        from habitue.candidates.graph_learning import learn

        learnt = learn(facts, self.config, rng)
        row = np.flatnonzero(learnt.item.any(axis=1)).astype(np.int32)
        search = ItemSearch.build(units(learnt.item), row, units(learnt.asked), self.config.vectors)
        measured = {**learnt.measured, **search.measured}
        source = GraphSource(
            self.config, search, learnt.read, learnt.carried, measured, fitted_until_ms=facts.now_ms
        )
        if learnt.newcomers is None:
            return source
        return InductiveGraphSource.over(source, learnt.newcomers)
