"""Actions that come as an Arrow table, a file's worth at once: checked column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from habitue.errors import BadInput
from habitue.facts import ITEM_KINDS, ActionKind
from habitue.facts.columns import ACTION_TEXT
from habitue.facts.ids import uuid7s
from habitue.store.contract import ActionColumns, Appended, Rejection
from habitue.store.prepare import FIRST_MS, LAST_MS, PLAIN, ActionBatch

__all__ = ["batch_of", "slices", "together"]

_NEEDS_ITEM: Final = pa.array([kind.name for kind in ITEM_KINDS])
_CODES: Final = {kind.name: int(kind) for kind in ActionKind}
_BOUNDS: Final = {
    "at": (FIRST_MS, LAST_MS),
    "slot": (0, 10_000),
    "price_micros": (0, 10**15),
    "value_minor": (-(10**15), 10**15),
}
Mask = NDArray[np.bool_]


def batch_of(
    table: pa.Table, received_at_ms: int
) -> tuple[ActionBatch, NDArray[np.int64], list[Rejection]]:
    """The sound rows as columns, their places in the table, and why the others were left out.

    Raises ``BadInput`` for a column that no action has or whose type cannot be read as its own.
    """
    table = _typed(table)
    wrong = _wrong_rows(table)
    rejected = _rejections(table, wrong)
    good = np.flatnonzero(wrong == 0)
    if len(good) < table.num_rows:
        table = table.take(pa.array(good))
    return _columns(table, received_at_ms), good, rejected


def slices(table: pa.Table, size: int) -> list[tuple[int, pa.Table]]:
    """The table in parts of about ``size`` rows, each with its first row; no order is cut."""
    n = table.num_rows
    if n <= size:
        return [(0, table)]
    reach = np.arange(n)  # the last row of anything begun so far
    if "order_id" in table.column_names:
        order = table["order_id"].combine_chunks().dictionary_encode()
        codes = order.indices.fill_null(-1).to_numpy()
        last = np.zeros(len(order.dictionary) + 1, np.int64)
        last[codes] = np.arange(n)  # the last of equal indices stays
        reach = np.maximum.accumulate(np.where(codes < 0, reach, last[codes]))
    ends = np.flatnonzero(reach == np.arange(n)) + 1
    found, since = [], 0
    while since < n:
        later = ends[np.searchsorted(ends, min(since + size, n), side="left")]
        found.append((since, table.slice(since, int(later) - since)))
        since = int(later)
    return found


def together(parts: Sequence[tuple[int, Appended]]) -> Appended:
    """What became of a table, from what became of its parts."""
    told = [appended for _, appended in parts]
    rejected = [replace(r, row=since + r.row) for since, part in parts for r in part.rejected]
    columns = [f.name for f in fields(ActionColumns)]
    return Appended(
        new=sum(part.new for part in told),
        duplicate=sum(part.duplicate for part in told),
        conflict=sum(part.conflict for part in told),
        last_seq=told[-1].last_seq,
        rejected=tuple(rejected),
        actions=ActionColumns(
            *(np.concatenate([getattr(part.actions, name) for part in told]) for name in columns)
        ),
        new_items=tuple(item for part in told for item in part.new_items),
    )


def _typed(table: pa.Table) -> pa.Table:
    missing = {"kind", "shopper"} - set(table.column_names)
    unknown = set(table.column_names) - set(ACTION_TEXT.names)
    if missing or unknown:
        field = min(missing or unknown)
        raise BadInput(
            f"The table {'lacks' if missing else 'has'} a column {field!r}.",
            remedy=f"The columns of an action are {', '.join(ACTION_TEXT.names)}.",
            field=field,
        )
    arrays = {}
    for name in table.column_names:
        column = table[name]
        try:
            if name == "at" and pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("ms", column.type.tz), safe=False)
            column = column.cast(ACTION_TEXT.field(name).type)
        except pa.ArrowException as error:
            raise BadInput(f"Column {name!r} cannot be read: {error}.", field=name) from error
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, None)
        elif pa.types.is_string(column.type) and name not in ("kind", "shopper", "id", "item"):
            column = pc.if_else(pc.equal(column, ""), None, column)  # an empty text says nothing
        arrays[name] = column
    return pa.table(arrays)


_PROBLEMS: Final = {
    1: ("kind", "is no kind of action"),
    2: ("shopper", "an action has a shopper"),
    3: ("item", "this kind means nothing without an item; name one"),
    4: (None, "holds a number out of range"),
    5: (None, "holds a NUL character, or an empty id"),
    6: ("order_id", "another line of this order is wrong, and an order is stored whole"),
}


def _wrong_rows(table: pa.Table) -> NDArray[np.int8]:
    """For each row 0, or the key of what is wrong with it."""
    wrong = np.zeros(table.num_rows, np.int8)

    def mark(found: Any, problem: int) -> None:
        mask: Mask = pc.fill_null(found, False).to_numpy().astype(np.bool_)
        wrong[mask & (wrong == 0)] = problem

    kinds = pa.array(list(_CODES))
    mark(pc.invert(pc.is_in(table["kind"], kinds)), 1)
    mark(pc.or_kleene(pc.is_null(table["shopper"]), pc.equal(table["shopper"], "")), 2)
    needs = pc.is_in(table["kind"], _NEEDS_ITEM)
    names = table.column_names
    if "order_id" in names:  # a refund may name its order instead
        whole = pc.and_(pc.equal(table["kind"], "refund"), pc.is_valid(table["order_id"]))
        needs = pc.and_(needs, pc.invert(whole))
    mark(pc.and_(needs, pc.is_null(table["item"])) if "item" in names else needs, 3)
    for name, (low, high) in _BOUNDS.items():
        if name in names:
            mark(pc.or_(pc.less(table[name], low), pc.greater(table[name], high)), 4)
    for name in names:
        if pa.types.is_string(table.schema.field(name).type):
            mark(pc.match_substring(table[name], "\0"), 5)
            if name in ("id", "item"):
                mark(pc.equal(table[name], ""), 5)
    if "order_id" in names and wrong.any():
        broken = table["order_id"].filter(pa.array(wrong != 0)).drop_null()
        mark(pc.is_in(table["order_id"], broken.combine_chunks()), 6)
    return wrong


def _rejections(table: pa.Table, wrong: NDArray[np.int8]) -> list[Rejection]:
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    some = table.take(pa.array(rows))
    ids = some["id"].to_pylist() if "id" in table.column_names else [None] * len(rows)
    kinds = some["kind"].to_pylist()
    found = []
    for row, fact_id, kind, problem in zip(
        rows.tolist(), ids, kinds, wrong[rows].tolist(), strict=True
    ):
        field, message = _PROBLEMS[problem]
        said = f"{kind!r} {message}" if problem == 1 else message
        name = "order_incomplete" if problem == 6 else "invalid"
        found.append(Rejection(row, fact_id, name, field, said))  # type: ignore[arg-type]
    return found


def _columns(table: pa.Table, received_at_ms: int) -> ActionBatch:
    n = table.num_rows
    nothing: list[Any] = [None] * n

    def listed(name: str) -> list[Any]:
        found: list[Any] = table[name].to_pylist() if name in table.column_names else nothing
        return found

    ids, times = listed("id"), listed("at")
    missing = ids.count(None)
    if missing:
        fresh = iter(uuid7s(max(received_at_ms, 0), missing))
        ids = [next(fresh) if i is None else i for i in ids]
    at_said = None if None not in times else [at is not None for at in times]
    said = {
        name: table[name].to_pylist()
        for name in PLAIN
        if name in table.column_names and table[name].null_count < n
    }
    return ActionBatch(
        id=ids,
        made_up=missing > 0,
        kind=list(map(_CODES.__getitem__, table["kind"].to_pylist())),
        shopper=listed("shopper"),
        item=listed("item"),
        at_ms=times if at_said is None else [received_at_ms if at is None else at for at in times],
        at_said=at_said,
        received_at_ms=[received_at_ms] * n,
        said=said,
    )
