"""A table imported: read, translated, cleaned, and handed over as columns the store can take.

Column names are the fields of the facts; the store adds ``seq``, ``received_at_ms`` and the dense
rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import polars as pl
import pyarrow as pa

from habitue.errors import BadMapping
from habitue.facts.cleaning.findings import Ledger
from habitue.facts.cleaning.lines import (
    clock_findings,
    line_findings,
    mark_cancellations,
    outlier_findings,
    repeats,
    robot_findings,
)
from habitue.facts.cleaning.report import DataReport
from habitue.facts.columns import ACTION_TEXT
from habitue.facts.facts import Action, Fact, Item, Link, Shopper
from habitue.facts.feeds.catalogue import (
    draw_item,
    draw_shopper,
    gathered_shoppers,
    gathered_versions,
    item_bodies,
    row_versions,
    shopper_bodies,
)
from habitue.facts.feeds.json_columns import json_object
from habitue.facts.feeds.limits import out_of_bounds
from habitue.facts.feeds.links import draw_links, link_rows
from habitue.facts.feeds.mapping import ActionMap, LinkMap, Mapping
from habitue.facts.feeds.tables import ROW, RawTable
from habitue.facts.feeds.translate import Draft, action_draft
from habitue.facts.ids import row_id_prefix
from habitue.facts.kinds import NAMES
from habitue.facts.time import ClockConfig

__all__ = ["ITEM_TEXT", "LINK_TEXT", "SHOPPER_TEXT", "Imported", "import_table"]

ITEM_TEXT = pa.schema(
    [
        ("id", pa.string()),
        ("valid_from_ms", pa.int64()),
        ("deleted", pa.bool_()),
        ("body", pa.string()),
    ]
)
"""Columns of imported item versions; ``body`` is the JSON of an ``Item``."""

SHOPPER_TEXT = pa.schema([("id", pa.string()), ("at_ms", pa.int64()), ("body", pa.string())])
"""Columns of imported shoppers; ``body`` is the JSON of a ``Shopper``; a null time is unsaid."""

LINK_TEXT = pa.schema(
    [
        ("kind", pa.string()),
        ("head", pa.string()),
        ("tail", pa.string()),
        ("relation", pa.string()),
        ("weight", pa.float64()),
        ("at", pa.int64()),
    ]
)
"""Columns of imported links, named as the fields of ``Link``; a null time is unsaid."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a table says, ready to be stored, and what became of its rows."""

    actions: pa.Table  # of ACTION_TEXT
    items: pa.Table  # of ITEM_TEXT
    shoppers: pa.Table  # of SHOPPER_TEXT
    links: pa.Table  # of LINK_TEXT
    rejects: pl.DataFrame  # line, field, reason, said (the raw row as JSON)
    report: DataReport

    def facts(self, rows: int = 10_000) -> Iterator[list[Fact]]:
        """The same as facts, in batches of about ``rows``: items, shoppers, links, then actions.

        For a store that takes no columns; lines of one order that follow each other stay together.
        """
        yield from self.about(rows)
        yield from _action_facts(self.actions, rows)

    def about(self, rows: int = 10_000) -> Iterator[list[Fact]]:
        """What is said of items and people, as facts, without the actions."""
        decoders: list[tuple[pa.Table, msgspec.json.Decoder[Item] | msgspec.json.Decoder[Shopper]]]
        decoders = [
            (self.items, msgspec.json.Decoder(Item)),
            (self.shoppers, msgspec.json.Decoder(Shopper)),
        ]
        for table, decoder in decoders:
            for batch in table.select(["body"]).to_batches(max_chunksize=rows):
                yield [decoder.decode(body) for body in batch["body"].to_pylist()]
        for batch in self.links.to_batches(max_chunksize=rows):
            yield msgspec.convert(batch.to_pylist(), list[Link])


