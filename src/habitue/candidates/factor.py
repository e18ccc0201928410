"""What a shopper would give an item: the rating foretold, how sure that is, and what it rests on.

Ratings are factorised on what was observed alone, R = X Y' with the mean and the biases of both
sides (Koren, Bell and Volinsky, Matrix Factorization Techniques for Recommender Systems, 2009).
Only items are kept: a shopper is read from their ratings at each request (``factor_step``), so a
rating given a moment ago counts, and each rating's part in what is foretold can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import lapack

from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.factor_fitting import Fitted, Plan, RatingTable, fit_als, fit_sgd
from habitue.candidates.factor_step import (
    Numbers,
    Tables,
    foretell_pairs,
    read_all,
    read_ratings,
    score_rows,
    shares,
    top_rows,
    weigh_ratings,
)
from habitue.candidates.layout import plain, sealed
from habitue.candidates.rated import raters
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.sides import Sides
from habitue.facts import NO_ROW, Context, code_of
from habitue.facts.kind_names import KindName

__all__ = ["FactorConfig", "FactorLearner", "FactorSource", "Foretold"]

_LEAST_HELD = 30  # ratings held out from which intervals are read; with fewer they are the normal's
_GRID = 200  # parts the held-out errors are kept in
_MINUTES = 1440.0


class FactorConfig(BaseModel):
    """How ratings are factorised, and how a shopper is read from theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["factor"] = "factor"
    name: str = Field(default="factor", min_length=1, description="its name in slates and features")
    method: Literal["svdpp", "als", "sgd"] = Field(
        default="svdpp",
        description="in turn (als), with what was rated at all as a sign too (svdpp), or by steps",
    )
    loss: Literal["anchored", "squared"] = Field(
        default="anchored",
        description="squared error alone, or factors also pulled towards what encoders say",
    )
    factors: int = Field(default=10, ge=0, le=256, description="length of a vector, without biases")
    rounds: int = Field(
        default=10, ge=1, description="times shoppers and items are solved; sgd: two passes each"
    )
    implicit_pull: float = Field(
        default=1.0, gt=0, description="svdpp: penalty on what having rated an item says"
    )
    item_pull: float = Field(
        default=5.0, gt=0, description="anchored: penalty on the encoder of items, by their sides"
    )
    shopper_pull: float = Field(
        default=10.0, gt=0, description="anchored: penalty on the encoder of shoppers' portraits"
    )
    learning_rate: float = Field(default=0.01, gt=0, description="sgd: a step of the gradient")
    regularisation: float = Field(default=0.12, ge=0, description="sgd: penalty on the factors")
    taste: float = Field(
        default=0.1,
        ge=0,
        description="variance of the taste for sides, in those of a rating's noise",
    )
    mood: float = Field(
        default=0.28, ge=0, description="variance of a passing mood, in those of a rating's noise"
    )
    mood_minutes: float = Field(default=10.0, gt=0, description="how long a mood lasts")
    side_items: int = Field(default=2, ge=1, description="items a side must be shared by")
    side_marks: int = Field(default=10, ge=2, description="marks on the scale of a number")
    most_rated: int = Field(default=500, ge=1, description="latest ratings a shopper is read from")
    kind_rating: dict[KindName, float] = Field(
        default={}, description="what an action of this kind counts as where it bears no rating"
    )
    held: float = Field(
        default=0.1, ge=0, lt=0.5, description="share of ratings held out to know how far off it is"
    )


@dataclass(frozen=True, slots=True)
class Foretold:
    """What one shopper would give m items, of n items rated; all on the shop's scale.

    ``rating`` is the sum of ``usual``, ``shopper``, ``mood``, ``taste`` and all of ``by_side``,
    kept within the scale.
    """

    rating: NDArray[np.float64]  # (m,)
    spread: NDArray[np.float64]  # (m,) standard deviation of a rating around it
    usual: NDArray[np.float64]  # (m,) what everybody gives the item
    shopper: float  # by how much the shopper gives more than others
    mood: float  # and by how much more than that just now
    taste: NDArray[np.float64]  # (m,) what factors add that no side has a name for
    sides: sp.csr_matrix  # (m, n_sides) the items' own
    by_side: sp.csr_matrix  # (m, n_sides) what each side of the item adds
    moved: NDArray[np.float64]  # (m, n) by how much each rating moves the item's taste and sides
    says: NDArray[np.float64]  # (n, n_sides) and the liking for each side, of unit length
    rated_item: NDArray[np.int32]  # (n,) the latest first
    rated: NDArray[np.float64]  # (n,)
    rated_age_days: NDArray[np.float64]  # (n,)


