"""Reading facts back: which columns a kind has, the SQL that fetches them, and Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from habitue.errors import BadInput
from habitue.store.columns import ACTION, ALIAS, CONSENT, ITEM, LINK, SHOPPER, SHOWN
from habitue.store.contract import FactKind

__all__ = ["CHUNK", "PERSONAL", "SCHEMAS", "Select", "in_blocks", "pages"]

CHUNK: Final = 65_536

SCHEMAS: Final[dict[FactKind, pa.Schema]] = {
    "action": ACTION,
    "item": ITEM,
    "shopper": SHOPPER,
    "link": LINK,
    "alias": ALIAS,
    "consent": CONSENT,
    "shown": SHOWN,
}

_JOINS: Final[dict[tuple[FactKind, str], tuple[str, str]]] = {
    ("item", "id"): ("k.id", "join item_key k on k.row = t.item_row"),
    ("link", "head"): ("coalesce(t.head, h.id)", "left join shopper_key h on h.row = t.head_row"),
    ("link", "tail"): ("coalesce(t.tail, l.id)", "left join shopper_key l on l.row = t.tail_row"),
}
_NO_ROW: Final = frozenset({"item_row", "shopper_row", "head_row", "tail_row"})

Rows = Sequence[tuple[Any, ...]]


class Select:
    """A query over one kind of fact and how its rows become an Arrow table."""

    def __init__(self, kind: FactKind, columns: Sequence[str] | None) -> None:
        schema = SCHEMAS[kind]
        names = schema.names if columns is None else list(columns)
        unknown = [name for name in names if name not in schema.names]
        if unknown:
            raise BadInput(
                f"{kind} has no column {unknown[0]!r}.",
                remedy=f"Choose from {', '.join(schema.names)}.",
                field="columns",
            )
        self.schema = pa.schema([schema.field(name) for name in names])
        parts = [_expression(kind, name) for name in names]
        joins = " ".join(dict.fromkeys(join for _, join in parts if join))
        self.head = f"select {', '.join(['t.seq', *(e for e, _ in parts)])} from {kind} t {joins}"
        self.packed_ids = [i for i, n in enumerate(names) if n == "id" and kind != "item"]

    def table(self, rows: Rows, unpack: Callable[[Any], str]) -> pa.Table:
        """Rows as an Arrow table; their first value is ``seq``, for paging."""
        if not rows:
            return self.schema.empty_table()
        columns = list(zip(*rows, strict=True))[1:]
        for place in self.packed_ids:
            columns[place] = tuple(map(unpack, columns[place]))
        arrays = [
            _array(column, field.type) for column, field in zip(columns, self.schema, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def typed(self, table: pa.Table, unpack: Callable[[Any], str]) -> pa.Table:
        """As ``table``, of rows that a driver has made an Arrow table of already."""
        arrays = []
        for place, field in enumerate(self.schema):
            column = table.column(place + 1)
            if place in self.packed_ids:
                column = pa.chunked_array([list(map(unpack, column.to_pylist()))], pa.string())
            arrays.append(column.cast(field.type))
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _array(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    """Values as an Arrow array; whole numbers go by way of numpy, the quicker way."""
    if pa.types.is_integer(wanted):
        try:
            return pa.array(
                np.fromiter(values, np.int64, len(values)).astype(wanted.to_pandas_dtype())
            )
        except TypeError:  # some are null
            return pa.array(values, pa.int64()).cast(wanted)
    return pa.array(values, _wide(wanted)).cast(wanted)


def _wide(wanted: pa.DataType) -> pa.DataType:
    """The type Python values are read as before the cast to the one wanted."""
    if pa.types.is_boolean(wanted):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(wanted) else wanted


def _expression(kind: FactKind, name: str) -> tuple[str, str]:
    if (kind, name) in _JOINS:
        return _JOINS[kind, name]
    return (f"coalesce(t.{name}, -1)" if name in _NO_ROW else f"t.{name}"), ""


def pages(
    select: Select,
    query: Callable[[str, Sequence[Any]], Rows],
    unpack: Callable[[Any], str],
    since_seq: int,
    until_seq: int,
) -> Iterator[pa.Table]:
    """Tables of at most ``CHUNK`` rows, each its own short read: writers are never held up.

    Facts are only added, in order of ``seq``, so pages up to a fixed watermark fit together.
    """
    sql = f"{select.head} where t.seq > ? and t.seq <= ? order by t.seq limit {CHUNK}"
    while True:
        rows = query(sql, (since_seq, until_seq))
        if rows:
            yield select.table(rows, unpack)
        if len(rows) < CHUNK:
            return
        since_seq = rows[-1][0]


_BLOCK_BITS: Final = 15


def in_blocks(last_seq: int) -> str:
    """The condition on ``action`` that goes before ``shopper_row = ...`` to use its index.

    The index keeps the shoppers of each 32,768 values of ``seq`` together. Were it by shopper
    alone, every action of a commit would dirty a page of its own, all over the index: twice the
    cost of an append. Reading a shopper looks into each block instead, a microsecond each.

    >>> in_blocks(70_000)
    '(seq >> 15) in (0, 1, 2)'
    """
    return f"(seq >> {_BLOCK_BITS}) in ({', '.join(map(str, range((last_seq >> 15) + 1)))})"


PERSONAL: Final[dict[str, tuple[str, ...]]] = {
    "action": ("shopper_row",),
    "shopper": ("shopper_row",),
    "link": ("head_row", "tail_row"),
    "alias": ("shopper_row", "alias_row"),
    "consent": ("shopper_row",),
    "shown": ("shopper_row",),
}
"""Where each table names a shopper: what export reads and erasure deletes."""
