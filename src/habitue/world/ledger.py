"""The actions of a history as one table, in the bulk layout a store takes."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from habitue.world.funnel import ActedOut
from habitue.world.people import People
from habitue.world.shelves import Shelves
from habitue.world.visits import MS_PER_DAY, Visits

__all__ = ["ACTION_COLUMNS", "write_ledger"]

ACTION_COLUMNS: Final[dict[str, type[pl.DataType]]] = {
    "id": pl.String,
    "at_ms": pl.Int64,
    "kind": pl.String,
    "shopper": pl.String,
    "item": pl.String,
    "quantity": pl.Float64,
    "price_micros": pl.Int64,
    "value_minor": pl.Int64,
    "currency": pl.String,
    "order_id": pl.String,
    "surface": pl.String,
    "session_id": pl.String,
    "platform": pl.String,
    "device": pl.String,
    "locale": pl.String,
    "query": pl.String,
    "rating": pl.Float64,
    "text": pl.String,
}
"""Columns of the table, named as the fields of ``Action``; nulls are "not said"."""


def _moments(acted: ActedOut) -> list[pl.DataFrame]:
    """Every kind of action as a frame of numbered shoppers and items."""
    seen = acted.looks.select(
        "visit", "shopper", "item", "at_ms", "surface", kind=pl.lit("view_item")
    )
    carted = acted.carts.select(
        "visit", "shopper", "item", "at_ms", "surface", kind=pl.lit("add_to_cart")
    )
    dropped = acted.dropped.select(
        "visit", "shopper", "item", "at_ms", kind=pl.lit("remove_from_cart")
    )
    line = [
        *map(pl.col, ("shopper", "item", "at_ms", "quantity")),
        pl.col("order").alias("order_id"),
    ]
    ordered = acted.orders.select(pl.col("visit"), *line, kind=pl.lit("purchase"))
    till = ordered.unique("visit", maintain_order=True).select(
        "visit", "shopper", at_ms=pl.col("at_ms") - 60_000, kind=pl.lit("begin_checkout")
    )
    again = acted.refills.select(*line, kind=pl.lit("purchase"))
    refetched = [
        again.select("shopper", "item", at_ms=pl.col("at_ms") - before, kind=pl.lit(kind))
        for kind, before in (("view_item", 240_000), ("add_to_cart", 200_000))
    ]
    told = acted.opinions.with_columns(
        kind=pl.when(pl.col("text").is_null()).then(pl.lit("rate")).otherwise(pl.lit("review"))
    )
    waves = acted.waves.select("visit", "shopper", "item", "at_ms", "kind")
    return [seen, carted, dropped, till, ordered, *refetched, again, told, waves]


def _arrivals(
    shelves: Shelves, people: People, visits: Visits, acted: ActedOut, rng: np.random.Generator
) -> list[pl.DataFrame]:
    """Searches that open a visit, logins, and the sign-up of those who came within the history."""
    opened = pl.DataFrame(
        {"visit": np.arange(len(visits)), "shopper": visits.shopper, "at_ms": visits.at_ms}
    )
    first = acted.looks.unique("visit", keep="first", maintain_order=True).select("visit", "item")
    sought = opened.filter(pl.Series(visits.searched)).join(first, on="visit", how="inner")
    item = sought["item"].to_numpy()
    noun = pl.Series(shelves.nouns).str.to_lowercase()[shelves.noun[item].astype(np.int64)]
    colour = shelves.frame["color"].str.to_lowercase()[item]
    tinted = pl.Series(rng.random(len(item)) < 0.25) & colour.is_not_null()
    search = sought.select("visit", "shopper", "at_ms", kind=pl.lit("search")).with_columns(
        query=pl.select(pl.when(tinted).then(colour + " " + noun).otherwise(noun)).to_series()
    )
    login = opened.filter(pl.Series(rng.random(len(visits)) < 0.2)).with_columns(
        at_ms=pl.col("at_ms") - 5_000, kind=pl.lit("login")
    )
    newcomers = np.flatnonzero(people.spells[:, 0, 0] > 0)
    joined = (
        opened.unique("shopper", keep="first", maintain_order=True)
        .filter(pl.col("shopper").is_in(newcomers))
        .with_columns(at_ms=pl.col("at_ms") - 20_000, kind=pl.lit("sign_up"))
    )
    return [search, login, joined]


def write_ledger(
    shelves: Shelves,
    people: People,
    visits: Visits,
    acted: ActedOut,
    currency: str,
    now_ms: int,
    start_ms: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """All actions between ``start_ms`` and ``now_ms`` in order of time, ids as text."""
    frames = _moments(acted) + _arrivals(shelves, people, visits, acted, rng)
    whole = (
        pl.concat(frames, how="diagonal_relaxed")
        .filter((pl.col("at_ms") >= start_ms) & (pl.col("at_ms") < now_ms))
        .sort("at_ms", "shopper", "kind", maintain_order=True)
    )
    day = ((whole["at_ms"] - start_ms) // MS_PER_DAY).to_numpy()
    item = whole["item"].fill_null(0).to_numpy()
    minor = pl.Series(shelves.price_minor[item, day].astype(np.int64))
    priced = pl.col("kind").is_in(["view_item", "add_to_cart", "remove_from_cart", "purchase"])
    shopper = whole["shopper"].to_numpy()
    return (
        whole.with_columns(
            minor=minor,
            id=pl.format("demo-{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(7)),
            item=pl.when(pl.col("item").is_not_null()).then(shelves.frame["id"][item]),
            shopper=people.frame["id"][shopper],
            device=people.frame["device"][shopper],
            locale=people.frame["locale"][shopper],
            platform=pl.lit("web"),
            currency=pl.when(priced).then(pl.lit(currency)),
            session_id=pl.format("visit-{}", pl.col("visit")),
        )
        .with_columns(
            price_micros=pl.when(priced).then(pl.col("minor") * 10_000),
            value_minor=pl.when(pl.col("kind") == "purchase").then(
                pl.col("minor") * pl.col("quantity")
            ),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in ACTION_COLUMNS.items())
    )
