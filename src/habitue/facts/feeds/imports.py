"""A table imported: read, translated, cleaned, and handed over as columns the store can take.

Column names are the fields of ``Action`` with text ids (``shopper``, ``item``), ``kind`` as a code
and ``at_ms``; the store adds ``seq``, ``received_at_ms`` and the dense rows.
"""

from __future__ import annotations

from dataclasses import dataclass

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
)
from habitue.facts.cleaning.report import DataReport
from habitue.facts.facts import Action
from habitue.facts.feeds.catalogue import draw_item, gathered_versions, item_bodies
from habitue.facts.feeds.json_columns import json_object
from habitue.facts.feeds.limits import out_of_bounds
from habitue.facts.feeds.mapping import ActionMap, Mapping
from habitue.facts.feeds.tables import ROW, RawTable
from habitue.facts.feeds.translate import action_draft
from habitue.facts.ids import row_id_prefix
from habitue.facts.kinds import NAMES
from habitue.facts.time import ClockConfig

__all__ = ["ACTION_TEXT", "ITEM_TEXT", "SHOPPER_TEXT", "Imported", "import_table"]

ACTION_TEXT = pa.schema(
    [
        ("id", pa.string()),
        ("at_ms", pa.int64()),
        ("kind", pa.uint8()),
        ("shopper", pa.string()),
        ("item", pa.string()),
        ("quantity", pa.float32()),
        ("price_micros", pa.int64()),
        ("value_minor", pa.int64()),
        ("currency", pa.string()),
        ("order_id", pa.string()),
        ("surface", pa.string()),
        ("slate_id", pa.string()),
        ("slot", pa.int32()),
        ("session_id", pa.string()),
        ("platform", pa.string()),
        ("device", pa.string()),
        ("locale", pa.string()),
        ("query", pa.string()),
        ("rating", pa.float32()),
        ("text", pa.string()),
        ("seconds", pa.float32()),
        ("score", pa.float32()),
        ("coupon", pa.string()),
        ("extra", pa.string()),
    ]
)
"""Columns of imported actions; those the mapping does not name are absent, not null."""

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
"""Columns of imported shoppers; ``body`` is the JSON of a ``Shopper``."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a table says, ready to be stored, and what became of its rows."""

    actions: pa.Table  # of ACTION_TEXT
    items: pa.Table  # of ITEM_TEXT
    shoppers: pa.Table  # of SHOPPER_TEXT
    rejects: pl.DataFrame  # line, field, reason, said (the raw row as JSON)
    report: DataReport


def import_table(
    raw: RawTable, mapping: Mapping, *, now_ms: int, clock: ClockConfig | None = None
) -> Imported:
    """Translate and clean a table by a mapping; every row of it is in the result or the rejects.

    Raises ``BadMapping`` when the mapping names columns the table does not have.
    """
    _check_columns(raw, mapping)
    clock = clock or ClockConfig()
    if mapping.action is None:
        raise BadMapping(f"{mapping.name} maps no actions.")
    ledger = Ledger()
    lines = _clean_lines(raw, mapping, mapping.action, ledger, now_ms, clock)
    lines = _with_ids(lines, raw, mapping, mapping.action)
    actions = _action_columns(lines)
    items = shoppers = None
    if mapping.item is not None and "item" in lines.columns:
        items = item_bodies(gathered_versions(lines, mapping.item.new_version, mapping.time_zone))
    rejects = _rejects(raw, ledger)
    return Imported(
        actions=_as_arrow(actions, ACTION_TEXT),
        items=_as_arrow(items, ITEM_TEXT),
        shoppers=_as_arrow(shoppers, SHOPPER_TEXT),
        rejects=rejects,
        report=_report(raw, ledger, lines, items),
    )


def _check_columns(raw: RawTable, mapping: Mapping) -> None:
    missing = sorted(mapping.columns() - set(raw.frame.columns))
    if missing:
        there = ", ".join(name for name in raw.frame.columns if name != ROW)
        raise BadMapping(
            f"{raw.name} has no column {', '.join(map(repr, missing))}, which the mapping "
            f"{mapping.name!r} names.",
            remedy=f"Its columns are: {there}.",
            field=missing[0],
        )


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
    columns = set(draft.columns)
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
    frame = ledger.judge(frame, outlier_findings(config, columns))
    if config.match_cancellations and {"item", "quantity"} <= columns:
        frame = mark_cancellations(frame, ledger)
    return frame


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


def _action_columns(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines in the layout of the store, their marks in ``extra``."""
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
    raw: RawTable, ledger: Ledger, lines: pl.DataFrame, items: pl.DataFrame | None
) -> DataReport:
    mended = len(lines.select(ROW).join(ledger.mended_rows().to_frame(), on=ROW, how="semi"))
    kinds = lines.group_by("kind").len().sort("kind").iter_rows()
    made = {NAMES[code]: n for code, n in kinds}
    if items is not None:
        made["item versions"] = items.height
        made["items"] = items["id"].n_unique()
    return DataReport(
        source=raw.name,
        rows_read=raw.rows_read,
        kept=lines.height - mended,
        mended=mended,
        rejected=raw.rows_read - lines.height,
        found=tuple(ledger.found),
        made=made,
        since_ms=lines["at_ms"].min(),  # type: ignore[arg-type]
        until_ms=lines["at_ms"].max(),  # type: ignore[arg-type]
    )


def _as_arrow(frame: pl.DataFrame | None, layout: pa.Schema) -> pa.Table:
    if frame is None:
        return layout.empty_table()
    columns = [name for name in layout.names if name in frame.columns]
    schema = pa.schema([layout.field(name) for name in columns])
    return frame.select(columns).to_arrow().cast(schema)
