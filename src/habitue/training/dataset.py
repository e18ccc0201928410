"""What the store knows, as columns for learning: as of any moment, and only what may be read.

Aliases are resolved, the erased and those who have not allowed it are left out, lines that cleaning
marked or that a refund took back do not count, and prices stand in the shop's base currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from habitue.candidates.contract import TrainingFacts
from habitue.facts import (
    NO_ROW,
    ActionKind,
    ActionLog,
    Catalogue,
    Item,
    Links,
    Purpose,
    Triples,
)
from habitue.facts.cleaning.cancellations import match_cancellations
from habitue.facts.cleaning.robots import RobotConfig
from habitue.facts.cleaning.robots import robots as find_robots
from habitue.facts.described import item_columns
from habitue.facts.money import Rates
from habitue.privacy.consent import ConsentGate
from habitue.store.contract import FactStore
from habitue.training.circumstances import SAID, circumstances_of
from habitue.training.links import links_of_store
from habitue.training.shown import SlateLog
from habitue.training.triples import triples_of_store

__all__ = ["ItemVersions", "ShopFacts", "facts_of_store", "log_of_shopper"]

NEVER_MS: Final = np.iinfo(np.int64).max
LEFT_OUT: Final = ("non_product", "looks_like_service", "price_zero")
"""Marks of cleaning that keep a line from being learnt from. A purchase that was cancelled is left
out from its refund on (``void_from_ms``): its mark is knowledge of that later day."""

_COLUMNS: Final = (
    "seq", "at_ms", "kind", "shopper_row", "item_row", "quantity", "price_micros", "value_minor",
    "currency", "order_id", "rating", "extra", *SAID,
)  # fmt: skip
_ITEM: Final = msgspec.json.Decoder(Item)


@dataclass(frozen=True, slots=True)
class ItemVersions:
    """Every version of every item, by row and then by the time it holds from."""

    item_row: NDArray[np.int32]  # (n,)
    valid_from_ms: NDArray[np.int64]  # (n,)
    deleted: NDArray[np.bool_]  # (n,)
    body: list[str]  # (n,) JSON of the whole version
    ids: list[str]  # (n_items,)

    @classmethod
    def of_store(cls, store: FactStore, until_seq: int | None = None) -> ItemVersions:
        """The versions in the store, up to a watermark."""
        tables = list(
            store.scan(
                "item", until_seq=until_seq,
                columns=("seq", "item_row", "valid_from_ms", "deleted", "body"),
            )
        )  # fmt: skip
        ids = store.item_ids()
        if not tables:
            nothing = np.empty(0, np.int32)
            return cls(nothing, np.empty(0, np.int64), np.empty(0, np.bool_), [], ids)
        table = pa.concat_tables(tables).sort_by(
            [("item_row", "ascending"), ("valid_from_ms", "ascending"), ("seq", "ascending")]
        )
        return cls(
            table["item_row"].to_numpy().astype(np.int32),
            table["valid_from_ms"].to_numpy(),
            table["deleted"].to_numpy(zero_copy_only=False),
            table["body"].to_pylist(),
            ids,
        )

    def as_of(self, now_ms: int, first_acted_ms: NDArray[np.int64]) -> Catalogue:
        """The catalogue at ``now_ms``: of each item the latest version valid before it.

        ``first_acted_ms`` (n_items,) says when items were first acted on; an item is first seen
        then or when it was first posted. Rows nobody knows at ``now_ms`` hold nulls.
        """
        n_items = len(self.ids)
        known = np.flatnonzero(self.valid_from_ms < now_ms)
        last = np.full(n_items, -1, np.int64)
        last[self.item_row[known]] = known  # ascending, so the latest stays
        first = np.minimum(first_acted_ms[:n_items], NEVER_MS)
        np.minimum.at(first, self.item_row[known], self.valid_from_ms[known])
        seen = first < now_ms
        items = [_ITEM.decode(self.body[v]) if v >= 0 else None for v in last.tolist()]
        deleted = np.zeros(n_items, np.bool_)
        deleted[last >= 0] = self.deleted[last[last >= 0]]
        return Catalogue(
            pl.DataFrame(
                {
                    "item_row": np.arange(n_items, dtype=np.int32),
                    "id": [one if s else None for one, s in zip(self.ids, seen, strict=True)],
                    "first_seen_ms": pl.Series(first).zip_with(
                        pl.Series(seen), pl.Series([None] * n_items, dtype=pl.Int64)
                    ),
                    "deleted": deleted,
                    **item_columns(items),
                }
            )
        )


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """Everything a training run may read, up to a watermark."""

    log: ActionLog  # in order of time; lines later taken back are still in it
    void_from_ms: NDArray[np.int64]  # (N,) when a line was taken back; the largest int64 if never
    versions: ItemVersions
    watermark: int
    slates: Mapping[str, SlateLog] = field(default_factory=dict)  # by surface
    n_robots: int = 0  # shoppers left out, for no person keeps up with them
    links: Links | None = None  # who knows whom
    triples: Triples | None = None  # what is known of items
    robots: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """Their rows, with all that stand for the same."""

    @property
    def n_items(self) -> int:
        """One more than the highest item row."""
        return self.log.n_items

    def between(self, since_ms: int, until_ms: int, *, known_at_ms: int | None = None) -> ActionLog:
        """Actions of a span, without the lines known at ``known_at_ms`` (the end) as taken back."""
        first, last = np.searchsorted(self.log.at_ms, [since_ms, until_ms], side="left")
        known = until_ms if known_at_ms is None else known_at_ms
        standing = np.flatnonzero(self.void_from_ms[first:last] >= known) + first
        return self.log.take(standing)

    def as_of(self, now_ms: int) -> TrainingFacts:
        """What could be known at ``now_ms``: no later action, version or refund."""
        log = self.between(np.iinfo(np.int64).min, now_ms)
        first = np.full(self.n_items, NEVER_MS, np.int64)
        acted = log.item_row >= 0
        np.minimum.at(first, log.item_row[acted], log.at_ms[acted])
        links = None if self.links is None else self.links.before(now_ms)
        triples = None if self.triples is None else self.triples.before(now_ms)
        return TrainingFacts(log, self.versions.as_of(now_ms, first), now_ms, links, triples)


def facts_of_store(
    store: FactStore,
    *,
    rates: Rates | None = None,
    until_seq: int | None = None,
    allowed_unless_said: Iterable[Purpose] = ("personalisation",),
    robots: RobotConfig | None = None,
) -> ShopFacts:
    """The facts of a store up to ``until_seq`` (all, unless said), ready to learn from.

    Only shoppers who allow personalisation are read, and never the erased: ``allowed_unless_said``
    are the purposes allowed by those who have not answered. Shoppers at rates beyond ``robots``, as
    no person has, are left out where bounds are given. ``rates`` turns amounts into the base
    currency; without them amounts are taken as they stand. Raises ``BadInput`` where a currency has
    no rate.
    """
    watermark = store.stored().seq if until_seq is None else until_seq
    canonical = store.canonical_shoppers()
    readable = _readable(store, canonical, allowed_unless_said)
    frames = [_read(table, rates) for table in _actions(store, watermark)]
    versions = ItemVersions.of_store(store, watermark)
    frame = pl.concat(frames) if frames else _empty_frame()
    shopper = frame["shopper_row"].to_numpy()
    known = (shopper >= 0) & (shopper < len(canonical))
    person = np.full(len(shopper), NO_ROW, np.int32)
    person[known] = canonical[shopper[known]]
    kept = ~known
    kept[known] = readable[person[known]]
    frame = frame.with_columns(shopper_row=pl.Series(person, dtype=pl.Int32)).filter(kept)
    n_robots, left_out = 0, np.empty(0, np.int32)
    if robots is not None:
        who = _robots(frame, robots)
        n_robots = len(who)
        left_out = np.flatnonzero(np.isin(canonical, who.to_numpy())).astype(np.int32)
        readable[who.to_numpy()] = False
        frame = frame.filter(~pl.col("shopper_row").is_in(who.implode()))
    n_items = max(len(versions.ids), int(frame["item_row"].max() or -1) + 1)  # type: ignore[arg-type]
    log = _log_of(frame, len(canonical), n_items)
    slates = SlateLog.by_surface(store, watermark, np.where(readable[canonical], canonical, NO_ROW))
    links = links_of_store(store, watermark, canonical, readable)
    return ShopFacts(
        log, _voided(log), versions, watermark, slates, n_robots, links,
        triples_of_store(store, watermark), left_out,
    )  # fmt: skip


def log_of_shopper(store: FactStore, rows: Sequence[int], n: int) -> ActionLog:
    """The latest ``n`` item actions under each row of one person, as training would read them.

    What was taken back until now is left out, and what cleaning marked. Whether the person allows
    it is for the caller to ask.
    """
    tables = [store.history(row, n).select(list(_COLUMNS)) for row in rows]
    frame = pl.concat([_read(table, None) for table in tables])
    person = pl.lit(rows[0], pl.Int32).alias("shopper_row")
    stored = store.stored()
    log = _log_of(frame.with_columns(person), stored.n_shoppers, stored.n_items)
    return log.take(_voided(log) == NEVER_MS)


def _log_of(frame: pl.DataFrame, n_shoppers: int, n_items: int) -> ActionLog:
    """The log's columns in order of time, orders coded."""
    frame = frame.sort("at_ms", "seq")
    order = frame["order_id"].cast(pl.Categorical).to_physical().cast(pl.Int32).fill_null(NO_ROW)
    return ActionLog(
        **{
            f.name: frame[f.name].to_numpy()
            for f in fields(ActionLog)
            if f.name not in ("order_row", "n_shoppers", "n_items", "circumstances")
        },
        order_row=order.to_numpy(),
        circumstances=circumstances_of(frame),
        n_shoppers=n_shoppers,
        n_items=n_items,
    )


