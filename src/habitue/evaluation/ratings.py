"""How well are ratings foretold? Three foretellers, each a little less plain, on ratings held out.

The mean of all; the mean with what is usual for the shopper and the item (biases); and biases with
factors, the textbook matrix factorisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from habitue.facts import ActionLog
from habitue.metrics import Interval, bootstrap_means, mae, percentile_interval, rmse

__all__ = [
    "HeatMap",
    "RatingConfig",
    "RatingLearner",
    "RatingLine",
    "RatingModel",
    "RatingReport",
    "Ratings",
    "measure_ratings",
]

_CHUNK = 20_000  # ratings whose outer products are held at once
_MAP = (24, 36)  # shoppers and items of a heat map


class RatingConfig(BaseModel):
    """How ratings are foretold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factors: int = Field(16, ge=0, le=256, description="Factors of a shopper and of an item.")
    shrinkage: PositiveFloat = Field(
        0.12, description="Pull of factors and biases towards 0, for each rating they rest on."
    )
    rounds: PositiveInt = Field(12, description="Times shoppers and items are fitted in turn.")
    held: float = Field(0.2, gt=0, lt=1, description="Share of the ratings held out, by lot.")
    least: PositiveInt = Field(500, description="Ratings below which nothing is foretold.")


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who rated what how: the last rating of each shopper for each item."""

    shopper_row: NDArray[np.int32]  # (N,)
    item_row: NDArray[np.int32]  # (N,)
    rating: NDArray[np.float64]  # (N,)

    @classmethod
    def of(cls, log: ActionLog) -> Ratings:
        """The ratings a log holds, whatever kind of action they came with."""
        place = np.flatnonzero(~np.isnan(log.rating) & (log.item_row >= 0) & (log.shopper_row >= 0))
        key = log.shopper_row[place].astype(np.int64) << 32 | log.item_row[place]
        _, last = np.unique(key[::-1], return_index=True)
        place = place[::-1][last]
        return cls(log.shopper_row[place], log.item_row[place], log.rating[place].astype(float))

    def __len__(self) -> int:
        return len(self.rating)

    def take(self, which: NDArray[np.int64]) -> Ratings:
        """Some of them."""
        return Ratings(self.shopper_row[which], self.item_row[which], self.rating[which])


@dataclass(frozen=True, slots=True)
class RatingModel:
    """``mean + shopper's bias + item's bias + shopper's factors · item's factors``."""

    mean: float
    shopper: NDArray[np.float64]  # (n_shoppers, dim + 1) factors, then the bias
    item: NDArray[np.float64]  # (n_items, dim + 1)
    low: float
    high: float

    def foretell(
        self, shopper_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """The ratings of pairs (N,), kept within the scale; of strangers the mean."""
        p, q = self.shopper[shopper_row], self.item[item_row]
        told = self.mean + p[:, -1] + q[:, -1] + (p[:, :-1] * q[:, :-1]).sum(axis=1)
        kept: NDArray[np.float64] = np.clip(told, self.low, self.high)
        return kept


class RatingLearner:
    """Learns a ``RatingModel`` from ratings by alternating least squares.

    Shoppers and items are solved in turn, each with its bias, the pull towards 0 growing with the
    number of ratings: Zhou et al., "Large-scale parallel collaborative filtering for the Netflix
    prize", AAIM 2008, with the biases of Koren, Bell and Volinsky, Computer 2009.
    """

    def __init__(self, config: RatingConfig) -> None:
        self.config = config

    def fit(
        self, ratings: Ratings, n_shoppers: int, n_items: int, rng: np.random.Generator
    ) -> RatingModel:
        """Fit on the ratings; rows without one keep 0 throughout."""
        dim = self.config.factors
        mean = float(ratings.rating.mean())
        shopper = np.zeros((n_shoppers, dim + 1))
        item = rng.normal(0.0, 0.1, (n_items, dim + 1))
        item[:, -1] = 0.0
        by_shopper = np.argsort(ratings.shopper_row, kind="stable")
        by_item = np.argsort(ratings.item_row, kind="stable")
        rest = ratings.rating - mean
        for _ in range(self.config.rounds):
            self._solve(shopper, ratings.shopper_row, item, ratings.item_row, rest, by_shopper)
            self._solve(item, ratings.item_row, shopper, ratings.shopper_row, rest, by_item)
        return RatingModel(
            mean, shopper, item, float(ratings.rating.min()), float(ratings.rating.max())
        )

    def _solve(
        self,
        into: NDArray[np.float64],
        own: NDArray[np.int32],
        others: NDArray[np.float64],
        other: NDArray[np.int32],
        rest: NDArray[np.float64],
        order: NDArray[np.int64],
    ) -> None:
        """The best factors and bias of each own row, those of the other side standing."""
        rows, start = np.unique(own[order], return_index=True)
        ends = np.append(start[1:], len(order))
        into[:] = 0.0
        first = 0
        while first < len(rows):
            last = max(first + 1, int(np.searchsorted(ends, start[first] + _CHUNK, "right")))
            which = order[start[first] : ends[last - 1]]
            x = others[other[which]]
            target = rest[which] - x[:, -1]
            x = x.copy()
            x[:, -1] = 1.0  # what the own bias stands on
            at = start[first:last] - start[first]
            gram = np.add.reduceat(x[:, :, None] * x[:, None, :], at)
            right = np.add.reduceat(x * target[:, None], at)
            count = (ends - start)[first:last]
            gram += (self.config.shrinkage * count)[:, None, None] * np.eye(x.shape[1])
            into[rows[first:last]] = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
            first = last


@dataclass(frozen=True, slots=True)
class RatingLine:
    """How far one foreteller was from the ratings held out."""

    name: str
    rmse: Interval
    mae: Interval


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Foretold ratings of those who rated most for what was rated most."""

    items: list[str]  # their names
    foretold: list[list[float]]  # a shopper a row
    given: list[list[float | None]]  # what they said themselves, learnt from or held out
    held: list[list[bool]]  # which of those were held out
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RatingReport:
    """How well ratings were foretold."""

    n_learnt: int
    n_held: int
    lines: list[RatingLine]
    heat_map: HeatMap


