"""Actions as the store scans them, turned into actions as live state and counters take them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from habitue.store.contract import ActionColumns

__all__ = ["ACTION_COLUMNS", "columns_of", "some_of"]

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


def _filled(table: pa.Table, name: str, default: float) -> NDArray[np.float64]:
    """A column with its nulls said."""
    return np.asarray(table.column(name).fill_null(default).to_numpy())