class FactorSource(PreparingSource):
    """Scores an item by the rating foretold; who has no ratings is foretold what is usual."""

    def __init__(
        self,
        config: FactorConfig,
        fitted: Fitted,
        sides: Sides,
        table: RatingTable,
        n_shoppers: int,
        known: NDArray[np.bool_],
        bounds: tuple[float, float],
        errors: NDArray[np.float64],
        measured: dict[str, float],
    ) -> None:
        """``table`` is what it was fitted on; ``known`` (n_items,) are the items it speaks of.

        ``errors`` are quantiles, evenly apart, of how far held-out ratings lay off, in spreads.
        """
        self.config = config
        self.name = config.name
        self.sides = sides
        self.bounds = bounds
        self.errors = errors
        self.measured = measured
        self.known = sealed(known, np.bool_)
        self._fitted = fitted
        encoder = fitted.encoder[1:, :-1]  # but for the constant, and for what all give an item
        no_encoder = np.zeros((len(sides.term), fitted.item.shape[1] - 1))
        self._encoder = np.asarray(encoder) if len(encoder) else no_encoder
        starts = np.searchsorted(table.shopper_row, np.arange(n_shoppers + 1))
        self.tables = Tables(
            sealed(fitted.item, np.float32),
            sealed(fitted.item_variance, np.float32),
            sealed(fitted.said, np.float32),
            sealed(sides.matrix.indptr, np.int64),
            sealed(sides.matrix.indices, np.int32),
            sealed(sides.matrix.data, np.float32),
            sealed(starts, np.int64),
            sealed(table.item_row, np.int32),
            sealed(table.rating, np.float32),
            sealed(table.at_ms, np.int64),
            1.0 / fitted.shopper_precision,
            _mean_square(fitted, self.known),
        )
        self.numbers = Numbers(
            fitted.mean,
            fitted.scale,
            fitted.noise,
            fitted.noise * config.mood,
            config.mood_minutes / _MINUTES,
            fitted.noise * config.taste,
            config.most_rated,
        )

    @property
    def n_items(self) -> int:
        """Items it was fitted on."""
        return len(self.known)

    def prepare(self, context: Context) -> _Shoppers:
        """The requests' shoppers, each read from their ratings."""
        shopper, rated = raters(context)
        factor = np.empty((len(context), self.tables.item.shape[1]))
        taste = np.empty((len(context), len(self.sides.term)))
        read_all(
            shopper,
            plain(context.now_ms, np.int64),
            plain(rated.indptr, np.int64),
            plain(rated.item, np.int32),
            plain(rated.rating, np.float32),
            plain(rated.age_days, np.float32),
            self.tables,
            self.numbers,
            factor,
            taste,
        )
        return _Shoppers(self, factor, taste)

    def foretell(self, context: Context, item_row: NDArray[np.int32]) -> Foretold:
        """What the shopper of a single request would give the items (m,), and what that rests on.

        Items it does not know are foretold what is usual for the shopper.
        """
        shopper, rated = raters(context)
        tables, numbers = self.tables, self.numbers
        there = (item_row >= 0) & (item_row < self.n_items)
        there[there] = self.known[item_row[there]]
        wanted = np.where(there, item_row, NO_ROW).astype(np.int32)
        seen = np.full(len(tables.item), -1, np.int64)
        row, value, age = read_ratings(
            shopper.item(0), int(context.now_ms[0]), tables, numbers, plain(rated.item, np.int32),
            plain(rated.rating, np.float32), plain(rated.age_days, np.float32), seen, 0,
        )  # fmt: skip
        n_sides, m = len(self.sides.term), len(wanted)
        factor, taste, weight = (
            np.empty(tables.item.shape[1]),
            np.empty(n_sides),
            np.empty(len(row)),
        )
        _, together = weigh_ratings(row, value, age, tables, numbers, factor, taste, weight)
        alike, mood, told, variance = np.empty((m, len(row))), np.empty(m), np.empty(m), np.empty(m)
        shares(
            wanted, np.zeros(m), row, age, weight, together, factor, taste, tables, numbers,
            np.zeros(n_sides), alike, mood, told, variance,
        )  # fmt: skip
        scale, liking = numbers.scale, taste + self._encoder @ factor[:-1]
        item = np.where(there[:, None], tables.item[wanted], 0.0).astype(np.float64)
        sides = self._sides_of(wanted)
        by_side = sides.multiply(scale * liking).tocsr()
        by_factors = scale * (item[:, :-1] @ factor[:-1])
        named = scale * (sides @ (self._encoder @ factor[:-1]))
        moved, says = self._without_each(row, weight, together, alike)
        return Foretold(
            np.clip(numbers.mean + scale * told, *self.bounds),
            scale * np.sqrt(variance),
            numbers.mean + scale * item[:, -1],
            float(scale * factor[-1]),
            float(scale * mood[0]) if m else 0.0,
            by_factors - named,
            sides,
            by_side,
            moved,
            says,
            row,
            numbers.mean + scale * value,
            age,
        )

    def _sides_of(self, row: NDArray[np.int32]) -> sp.csr_matrix:
        """The sides of known items, and none of what nobody knows."""
        there = sp.diags((row >= 0).astype(np.float32))
        return (there @ self.sides.matrix[np.maximum(row, 0)]).tocsr()

    def _without_each(
        self,
        row: NDArray[np.int32],
        weight: NDArray[np.float64],
        together: NDArray[np.float64],
        alike: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What would be lost without each rating (n,): of each item, of the liking for each side.

        Without rating j the weights of the others change by column j of the inverse, times what j
        lay off by all the others: ``weight_j / inverse_jj``.
        """
        scale = self.numbers.scale
        inverse = lapack.dpotri(together, lower=1)[0] if len(row) else together
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        off = inverse * (weight / inverse.diagonal())
        moved = scale * (alike @ off)
        prior, item = self.tables.prior[:-1], self.tables.item[row, :-1].astype(np.float64)
        sides = self.sides.matrix[row]
        says = off.T @ np.asarray(sides.todense(), np.float64) * self.numbers.taste
        says += (off.T @ (item * prior)) @ self._encoder.T
        return moved, scale * says

    def interval(self, foretold: Foretold, level: float) -> tuple[NDArray[np.float64], ...]:
        """Between which ratings a share ``level`` of those held out lay, around each foretold."""
        ends = np.quantile(self.errors, [(1 - level) / 2, (1 + level) / 2])
        low, high = (foretold.rating + end * foretold.spread for end in ends)
        return np.clip(low, *self.bounds), np.clip(high, *self.bounds)

    def pairs(
        self,
        shopper_row: NDArray[np.int32],
        item_row: NDArray[np.int32],
        at_ms: NDArray[np.int64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ratings foretold (N,) and their spreads, of known items, each as of its own moment.

        Shoppers are read from what the model was fitted on.
        """
        order = np.argsort(shopper_row, kind="stable")
        told, variance = np.empty(len(order)), np.empty(len(order))
        foretell_pairs(
            plain(shopper_row[order], np.int32), plain(item_row[order], np.int32),
            plain(at_ms[order], np.int64), self.tables, self.numbers, len(self.sides.term), told,
            variance,
        )  # fmt: skip
        rating, spread = np.empty(len(order)), np.empty(len(order))
        rating[order] = np.clip(self.numbers.mean + self.numbers.scale * told, *self.bounds)
        spread[order] = self.numbers.scale * np.sqrt(variance)
        return rating, spread

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        fitted, tables = self._fitted, self.tables
        measured = {
            **self.measured, "mean": fitted.mean, "scale": fitted.scale, "noise": fitted.noise,
            "low": self.bounds[0], "high": self.bounds[1],
        }  # fmt: skip
        saved = Saved(source="factor", config=self.config.model_dump(), measured=measured)
        arrays: dict[str, NDArray[Any]] = {
            "item": tables.item,
            "item_variance": tables.variance,
            "said": tables.said,
            "shopper_precision": fitted.shopper_precision,
            "encoder": fitted.encoder,
            "rated_indptr": tables.rated_indptr,
            "rated_item": tables.rated_item,
            "rated_value": tables.rated_value,
            "rated_at_ms": tables.rated_at_ms,
            "known": self.known,
            "errors": self.errors,
            **self.sides.arrays(),
        }
        write(path, saved, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its arrays memory-mapped."""
        saved, arrays = read(path, "factor")
        measured = saved.measured
        mean, scale, noise, low, high = (
            measured.pop(name) for name in ("mean", "scale", "noise", "low", "high")
        )
        indptr = arrays["rated_indptr"]
        shopper = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
        fitted = Fitted(
            mean, scale, arrays["item"], arrays["item_variance"], arrays["said"],
            np.asarray(arrays["shopper_precision"]), noise, np.asarray(arrays["encoder"]),
        )  # fmt: skip
        return cls(
            FactorConfig.model_validate(saved.config),
            fitted,
            Sides.of_arrays(arrays, len(arrays["known"])),
            RatingTable(
                shopper, arrays["rated_item"], arrays["rated_value"], arrays["rated_at_ms"]
            ),
            len(indptr) - 1,
            arrays["known"],
            (low, high),
            np.asarray(arrays["errors"]),
            measured,
        )


class _Shoppers(Prepared):
    """The shoppers of a batch, as their ratings make them."""

    __slots__ = ("_factor", "_source", "_taste")

    def __init__(
        self, source: FactorSource, factor: NDArray[np.float64], taste: NDArray[np.float64]
    ) -> None:
        self._source = source
        self._factor = factor
        self._taste = taste

    def propose(self, n: int) -> Proposals:
        """The ``n`` items with the highest rating foretold, where that is above 0."""
        source, n_requests = self._source, len(self._factor)
        row, score = np.empty((n_requests, n), np.int32), np.empty((n_requests, n), np.float32)
        top_rows(self._factor, self._taste, source.tables, source.numbers, source.known, row, score)
        return Proposals(row, score)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The rating foretold of any items; 0: unknown."""
        source = self._source
        score_rows(
            self._factor, self._taste, source.tables, source.numbers, source.known, item_row,
            scores, place,
        )  # fmt: skip


class FactorLearner:
    """Factorises the ratings of a log, on one thread: the same rng gives the same model."""

    def __init__(self, config: FactorConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> FactorSource:
        """The factors of these ratings; without a rating the source says nothing."""
        config = self.config
        counts_as = np.full(256, np.nan, np.float32)
        for name, value in config.kind_rating.items():
            counts_as[int(code_of(name))] = value
        table = RatingTable.of(facts.log, counts_as)
        n_items = max(facts.log.n_items, len(facts.catalogue))
        sides = Sides.of(
            facts.catalogue, n_items, min_items=config.side_items, marks=config.side_marks
        )
        held = rng.random(len(table)) < config.held
        judge = self._fit(table.take(~held), sides, (facts.log.n_shoppers, n_items), rng)
        told = table.take(held & judge.known[table.item_row])
        if len(told) < _LEAST_HELD:
            return self._fit(table, sides, (facts.log.n_shoppers, n_items), rng)
        rating, spread = judge.pairs(told.shopper_row, told.item_row, told.at_ms)
        errors = (told.rating - rating) / spread
        whole = self._fit(table, sides, (facts.log.n_shoppers, n_items), rng)
        whole.errors = np.quantile(errors, np.linspace(0, 1, _GRID + 1))
        whole.measured |= {
            "rmse": float(np.sqrt(np.mean((told.rating - rating) ** 2))),
            "held_out": float(len(told)),
        }
        return whole

    def _fit(
        self,
        table: RatingTable,
        sides: Sides,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> FactorSource:
        config = self.config
        anchored = config.loss == "anchored"
        constant = sp.csr_matrix(np.ones((size[1], 1)))
        plan = Plan(
            factors=config.factors,
            rounds=config.rounds,
            implicit_pull=config.implicit_pull if config.method == "svdpp" else 0.0,
            item_encoder=sp.hstack([constant, sides.matrix]).tocsr() if anchored else None,
            item_pull=config.item_pull,
            portrait=sides.matrix.astype(np.float64) if anchored else None,
            shopper_pull=config.shopper_pull,
            rate=config.learning_rate,
            regularisation=config.regularisation,
        )
        fit = fit_sgd if config.method == "sgd" else fit_als
        fitted = fit(table, size, plan, rng)
        rated = np.bincount(table.item_row, minlength=size[1])
        known = rated > 0
        if anchored and len(table):
            known |= np.diff(sides.matrix.indptr) > 0
        bounds = (0.0, 0.0)
        if len(table):
            bounds = float(table.rating.min()), float(table.rating.max())
        measured = {"ratings": float(len(table)), "items": float(known.sum())}
        return FactorSource(
            config, fitted, sides, table, size[0], known, bounds, _normal_errors(), measured
        )


def _mean_square(fitted: Fitted, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How large the numbers of an item are that is drawn from among the known."""
    if not known.any():
        return np.zeros(fitted.item.shape[1])
    own = fitted.item[known].astype(np.float64)
    whole: NDArray[np.float64] = (own**2 + fitted.item_variance[known]).mean(axis=0)
    return whole


def _normal_errors() -> NDArray[np.float64]:
    """Quantiles of errors where too few ratings were held out to know them."""
    from scipy.stats import norm

    inner = np.linspace(0, 1, _GRID + 1)[1:-1]
    told: Sequence[Any] = norm.ppf(np.concatenate([[1e-3], inner, [1 - 1e-3]]))
    return np.asarray(told, np.float64)