def measure_ratings(
    log: ActionLog,
    rng: np.random.Generator,
    config: RatingConfig | None = None,
    *,
    item_name: Callable[[int], str] = str,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> RatingReport | None:
    """Hold ratings out by lot, foretell them, and say how far off that was; None with too few.

    Intervals resample shoppers. A rating of a shopper or an item without another is foretold by
    what is left: the other's bias, the mean. ``item_name`` names the item rows of the heat map.
    """
    config = config or RatingConfig()
    ratings = Ratings.of(log)
    if len(ratings) < config.least or np.ptp(ratings.rating) == 0:
        return None
    is_held = rng.random(len(ratings)) < config.held
    learnt, held = ratings.take(np.flatnonzero(~is_held)), ratings.take(np.flatnonzero(is_held))
    size = (log.n_shoppers, log.n_items)
    plain = config.model_copy(update={"factors": 0})
    biases = RatingLearner(plain).fit(learnt, *size, rng)
    model = RatingLearner(config).fit(learnt, *size, rng)
    told = {
        "the mean": np.full(len(held), learnt.rating.mean()),
        "biases": biases.foretell(held.shopper_row, held.item_row),
        "biases and factors": model.foretell(held.shopper_row, held.item_row),
    }
    lines = [_line(name, held, one, rng, n_resamples, level) for name, one in told.items()]
    return RatingReport(
        len(learnt), len(held), lines, _heat_map(model, ratings, is_held, item_name)
    )


def _line(
    name: str,
    held: Ratings,
    told: NDArray[np.float64],
    rng: np.random.Generator,
    n_resamples: int,
    level: float,
) -> RatingLine:
    error = told - held.rating
    columns = np.column_stack([error**2, np.abs(error)])
    means = bootstrap_means(columns, rng, n_resamples=n_resamples, group=held.shopper_row)
    return RatingLine(
        name,
        percentile_interval(rmse(held.rating, told), np.sqrt(means[:, 0]), level),
        percentile_interval(mae(held.rating, told), means[:, 1], level),
    )


def _heat_map(
    model: RatingModel,
    ratings: Ratings,
    is_held: NDArray[np.bool_],
    item_name: Callable[[int], str],
) -> HeatMap:
    """The shoppers and the items with most ratings, by how high they are foretold."""
    shoppers, items = (
        np.argsort(-np.bincount(rows), kind="stable")[:n]
        for rows, n in zip((ratings.shopper_row, ratings.item_row), _MAP, strict=True)
    )
    grid = (np.repeat(shoppers, len(items)), np.tile(items, len(shoppers)))
    told = model.foretell(*(rows.astype(np.int32) for rows in grid))
    told = told.reshape(len(shoppers), len(items))
    by_shopper, by_item = np.argsort(-told.mean(axis=1)), np.argsort(-told.mean(axis=0))
    shoppers, items, told = shoppers[by_shopper], items[by_item], told[by_shopper][:, by_item]
    said = np.full(told.shape, np.nan)
    held = np.zeros(told.shape, np.bool_)
    place_s, place_i = (
        np.full(rows.max() + 1, -1) for rows in (ratings.shopper_row, ratings.item_row)
    )
    place_s[shoppers], place_i[items] = np.arange(len(shoppers)), np.arange(len(items))
    s, i = place_s[ratings.shopper_row], place_i[ratings.item_row]
    drawn = (s >= 0) & (i >= 0)
    said[s[drawn], i[drawn]] = ratings.rating[drawn]
    held[s[drawn], i[drawn]] = is_held[drawn]
    return HeatMap(
        [item_name(row) for row in items.tolist()],
        told.round(3).tolist(),
        [[None if np.isnan(x) else x for x in row] for row in said.tolist()],
        held.tolist(),
        model.low,
        model.high,
    )
