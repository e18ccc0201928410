"""The knowledge a store holds, as triples of items, for learning."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from habitue.facts import NO_ROW, Triples
from habitue.facts.triples import REVERSED
from habitue.store.contract import FactStore
from habitue.training.links import last_versions

__all__ = ["NAMING", "triples_of_store"]

NAMING: Final = ("label", "name")
"""Relations whose tail is what an entity is called."""

SAME: Final = "same_as"
"""The relation of an item to what it is called elsewhere, whichever of the two is the head."""


def triples_of_store(store: FactStore, watermark: int) -> Triples | None:
    """What is known of items, as the last versions of its triples say; nothing: ``None``.

    An end that is an item's id, or is told to be the ``SAME`` as one, is that item, and the other
    end the entity; where the tail is the item, the relation is ``REVERSED``, unless the same is
    told forwards too. What an entity has is the item's at one remove: its relation is both, the one
    behind the other. A triple holds from the moment its last version names, or all along.
    """
    told = last_versions(store, watermark, ("knowledge",), ("head", "tail"))
    items = pl.DataFrame({"id": store.item_ids()}, schema={"id": pl.String}).with_row_index("row")
    same = _with_rows(told.filter(pl.col("relation") == SAME), items)
    elsewhere = [
        same.filter(pl.col(f"{other}_row").is_null(), pl.col(f"{end}_row").is_not_null()).select(
            row=f"{end}_row", id=other
        )
        for end, other in (("head", "tail"), ("tail", "head"))
    ]
    items = pl.concat([items, *elsewhere]).unique("id", keep="first", maintain_order=True)
    named = _with_rows(told.filter(pl.col("relation") != SAME), items)
    about = _about_items(named)
    about = pl.concat([about, _at_one_remove(about, named)])
    return _coded(about, named, items) if about.height else None


def _about_items(named: pl.DataFrame) -> pl.DataFrame:
    """Of every item its ``relation`` to an ``entity``, whichever of the two was the head."""
    both = pl.concat(
        [
            named.filter(pl.col("head_row").is_not_null()).select(
                item="head_row", relation="relation", entity="tail", weight="weight", at_ms="at_ms"
            ),
            named.filter(pl.col("head_row").is_null(), pl.col("tail_row").is_not_null()).select(
                item="tail_row", relation=REVERSED + pl.col("relation"), entity="head",
                weight="weight", at_ms="at_ms",
            ),
        ]
    )  # fmt: skip
    forwards = ~pl.col("relation").str.starts_with(REVERSED)
    return both.filter(forwards | ~forwards.any().over("item", "entity"))


def _at_one_remove(about: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """What the entities of items, as long as they are none, have themselves."""
    neither = pl.col("head_row").is_null() & pl.col("tail_row").is_null()
    beyond = named.filter(neither, ~pl.col("relation").is_in(NAMING)).select(
        entity="head", behind="relation", further="tail", its_weight="weight", since="at_ms"
    )
    return about.join(beyond, on="entity").select(
        item="item",
        relation=pl.format("{}/{}", "relation", "behind"),
        entity="further",
        weight=pl.col("weight") * pl.col("its_weight"),
        at_ms=pl.max_horizontal("at_ms", "since"),
    )


def _with_rows(told: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The triples with the item rows of both ends, null where an end is no item."""
    for end in ("head", "tail"):
        rows = items.select(pl.col("id").alias(end), pl.col("row").alias(f"{end}_row"))
        told = told.join(rows, on=end, how="left", maintain_order="left")
    return told


def _coded(about: pl.DataFrame, named: pl.DataFrame, items: pl.DataFrame) -> Triples:
    relations = about.select(relation=pl.col("relation").unique().sort()).with_row_index("code")
    called = (
        named.filter(pl.col("relation").is_in(NAMING), pl.col("head_row").is_null())
        .unique("head", keep="last", maintain_order=True)
        .select(entity="head", called="tail")
    )
    rows = items.select(entity="id", row="row")
    entities = (
        about.select(entity=pl.col("entity").unique().sort())
        .with_row_index("number")
        .join(called, on="entity", how="left", maintain_order="left")
        .join(rows, on="entity", how="left", maintain_order="left")
    )
    about = about.join(relations, on="relation").join(entities, on="entity")
    about = about.sort("item", "code", "number")
    return Triples(
        about["item"].to_numpy().astype(np.int32),
        about["code"].to_numpy().astype(np.int32),
        about["number"].to_numpy().astype(np.int32),
        about["weight"].to_numpy().astype(np.float32),
        about["at_ms"].to_numpy(),
        tuple(relations["relation"]),
        tuple(entities.select(pl.coalesce("called", "entity")).to_series()),
        entities["row"].cast(pl.Int32).fill_null(NO_ROW).to_numpy(),
    )
