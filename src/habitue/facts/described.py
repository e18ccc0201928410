"""Items as the columns of a catalogue: what is said of each, in one form wherever it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from habitue.facts.facts import Item
from habitue.facts.log import Catalogue

__all__ = ["item_columns", "tail_of"]

_FIELDS: Final = tuple(
    name for name in Item.__struct_fields__ if name not in ("id", "deleted", "valid_from")
)


def item_columns(items: Sequence[Item | None]) -> dict[str, pl.Series]:
    """The fields of items by name, but for id, deletion and time; null where there is no item."""
    return {
        name: pl.Series(name, [_plain(item, name) for item in items], dtype)
        for name, dtype in _DTYPES.items()
    }


def tail_of(item_row: Sequence[int], items: Sequence[Item]) -> Catalogue:
    """The items of these rows as a catalogue of nothing else."""
    row = pl.Series("item_row", np.array(item_row, np.int32))
    ids = pl.Series("id", [item.id for item in items], pl.String)
    return Catalogue(pl.DataFrame({"item_row": row, "id": ids, **item_columns(items)}))


def _dtypes() -> dict[str, pl.DataType]:
    integers = {"price_micros", "sale_price_micros", "cost_micros", "stock"}
    kinds: dict[str, pl.DataType] = {}
    for name in _FIELDS:
        if name in integers:
            kinds[name] = pl.Int64()
        elif name == "adult":
            kinds[name] = pl.Boolean()
        elif name == "additional_image_link":
            kinds[name] = pl.List(pl.String())
        elif name != "published_at":
            kinds[name] = pl.String()
    return kinds


_DTYPES: Final = _dtypes()


def _plain(item: Item | None, name: str) -> Any:
    """A field as a column holds it: free attributes as JSON."""
    if item is None:
        return None
    value = getattr(item, name)
    if name == "attributes" and value is not None:
        return msgspec.json.encode(value).decode()
    return value
