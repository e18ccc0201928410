"""What a shopper wants next, by two networks: one reads the shopper, one the items.

The tower of shoppers (``two_tower_step``) reads what they did up to a moment ago: means of the
items they acted on, weighted by place, kind and age, and what their ratings say. The tower of items
adds what was learnt of an item itself to what is told of it, so an item that came after training
has a vector, too. Both meet in a cosine, so the nearest items are searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.behaviour.going_on import Earlier, OtherNetworkError
from habitue.behaviour.needed import need_torch
from habitue.behaviour.pasts import foretold
from habitue.behaviour.requests import Read, RequestReader
from habitue.behaviour.streams import streams_of
from habitue.candidates.contract import Prepared, PreparingSource, Source, TrainingFacts
from habitue.candidates.factor_fitting import RatingTable
from habitue.candidates.item_space import ItemSpace, told_of
from habitue.candidates.item_tail import ItemTail
from habitue.candidates.layout import plain, sealed
from habitue.candidates.profile import codes_of
from habitue.candidates.rated import raters
from habitue.candidates.saved import Saved, read, read_weights, write, write_weights
from habitue.candidates.search import ItemSearch, Sought, Without
from habitue.candidates.two_tower_config import TwoTowerConfig
from habitue.candidates.two_tower_step import Ratings, ShopperTower, liked, ratings_before
from habitue.candidates.vectors import units
from habitue.facts import ActionLog, Catalogue, Context

__all__ = ["TwoTowerConfig", "TwoTowerLearner", "TwoTowerSource"]

_TOWER = "tower_"
_RATED = "rated_"
_ASKED = 256  # queries that recall is measured with


class TwoTowerSource(PreparingSource):
    """Scores an item by its cosine with what the shopper wants next, over the temperature."""

    def __init__(
        self,
        config: TwoTowerConfig,
        tower: ShopperTower,
        search: ItemSearch,
        read: NDArray[np.float32],
        told: NDArray[np.float32],
        space: ItemSpace | None,
        ratings: Ratings | None,
        measured: dict[str, float],
        *,
        weights: Mapping[str, NDArray[Any]] | None = None,
        until_ms: int = 0,
        tail: ItemTail | None = None,
    ) -> None:
        """``read`` (n_items, dim) are the vectors items are read by; unit ones are searched.

        ``told`` (c, dim) makes such a vector of what is told of an item, in the ``space``.
        ``ratings`` are those it was fitted on. ``weights`` are what a later training goes on from,
        to which all from ``until_ms`` on is new.
        """
        self.config = config
        self.name = config.name
        self.tower = tower
        self.search = search
        self.read_vectors = sealed(read, np.float32)
        self.told = sealed(told, np.float32)
        self.space = space
        self.ratings = ratings
        self.measured = measured
        self.weights = {} if weights is None else weights
        self.until_ms = until_ms
        self._tail = ItemTail.none(search.dim) if tail is None else tail
        self._tail_vectors = sealed(self._tail.read.rows, np.float32)
        self._reader = RequestReader(codes_of(config.kinds), config.length)

    def queries(self, context: Context) -> NDArray[np.float32]:
        """What each request's shopper wants next: (B, dim), 0 where nothing known was done."""
        return self._asked(context, self._reader.read(context))

    def _asked(self, context: Context, tokens: Read) -> NDArray[np.float32]:
        return self.tower.queries(
            tokens, self.read_vectors, self._tail_vectors, self._liked(context)
        )

    def vectors(self, context: Context) -> NDArray[np.float32]:
        """The unit vector (B, dim) of each request's shopper as of now; 0 where none is known."""
        return units(self.queries(context))

    def _liked(self, context: Context) -> NDArray[np.float32] | None:
        """What the requests' ratings say: (B, dim); none where none were learnt from."""
        if self.ratings is None:
            return None
        shopper, rated = raters(context)
        said = (rated.rating - self.measured["rating_mean"]) / self.measured["rating_scale"]
        found = ratings_before(
            shopper,
            plain(context.now_ms, np.int64),
            plain(rated.indptr, np.int64),
            plain(rated.item, np.int32),
            plain(said, np.float32),
            self.ratings,
        )
        out = np.zeros((len(context), self.search.dim), np.float32)
        liked(*found, self.read_vectors, self._tail_vectors, out)
        return out

    def vector_of(self, items: pl.DataFrame) -> NDArray[np.float32]:
        """Vectors (n, dim) of items nobody has acted on, from the columns of a catalogue."""
        if self.space is None:
            return np.zeros((items.height, self.search.dim), np.float32)
        return np.asarray(self.space.vectors(items) @ self.told, np.float32)

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on."""
        return len(self.read_vectors)

    def extend(self, catalogue_tail: Catalogue) -> TwoTowerSource:
        """A source that also knows these items, whose rows lie beyond the fitted ones.

        An item costs its words; the tail is copied where an item in it now reads otherwise.
        """
        tail = self._tail.with_items(catalogue_tail, self.n_fitted, self.vector_of)
        if tail is self._tail:
            return self
        return TwoTowerSource(
            self.config, self.tower, self.search.with_tail(tail.unit.rows), self.read_vectors,
            self.told, self.space, self.ratings, self.measured,
            weights=self.weights, until_ms=self.until_ms, tail=tail,
        )  # fmt: skip

    def prepare(self, context: Context) -> Prepared:
        """What the shopper of each request wants next."""
        tokens = self._reader.read(context)
        sought = Sought(self.search, self._asked(context, tokens))
        if not self.measured.get("own_past_left_out"):
            return sought
        return Without(sought, tokens.had)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``; the live tail is not part of it."""
        self.search.save(path)
        if self.space is not None:
            self.space.save(path / "space")
        write_weights(path, self.weights)
        saved = Saved(
            source="two_tower",
            config=self.config.model_dump(mode="json"),
            numbers={
                **self.search.numbers(),
                "content": int(self.space is not None),
                "ratings": int(self.ratings is not None),
                "until_ms": self.until_ms,
            },
            measured=self.measured,
        )
        arrays = {**self.search.arrays(), "read": self.read_vectors, "told": self.told}
        arrays |= {f"{_TOWER}{name}": one for name, one in self.tower.weights.items()}
        if self.ratings is not None:
            arrays |= {f"{_RATED}{name}": one for name, one in self.ratings._asdict().items()}
        write(path, saved, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its vectors memory-mapped."""
        saved, arrays = read(path, "two_tower")
        config = TwoTowerConfig.model_validate(saved.config)
        search = ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"])
        space = ItemSpace.load(path / "space", config.space) if saved.numbers["content"] else None
        ratings = None
        if saved.numbers["ratings"]:
            ratings = _sealed(*(arrays[f"{_RATED}{name}"] for name in Ratings._fields))
        weights = {n.removeprefix(_TOWER): one for n, one in arrays.items() if n.startswith(_TOWER)}
        return cls(
            config, ShopperTower(weights, config.temperature), search, arrays["read"],
            arrays["told"], space, ratings, saved.measured, weights=read_weights(path),
            until_ms=saved.numbers["until_ms"],
        )  # fmt: skip


class TwoTowerLearner:
    """Teaches both towers; the extra ``deep`` brings what it needs."""

    def __init__(self, config: TwoTowerConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> TwoTowerSource:
        """The source of these facts. Raises ``MissingPiece`` where PyTorch is not installed."""
        return self._learnt(facts, rng, None)

    def go_on(
        self, source: Source, facts: TrainingFacts, rng: np.random.Generator
    ) -> TwoTowerSource:
        """As ``fit``, beginning from a ``source`` of earlier facts, with fewer passes.

        Begins anew where that one is of another kind. What is told of items is read as it was.
        """
        if not isinstance(source, TwoTowerSource) or source.config != self.config:
            return self.fit(facts, rng)
        try:
            return self._learnt(facts, rng, source if source.weights else None)
        except OtherNetworkError:
            return self.fit(facts, rng)

    def went_on(self, source: Source) -> bool:
        """Whether a source it learnt began where another had ended."""
        return isinstance(source, TwoTowerSource) and bool(source.measured.get("went_on"))

    def _learnt(
        self, facts: TrainingFacts, rng: np.random.Generator, source: TwoTowerSource | None
    ) -> TwoTowerSource:
        need_torch("two towers")
        from habitue.behaviour.learning import repeats, with_held_out
        from habitue.candidates.two_tower_fitting import Lessons, fit

        config, earlier = self.config, None
        if source is not None:
            earlier = Earlier(source.read_vectors, source.weights, source.until_ms)
        n_items = max(facts.log.n_items, len(facts.catalogue))
        streams = replace(streams_of(facts.log, codes_of(config.kinds)), n_items=n_items)
        learnt_from, judged = with_held_out(streams, config.schedule.validation_share, rng)
        if not len(foretold(learnt_from)):
            return self._silent(n_items)
        space, content = None, None
        if config.content:
            known = None if source is None else source.space
            space, content = told_of(facts.catalogue, n_items, config.space, rng, known)
        ratings, scale = _ratings(facts.log) if config.sentiment else (None, {})
        left_out = config.own_past == "left out" or (
            config.own_past == "auto" and not repeats(judged)
        )
        lessons = Lessons(learnt_from, content, ratings, judged, left_out, earlier)
        fitted = fit(lessons, config if earlier is None else config.going_on(), rng)
        row = np.flatnonzero(fitted.read.any(axis=1)).astype(np.int32)
        asked = fitted.queries[: max(_ASKED, config.vectors.measured_queries)]
        search = ItemSearch.build(units(fitted.read), row, asked, config.vectors)
        measured = {
            "went_on": float(earlier is not None), "own_past_left_out": float(left_out),
            **scale, **fitted.measured, **search.measured,
        }  # fmt: skip
        return TwoTowerSource(
            config, ShopperTower(fitted.tower, config.temperature), search, fitted.read,
            fitted.told, space, ratings, measured, weights=fitted.weights, until_ms=facts.now_ms,
        )  # fmt: skip

    def _silent(self, n_items: int) -> TwoTowerSource:
        """The source of a shop where nobody did anything after something else."""
        config = self.config
        vectors, none = np.zeros((n_items, config.dim), np.float32), np.empty(0, np.int32)
        search = ItemSearch.build(vectors, none, vectors[:0], config.vectors)
        tower = ShopperTower.silent(config.dim, config.pools, config.temperature)
        told = np.empty((0, config.dim), np.float32)
        return TwoTowerSource(config, tower, search, vectors, told, None, None, search.measured)


def _ratings(log: ActionLog) -> tuple[Ratings | None, dict[str, float]]:
    """A log's ratings in standard units, and what these are; none where they say nothing."""
    table = RatingTable.of(log, np.full(256, np.nan, np.float32))
    scale = float(table.rating.std()) if len(table) else 0.0
    if not scale:
        return None, {}
    mean = float(table.rating.mean())
    ratings = _sealed(
        np.searchsorted(table.shopper_row, np.arange(log.n_shoppers + 1)), table.item_row,
        (table.rating - mean) / scale, table.at_ms,
    )  # fmt: skip
    return ratings, {"rating_mean": mean, "rating_scale": scale}


def _sealed(
    indptr: NDArray[Any], item: NDArray[Any], value: NDArray[Any], at_ms: NDArray[Any]
) -> Ratings:
    return Ratings(
        sealed(indptr, np.int64), sealed(item, np.int32), sealed(value, np.float32),
        sealed(at_ms, np.int64),
    )  # fmt: skip
