"""Product feeds as shops send them to Merchant Center: CSV, TSV, RSS and Atom.

Columns and elements keep Google's names (``g:price`` is ``price``); the shipped mapping
``merchant`` says what they mean here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.parsers import expat

import polars as pl

from habitue.errors import BadInput
from habitue.facts.feeds.tables import ROW, RawTable, Unreadable, read_table

__all__ = ["XML_SUFFIXES", "merchant_name", "read_merchant", "rows_as_table"]

XML_SUFFIXES: Final = frozenset({".xml", ".rss", ".atom"})
_GOOGLE: Final = "http://base.google.com/ns/1.0"
_ENTRIES: Final = frozenset({"item", "entry"})  # of RSS, of Atom
_ONE_OF: Final = frozenset({"product_type", "google_product_category"})  # the first is the main one


def read_merchant(path: Path) -> RawTable:
    """A feed as a table of text, a row an item; a row's line is its number among the items of XML.

    Raises ``BadInput`` for a file that cannot be read, is empty, or declares entities.
    """
    if path.suffix.lower() in XML_SUFFIXES:
        return _read_xml(path)
    raw = read_table(path)
    names = {name: merchant_name(name) for name in raw.frame.columns if name != ROW}
    return RawTable(
        raw.frame.rename(names), raw.name, raw.content_hash, raw.first_line, raw.unreadable
    )


def merchant_name(column: str) -> str:
    """A column's name as Google writes it in XML, without its prefix.

    >>> merchant_name("g:Image Link"), merchant_name("c:season"), merchant_name("custom label 0")
    ('image_link', 'season', 'custom_label_0')
    """
    plain = column.strip().lower().replace(" ", "_").replace("-", "_")
    return plain.removeprefix("g:").removeprefix("c:")


def rows_as_table(
    rows: Iterable[dict[str, str]], path: Path, body: bytes, unreadable: tuple[Unreadable, ...] = ()
) -> RawTable:
    """Rows of text as a table; what a row does not say is null."""
    said = list(rows)
    names = dict.fromkeys(name for row in said for name in row if name != ROW)
    columns = {name: pl.Series([row.get(name) for row in said], dtype=pl.String) for name in names}
    frame = pl.DataFrame(columns).with_row_index(ROW)
    return RawTable(frame, path.name, hashlib.sha256(body).hexdigest(), 1, unreadable)


def _read_xml(path: Path) -> RawTable:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    reader = _Entries()
    unreadable: tuple[Unreadable, ...] = ()
    try:
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        if not reader.rows:
            raise BadInput(
                f"{path.name} is no XML ({error}).", remedy="A feed is RSS or Atom with g: names."
            ) from None
        place = f"the XML breaks off in line {error.lineno}: {expat.ErrorString(error.code)}"
        unreadable = (Unreadable(len(reader.rows) + 1, place, ""),)
    if not reader.rows:
        raise BadInput(
            f"{path.name} holds no items.", remedy="A feed has <item> or <entry> elements."
        )
    return rows_as_table(reader.rows, path, body, unreadable)


class _Entries:
    """The items of a feed as they are parsed: each element of an item by its name.

    Parts of an element (the country and price of ``g:shipping``) are put together with colons, as
    Google's tables have them. A feed has no need of entities of its own, so one that declares any
    is refused: they are how small files grow large and read what is not theirs.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self._google: dict[str, list[str]] = {}  # names of Google's go before others
        self._plain: dict[str, list[str]] = {}
        self._inside = False
        self._texts: list[list[str]] = []  # of the open elements of an item, outermost first
        self._parts: list[list[str]] = []  # what their own elements said
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        self.parser = parser

    def _entity(self, *_: object) -> None:
        raise BadInput(
            "The feed declares entities of its own.", remedy="Write their text out in the feed."
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._inside:
            self._inside = name.rpartition(" ")[2] in _ENTRIES
            return
        href = attributes.get("href")  # how Atom writes a link
        self._texts.append([href] if href else [])
        self._parts.append([])

    def _text(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def _end(self, name: str) -> None:
        if not self._inside:
            return
        if not self._texts:
            self._close()
            return
        parts = self._parts.pop()
        text = ":".join(parts) if parts else "".join(self._texts[-1]).strip()
        self._texts.pop()
        if self._parts:
            self._parts[-1].append(text)
            return
        space, _, local = name.rpartition(" ")
        said = self._google if space == _GOOGLE else self._plain
        if text:
            said.setdefault(merchant_name(local), []).append(text)

    def _close(self) -> None:
        said = self._plain | self._google
        self.rows.append(
            {name: all_[0] if name in _ONE_OF else ",".join(all_) for name, all_ in said.items()}
        )
        self._google, self._plain, self._inside = {}, {}, False
