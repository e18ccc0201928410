"""Copies of a store, and putting one back: on either database, with every later erasure replayed.

A copy is a SQLite file, or a folder of Parquet tables that either database can be filled from.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from habitue.errors import BadInput
from habitue.store.erasing import Tombstone, replay
from habitue.store.schema import HEAD, refuse_newer
from habitue.store.session import Session
from habitue.store.tables import METADATA

__all__ = ["dump", "load", "restore"]

_PAGE: Final = 50_000
_CONTENTS: Final = "backup.json"
_PACKED: Final = {("action", "id"), ("shown", "id")}

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


class _Contents(msgspec.Struct):
    revision: str
    rows: dict[str, int]


def restore(path: Path, address: str) -> int:
    """Put the copy at ``path`` in the store's place; how many erasures were replayed on it.

    ``address`` is ``sqlite:///file`` or ``postgresql://...``. No other process may have the store
    open. The store begins a new lineage: snapshots and caches of the old one do not fit it.
    Whoever was erased after the copy was made is erased in it before anybody can read it. Raises
    ``SchemaTooNew``, ``BadInput`` for what is no copy, ``Unavailable`` for a store that is in use.
    """
    from habitue.store.sqlite import SqliteFactStore, checked_copy, replace_file, tombstones_of

    target = Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite") else None
    with tempfile.TemporaryDirectory(dir=None if target is None else _folder(target)) as folder:
        file = Path(folder) / "restored.db"
        if path.is_dir():
            if target is None:
                return _restore_postgres(path, address)
            store = SqliteFactStore(file)
            with store._writing() as session:
                load(session, path)
        else:
            checked_copy(path, file)
            store = SqliteFactStore(file)
        if target is None:
            dumped = Path(folder) / "tables"
            store.backup_tables(dumped)
            store.close()
            return _restore_postgres(dumped, address)
        with store._writing() as session:
            n = replay(session, tombstones_of(target))
        store.close()
        replace_file(file, target)
        return n


def _folder(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.parent


def _restore_postgres(path: Path, address: str) -> int:
    from habitue.store.postgres import PostgresFactStore

    store = PostgresFactStore(address)
    try:
        with store._writing() as session:
            session.lock_ledger()
            tombstones = [
                Tombstone(*row)
                for row in session.query("select shopper_row, created_ms, erased_ms from erasure")
            ]
            load(session, path)
            return replay(session, tombstones)
    finally:
        store.close()


def dump(query: Query, unpack: Callable[[Any], str], path: Path) -> None:
    """Write every table as Parquet below ``path``, all read through one consistent ``query``."""
    path.mkdir(parents=True)
    rows = {}
    for name in METADATA.tables:
        columns = _columns(name)
        schema = pa.schema([(column, _type(name, column)) for column in columns])
        with pq.ParquetWriter(path / f"{name}.parquet", schema, compression="zstd") as writer:
            n = 0
            for page in _pages(query, name, columns):
                writer.write_table(_table(name, columns, schema, page, unpack))
                n += len(page)
        rows[name] = n
    (path / _CONTENTS).write_bytes(msgspec.json.encode(_Contents(HEAD, rows)))


def load(session: Session, path: Path) -> None:
    """Fill the store from a folder that ``dump`` wrote, in place of what it holds."""
    contents = _contents(path)
    epoch = session.query("select epoch from ledger")[0][0]
    for name in METADATA.tables:
        session.execute(f"delete from {name}")
        columns = _columns(name)
        file = pq.ParquetFile(path / f"{name}.parquet")
        for batch in file.iter_batches(_PAGE, columns=columns):
            values = [column.to_pylist() for column in batch.columns]
            for place, column in enumerate(columns):
                if (name, column) in _PACKED:
                    values[place] = session.pack(values[place])
                elif column in ("digest", "edge"):
                    values[place] = [bytearray(value) for value in values[place]]
            session.insert(name, columns, list(zip(*values, strict=True)))
        if file.metadata.num_rows != contents.rows[name]:
            raise BadInput(f"{path}: table {name} is not whole.", remedy="Use another copy.")
    # A lineage of its own, and an epoch no running process has seen.
    session.execute(
        "update ledger set lineage = ?, epoch = epoch + ? + 1", (uuid.uuid4().hex, epoch)
    )


def _contents(path: Path) -> _Contents:
    try:
        contents = msgspec.json.decode((path / _CONTENTS).read_bytes(), type=_Contents)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(
            f"{path} is no copy of a store: {error}.", remedy="Check the path."
        ) from error
    refuse_newer(contents.revision, str(path))
    return contents


def _columns(table: str) -> list[str]:
    return [column.name for column in METADATA.tables[table].columns]


def _type(table: str, column: str) -> pa.DataType:
    if (table, column) in _PACKED:
        return pa.string()
    kind = METADATA.tables[table].columns[column].type.python_type
    return {int: pa.int64(), float: pa.float64(), bytes: pa.binary(), str: pa.string()}[kind]


def _pages(query: Query, table: str, columns: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    key = next(iter(METADATA.tables[table].primary_key.columns)).name
    head = f"select {', '.join(columns)} from {table}"
    last = -(1 << 60)
    while True:
        page = query(f"{head} where {key} > ? order by {key} limit {_PAGE}", (last,))
        if page:
            yield page
        if len(page) < _PAGE:
            return
        last = page[-1][list(columns).index(key)]


def _table(
    name: str,
    columns: Sequence[str],
    schema: pa.Schema,
    page: list[tuple[Any, ...]],
    unpack: Callable[[Any], str],
) -> pa.Table:
    values: list[Any] = list(zip(*page, strict=True))
    for place, column in enumerate(columns):
        if (name, column) in _PACKED:
            values[place] = list(map(unpack, values[place]))
        elif column in ("digest", "edge"):
            values[place] = list(map(bytes, values[place]))
    arrays = [pa.array(v, field.type) for v, field in zip(values, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
