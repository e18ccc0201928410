"""Every shopper's portrait at once, as columns: what segments and messages are cut from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.facts import CONVERSIONS, MS_PER_DAY, ActionKind, ActionLog, code_of
from habitue.portraits.config import PortraitConfig
from habitue.portraits.item_columns import ItemColumns
from habitue.portraits.norms import STAGES, ShopNorms, per_shopper, stages
from habitue.portraits.orders import Orders

__all__ = ["BANDS", "INTEREST", "band_of", "kind_weights", "portrait_columns"]

BANDS: Final = ("low", "middle", "high")
"""Thirds of the price levels."""

_TOLD: Final = 9  # decimals by which strengths are ordered: sums differ in the last bit

_INTEREST: Final[dict[str, type[pl.DataType]]] = {
    "name": pl.String,
    "strength": pl.Float64,
    "share": pl.Float64,
    "count": pl.Int64,
    "last_ms": pl.Int64,
}
INTEREST: Final = pl.Struct(_INTEREST)
"""An interest in a category or a brand."""


def portrait_columns(
    log: ActionLog,
    columns: ItemColumns,
    norms: ShopNorms,
    now_ms: int,
    *,
    currency: str,
    config: PortraitConfig | None = None,
    kinds: Iterable[ActionKind] = CONVERSIONS,
) -> pl.DataFrame:
    """A row for each shopper who acted on an item before ``now_ms``, ascending by ``shopper_row``.

    Columns: ``shopper_row``, ``stage``, ``n_actions``, ``n_orders``, ``first_order_ms``,
    ``last_order_ms``, ``recency_days``, ``value_minor``, ``recency``, ``frequency``, ``value`` (the
    shop's fifths, 5 the best; null for who never ordered), ``price_level`` (0 to 1 within the
    categories), ``price_band``, ``categories`` and ``brands`` (lists of ``INTEREST``, the strongest
    first). What each means is said of ``habitue.portraits.portrait.Portrait``.
    """
    config = config or PortraitConfig()
    log = log.before(now_ms)
    log = log.take((log.shopper_row >= 0) & (log.item_row >= 0))
    orders = Orders.of(log, currency=currency, kinds=kinds)
    shopper, n_actions = np.unique(log.shopper_row, return_counts=True)
    frame = pl.DataFrame({"shopper_row": shopper, "n_actions": n_actions.astype(np.int64)})
    for part in (
        _ordered(orders, shopper, norms, now_ms),
        _price(log, shopper, norms, now_ms, config, kinds),
        _interests(
            "categories", log, shopper, columns.category, columns.categories, now_ms, config
        ),
        _interests("brands", log, shopper, columns.brand, columns.brands, now_ms, config),
    ):
        frame = frame.hstack(part)
    return frame


def kind_weights(config: PortraitConfig) -> NDArray[np.float64]:
    """What an action of each kind says of an interest, by its code: (256,)."""
    weight = np.zeros(256)
    for name, value in config.kind_weight.items():
        weight[int(code_of(name))] = value
    return weight


def band_of(level: float) -> str:
    """The third a price level lies in.

    >>> band_of(0.2), band_of(0.5), band_of(0.9)
    ('low', 'middle', 'high')
    """
    return BANDS[min(int(level * len(BANDS)), len(BANDS) - 1)]


def _ordered(
    orders: Orders, shopper: NDArray[np.int32], norms: ShopNorms, now_ms: int
) -> pl.DataFrame:
    """Recency, frequency, value, and the stage they put each shopper in."""
    buyer, last, count, value = per_shopper(orders)
    place = np.searchsorted(shopper, buyer)
    first = orders.at_ms[np.searchsorted(orders.shopper_row, buyer)]
    n_orders = np.zeros(len(shopper), np.int64)
    n_orders[place] = count
    since = np.zeros(len(shopper))
    since[place] = (now_ms - last) / MS_PER_DAY
    stage = stages(n_orders, since, norms.yardsticks)
    bought = pl.Series(n_orders > 0)
    marks = norms.yardsticks
    amounts: dict[str, NDArray[np.int64]] = {
        "first_order_ms": first,
        "last_order_ms": last,
        "value_minor": value,
    }
    if marks.buyers:
        amounts |= {
            "recency": _fifths(last, marks.recency),
            "frequency": _fifths(count, marks.frequency),
            "value": _fifths(value, marks.value),
        }
    out: dict[str, pl.Series] = {"stage": pl.Series(np.array(STAGES)[stage], dtype=pl.String)}
    out["n_orders"] = pl.Series(n_orders)
    out["recency_days"] = _where(bought, pl.Series(since))
    for name in ("first_order_ms", "last_order_ms", "value_minor", "recency", "frequency", "value"):
        whole = np.zeros(len(shopper), np.int64)
        if name in amounts:
            whole[place] = amounts[name]
            out[name] = _where(bought, pl.Series(whole))
        else:
            out[name] = pl.Series([None] * len(shopper), dtype=pl.Int64)
    return pl.DataFrame(out)


def _fifths(amount: NDArray[np.int64], bounds: tuple[float, ...]) -> NDArray[np.int64]:
    return 1 + np.searchsorted(np.array(bounds), amount, side="left")


def _price(
    log: ActionLog,
    shopper: NDArray[np.int32],
    norms: ShopNorms,
    now_ms: int,
    config: PortraitConfig,
    kinds: Iterable[ActionKind],
) -> pl.DataFrame:
    """How dear what each shopper buys is within its category; later purchases weigh more."""
    bought = log.of_kinds(kinds)
    bought = bought.take(bought.item_row < len(norms.price_level))
    level = norms.price_level[bought.item_row].astype(np.float64)
    kept = ~np.isnan(level)
    place = np.searchsorted(shopper, bought.shopper_row[kept])
    weight = _fading(bought.at_ms[kept], now_ms, config)
    total = np.bincount(place, weights=weight, minlength=len(shopper))
    added = np.bincount(place, weights=weight * level[kept], minlength=len(shopper))
    known = total > 0
    mean = np.divide(added, total, out=np.zeros(len(shopper)), where=known)
    band = np.array(BANDS)[np.minimum((mean * len(BANDS)).astype(np.int64), len(BANDS) - 1)]
    said = pl.Series(known)
    return pl.DataFrame(
        {
            "price_level": _where(said, pl.Series(mean)),
            "price_band": _where(said, pl.Series(band, dtype=pl.String)),
        }
    )


def _interests(
    name: str,
    log: ActionLog,
    shopper: NDArray[np.int32],
    group: NDArray[np.int32],
    names: dict[str, int],
    now_ms: int,
    config: PortraitConfig,
) -> pl.DataFrame:
    """The strongest interests of each shopper in groups of items (n_items,), as lists."""
    weight = kind_weights(config)[log.kind]
    told = (weight > 0) & (log.item_row < len(group))
    told[told] = group[log.item_row[told]] >= 0
    place = np.searchsorted(shopper, log.shopper_row[told]).astype(np.int64)
    at_ms = log.at_ms[told]
    key, pair = np.unique(place << 32 | group[log.item_row[told]], return_inverse=True)
    strength = np.bincount(pair, weights=weight[told] * _fading(at_ms, now_ms, config))
    last = np.zeros(len(key), np.int64)
    np.maximum.at(last, pair, at_ms)
    owner = key >> 32
    total = np.bincount(owner, weights=strength, minlength=len(shopper))
    by_code = np.array([*names, ""])
    found = pl.DataFrame(
        {
            "place": owner,
            "name": pl.Series(by_code[key & 0xFFFFFFFF], dtype=pl.String),
            "strength": strength,
            "share": strength / total[owner],
            "count": np.bincount(pair, minlength=len(key)).astype(np.int64),
            "last_ms": last,
        }
    )
    grouped = (
        found.sort(
            "place", pl.col("strength").round(_TOLD), "name", descending=[False, True, False]
        )
        .group_by("place", maintain_order=True)
        .head(config.interests)
        .select("place", pl.struct(*_INTEREST).alias(name))
        .group_by("place", maintain_order=True)
        .agg(name)
    )
    everyone = pl.DataFrame({"place": np.arange(len(shopper), dtype=np.int64)})
    lists = everyone.join(grouped, on="place", how="left", maintain_order="left")[name]
    none = pl.lit([], dtype=pl.List(INTEREST))
    return lists.to_frame().select(pl.col(name).fill_null(none).cast(pl.List(INTEREST)))


def _fading(at_ms: NDArray[np.int64], now_ms: int, config: PortraitConfig) -> NDArray[np.float64]:
    """What is left of an action's weight: half for each half-life."""
    return np.exp2(-(now_ms - at_ms) / MS_PER_DAY / config.half_life_days)


def _where(known: pl.Series, value: pl.Series) -> pl.Series:
    """The values where they are known, else null."""
    return value.zip_with(known, pl.Series([None] * len(value), dtype=value.dtype))
