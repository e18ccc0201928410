"""What is foretold of a shopper's ratings, as it is told: with an interval, sides and evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.factor import FactorSource, Foretold
from habitue.candidates.sides import side_of
from habitue.facts import MS_PER_DAY, Context

__all__ = ["ForetoldRating", "ForetoldRatings", "RatedItem", "SideForetold", "foretold_ratings"]

_MOST_SIDES: Final = 6  # told of an item
_MOST_EVIDENCE: Final = 5  # items named for an item, and for a side
_LEAST: Final = 0.005  # of a step of the scale: what moves a rating by less is not told


class RatedItem(msgspec.Struct, frozen=True):
    """A rating of the shopper's own, and what would be lost without it."""

    item: str
    rating: float
    at: datetime
    adds: float


class SideForetold(msgspec.Struct, frozen=True):
    """A side of an item that the shopper is foretold to praise or to blame."""

    kind: str
    """``category``, ``brand``, ``price``, or the name of an attribute."""
    name: str
    says: Literal["praise", "blame"]
    adds: float
    """By how much it raises the rating foretold, or lowers it."""
    evidence: list[RatedItem]
    """The shopper's ratings of items with this side without which it would add least."""


class ForetoldRating(msgspec.Struct, frozen=True):
    """The rating foretold of one item, and what it is made of.

    ``usual``, ``shopper``, ``mood``, ``taste`` and what all sides add come to ``rating``, but that
    it is kept within the scale.
    """

    item: str
    known: bool
    """False where nobody had rated the item and nothing was said of it at the last training."""
    rating: float
    low: float
    high: float
    """Within these lies the share of ratings that was asked for."""
    given: RatedItem | None
    """The shopper's own last rating of it."""
    usual: float
    """What shoppers give the item on the whole."""
    shopper: float
    """By how much this shopper gives more than others, or less."""
    mood: float
    """By how much more than that in the last minutes."""
    taste: float
    """What the likeness to items they rated adds that no side has a name for."""
    sides: list[SideForetold]
    evidence: list[RatedItem]
    """The shopper's ratings without which this one would be another, by how much of it."""


class ForetoldRatings(msgspec.Struct, frozen=True):
    """What a shopper would give some items."""

    shopper: str
    personalisation: bool
    """False where the shopper does not allow it: then nothing else is said."""
    at: datetime
    level: float
    """Share of ratings that lie within the intervals."""
    rated: int
    """How many of the shopper's ratings it rests on."""
    scale: tuple[float, float]
    """The lowest and the highest rating there is."""
    ratings: list[ForetoldRating]

    @classmethod
    def withheld(cls, shopper: str, now_ms: int, level: float) -> ForetoldRatings:
        """Of who does not allow it."""
        return cls(shopper, False, _when(now_ms), level, 0, (0.0, 0.0), [])


def foretold_ratings(
    source: FactorSource,
    context: Context,
    items: Sequence[str],
    item_row: NDArray[np.int32],
    item_id: Callable[[int], str],
    shopper: str,
    level: float,
) -> ForetoldRatings:
    """What the shopper of a single request would give ``items``, whose rows are ``item_row``.

    ``item_id`` names every row.
    """
    told = source.foretell(context, item_row)
    low, high = source.interval(told, level)
    now_ms = int(context.now_ms[0])
    named = _Named(source, told, item_id, now_ms)
    return ForetoldRatings(
        shopper,
        True,
        _when(now_ms),
        level,
        len(told.rated_item),
        source.bounds,
        [
            ForetoldRating(
                item,
                bool(0 <= row < source.n_items and source.known[row]),
                _round(told.rating[m]),
                _round(low[m]),
                _round(high[m]),
                named.given(row),
                _round(told.usual[m]),
                _round(told.shopper),
                _round(told.mood),
                _round(told.taste[m]),
                named.sides(m),
                named.evidence(told.moved[m]),
            )
            for m, (item, row) in enumerate(zip(items, item_row.tolist(), strict=True))
        ],
    )


class _Named:
    """What was foretold, with names for rows."""

    def __init__(
        self, source: FactorSource, told: Foretold, item_id: Callable[[int], str], now_ms: int
    ) -> None:
        self._source, self._told, self._id, self._now_ms = source, told, item_id, now_ms
        self._rated_sides = source.sides.matrix[told.rated_item].tocsc()
        self._own_sides = told.sides

    def given(self, row: int) -> RatedItem | None:
        """The shopper's own rating of an item."""
        place = np.flatnonzero(self._told.rated_item == row)
        return self._rated(int(place[0]), 0.0) if len(place) else None

    def evidence(self, adds: NDArray[np.float64]) -> list[RatedItem]:
        """The ratings (n,) that add most, either way."""
        order = np.argsort(-np.abs(adds), kind="stable")[:_MOST_EVIDENCE]
        return [self._rated(int(j), float(adds[j])) for j in order if abs(adds[j]) >= _LEAST]

    def sides(self, m: int) -> list[SideForetold]:
        """The sides of an item that add most, either way."""
        line = self._told.by_side[m]
        order = np.argsort(-np.abs(line.data), kind="stable")[:_MOST_SIDES]
        return [
            self._side(int(line.indices[at]), float(line.data[at]), m)
            for at in order
            if abs(line.data[at]) >= _LEAST
        ]

    def _side(self, side: int, adds: float, m: int) -> SideForetold:
        sides = self._source.sides
        told = side_of(sides.term[side], sides.written[side])
        says: Literal["praise", "blame"] = "praise" if adds > 0 else "blame"
        return SideForetold(told.kind, told.name, says, _round(adds), self._of_side(side, m))

    def _of_side(self, side: int, m: int) -> list[RatedItem]:
        """The ratings of items with a side that say most of what it adds to an item."""
        column = self._rated_sides[:, side]
        says = np.zeros(len(self._told.rated))
        says[column.indices] = self._told.says[column.indices, side]
        return self.evidence(says * self._own_sides[m, side])

    def _rated(self, place: int, adds: float) -> RatedItem:
        told = self._told
        at_ms = self._now_ms - round(float(told.rated_age_days[place]) * MS_PER_DAY)
        return RatedItem(
            self._id(int(told.rated_item[place])),
            _round(told.rated[place]),
            _when(round(at_ms, -3)),
            _round(adds),
        )


def _round(value: float) -> float:
    return round(float(value), 3) + 0.0


def _when(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
