"""Items like these: by their words, attributes and price, needing nobody's history.

Terms are weighted by rarity (TF-IDF), each block scaled to its weight, and the whole reduced by a
truncated SVD (Halko, Martinsson and Tropp 2011); the share of variance kept is in ``measured``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.gather import gather_like
from habitue.candidates.growing import Growing
from habitue.candidates.item_space import ItemSpace, SpaceConfig, fit_space
from habitue.candidates.layout import scratch, sealed
from habitue.candidates.neighbours import NeighbourTable
from habitue.candidates.products import dot_score, profile_vectors
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.vectors import nearest, nearest_of
from habitue.facts import Catalogue, Context

__all__ = ["ContentConfig", "ContentLearner", "ContentSource"]


class ContentConfig(BaseModel):
    """How items become vectors, and how a profile is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["content"] = "content"
    name: str = Field(
        default="content", min_length=1, description="its name in slates and features"
    )
    space: SpaceConfig = Field(default=SpaceConfig(), description="what makes items alike")
    neighbours: int = Field(default=50, ge=1, description="nearest items kept for each item")
    gather_factor: int = Field(
        default=3, ge=1, description="gathered neighbours compared exactly for each item asked for"
    )
    profile: ProfileConfig = Field(
        default=ProfileConfig(), description="how a request's profile is weighed"
    )


class ContentSource(PreparingSource):
    """Scores an item by its likeness to the profile: the weighted mean cosine to its items."""

    def __init__(
        self,
        config: ContentConfig,
        space: ItemSpace,
        vectors: NDArray[np.float32],
        table: NeighbourTable,
        measured: dict[str, float],
        *,
        tail: Growing | None = None,
    ) -> None:
        """``tail`` (n_tail, dim) are the vectors of items beyond the fitted ones."""
        self.config = config
        self.name = config.name
        self.space = space
        self.table = table
        self.measured = measured
        self.item_vectors = sealed(vectors, np.float32)  # (n_items, dim), unit length or 0
        self._tail = tail or Growing(np.empty((0, vectors.shape[1]), np.float32))
        self.tail_vectors: NDArray[np.float32] = self._tail.rows  # (n_tail, dim)
        self._weigher = Weigher(config.profile)

    def vector_of(self, items: pl.DataFrame) -> NDArray[np.float32]:
        """Vectors (n, dim) of items nobody has seen, from the columns of a catalogue's frame."""
        return self.space.vectors(items)

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on."""
        return len(self.item_vectors)

    def extend(self, catalogue_tail: Catalogue) -> ContentSource:
        """A source that also knows these items, whose rows lie beyond the fitted ones.

        Fitted rows stay as they are, and all that was fitted is shared. An item costs its words and
        one look at every fitted vector; the tail is copied where an item in it now reads otherwise.
        """
        frame = catalogue_tail.frame.filter(pl.col("item_row") >= self.n_fitted)
        if not frame.height:
            return self
        place = frame["item_row"].to_numpy().astype(np.int64) - self.n_fitted
        vectors = self.space.vectors(frame)
        new = place >= len(self._tail)
        return self._reread(place[~new], vectors[~new])._longer(place[new], vectors[new])

    def _longer(self, place: NDArray[np.int64], vectors: NDArray[np.float32]) -> ContentSource:
        """With vectors behind the tail; rows between them say nothing."""
        if not len(place):
            return self
        n_tail = len(self._tail)
        more = np.zeros((int(place.max()) + 1 - n_tail, vectors.shape[1]), np.float32)
        more[place - n_tail] = vectors
        near, likeness = nearest_of(more, self.item_vectors, self.config.neighbours)
        return self._with(self.table.with_more_tail(near, likeness), self._tail.append(more))

    def _reread(self, place: NDArray[np.int64], vectors: NDArray[np.float32]) -> ContentSource:
        """With other vectors in the tail, where they are others."""
        other = (self.tail_vectors[place] != vectors).any(axis=1)
        if not other.any():
            return self
        place, vectors = place[other], vectors[other]
        tail = self.tail_vectors.copy()
        tail[place] = vectors
        near, likeness = nearest_of(vectors, self.item_vectors, self.config.neighbours)
        return self._with(self.table.with_other_tail(place, near, likeness), Growing(tail))

    def _with(self, table: NeighbourTable, tail: Growing) -> ContentSource:
        return ContentSource(
            self.config, self.space, self.item_vectors, table, self.measured, tail=tail
        )

    def prepare(self, context: Context) -> _Likeness:
        """Each request's profile, and the mean of its items' vectors."""
        items, weights = self._weigher.weigh(context)
        query = np.empty((len(items), self.item_vectors.shape[1]), np.float32)
        profile_vectors(items, weights, self.item_vectors, self.tail_vectors, query)
        return _Likeness(self, items, weights, query)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``; the live tail is not part of it."""
        self.space.save(path)
        saved = Saved(source="content", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, {"vectors": self.item_vectors, **self.table.arrays()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped."""
        saved, arrays = read(path, "content")
        config = ContentConfig.model_validate(saved.config)
        table = NeighbourTable.of_arrays(arrays)
        space = ItemSpace.load(path, config.space)
        return cls(config, space, arrays["vectors"], table, saved.measured)


class _Likeness(Prepared):
    """The profiles of a batch, and where they lie."""

    __slots__ = ("_items", "_query", "_source", "_weights")

    def __init__(
        self,
        source: ContentSource,
        items: NDArray[np.int32],
        weights: NDArray[np.float32],
        query: NDArray[np.float32],
    ) -> None:
        self._source = source
        self._items = items  # (B, P)
        self._weights = weights  # (B, P)
        self._query = query  # (B, dim)

    def propose(self, n: int) -> Proposals:
        """The ``n`` items most like the profile; new items are all compared."""
        source = self._source
        row = np.empty((len(self._items), n), np.int32)
        score = np.empty(row.shape, np.float32)
        gather_like(
            self._items, self._weights, *source.table.columns(),
            *scratch.of(source.table.n_rows), self._query, source.item_vectors,
            source.tail_vectors, n * source.config.gather_factor, row, score,
        )  # fmt: skip
        return Proposals(row, score)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The likeness of any items to the profile."""
        source = self._source
        dot_score(self._query, source.item_vectors, source.tail_vectors, item_row, scores, place)


class ContentLearner:
    """Reads the catalogue; the log is not looked at."""

    def __init__(self, config: ContentConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> ContentSource:
        """The item space of this catalogue, and each item's nearest."""
        frame = facts.catalogue.frame
        space, vectors, variance_kept = fit_space(frame, self.config.space, rng)
        told = np.flatnonzero(vectors.any(axis=1)).astype(np.int32)
        n_items = int(told.max(initial=-1)) + 1  # what comes behind is to be told of yet: a tail
        vectors = vectors[:n_items]
        near, likeness, recall = nearest(vectors[told], self.config.neighbours, rng)
        item = np.repeat(told, near.shape[1])
        edge = near.ravel() >= 0
        table = NeighbourTable.of_edges(
            item[edge],
            told[near.ravel()[edge]],
            likeness.ravel()[edge],
            n_items=n_items,
        )
        measured = {
            "variance_kept": variance_kept,
            "neighbour_recall": recall,
            "items": float(len(told)),
            "terms": float(space.n_terms),
        }
        return ContentSource(self.config, space, vectors, table, measured)