def import_table(
    raw: RawTable, mapping: Mapping, *, now_ms: int, clock: ClockConfig | None = None
) -> Imported:
    """Translate and clean a table by a mapping; every row of it is in the result or the rejects.

    Raises ``BadMapping`` when the mapping names columns the table does not have.
    """
    raw = _as_mapped(raw, mapping)
    ledger = Ledger()
    actions = items = shoppers = links = None
    if mapping.link is not None:
        lines = _clean_links(raw, mapping, mapping.link, ledger)
        links = link_rows(lines, mapping.link)
    elif mapping.action is not None:
        lines = _clean_lines(raw, mapping, mapping.action, ledger, now_ms, clock or ClockConfig())
        lines = _with_ids(lines, raw, mapping, mapping.action)
        actions = _with_extra(lines).with_columns(
            pl.col("kind").replace_strict(NAMES, return_dtype=pl.String),
            pl.col("at_ms").alias("at"),
        )
        if mapping.item is not None:
            items = gathered_versions(lines, mapping.item.new_version, mapping.time_zone)
        if mapping.shopper is not None:
            shoppers = gathered_shoppers(lines)
    else:
        lines = _clean_versions(raw, mapping, ledger)
        if mapping.item is not None:
            items = row_versions(lines, "item:", "valid_from", now_ms)
        if mapping.shopper is not None:
            shoppers = row_versions(lines, "shopper:", "at", None)
    return Imported(
        actions=_as_arrow(actions, ACTION_TEXT),
        items=_as_arrow(None if items is None else item_bodies(items), ITEM_TEXT),
        shoppers=_as_arrow(None if shoppers is None else shopper_bodies(shoppers), SHOPPER_TEXT),
        links=_as_arrow(links, LINK_TEXT),
        rejects=_rejects(raw, ledger),
        report=_report(raw, ledger, lines, items, shoppers, links),
    )


def _as_mapped(raw: RawTable, mapping: Mapping) -> RawTable:
    """The table with the columns the mapping names, whatever this edition of it calls them."""
    there = set(raw.frame.columns)
    called = {
        other: name
        for name, others in mapping.also_called.items()
        if name not in there and (other := next((o for o in others if o in there), None))
    }
    optional = mapping.optional_columns()
    silent = sorted(optional - (there - called.keys() | set(called.values())))
    if called or silent:
        nothing = (pl.lit(None, pl.String).alias(name) for name in silent)
        raw = replace(raw, frame=raw.frame.rename(called).with_columns(nothing))
    missing = sorted(mapping.columns() - set(raw.frame.columns))
    if missing:
        names = ", ".join(name for name in raw.frame.columns if name != ROW)
        raise BadMapping(
            f"{raw.name} has no column {', '.join(map(repr, missing))}, which the mapping "
            f"{mapping.name!r} names.",
            remedy=f"Its columns are: {names}.",
            field=missing[0],
        )
    return raw


def _clean_lines(
    raw: RawTable,
    mapping: Mapping,
    action: ActionMap,
    ledger: Ledger,
    now_ms: int,
    clock: ClockConfig,
) -> pl.DataFrame:
    config = mapping.cleaning
    draft = action_draft(mapping, action, raw.frame.schema)
    if mapping.item is not None:
        draw_item(draft, mapping, mapping.item, raw.frame.schema)
    if mapping.shopper is not None:
        draw_shopper(draft, mapping, mapping.shopper, raw.frame.schema)
    columns = draft.names()
    frame = draft.frame(raw.frame)
    frame = ledger.judge(
        frame,
        [
            *draft.findings,
            *clock_findings(now_ms, clock),
            *line_findings(config, columns),
            *out_of_bounds(Action, columns),
            repeats(raw.frame, config),
        ],
    ).drop(list(draft.tests))
    if "item" in columns:  # small numbers group faster than text
        codes = frame.select(pl.col("item").cast(pl.Categorical).to_physical()).to_series()
        frame = frame.with_columns(codes.alias("item_code"))
    frame = ledger.judge(frame, outlier_findings(config, columns))
    if config.find_robots:
        frame = ledger.judge(frame, robot_findings(frame, config.robots))
    if config.match_cancellations and {"item", "quantity"} <= columns:
        frame = mark_cancellations(frame, ledger)
    return frame


def _clean_versions(raw: RawTable, mapping: Mapping, ledger: Ledger) -> pl.DataFrame:
    """The rows of a catalogue or a customer file that can be facts."""
    draft, schema = Draft(), raw.frame.schema
    if mapping.item is not None:
        draw_item(draft, mapping, mapping.item, schema)
    if mapping.shopper is not None:
        draw_shopper(draft, mapping, mapping.shopper, schema)
    structs: dict[str, type[msgspec.Struct]] = {"item:": Item, "shopper:": Shopper}
    for prefix, struct in structs.items():
        drawn = {n.removeprefix(prefix) for n in draft.names() if n.startswith(prefix)}
        if drawn:
            missing = pl.col(f"{prefix}id").is_null()
            draft.find_in_draft(f"{prefix}id_missing", "id", "the row has no id", missing)
            draft.findings += out_of_bounds(struct, drawn, prefix)
    findings = [*draft.findings, repeats(raw.frame, mapping.cleaning)]
    return ledger.judge(draft.frame(raw.frame), findings).drop(list(draft.tests))


def _clean_links(raw: RawTable, mapping: Mapping, link: LinkMap, ledger: Ledger) -> pl.DataFrame:
    """The rows that can be links."""
    draft = draw_links(link, raw.frame.schema, mapping.time_zone)
    findings = [
        *draft.findings,
        *out_of_bounds(Link, draft.names()),
        repeats(raw.frame, mapping.cleaning),
    ]
    return ledger.judge(draft.frame(raw.frame), findings).drop(list(draft.tests))


