"""From a file, a query or a made-up world to stored facts, column by column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl
import pyarrow as pa

from habitue.app.secrets import reject_files
from habitue.errors import BadInput
from habitue.facts import NAMES, Fact, Item
from habitue.facts.cleaning.rejects import write_rejects
from habitue.facts.cleaning.report import DataReport
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.json_files import JSON_FORMS, JsonForm, import_json
from habitue.facts.feeds.mapping import Mapping, load_mapping, shipped_mappings
from habitue.facts.feeds.merchant import read_merchant
from habitue.facts.feeds.recognise import FORMS, form_of
from habitue.facts.feeds.schema_org import read_products
from habitue.facts.feeds.tables import RawTable, read_query, read_table
from habitue.store.contract import Appended

if TYPE_CHECKING:
    from rich.table import Table

    from habitue.app.shop import Progress
    from habitue.app.wiring import Parts

__all__ = [
    "Counted",
    "Ingested",
    "ingest_actions",
    "ingest_table",
    "readable_rejects",
    "store_facts",
    "store_imported",
]

_ROWS: Final = 100_000
"""Rows a commit of an import: large enough to share its cost, small enough to show progress."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the store did with rows."""

    new: int = 0
    duplicate: int = 0  # there already, the same
    conflict: int = 0  # there already, another body: not stored
    refused: int = 0  # wrong in themselves: not stored

    def plus(self, done: Appended, rows: int) -> Counted:
        """With another batch's outcome."""
        return Counted(
            self.new + done.new,
            self.duplicate + done.duplicate,
            self.conflict + done.conflict,
            self.refused + rows - done.new - done.duplicate - done.conflict,
        )


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a table: what cleaning found, and what the store did with it."""

    report: DataReport
    stored: Counted

    def to_json(self) -> str:
        """Both as JSON."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()

    def to_table(self) -> Table:
        """The data report for the terminal, with what was stored as its caption."""
        table = self.report.as_table()
        done = self.stored
        stored = f"stored: {done.new:,} new facts, {done.duplicate:,} that were there already"
        if done.conflict or done.refused:
            stored += f", {done.conflict:,} in conflict, {done.refused:,} refused"
        table.caption = f"{table.caption}\n{stored}"
        return table


def ingest_table(
    parts: Parts,
    source: str | Path,
    mapping: str | Path | None,
    query: str | None,
    rejects: Path | None,
    *,
    now_ms: int,
    progress: Progress,
) -> Ingested:
    """Read, clean and store a table; see ``Shop.ingest``."""
    if mapping is None and query is None and "://" not in str(source):
        mapping = form_of(Path(source))
    if mapping in JSON_FORMS:
        return _ingest_json(parts, Path(source), mapping, rejects, now_ms, progress)
    if mapping is None:
        raise BadInput(
            f"{source} needs a mapping that says what its columns mean.",
            remedy=f"Name a shipped one ({', '.join(shipped_mappings())}), a TOML file, or what "
            f"the file is ({', '.join(FORMS)}): docs/guides/import.",
        )
    told = load_mapping("merchant" if mapping == "schema-org" else mapping)
    if query is None and mapping == "merchant":
        raw = read_merchant(Path(source))
    elif query is None and mapping == "schema-org":
        raw = read_products(Path(source))
    else:
        raw = _read(source, query, told.read)
    progress("reading", 1, 1)
    progress("cleaning", 0, 1)
    found = import_table(raw, told, now_ms=now_ms, clock=parts.settings.clock)
    progress("cleaning", 1, 1)
    if rejects is not None:
        write_rejects(readable_rejects(parts, found.rejects, told), rejects)
        reject_files(parts.settings).note(rejects)
    return store_imported(parts, found, now_ms, progress)


def _ingest_json(
    parts: Parts,
    source: Path,
    form: JsonForm,
    rejects: Path | None,
    now_ms: int,
    progress: Progress,
) -> Ingested:
    """Facts or events as JSON lines, which say themselves what they mean."""
    progress("reading", 0, 1)
    found = import_json(source, form, now_ms=now_ms, clock=parts.settings.clock)
    progress("reading", 1, 1)
    if rejects is not None:
        write_rejects(readable_rejects(parts, found.rejects, None), rejects)
        reject_files(parts.settings).note(rejects)
    return Ingested(found.report, store_facts(parts, found.facts, now_ms, progress, "facts"))


