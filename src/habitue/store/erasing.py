"""A shopper's rights at the store: read everything about a person, and erase it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from habitue.facts import NAMES
from habitue.store.reading import PERSONAL, Select, in_blocks
from habitue.store.session import Session

__all__ = ["Tombstone", "erase", "exported", "replay", "tombstones"]

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


def exported(
    query: Query, rows: Sequence[int], unpack: Callable[[Any], str]
) -> dict[str, list[dict[str, object]]]:
    """Every fact that names one of these shopper rows, by kind, in order of ``seq``."""
    marks = ", ".join("?" * len(rows))
    found: dict[str, list[dict[str, object]]] = {}
    for kind, columns in PERSONAL.items():
        select = Select(kind, None)  # type: ignore[arg-type]
        where = " or ".join(f"t.{column} in ({marks})" for column in columns)
        if kind == "action":
            where = f"{in_blocks(query('select last_seq from ledger', ())[0][0])} and {where}"
        table = select.table(
            query(f"{select.head} where {where} order by t.seq", [*rows] * len(columns)), unpack
        )
        found[kind] = table.to_pylist()
    item_ids = dict(_item_ids(query, found["action"]))
    for action in found["action"]:
        action["kind"] = NAMES[int(action["kind"])]  # type: ignore[call-overload]
        action["item"] = item_ids.get(action["item_row"])
    names = query(f"select row, id from shopper_key where row in ({marks}) order by row", rows)
    found["name"] = [{"shopper_row": row, "id": name} for row, name in names]
    return found


def _item_ids(query: Query, actions: list[dict[str, object]]) -> list[tuple[Any, ...]]:
    rows = sorted({int(a["item_row"]) for a in actions} - {-1})  # type: ignore[call-overload]
    found: list[tuple[Any, ...]] = []
    for since in range(0, len(rows), 500):
        some = rows[since : since + 500]
        marks = ", ".join("?" * len(some))
        found += query(f"select row, id from item_key where row in ({marks})", some)
    return found


class Tombstone(msgspec.Struct, frozen=True):
    """That a row was erased, without a key.

    ``created_ms`` tells the row from one of the same number in another life of the store.
    """

    shopper_row: int
    created_ms: int
    erased_ms: int


def tombstones(session: Session, rows: Sequence[int], now_ms: int) -> list[Tombstone]:
    """The tombstones of rows about to be erased."""
    found = []
    for row in rows:
        for (created_ms,) in session.query(
            "select created_ms from shopper_key where row = ? and id is not null", (row,)
        ):
            found.append(Tombstone(row, created_ms, now_ms))
    return found


def replay(session: Session, stones: Sequence[Tombstone]) -> int:
    """Erase again whom a copy made earlier brought back; how many there were."""
    n = 0
    for stone in stones:
        if session.query(
            "select 1 from shopper_key where row = ? and created_ms = ? and id is not null",
            (stone.shopper_row, stone.created_ms),
        ):
            erase(session, [stone.shopper_row], stone.erased_ms)
            n += 1
    return n


def erase(session: Session, rows: Sequence[int], now_ms: int) -> dict[str, int]:
    """Delete every fact that names one of these rows and their names; leave tombstones."""
    ledger = session.lock_ledger()
    counts = dict.fromkeys(PERSONAL, 0)
    names = 0
    for row in rows:
        for table, columns in PERSONAL.items():
            where = " or ".join(f"{column} = ?" for column in columns)
            if table == "action":
                where = f"{in_blocks(ledger.last_seq)} and {where}"
            n = session.execute(f"delete from {table} where {where}", [row] * len(columns))
            counts[table] += n
            ledger.counts[table] -= n
        session.execute(
            "insert into erasure (shopper_row, created_ms, erased_ms) "
            "select row, created_ms, ? from shopper_key where row = ? and id is not null",
            (now_ms, row),
        )
        names += session.execute(
            "update shopper_key set id = null, first_action_seq = null "
            "where row = ? and id is not null",
            (row,),
        )
    ledger.epoch += 1
    session.save_ledger(ledger)
    return {**counts, "name": names}