def _robots(frame: pl.DataFrame, config: RobotConfig) -> pl.Series:
    """Rows of the shoppers whom no person could keep up with."""
    known = frame.filter(pl.col("shopper_row") != NO_ROW)
    acts = known.select("at_ms", "kind", shopper="shopper_row", item="item_row")
    return find_robots(acts.with_columns(pl.col("item").replace(NO_ROW, None)), config)["shopper"]


def _readable(
    store: FactStore, canonical: NDArray[np.int32], default: Iterable[Purpose]
) -> NDArray[np.bool_]:
    """Whose actions may be learnt from, by what they have said until now: (n_shoppers,)."""
    gate = ConsentGate(default)
    for consents in store.scan("consent"):
        gate.observe(consents)
    gate.regroup(canonical)
    readable = gate.allowed(np.arange(len(canonical), dtype=np.int32), "personalisation")
    erased = store.erased_shoppers()
    readable[erased[erased < len(readable)]] = False
    return readable


def _actions(store: FactStore, watermark: int) -> Iterator[pa.Table]:
    yield from store.scan("action", until_seq=watermark, columns=_COLUMNS)


def _empty_frame() -> pl.DataFrame:
    from habitue.store.columns import ACTION

    return _read(ACTION.empty_table().select(list(_COLUMNS)), None)