def readable_rejects(parts: Parts, rejects: pl.DataFrame, told: Mapping | None) -> pl.DataFrame:
    """Refused rows as they may be kept: where ids rest as pseudonyms, without any other.

    Without a mapping, who a line speaks of may stand anywhere in it, so all it said goes.
    """
    if parts.pseudonyms is None:
        return rejects
    if told is None:
        return rejects.with_columns(pl.lit(None, pl.String).alias("said"))
    return parts.pseudonyms.over_rejects(rejects, told.shopper_columns())


def _read(source: str | Path, query: str | None, hints: object) -> RawTable:
    if query is not None:
        return read_query(str(source), query)
    if "://" in str(source):
        raise BadInput("A database address needs a query.", remedy='Give --query "select ...".')
    return read_table(source, hints)  # type: ignore[arg-type]


def store_imported(parts: Parts, found: Imported, now_ms: int, progress: Progress) -> Ingested:
    """Store what a table was found to say."""
    said = [fact for batch in found.about() for fact in batch]
    facts = _news(parts, said, now_ms)
    counted = store_facts(parts, facts, now_ms, progress, "items, people and ties")
    counted = replace(counted, duplicate=counted.duplicate + len(said) - len(facts))
    return Ingested(
        found.report, ingest_actions(parts, found.actions, now_ms, progress, counted=counted)
    )


def store_facts(
    parts: Parts, facts: list[Fact], now_ms: int, progress: Progress, what: str
) -> Counted:
    """Store facts, and count what became of them."""
    counted = Counted()
    for since in range(0, len(facts), _ROWS):
        some = facts[since : since + _ROWS]
        told = some if parts.pseudonyms is None else parts.pseudonyms.over(some)
        counted = counted.plus(parts.store.append(told, received_at_ms=now_ms), len(some))
        progress(f"storing {what}", since + len(some), len(facts))
    return counted


def _news(parts: Parts, facts: list[Fact], now_ms: int) -> list[Fact]:
    """The facts without items of a catalogue that are as they were: no new version of them."""
    rows = [fact for fact in facts if type(fact) is Item and fact.valid_from == now_ms]
    there = parts.store.items_in_force([item.id for item in rows], now_ms)
    decode = msgspec.json.Decoder(Item).decode
    same = {
        id(item)
        for item, body in zip(rows, there, strict=True)
        if body is not None and decode(body) == msgspec.structs.replace(item, valid_from=None)
    }
    return [fact for fact in facts if id(fact) not in same] if same else facts


def ingest_actions(
    parts: Parts,
    actions: pa.Table | pl.DataFrame,
    now_ms: int,
    progress: Progress,
    *,
    counted: Counted | None = None,
) -> Counted:
    """Store a table of actions with text ids; lines of one order go in one commit."""
    table = _as_sent(actions.to_arrow() if isinstance(actions, pl.DataFrame) else actions, parts)
    counted = counted or Counted()
    for since, until in _portions(table):
        part = table.slice(since, until - since)
        done = parts.store.append_columns(part, received_at_ms=now_ms)
        counted = counted.plus(done, part.num_rows)
        progress("storing actions", until, table.num_rows)
    return counted


def _as_sent(actions: pa.Table, parts: Parts) -> pa.Table:
    """The layout ``append_columns`` takes: kinds by name, time as ``at``."""
    columns = {name: actions[name] for name in actions.column_names}
    if "at_ms" in columns:
        columns["at"] = columns.pop("at_ms")
    if pa.types.is_integer(columns["kind"].type):
        names = pl.DataFrame({"kind": list(NAMES), "name": list(NAMES.values())})
        codes = pl.from_arrow(pa.table({"kind": columns["kind"]}))
        assert isinstance(codes, pl.DataFrame)
        named = codes["kind"].cast(pl.Int64).replace_strict(names["kind"], names["name"])
        columns["kind"] = named.to_arrow().cast(pa.string())
    if parts.pseudonyms is not None:
        columns["shopper"] = parts.pseudonyms.over_column(columns["shopper"])
    return pa.table(columns)


def _portions(table: pa.Table) -> list[tuple[int, int]]:
    """Where to cut a table into commits so that no order is cut in two."""
    n = table.num_rows
    if "order_id" not in table.column_names:
        return [(a, min(a + _ROWS, n)) for a in range(0, n, _ROWS)]
    order = pl.from_arrow(table["order_id"])
    assert isinstance(order, pl.Series)
    same = (order == order.shift(1)).fill_null(value=False).to_numpy()
    cuts, at = [0], _ROWS
    while at < n:
        while at < n and same[at]:
            at += 1
        cuts.append(at)
        at += _ROWS
    cuts.append(n)
    return [(a, b) for a, b in pairwise(cuts) if b > a]
