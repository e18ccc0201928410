"""Versions of items and shoppers: a row each, or gathered from what the lines of orders say."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
import polars as pl

from habitue.facts.facts import Item, Shopper
from habitue.facts.feeds import typed
from habitue.facts.feeds.json_columns import json_object
from habitue.facts.feeds.limits import out_of_bounds
from habitue.facts.feeds.mapping import FieldMap, ItemMap, Mapping, ShopperMap
from habitue.facts.feeds.translate import Draft

__all__ = [
    "draw_item",
    "draw_shopper",
    "gathered_shoppers",
    "gathered_versions",
    "item_bodies",
    "row_versions",
    "shopper_bodies",
]

PREFIX: Final = "item:"
_SHOPPER: Final = "shopper:"
_MONEY: Final = {"price": "price_micros", "sale_price": "sale_price_micros", "cost": "cost_micros"}
_TIMES: Final = ("published_at", "valid_from")
_SALE: Final = "sale_price_effective_date"
_WORDS: Final = ("availability", "condition")  # of a fixed list, in any spelling
_RAW: Final = frozenset({"attributes", "traits", "additional_image_link"})  # drawn as JSON
_BUCKET: Final = {"day": "1d", "week": "1w", "month": "1mo"}


def draw_item(draft: Draft, mapping: Mapping, item: ItemMap, schema: pl.Schema) -> None:
    """Add the item's fields to a draft, each under ``item:`` and its name in ``Item``.

    What a catalogue's row says of a price must be an amount; a line of an order is not refused for
    what it says of its item.
    """
    currency = pl.lit(mapping.currency)
    judged = mapping.action is None
    for name, said in item.fields().items():
        if name in _MONEY:
            if said.unit == "price":
                currency = pl.coalesce(typed.currency_in(said, schema), currency)
            elif item.currency is not None:
                currency = pl.coalesce(typed.text(item.currency, schema), currency)
            micros = draft.money(name, said, schema, currency, None, judged=judged)
            draft.columns[PREFIX + _MONEY[name]] = micros
            draft.columns[PREFIX + "currency"] = currency
        elif name in _TIMES:
            at, _ = typed.instant(said, schema, mapping.time_zone)
            draft.columns[PREFIX + name] = at
        elif name == "stock":
            draft.columns[PREFIX + name] = typed.number(said, schema).cast(pl.Int64, strict=False)
        elif name in _WORDS:
            words = typed.text(said, schema).str.to_lowercase().str.replace_all(r"[\s-]+", "_")
            draft.columns[PREFIX + name] = words
        elif name == "additional_image_link":
            draft.columns[PREFIX + name] = typed.texts(said, schema)
        elif name == "adult":
            yes = typed.text(said, schema).str.to_lowercase().is_in(["yes", "true", "1"])
            draft.columns[PREFIX + name] = yes
        elif name == _SALE:
            _draw_sale(draft, said, schema, mapping.time_zone)
        elif name == "id":
            draft.text(PREFIX + name, said, schema, is_id=True)
        elif name != "currency":
            draft.columns[PREFIX + name] = typed.text(said, schema)
    for name, said in item.attributes.items():
        draft.columns[f"{PREFIX}attributes:{name}"] = typed.text(said, schema)


def _draw_sale(draft: Draft, said: FieldMap, schema: pl.Schema, time_zone: str) -> None:
    """Since when and until when the sale price holds; a span nobody can read is no sale."""
    since, until = typed.span(said, schema, time_zone)
    draft.columns |= {f"{PREFIX}sale_since": since, f"{PREFIX}sale_until": until}
    wrong = typed.text(said, schema).is_not_null() & (since.is_null() | until.is_null())
    draft.columns[f"{PREFIX}sale_unreadable"] = wrong
    reason = "the time of the sale cannot be read; the sale price is left out"
    draft.find("sale_unreadable", _SALE, reason, wrong, mended=True)


def draw_shopper(draft: Draft, mapping: Mapping, shopper: ShopperMap, schema: pl.Schema) -> None:
    """Add what is said of the shopper to a draft, each field under ``shopper:`` and its name."""
    for name, said in shopper.fields().items():
        if name == "at":
            draft.columns[_SHOPPER + name], _ = typed.instant(said, schema, mapping.time_zone)
        else:
            draft.text(_SHOPPER + name, said, schema, is_id=name == "id")
    for name, said in shopper.traits.items():
        draft.columns[f"{_SHOPPER}traits:{name}"] = typed.text(said, schema)


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
    said = _without_out_of_bounds(said, Item, PREFIX).sort("at_ms", "row")
    first = said.unique("id", keep="first", maintain_order=True)
    if every == "row":
        rest = said
    else:
        local = pl.from_epoch("at_ms", "ms").dt.replace_time_zone("UTC")
        bucket = local.dt.convert_time_zone(time_zone).dt.truncate(_BUCKET[every])
        rest = said.group_by("id", bucket.alias("bucket"), maintain_order=True).agg(
            pl.col("row").last(), pl.col("at_ms").last(), *(_summed_up(name) for name in fields)
        )
    versions = pl.concat([first, rest.select(first.columns)]).unique(
        ["id", "at_ms", "row"], keep="first", maintain_order=True
    )
    return _where_changed(versions, fields, PREFIX).rename({"at_ms": "valid_from_ms"})


def gathered_shoppers(lines: pl.DataFrame) -> pl.DataFrame:
    """Versions of the shoppers lines speak of, one wherever a line says something new.

    Columns id, at_ms and the shopper's fields. Ids that only stand in for a missing one are left
    out: nobody is behind them.
    """
    fields = [name for name in lines.columns if name.startswith(_SHOPPER)]
    if "shopper_stood_in" in lines.columns:
        lines = lines.filter(~pl.col("shopper_stood_in"))
    said = lines.select("row", "at_ms", pl.col("shopper").alias("id"), *fields)
    said = said.filter(pl.any_horizontal(pl.col(fields).is_not_null()))
    # nearly everyone says one thing all along: their first line is all there is to sort
    different = said.unique(["id", *fields], keep="first", maintain_order=True)
    several = different.filter(pl.col("id").is_duplicated()).select("id").unique()
    said = pl.concat(
        [
            said.join(several, on="id", how="semi"),
            said.sort("at_ms", "row", maintain_order=True)
            .unique("id", keep="first")
            .join(several, on="id", how="anti"),
        ]
    )
    return _where_changed(_without_out_of_bounds(said, Shopper, _SHOPPER), fields, _SHOPPER)


def row_versions(rows: pl.DataFrame, prefix: str, time: str, unsaid_ms: int | None) -> pl.DataFrame:
    """A version for each row of a catalogue or customer file; ``time`` names its time column.

    Where a row says no time it is ``unsaid_ms``.
    """
    named = rows.select(
        pl.col(name).alias(name.removeprefix(prefix))
        for name in rows.columns
        if name.startswith(prefix)
    )
    said = pl.col(time) if time in named.columns else pl.lit(None, pl.Int64)
    timed = named.with_columns(
        pl.coalesce(said, pl.lit(unsaid_ms, pl.Int64)).alias(f"{time}_ms")
    ).drop(time, strict=False)
    return _with_sales(timed) if "sale_since" in timed.columns else timed


def _with_sales(versions: pl.DataFrame) -> pl.DataFrame:
    """Versions before, during and after each sale whose span is said."""
    begins, since, until = pl.col("valid_from_ms"), pl.col("sale_since"), pl.col("sale_until")
    off = pl.lit(None, pl.Int64).alias("sale_price_micros")
    before = (begins < since).fill_null(False)
    over = (begins >= until).fill_null(False)
    planned = pl.col("sale_price_micros").is_not_null() & (since < until)
    now = versions.with_columns(
        sale_price_micros=pl.when(~before & ~over & ~pl.col("sale_unreadable")).then(
            "sale_price_micros"
        )
    )
    sale = versions.filter(planned & before).with_columns(valid_from_ms="sale_since")
    after = versions.filter(planned & ~over).with_columns(off, valid_from_ms="sale_until")
    parts = pl.concat([now, sale.select(now.columns), after.select(now.columns)])
    return parts.drop("sale_since", "sale_until", "sale_unreadable").sort(
        "valid_from_ms", maintain_order=True
    )


def _where_changed(versions: pl.DataFrame, fields: list[str], prefix: str) -> pl.DataFrame:
    """The versions that differ from the one before of the same id, in order of time.

    A field not said again keeps its value.
    """
    ordered = versions.sort("id", "at_ms", "row")
    new = [pl.col("id") != pl.col("id").shift(1).fill_null("")]
    if fields:
        ordered = ordered.with_columns(pl.col(fields).forward_fill().over("id"))
        new += [pl.col(name).ne_missing(pl.col(name).shift(1)) for name in fields]
    named = {name: name.removeprefix(prefix) for name in fields}
    return ordered.filter(pl.any_horizontal(new)).sort("at_ms", "id").drop("row").rename(named)


def _summed_up(name: str) -> pl.Expr:
    if name.endswith("_micros"):
        return pl.col(name).median().round().cast(pl.Int64)
    return pl.col(name).drop_nulls().last()


def _without_out_of_bounds(
    said: pl.DataFrame, struct: type[msgspec.Struct], prefix: str
) -> pl.DataFrame:
    """A value that no fact may have is not said, rather than costing the line that says it."""
    plain = said.rename(lambda name: name.removeprefix(prefix))
    for finding in out_of_bounds(struct, set(plain.columns) - {"id"}):
        assert finding.field is not None
        kept = pl.when(~finding.where.fill_null(False)).then(pl.col(finding.field))
        plain = plain.with_columns(kept.alias(finding.field))
    return plain.rename(dict(zip(plain.columns, said.columns, strict=True)))


def item_bodies(versions: pl.DataFrame) -> pl.DataFrame:
    """Versions in the layout of the store: id, valid_from_ms, deleted, body (JSON of ``Item``)."""
    bodies = _with_body(versions, Item, "attributes", ("valid_from", "valid_from_ms"))
    return bodies.select("id", "valid_from_ms", pl.lit(False).alias("deleted"), "body")


def shopper_bodies(versions: pl.DataFrame) -> pl.DataFrame:
    """Versions in the layout of the store: id, at_ms, body (JSON of ``Shopper``)."""
    return _with_body(versions, Shopper, "traits", ("at", "at_ms")).select("id", "at_ms", "body")


def _with_body(
    versions: pl.DataFrame, struct: type[msgspec.Struct], nested: str, time: tuple[str, str]
) -> pl.DataFrame:
    inner = {
        name.split(":", 1)[1]: (name, versions.schema[name])
        for name in versions.columns
        if name.startswith(f"{nested}:")
    }
    if inner:
        versions = versions.with_columns(json_object(inner).alias(nested))
    members: dict[str, tuple[str, pl.DataType | type[pl.DataType]]] = {
        name: (name, pl.Struct if name in _RAW else versions.schema[name])
        for name in struct.__struct_fields__
        if name in versions.columns and name != time[0]
    }
    members[time[0]] = (time[1], pl.Int64)
    return versions.with_columns(json_object(members).alias("body"))
