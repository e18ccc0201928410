"""One customer's outlook with what it rests on, and everybody's as columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.behaviour.moments import Standing, standing_of
from habitue.behaviour.outlook import Foretold, OutlookMeasured, OutlookModel, Past
from habitue.behaviour.survival import survival_of
from habitue.facts import ActionLog
from habitue.portraits.orders import value_of_lines
from habitue.portraits.portrait import OrderSeen

__all__ = [
    "HEAD_FIGURES",
    "NetworkForetold",
    "NetworkOutlook",
    "Outlook",
    "Pull",
    "outlook_columns",
    "outlook_of",
]

HEAD_FIGURES: Final = (
    "next_kind_accuracy", "plain_next_kind_accuracy", "next_kind_logloss",
    "plain_next_kind_logloss", "return_concordance", "plain_return_concordance",
)  # fmt: skip
"""What is measured of a network's other heads, by name."""
_WITHIN: Final = (7, 30, 90)
_EARLY, _MIDDLE, _LATE = 0.1, 0.5, 0.9
_BY_NETWORK: Final = {
    "shopper_row": pl.Int32,
    **{f"network_purchase_within_{days}_days": pl.Float64 for days in _WITHIN},
    "network_expected_return_days": pl.Float64,
    "network_next_kind": pl.String,
    "network_next_kind_chance": pl.Float64,
}


class Pull(msgspec.Struct, frozen=True):
    """What speaks for or against a return, beside the shop's average customer."""

    what: str
    """recency, frequency, rhythm, value, basket, breadth, weekday, demand, refunds or visits."""
    strength: float
    """What it adds to the log odds of coming in the next days; below 0 it speaks against."""


class NetworkOutlook(msgspec.Struct, frozen=True):
    """What a behaviour model foretells of a shopper beside the next item, who ordered or not."""

    source: str
    """The source whose network says it."""
    next_kind: dict[str, float] | None = None
    """The chance of each kind of action to be the next, were they to act now; None where that was
    not taught (``head_weights.next_kind``)."""
    purchase_within_7_days: float | None = None
    """None where that was not taught (``head_weights.comes_back``)."""
    purchase_within_30_days: float | None = None
    purchase_within_90_days: float | None = None
    expected_return_days: float | None = None
    """Half of such shoppers have bought by then; None where 180 days are not enough for half."""
    measured: dict[str, float] = {}
    """How right it was on shoppers held out when it was trained, beside the plain answers."""


@dataclass(frozen=True, slots=True)
class NetworkForetold:
    """The same of the shoppers of B requests, of K of whom anything is known."""

    source: str
    known: NDArray[np.bool_]  # (B,)
    kinds: tuple[str, ...]
    chance: NDArray[np.floating] | None  # (K, n_kinds) None where it was not taught
    hazard: NDArray[np.float64] | None  # (K, n_steps) of a purchase; None likewise
    measured: dict[str, float]

    def first(self) -> NetworkOutlook | None:
        """What is foretold of the first request; None where nothing is known of its shopper."""
        if not self.known[0]:
            return None
        kinds = None
        if self.chance is not None:
            kinds = dict(zip(self.kinds, self.chance[0].tolist(), strict=True))
        if self.hazard is None:
            return NetworkOutlook(self.source, kinds, measured=self.measured)
        told = _of_hazard(self.hazard[:1])
        week, month, quarter = (float(told.within(days)[0]) for days in _WITHIN)
        back = _or_none(told.days_until(_MIDDLE)[0])
        return NetworkOutlook(self.source, kinds, week, month, quarter, back, self.measured)

    def columns(self, shopper_row: NDArray[np.int32]) -> pl.DataFrame:
        """A row for each of ``shopper_row`` (B,) of whom anything is known, in their order.

        Columns are ``shopper_row`` and those of ``NetworkOutlook``, named ``network_...``; of the
        kinds the likeliest, ``network_next_kind``, and ``network_next_kind_chance``. Null where it
        was not taught.
        """
        columns = dict.fromkeys(_BY_NETWORK, None) | {"shopper_row": shopper_row[self.known]}
        if self.chance is not None:
            columns["network_next_kind"] = np.array(self.kinds)[self.chance.argmax(axis=1)]
            columns["network_next_kind_chance"] = self.chance.max(axis=1).astype(np.float64)
        if self.hazard is not None:
            told = _of_hazard(self.hazard)
            for days in _WITHIN:
                columns[f"network_purchase_within_{days}_days"] = told.within(days)
            columns["network_expected_return_days"] = told.days_until(_MIDDLE)
        frame = pl.DataFrame(columns, schema=_BY_NETWORK)
        return frame.with_columns(pl.col("network_expected_return_days").fill_nan(None))


