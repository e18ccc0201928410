"""Who wants what, learnt along the edges between shoppers and items.

Only items have vectors of their own; a shopper is what its items say. So whoever came later, or
has acted since, is placed by the same step over the graph as those who were known at training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.graph_config import GraphConfig, LightGcnConfig
from habitue.candidates.graph_newcomers import Newcomers
from habitue.candidates.graph_step import shoppers_now
from habitue.candidates.growing import Growing
from habitue.candidates.layout import plain, sealed
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.search import ItemSearch, Sought
from habitue.candidates.vectors import units
from habitue.errors import MissingPiece
from habitue.facts import Catalogue, Context

__all__ = ["GraphConfig", "GraphLearner", "GraphSource"]


class GraphSource(PreparingSource):
    """Scores an item by its cosine with the shopper."""

    def __init__(
        self,
        config: GraphConfig,
        search: ItemSearch,
        read: NDArray[np.float32],
        carried: NDArray[np.float32],
        newcomers: Newcomers | None,
        measured: dict[str, float],
        *,
        fitted_until_ms: int,
        tail: Growing | None = None,
        unit_tail: Growing | None = None,
    ) -> None:
        """``read`` (n_items, dim) is what an action of weight 1 on an item adds to a shopper.

        ``carried`` (n_shoppers, dim) is what each shopper's actions had added up to at training.
        ``newcomers`` makes vectors of items beyond the fitted ones, ``tail`` (n_tail, dim), those
        of unit length in ``unit_tail``; without it there are none.
        """
        self.config = config
        self.name = config.name
        self.search = search
        self.read_vectors = sealed(read, np.float32)
        self.carried = sealed(carried, np.float32)
        self.newcomers = newcomers
        self.fitted_until_ms = fitted_until_ms
        self.measured = measured
        none = Growing(np.empty((0, read.shape[1]), np.float32))
        self._tail = none if tail is None else tail
        self._unit_tail = none if unit_tail is None else unit_tail
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

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on."""
        return len(self.read_vectors)

    def vector_of(self, items: pl.DataFrame) -> NDArray[np.float32]:
        """Vectors (n, dim) of items nobody has acted on, from the columns of a catalogue."""
        if self.newcomers is None:
            return np.zeros((items.height, self.search.dim), np.float32)
        return self.newcomers.vectors(items)

    def extend(self, catalogue_tail: Catalogue) -> GraphSource:
        """A source that also knows these items, whose rows lie beyond the fitted ones.

        An item costs its words, one look at what is told of every item acted on, and the layers.
        LightGCN knows nothing of them: that source stays as it is.
        """
        frame = catalogue_tail.frame.filter(pl.col("item_row") >= self.n_fitted)
        if self.newcomers is None or not frame.height:
            return self
        place = frame["item_row"].to_numpy().astype(np.int64) - self.n_fitted
        vectors = self.vector_of(frame)
        tail = self._tail.with_rows(place, vectors)
        if tail is self._tail:
            return self
        unit_tail = self._unit_tail.with_rows(place, units(vectors))
        return GraphSource(
            self.config, self.search.with_tail(unit_tail.rows), self.read_vectors, self.carried,
            self.newcomers, self.measured, fitted_until_ms=self.fitted_until_ms, tail=tail,
            unit_tail=unit_tail,
        )  # fmt: skip

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
            self._tail.rows,
            out,
        )
        return out

    def prepare(self, context: Context) -> Sought:
        """The vectors of the requests' shoppers."""
        return Sought(self.search, self.vectors(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``; the live tail is not part of it."""
        self.search.save(path)
        new = {} if self.newcomers is None else self.newcomers.save(path)
        saved = Saved(
            source="graph",
            config=self.config.model_dump(),
            numbers={"fitted_until_ms": self.fitted_until_ms, **self.search.numbers()},
            measured=self.measured,
        )
        write(
            path,
            saved,
            {"read": self.read_vectors, "carried": self.carried, **new, **self.search.arrays()},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its vectors memory-mapped."""
        saved, arrays = read(path, "graph")
        config = GraphConfig.model_validate(saved.config)
        newcomers = None
        if not isinstance(config.network, LightGcnConfig) and "content" in arrays:
            network = config.network
            newcomers = Newcomers.load(path, network.space, arrays, network.neighbours)
        return cls(
            config,
            ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"]),
            arrays["read"],
            arrays["carried"],
            newcomers,
            saved.measured,
            fitted_until_ms=saved.numbers["fitted_until_ms"],
        )


class GraphLearner:
    """Learns the vectors on the graph of all actions; the extra ``deep`` brings what it needs."""

    def __init__(self, config: GraphConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> GraphSource:
        """The source of these facts. Raises ``MissingPiece`` where PyTorch is not installed."""
        from habitue.candidates.graph_learning import learn

        try:
            import torch  # noqa: F401
        except ImportError:
            raise MissingPiece(
                "Training a graph model needs PyTorch, which is not installed.",
                remedy="Install it with pip install 'habitue[deep]', or leave the source out of "
                "training.sources.",
            ) from None
        learnt = learn(facts, self.config, rng)
        row = np.flatnonzero(learnt.item.any(axis=1)).astype(np.int32)
        search = ItemSearch.build(units(learnt.item), row, units(learnt.asked), self.config.vectors)
        return GraphSource(
            self.config, search, learnt.read, learnt.carried, learnt.newcomers,
            {**learnt.measured, **search.measured}, fitted_until_ms=facts.now_ms,
        )  # fmt: skip