def _read(table: pa.Table, rates: Rates | None) -> pl.DataFrame:
    """One Arrow table as the log's columns, without the lines cleaning marked."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    marked = pl.any_horizontal(
        pl.col("extra").str.contains(f'"{mark}":true', literal=True) for mark in LEFT_OUT
    )
    frame = frame.filter(~marked.fill_null(False)).drop("extra")
    if rates is not None:
        frame = _converted(frame, rates)
    return frame.drop("currency").with_columns(
        pl.col("quantity").fill_null(1.0).cast(pl.Float32),
        pl.col("price_micros", "value_minor").fill_null(0),
        pl.col("rating").fill_null(float("nan")).cast(pl.Float32),
        pl.col("kind").cast(pl.UInt8),
        pl.col("item_row", "shopper_row").fill_null(NO_ROW).cast(pl.Int32),
        pl.col(SAID).cast(pl.Categorical),
    )


def _converted(frame: pl.DataFrame, rates: Rates) -> pl.DataFrame:
    """Amounts in the base currency, each at the rate of its own day."""
    price = frame["price_micros"].fill_null(0).to_numpy().copy()
    value = frame["value_minor"].fill_null(0).to_numpy().copy()
    at_ms = frame["at_ms"].to_numpy()
    for currency in frame["currency"].unique().drop_nulls().to_list():
        if currency != rates.base:
            rows = (frame["currency"] == currency).fill_null(False).to_numpy()
            price[rows] = rates.micros(price[rows], currency, at_ms[rows])
            value[rows] = rates.minor(value[rows], currency, at_ms[rows])
    return frame.with_columns(price_micros=price, value_minor=value)


def _voided(log: ActionLog) -> NDArray[np.int64]:
    """When each purchase was wholly taken back by a refund, of its line or of its order."""
    void = np.full(len(log), NEVER_MS, np.int64)
    refunds = log.kind == int(ActionKind.refund)
    if not refunds.any():
        return void
    _void_orders(log, refunds & (log.item_row == NO_ROW) & (log.order_row != NO_ROW), void)
    refunds &= log.item_row != NO_ROW
    concerned = np.flatnonzero(refunds | (log.kind == int(ActionKind.purchase)))
    matched = match_cancellations(
        pl.DataFrame(
            {
                "row": concerned,
                "at_ms": log.at_ms[concerned],
                "kind": log.kind[concerned],
                "shopper": log.shopper_row[concerned],
                "item": log.item_row[concerned],
                "quantity": log.quantity[concerned].astype(np.float64),
            }
        )
    )
    whole = matched.filter(pl.col("refunded_quantity") >= pl.col("quantity"))["row"]
    taken = matched.filter(pl.col("cancels_row").is_in(whole.to_list()))
    rows = taken["cancels_row"].to_numpy().astype(np.int64)
    np.minimum.at(void, rows, log.at_ms[taken["row"].to_numpy()])
    return void


def _void_orders(log: ActionLog, whole: NDArray[np.bool_], void: NDArray[np.int64]) -> None:
    """Note in ``void`` what refunds of ``whole`` orders took back: of the same shopper, before."""
    if not whole.any():
        return
    key = log.order_row.astype(np.int64) << 32 | (log.shopper_row.astype(np.int64) & 0xFFFFFFFF)
    order, place = np.unique(key[whole], return_inverse=True)
    last = np.full(len(order), np.iinfo(np.int64).min)
    np.maximum.at(last, place, log.at_ms[whole])
    bought = np.flatnonzero((log.kind == int(ActionKind.purchase)) & (log.order_row != NO_ROW))
    at = np.minimum(np.searchsorted(order, key[bought]), len(order) - 1)
    taken = (order[at] == key[bought]) & (log.at_ms[bought] <= last[at])
    void[bought[taken]] = last[at[taken]]
