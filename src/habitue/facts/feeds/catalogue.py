"""Item versions: from the rows of a catalogue, or gathered from what the lines of orders say."""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from habitue.facts.facts import Item
from habitue.facts.feeds import typed
from habitue.facts.feeds.json_columns import json_object
from habitue.facts.feeds.limits import out_of_bounds
from habitue.facts.feeds.mapping import ItemMap, Mapping
from habitue.facts.feeds.translate import Draft

__all__ = ["draw_item", "gathered_versions", "item_bodies"]

PREFIX: Final = "item:"
_MONEY: Final = {"price": "price_micros", "sale_price": "sale_price_micros", "cost": "cost_micros"}
_TIMES: Final = ("published_at", "valid_from")
_BUCKET: Final = {"day": "1d", "week": "1w", "month": "1mo"}


def draw_item(draft: Draft, mapping: Mapping, item: ItemMap, schema: pl.Schema) -> None:
    """Add the item's fields to a draft, each under ``item:`` and its name in ``Item``."""
    currency = pl.lit(mapping.currency)
    for name, said in item.fields().items():
        if name in _MONEY:
            if said.unit == "price":
                currency = pl.coalesce(typed.currency_in(said, schema), currency)
            elif item.currency is not None:
                currency = pl.coalesce(typed.text(item.currency, schema), currency)
            draft.columns[PREFIX + _MONEY[name]] = draft.money(name, said, schema, currency, None)
            draft.columns[PREFIX + "currency"] = currency
        elif name in _TIMES:
            at, _ = typed.instant(said, schema, mapping.time_zone)
            draft.columns[PREFIX + name] = at
        elif name == "stock":
            draft.columns[PREFIX + name] = typed.number(said, schema).cast(pl.Int64, strict=False)
        elif name == "availability":
            words = typed.text(said, schema).str.to_lowercase().str.replace_all(r"[\s-]+", "_")
            draft.columns[PREFIX + name] = words
        elif name != "currency":
            draft.columns[PREFIX + name] = typed.text(said, schema)
    for name, said in item.attributes.items():
        draft.columns[f"{PREFIX}attributes:{name}"] = typed.text(said, schema)


def gathered_versions(
    lines: pl.DataFrame, every: Literal["row", "day", "week", "month"], time_zone: str
) -> pl.DataFrame:
    """Versions of the items that lines speak of: columns id, valid_from_ms and the item's fields.

    An item's first version is what its first line says. Later ones sum up a period (the last text
    said, the median price) and hold from the period's last line, so that no version knows a line
    after it; those that change nothing are left out.
    """
    fields = [name for name in lines.columns if name.startswith(PREFIX)]
    said = lines.select("row", "at_ms", pl.col("item").alias("id"), *fields)
    said = said.filter(pl.col("id").is_not_null())
    said = _without_out_of_bounds(said).sort("at_ms", "row")
    first = said.unique("id", keep="first", maintain_order=True)
    if every == "row":
        rest = said
    else:
        local = pl.from_epoch("at_ms", "ms").dt.replace_time_zone("UTC")
        bucket = local.dt.convert_time_zone(time_zone).dt.truncate(_BUCKET[every])
        rest = said.group_by("id", bucket.alias("bucket"), maintain_order=True).agg(
            pl.col("row").last(), pl.col("at_ms").last(), *(_summed_up(name) for name in fields)
        )
    versions = (
        pl.concat([first, rest.select(first.columns)])
        .unique(["id", "at_ms", "row"], keep="first", maintain_order=True)
        .sort("id", "at_ms", "row")
        .with_columns(pl.col(fields).forward_fill().over("id"))
    )
    if fields:
        before = [pl.col(name).ne_missing(pl.col(name).shift(1).over("id")) for name in fields]
        new = pl.any_horizontal(*before, pl.col("id") != pl.col("id").shift(1).fill_null(""))
        versions = versions.filter(new)
    else:
        versions = versions.unique("id", keep="first", maintain_order=True)
    named = versions.rename({name: name.removeprefix(PREFIX) for name in fields})
    return named.drop("row").rename({"at_ms": "valid_from_ms"}).sort("valid_from_ms", "id")


def _summed_up(name: str) -> pl.Expr:
    if name.endswith("_micros"):
        return pl.col(name).median().round().cast(pl.Int64)
    return pl.col(name).drop_nulls().last()


def _without_out_of_bounds(said: pl.DataFrame) -> pl.DataFrame:
    """A value that no item may have is not said, rather than costing the line that says it."""
    plain = said.rename(lambda name: name.removeprefix(PREFIX))
    for finding in out_of_bounds(Item, set(plain.columns) - {"id"}):
        assert finding.field is not None
        kept = pl.when(~finding.where.fill_null(False)).then(pl.col(finding.field))
        plain = plain.with_columns(kept.alias(finding.field))
    return plain.rename(dict(zip(plain.columns, said.columns, strict=True)))


def item_bodies(versions: pl.DataFrame) -> pl.DataFrame:
    """Versions in the layout of the store: id, valid_from_ms, deleted, body (JSON of ``Item``)."""
    attributes = [name for name in versions.columns if name.startswith("attributes:")]
    if attributes:
        inner = {name.split(":", 1)[1]: (name, versions.schema[name]) for name in attributes}
        versions = versions.with_columns(json_object(inner).alias("attributes"))
    members = {
        name: (name, pl.Struct if name == "attributes" else versions.schema[name])
        for name in Item.__struct_fields__
        if name in versions.columns and name != "valid_from"
    }
    members["valid_from"] = ("valid_from_ms", pl.Int64())
    return versions.select("id", "valid_from_ms", deleted=pl.lit(False), body=json_object(members))
