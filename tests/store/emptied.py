"""Empty stores, quicker than by running the migrations for every test."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from habitue.store.sqlite import SqliteFactStore
from habitue.store.tables import METADATA

if TYPE_CHECKING:
    from habitue.store.postgres import PostgresFactStore


@cache
def _first_day() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        SqliteFactStore(file).close()
        return file.read_bytes()


def new_sqlite(path: Path) -> SqliteFactStore:
    """A new SQLite store, from a copy of an empty one."""
    path.write_bytes(_first_day())
    return SqliteFactStore(path)


def emptied(dsn: str) -> PostgresFactStore:
    """The PostgreSQL store at ``dsn``, every table as it was on the first day."""
    import psycopg

    from habitue.store.postgres import PostgresFactStore

    PostgresFactStore(dsn).close()
    with psycopg.connect(dsn) as connection:
        names = ", ".join(name for name in METADATA.tables if name != "ledger")
        connection.execute(f"truncate {names}")
        zero = ", ".join(
            f"{column.name} = 0"
            for column in METADATA.tables["ledger"].columns
            if column.name not in ("one", "lineage")
        )
        connection.execute(f"update ledger set {zero}")
    return PostgresFactStore(dsn)
