"""What a file is, told by its name and its beginning, where nobody has said it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec
import polars as pl

from habitue.facts.feeds.merchant import XML_SUFFIXES, merchant_name
from habitue.facts.feeds.schema_org import PAGE_SUFFIXES

__all__ = ["FORMS", "Form", "form_of", "form_of_line"]

Form = Literal["habitue", "ga4", "merchant", "schema-org"]
FORMS: Final[tuple[Form, ...]] = ("habitue", "ga4", "merchant", "schema-org")
"""Formats that say themselves what they mean: they need no mapping."""

_BEGINNING: Final = 1 << 16
_FEED_WORDS: Final = frozenset(
    {"link", "price", "sale_price", "image_link", "availability", "condition", "brand", "gtin"}
)
_LISTS: Final = frozenset({"items", "shoppers", "links", "aliases", "consents", "actions"})


def form_of(path: Path) -> Form | None:
    """The form of a file that needs no mapping; ``None`` where one has to say what is in it."""
    suffix = path.suffix.lower()
    if suffix in XML_SUFFIXES:
        return "merchant"
    if suffix in PAGE_SUFFIXES:
        return "schema-org"
    if suffix == ".parquet":
        return _of_columns(path)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return form_of_line(_first_line(path))
    if suffix in (".csv", ".tsv", ".tab", ".txt"):
        return _of_header(path)
    return None


def form_of_line(line: bytes) -> Form | None:
    """The form of JSON lines that begin with this one."""
    try:
        said = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(said, list):
        said = said[0] if said else None
    return _of_object(said) if isinstance(said, dict) else None


def _first_line(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return next((line for line in file if line.strip()), b"")
    except OSError:
        return b""


def _of_object(said: dict[str, object]) -> Form | None:
    if {"event_name", "event_timestamp"} <= said.keys():
        return "ga4"
    if "events" in said and said.keys() & {"client_id", "user_id", "app_instance_id"}:
        return "ga4"
    if (said and said.keys() <= _LISTS) or {"kind", "shopper"} <= said.keys():
        return "habitue"
    return None


def _of_columns(path: Path) -> Form | None:
    try:
        columns = pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError):
        return None
    return "ga4" if {"event_name", "event_timestamp", "event_params"} <= columns.keys() else None


def _of_header(path: Path) -> Form | None:
    try:
        with path.open("rb") as file:
            first = file.read(_BEGINNING).partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    except OSError:
        return None
    cells = first.split("\t" if "\t" in first else ",")
    names = {merchant_name(cell.strip().strip('"')) for cell in cells}
    return "merchant" if {"id", "title"} <= names and len(names & _FEED_WORDS) > 1 else None
