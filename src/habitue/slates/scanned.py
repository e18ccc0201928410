"""Actions as the store scans them, turned into actions as live state and counters take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from habitue.store.contract import ActionColumns

__all__ = ["ACTION_COLUMNS", "columns_of", "joined", "some_of"]

_NAMES: Final = ActionColumns.__slots__

ACTION_COLUMNS: Final = (
    "seq",
    "at_ms",
    "kind",
    "shopper_row",
    "item_row",
    "price_micros",
    "rating",
    "quantity",
)


def columns_of(table: pa.Table) -> ActionColumns:
    """A scanned table as newly stored actions."""

    def of(name: str, dtype: type) -> Any:
        return table.column(name).to_numpy().astype(dtype, copy=False)

    return ActionColumns(
        seq=of("seq", np.int64),
        at_ms=of("at_ms", np.int64),
        kind=of("kind", np.uint8),
        shopper_row=of("shopper_row", np.int32),
        item_row=of("item_row", np.int32),
        price_micros=_filled(table, "price_micros", 0).astype(np.int64),
        rating=of("rating", np.float32),
        new_shopper=np.zeros(table.num_rows, np.bool_),
        quantity=_filled(table, "quantity", 1).astype(np.float32),
    )


def some_of(actions: ActionColumns, which: NDArray[np.bool_]) -> ActionColumns:
    """Some of the actions."""
    columns = {name: getattr(actions, name) for name in ActionColumns.__slots__}
    return ActionColumns(
        **{name: column[which] if len(column) else column for name, column in columns.items()}
    )


def joined(parts: Sequence[ActionColumns]) -> ActionColumns:
    """All these actions, one after the other."""
    if len(parts) == 1:
        return parts[0]
    some = [
        part
        if len(part.quantity)  # empty where nobody was told, which counts as 1 each
        else replace(part, quantity=np.ones(len(part), np.float32))
        for part in parts
        if len(part)
    ]
    if len(some) < 2:
        return (some or parts)[0]
    return ActionColumns(
        *(np.concatenate([getattr(part, name) for part in some]) for name in _NAMES)
    )


def _filled(table: pa.Table, name: str, default: float) -> NDArray[np.float64]:
    """A column with its nulls said."""
    return np.asarray(table.column(name).fill_null(default).to_numpy())
