"""The catalogue as pages show it: cards, departments, and search as a filter with paging."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from markupsafe import Markup

from habitue.console.tiles import draw_tile
from habitue.facts import Catalogue

__all__ = ["Card", "Found", "Shelf"]

MICROS = 1_000_000
_SPLIT = re.compile(r"\s*>\s*")


@dataclass(frozen=True, slots=True)
class Card:
    """One item as it is shown."""

    id: str
    title: str
    brand: str = ""
    path: tuple[str, ...] = ()  # department, category, ...
    description: str = ""
    price_micros: int | None = None
    was_micros: int | None = None  # the usual price, where it is on sale
    currency: str = ""
    in_stock: bool = True
    colour: str = ""
    details: tuple[tuple[str, str], ...] = ()
    image: str = ""
    known: bool = True  # False for an id only actions have named

    @property
    def tile(self) -> Markup:
        """Its drawn picture."""
        return draw_tile(self.id, self.title, " > ".join(self.path), self.colour)

    @property
    def department(self) -> str:
        """The first step of its path."""
        return self.path[0] if self.path else ""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what a search found."""

    cards: tuple[Card, ...]
    total: int
    page: int  # from 1
    pages: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """A catalogue ready to be leafed through."""

    frame: pl.DataFrame  # sellable items, with `_words` and `_path` beside the item's fields
    rows: dict[str, int] = field(repr=False)
    departments: dict[str, tuple[str, ...]] = field(repr=False)

    @classmethod
    def of(cls, catalogue: Catalogue) -> Shelf:
        """The shelf of this catalogue; items deleted or never described are left out."""
        frame = catalogue.frame
        for name in ("id", "title", "description", "brand", "product_type", "color", "material"):
            if name not in frame.columns:
                frame = frame.with_columns(pl.lit(None, pl.String).alias(name))
        if "deleted" in frame.columns:
            frame = frame.filter(~pl.col("deleted").fill_null(value=False))
        text = [pl.col(name).fill_null("") for name in ("title", "brand", "product_type", "color")]
        frame = frame.filter(pl.col("title").is_not_null()).with_columns(
            _words=pl.concat_str(text, separator=" ").str.to_lowercase(),
            _path=pl.col("product_type").fill_null("").str.replace_all(r"\s*>\s*", " > "),
        )
        rows = {name: at for at, name in enumerate(frame["id"])}
        return cls(frame, rows, _departments(frame["_path"].unique()))

    def __len__(self) -> int:
        return self.frame.height

    def card(self, item: str) -> Card:
        """The card of an item; of a bare one where only its id is known."""
        at = self.rows.get(item)
        if at is None:
            return Card(id=item, title=item, known=False, in_stock=False)
        return _card(self.frame.row(at, named=True))

    def cards(self, items: Sequence[str]) -> tuple[Card, ...]:
        """The cards of these items, in their order."""
        return tuple(self.card(item) for item in items)

    def find(self, *, words: str = "", path: str = "", page: int = 1, size: int = 24) -> Found:
        """The items that hold all ``words``, within ``path`` ("Kitchen" or "Kitchen > Baking")."""
        frame = self.frame
        if path:
            inside = (pl.col("_path") == path) | pl.col("_path").str.starts_with(path + " > ")
            frame = frame.filter(inside)
        for word in words.lower().split()[:12]:
            frame = frame.filter(pl.col("_words").str.contains(word, literal=True))
        pages = max(1, -(-frame.height // size))
        page = min(max(page, 1), pages)
        some = frame.slice((page - 1) * size, size)
        return Found(
            tuple(_card(row) for row in some.iter_rows(named=True)), frame.height, page, pages
        )


def _departments(paths: pl.Series) -> dict[str, tuple[str, ...]]:
    """Categories by department, in order of name."""
    tree: dict[str, set[str]] = {}
    for path in paths:
        steps = [step for step in _SPLIT.split(path) if step]
        if steps:
            tree.setdefault(steps[0], set()).update(steps[1:2])
    return {name: tuple(sorted(tree[name])) for name in sorted(tree)}


def _card(row: dict[str, Any]) -> Card:
    price, sale = row.get("price_micros"), row.get("sale_price_micros")
    told = (("Brand", "brand"), ("Colour", "color"), ("Material", "material"), ("Size", "size"))
    image = row.get("image_link") or ""
    return Card(
        id=row["id"],
        title=row["title"] or row["id"],
        brand=row.get("brand") or "",
        path=tuple(step for step in _SPLIT.split(row.get("product_type") or "") if step),
        description=row.get("description") or "",
        price_micros=price if sale is None else sale,
        was_micros=price if sale is not None and price is not None and sale < price else None,
        currency=row.get("currency") or "",
        in_stock=(row.get("availability") or "in_stock") != "out_of_stock",
        colour=row.get("color") or "",
        details=tuple((label, str(row[key])) for label, key in told if row.get(key)),
        image=image if image.startswith("https://") else "",
    )