def _with_ids(
    lines: pl.DataFrame, raw: RawTable, mapping: Mapping, action: ActionMap
) -> pl.DataFrame:
    if action.id is not None:
        return lines
    if raw.content_hash is None:
        raise BadMapping(
            f"{mapping.name}: rows of a query have no number that stays theirs.",
            remedy="Say which column is the action's id: [action] id = ...",
            field="action.id",
        )
    prefix = row_id_prefix(mapping.name, raw.content_hash)
    number = pl.col(ROW).cast(pl.String).str.zfill(12)
    return lines.with_columns(id=pl.concat_str(pl.lit(prefix), number))


def _with_extra(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines with their marks, and what the mapping puts there, as JSON in ``extra``."""
    members = {
        name.removeprefix("mark:"): (name, lines.schema[name])
        for name in lines.columns
        if name.startswith("mark:")
    }
    members |= {
        name.removeprefix("extra:"): (name, lines.schema[name])
        for name in lines.columns
        if name.startswith("extra:")
    }
    if "cancels_row" in lines.columns:
        wanted = lines.select(cancels_row=pl.col("cancels_row").drop_nulls())
        ids = lines.select(cancels_row=ROW, cancels="id").join(wanted, on="cancels_row", how="semi")
        lines = lines.join(ids, on="cancels_row", how="left", maintain_order="left")
        members["cancels"] = ("cancels", pl.String())
        members["refunded_quantity"] = ("refunded_quantity", pl.Float64())
    if members:
        lines = lines.with_columns(extra=json_object(members))
    return lines


def _rejects(raw: RawTable, ledger: Ledger) -> pl.DataFrame:
    """Line, field, reason and the raw row of every reject, in order of lines."""
    rejected = ledger.rejected_rows()
    said = raw.frame.join(rejected.select(ROW), on=ROW, how="semi", maintain_order="left")
    told = pl.struct(pl.exclude(ROW)).struct.json_encode()
    readable = rejected.with_columns(said.select(told.alias("said")).to_series()).select(
        (pl.col(ROW).cast(pl.Int64) + raw.first_line).alias("line"), "field", "reason", "said"
    )
    unreadable = pl.DataFrame(
        [(bad.line, None, bad.reason, bad.raw) for bad in raw.unreadable],
        schema=readable.schema,
        orient="row",
    )
    return pl.concat([readable, unreadable]).sort("line")


def _report(
    raw: RawTable,
    ledger: Ledger,
    lines: pl.DataFrame,
    items: pl.DataFrame | None,
    shoppers: pl.DataFrame | None,
    links: pl.DataFrame | None,
) -> DataReport:
    mended = len(lines.select(ROW).join(ledger.mended_rows().to_frame(), on=ROW, how="semi"))
    made: dict[str, int] = {}
    since = until = None
    if "kind" in lines.columns:
        kinds = lines.group_by("kind").len().sort("kind").iter_rows()
        made = {NAMES[code]: n for code, n in kinds}
        since, until = lines.select(pl.min("at_ms"), until=pl.max("at_ms")).row(0)
    for name, versions in (("item", items), ("shopper", shoppers)):
        if versions is not None:
            made[f"{name}s"] = versions["id"].n_unique()
            made[f"{name} versions"] = versions.height
    if links is not None:
        made["links"] = links.height
    return DataReport(
        source=raw.name,
        rows_read=raw.rows_read,
        kept=lines.height - mended,
        mended=mended,
        rejected=raw.rows_read - lines.height,
        found=tuple(ledger.found),
        made=made,
        since_ms=since,
        until_ms=until,
    )


def _action_facts(actions: pa.Table, rows: int) -> Iterator[list[Fact]]:
    start = 0
    while start < actions.num_rows:
        stop = min(start + rows, actions.num_rows)
        if "order_id" in actions.column_names and stop < actions.num_rows:
            order = actions["order_id"][stop - 1]
            while stop < actions.num_rows and order.is_valid and actions["order_id"][stop] == order:
                stop += 1
        said = actions.slice(start, stop - start).to_pylist()
        for line in said:
            if line.get("extra") is not None:
                line["extra"] = msgspec.json.decode(line["extra"])
        yield msgspec.convert(said, list[Action])
        start = stop


def _as_arrow(frame: pl.DataFrame | None, layout: pa.Schema) -> pa.Table:
    if frame is None:
        return layout.empty_table()
    columns = [name for name in layout.names if name in frame.columns]
    schema = pa.schema([layout.field(name) for name in columns])
    return frame.select(columns).to_arrow().cast(schema)