class Outlook(msgspec.Struct, frozen=True):
    """When a customer is expected back, and what that rests on."""

    shopper: str
    made_at: datetime
    personalisation: bool
    """Whether they allow it. Where they do not, nothing is held below."""
    orders: int = 0
    purchase_within_7_days: float | None = None
    """None for who never ordered, and until a snapshot has learnt when customers come back."""
    purchase_within_30_days: float | None = None
    purchase_within_90_days: float | None = None
    expected_return_days: float | None = None
    """Half of such customers are back by then; None where 180 days are not enough for half."""
    return_days_low: float | None = None
    """One of ten is back by then."""
    return_days_high: float | None = None
    """Nine of ten are; None where 180 days are not enough."""
    days_since_order: float | None = None
    usual_gap_days: float | None = None
    """The customer's own mean time between days with an order; None before the second."""
    pulls: list[Pull] = []
    """The strongest first."""
    evidence: list[OrderSeen] = []
    """The latest orders."""
    measured: OutlookMeasured | None = None
    """How right such outlooks were when the snapshot was trained."""
    network: NetworkOutlook | None = None
    """What a behaviour model says besides, where the snapshot has one that was taught it."""

    @classmethod
    def withheld(cls, shopper: str, now_ms: int) -> Outlook:
        """The outlook of who does not allow one."""
        return cls(shopper, _when(now_ms), personalisation=False)


def outlook_of(
    shopper: str,
    past: Past,
    model: OutlookModel | None,
    item_id: Callable[[int], str],
    now_ms: int,
    *,
    evidence: int = 3,
) -> Outlook:
    """The outlook at ``now_ms`` of the one shopper whose actions ``past`` holds.

    Says what ``outlook_columns`` says of that shopper, with the evidence. ``item_id`` gives the id
    of an item row.
    """
    log = past.at(now_ms)
    bought = log.of_kinds(past.kinds)
    bought = bought.take(bought.item_row >= 0)
    if model is None or not len(bought):
        orders = len(_orders(bought))
        return Outlook(shopper, _when(now_ms), personalisation=True, orders=orders)
    standing = _standing(past, model, now_ms)
    told = model.foretell(standing)
    chance = [float(told.within(days)[0]) for days in _WITHIN]
    days = [_or_none(told.days_until(share)[0]) for share in (_MIDDLE, _EARLY, _LATE)]
    pulls = [Pull(what, round(float(by[0]), 3)) for what, by in model.pulls(standing).items()]
    return Outlook(
        shopper,
        _when(now_ms),
        personalisation=True,
        orders=int(standing.orders[0]),
        purchase_within_7_days=chance[0],
        purchase_within_30_days=chance[1],
        purchase_within_90_days=chance[2],
        expected_return_days=days[0],
        return_days_low=days[1],
        return_days_high=days[2],
        days_since_order=float(standing.since_days[0]),
        usual_gap_days=_or_none(_gaps(standing)[0]),
        pulls=sorted(pulls, key=lambda one: -abs(one.strength)),
        evidence=_latest(bought, past.currency, item_id, evidence),
        measured=model.measured,
    )


def outlook_columns(past: Past, model: OutlookModel, now_ms: int) -> pl.DataFrame:
    """A row for each customer who had bought before ``now_ms``, ascending by ``shopper_row``.

    The columns are named and meant as in ``Outlook``.
    """
    standing = _standing(past, model, now_ms)
    told = model.foretell(standing)
    frame = pl.DataFrame(
        {
            "shopper_row": standing.shopper_row,
            "orders": standing.orders,
            **{f"purchase_within_{days}_days": told.within(days) for days in _WITHIN},
            **_return_days(told),
            "days_since_order": standing.since_days,
            "usual_gap_days": _gaps(standing),
        }
    )
    return frame.with_columns(
        pl.col(
            "expected_return_days", "return_days_low", "return_days_high", "usual_gap_days"
        ).fill_nan(None)
    )


def _standing(past: Past, model: OutlookModel, now_ms: int) -> Standing:
    """Where they stand, items as sought as they were when the model was learnt."""
    return standing_of(
        past.at(now_ms),
        now_ms,
        model.heat,
        currency=past.currency,
        category=past.category,
        kinds=past.kinds,
    )


def _return_days(told: Foretold) -> dict[str, NDArray[np.float64]]:
    return {
        "expected_return_days": told.days_until(_MIDDLE),
        "return_days_low": told.days_until(_EARLY),
        "return_days_high": told.days_until(_LATE),
    }


def _of_hazard(hazard: NDArray[np.float64]) -> Foretold:
    """What a hazard (S, n_steps) of a purchase says."""
    return Foretold(np.empty(0), survival_of(hazard))


def _gaps(standing: Standing) -> NDArray[np.float64]:
    """The mean time between days with an order, (S,); NaN before the second."""
    span = standing.life_days - standing.since_days
    return np.where(standing.days > 1, span / np.maximum(standing.days - 1, 1), np.nan)


def _orders(bought: ActionLog) -> list[NDArray[np.int64]]:
    """The lines of each order, in order of time."""
    key = np.where(bought.order_row >= 0, bought.order_row.astype(np.int64), -1 - bought.at_ms)
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    return [np.flatnonzero(place == order) for order in np.argsort(first, kind="stable")]


def _latest(
    bought: ActionLog, currency: str, item_id: Callable[[int], str], n: int
) -> list[OrderSeen]:
    worth = value_of_lines(bought, currency)
    return [
        OrderSeen(
            _when(int(bought.at_ms[lines[0]])),
            int(worth[lines].sum()),
            [item_id(int(row)) for row in bought.item_row[lines]],
        )
        for lines in _orders(bought)[: -n - 1 : -1]
    ]


def _or_none(days: float) -> float | None:
    return None if np.isnan(days) else float(days)


def _when(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
