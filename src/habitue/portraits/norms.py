"""What is usual in a shop: the yardsticks every portrait is held against."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotError
from habitue.facts import CONVERSIONS, ActionKind, ActionLog
from habitue.portraits.config import PortraitConfig
from habitue.portraits.item_columns import ItemColumns
from habitue.portraits.orders import Orders

__all__ = ["STAGES", "ShopNorms", "Stage", "Yardsticks", "stages"]

Stage = Literal["visitor", "new", "active", "loyal", "at risk", "lapsed", "one-time"]

STAGES: Final[tuple[Stage, ...]] = (
    "visitor", "new", "active", "loyal", "at risk", "lapsed", "one-time",
)  # fmt: skip
"""The stages of a shopper's life with the shop, by the code ``stages`` gives.

- ``visitor``: has never ordered.
- ``new``: has ordered once, and the next order is not late yet.
- ``one-time``: has ordered once, and the next order is late.
- ``active``: has ordered again, and the next order is not late.
- ``loyal``: active, with as many orders as the upper quarter of those who ordered again.
- ``at risk``: has ordered again, and the next order is late.
- ``lapsed``: has ordered again, and twice the time has passed after which an order is late.

An order is late when nine of ten orders came sooner after the one before.
"""

_QUINTILES: Final = (0.2, 0.4, 0.6, 0.8)
_LEAST_LOYAL: Final = 3  # orders; twice may be chance
_LEAST_PRICED: Final = 5  # priced items a category needs for a scale of its own


class Yardsticks(msgspec.Struct, frozen=True):
    """The numbers of a shop's norms."""

    made_ms: int  # as of when
    usual_gap_days: float  # half of all orders came sooner after the one before
    late_gap_days: float  # nine of ten did
    gaps: int  # how many gaps that rests on; 0 where the config's stand in
    loyal_orders: int  # from so many orders on a shopper is loyal
    buyers: int  # how many shoppers have ordered
    recency: tuple[float, ...] = ()  # last order, ms: the bounds between the fifths of buyers
    frequency: tuple[float, ...] = ()  # orders
    value: tuple[float, ...] = ()  # minor units


class ShopNorms:
    """A shop's yardsticks, and where the price of each item stands within its category."""

    def __init__(self, yardsticks: Yardsticks, price_level: NDArray[np.float32]) -> None:
        """``price_level`` is (n_items,), 0 for the cheapest of a category to 1, NaN unknown."""
        self.yardsticks = yardsticks
        self.price_level = price_level

    @classmethod
    def of(
        cls,
        log: ActionLog,
        columns: ItemColumns,
        now_ms: int,
        *,
        currency: str,
        config: PortraitConfig | None = None,
        kinds: Iterable[ActionKind] = CONVERSIONS,
    ) -> Self:
        """The norms as of ``now_ms``: no later action is read."""
        config = config or PortraitConfig()
        orders = Orders.of(log.before(now_ms), currency=currency, kinds=kinds)
        gaps = orders.gaps_days()
        known = len(gaps) >= config.least_gaps
        usual, late = (
            np.quantile(gaps, [0.5, 0.9])
            if known
            else (config.usual_gap_days, config.late_gap_days)
        )
        last, count, value = per_shopper(orders)[1:]
        again = count[count > 1]
        loyal = int(np.ceil(np.quantile(again, 0.75))) if known and len(again) else 0
        return cls(
            Yardsticks(
                now_ms,
                float(usual),
                float(late),
                len(gaps) if known else 0,
                max(loyal, _LEAST_LOYAL),
                len(count),
                *(_bounds(amount) for amount in (last, count, value)),
            ),
            price_levels(columns.log_price, columns.category),
        )

    @classmethod
    def assumed(cls, config: PortraitConfig | None = None) -> Self:
        """The norms of a shop of which nothing is known yet: no quintiles, no price levels."""
        config = config or PortraitConfig()
        late, usual = config.late_gap_days, config.usual_gap_days
        return cls(Yardsticks(0, usual, late, 0, _LEAST_LOYAL, 0), np.empty(0, np.float32))

    def save(self, path: Path) -> None:
        """Write the norms into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        (path / "yardsticks.json").write_bytes(msgspec.json.encode(self.yardsticks))
        np.save(path / "price_level.npy", self.price_level)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The norms written in ``path``; raises ``SnapshotError`` if they are not there."""
        try:
            said = (path / "yardsticks.json").read_bytes()
            return cls(
                msgspec.json.decode(said, type=Yardsticks), np.load(path / "price_level.npy")
            )
        except (OSError, ValueError, msgspec.MsgspecError) as problem:
            raise SnapshotError(
                f"The shop's norms in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem


def stages(
    n_orders: NDArray[np.int64], since_days: NDArray[np.float64], norms: Yardsticks
) -> NDArray[np.int8]:
    """The stage of each shopper, as a place in ``STAGES``: all (S,).

    ``since_days`` is the time since the last order, anything where there was none.
    """
    late = since_days > norms.late_gap_days
    gone = since_days > 2 * norms.late_gap_days
    code = {stage: place for place, stage in enumerate(STAGES)}
    chosen = np.select(
        [
            n_orders == 0,
            (n_orders == 1) & late,
            n_orders == 1,
            gone,
            late,
            n_orders >= norms.loyal_orders,
        ],
        [
            code["visitor"],
            code["one-time"],
            code["new"],
            code["lapsed"],
            code["at risk"],
            code["loyal"],
        ],
        code["active"],
    )
    return chosen.astype(np.int8)


def per_shopper(
    orders: Orders,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Buyers, ascending, and of each the last order, the number of orders, the value: (S,)."""
    shopper, start, count = np.unique(orders.shopper_row, return_index=True, return_counts=True)
    if not len(shopper):
        nothing = np.empty(0, np.int64)
        return shopper.astype(np.int32), nothing, nothing, nothing
    value = np.add.reduceat(orders.value_minor, start)
    return shopper.astype(np.int32), orders.at_ms[start + count - 1], count, value


def price_levels(
    log_price: NDArray[np.float32], category: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Where each item's price stands in its category: the share of priced items it is dearer than.

    Equals count half. Items of categories with fewer than five priced items, or of none, are held
    against the whole shop. (n_items,), NaN without a price.
    """
    priced = np.flatnonzero(~np.isnan(log_price))
    level = np.full(len(log_price), np.nan, np.float32)
    level[priced] = _levels(log_price[priced], np.zeros(len(priced), np.int64))
    counted = priced[category[priced] >= 0]
    size = np.bincount(category[counted], minlength=1)
    own = counted[size[category[counted]] >= _LEAST_PRICED]
    level[own] = _levels(log_price[own], category[own].astype(np.int64))
    return level


def _levels(price: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of its group each is above, equals counting half."""
    order = np.lexsort((price, group))
    g, p = group[order], price[order]
    n = len(g)
    new_group = np.ones(n, np.bool_)
    new_group[1:] = g[1:] != g[:-1]
    new_tie = new_group.copy()
    new_tie[1:] |= p[1:] != p[:-1]
    place = np.arange(n)
    start = np.maximum.accumulate(np.where(new_group, place, 0))
    size = np.bincount(g, minlength=1)[g]
    tie = np.cumsum(new_tie) - 1
    mean_place = np.bincount(tie, weights=place)[tie] / np.bincount(tie)[tie] if n else place
    out = np.empty(n)
    out[order] = (mean_place - start + 0.5) / size
    return out


def _bounds(amount: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(np.quantile(amount, _QUINTILES).tolist()) if len(amount) else ()
