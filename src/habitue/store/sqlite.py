"""Facts in one SQLite file: durable on return, one writer, many readers.

All access goes through Python's own ``sqlite3``. A second copy of SQLite in the process (ADBC
brings one) would undo this one's file locks and its write-ahead log: see docs/decisions/0004. For
the same reason nothing in this process may ``open()`` the file while a store has it.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from habitue.errors import BadInput, StoreError, Unavailable
from habitue.store.erasing import Tombstone
from habitue.store.keys import pack_ids, unpack_id
from habitue.store.schema import HEAD, migrate, refuse_newer
from habitue.store.session import FACT_TABLES, Ledger
from habitue.store.sql_store import SqlFactStore

__all__ = ["SqliteFactStore", "checked_copy", "journal_of", "replace_file", "tombstones_of"]

_AT_ONCE: Final = (800, 50, 1)  # rows a statement: each gives up the interpreter lock once
_LOOKUPS: Final = 500
_PRAGMAS: Final = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "secure_delete": "ON",  # erased text is overwritten, not only unlinked
    "temp_store": "MEMORY",
    "wal_autocheckpoint": "16384",  # pages: 64 MB of log before it is folded into the file
}


def _connect(path: Path, wait_seconds: float, cache_mb: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
    )
    for name, value in _PRAGMAS.items():
        connection.execute(f"pragma {name} = {value}")
    connection.execute(f"pragma cache_size = {-1024 * cache_mb}")
    return connection


class SqliteSession:
    """One write transaction on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.careful = True  # at no cost: an id that is there is found on the way to its place

    def lock_ledger(self) -> Ledger:
        """The ledger; the transaction holds the write lock already."""
        counts = ", ".join(f"n_{table}" for table in FACT_TABLES)
        row = self._connection.execute(
            f"select last_seq, n_items, n_shoppers, epoch, lineage, {counts} from ledger"
        ).fetchone()
        seq, items, shoppers, epoch, lineage, *counted = row
        return Ledger(
            seq, items, shoppers, epoch, lineage, dict(zip(FACT_TABLES, counted, strict=True))
        )

    def save_ledger(self, ledger: Ledger) -> None:
        """Write the ledger back."""
        counts = ", ".join(f"n_{table} = ?" for table in FACT_TABLES)
        self._connection.execute(
            f"update ledger set last_seq = ?, n_items = ?, n_shoppers = ?, epoch = ?, {counts}",
            (
                ledger.last_seq,
                ledger.n_items,
                ledger.n_shoppers,
                ledger.epoch,
                *(ledger.counts[table] for table in FACT_TABLES),
            ),
        )

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it touched."""
        return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        self._connection.executemany(sql, rows)

    def among(self, select: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of ``select ... where column`` whose column is in ``values``."""
        return among(self._connection, select, values)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows none of which can be there yet."""
        if rows:
            marks = ", ".join("?" * len(columns))
            self._connection.executemany(
                f"insert into {table} ({', '.join(columns)}) values ({marks})", rows
            )

    def insert_actions(self, columns: dict[str, Sequence[Any]], n: int) -> int:
        """Insert the actions whose ``id`` is new, many a statement.

        Columns nobody filled are left out, one value that all have is bound once, and ``None``
        travels as an empty text: the driver takes half a microsecond to bind a ``None``, ten times
        what it takes for a text.
        """
        same: list[Any] = []
        several: list[Sequence[Any]] = []
        marks: list[str] = []
        for column in columns.values():
            if not all(column) and None in column:
                marks.append("nullif({}, '')")
                several.append(["" if value is None else value for value in column])
            elif n >= _AT_ONCE[-1] and column[0] == column[-1] and column.count(column[0]) == n:
                same.append(column[0])
                marks.append(f"?{len(same)}")
            else:
                marks.append("{}")
                several.append(column)
        names, row = ", ".join(columns), ", ".join(marks)
        width, since, inserted = len(several), 0, 0
        for size in _AT_ONCE:
            sql = _insertion(names, row, len(same), width, size)
            while n - since >= size:
                flat = same + [None] * (size * width)
                for place, column in enumerate(several, len(same)):
                    flat[place::width] = column[since : since + size]
                inserted += self._connection.execute(sql, flat).rowcount
                since += size
        return inserted

    def pack(self, ids: Sequence[str]) -> list[Any]:
        """Ids as blobs of 16 bytes (UUIDs) or text."""
        return pack_ids(ids)

    def unpack(self, packed: Any) -> str:
        """The id that ``pack`` packed."""
        return unpack_id(packed)


@lru_cache(maxsize=64)
def _insertion(names: str, row: str, n_same: int, width: int, size: int) -> str:
    """Insert ``size`` actions; ``row`` has ``{}`` where each has a value of its own."""
    places = iter(range(n_same + 1, n_same + 1 + size * width))
    rows = [row.format(*(f"?{place}" for place in islice(places, width))) for _ in range(size)]
    values = "), (".join(rows)
    return f"insert into action ({names}) values ({values}) on conflict (id) do nothing"


def among(
    connection: sqlite3.Connection, select: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """The rows of ``select ... where column`` whose column is in ``values``, some at a time."""
    found: list[tuple[Any, ...]] = []
    for since in range(0, len(values), _LOOKUPS):
        some = values[since : since + _LOOKUPS]
        marks = ", ".join("?" * len(some))
        found += connection.execute(f"{select} in ({marks})", some).fetchall()
    return found


class SqliteFactStore(SqlFactStore):
    """Facts in the SQLite file at ``path``, made when absent, brought to today's schema.

    ``wait_seconds`` is how long a write waits for another process's; ``cache_mb`` is the memory
    the writer keeps pages in.
    """

    def __init__(
        self, path: Path | str, *, wait_seconds: float = 10.0, cache_mb: int = 128
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self._wait_seconds = wait_seconds
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _driver_errors(self.path):
            self._writer = _connect(self.path, wait_seconds, cache_mb)
            _bring_up_to_date(self._writer, self.path)
        self._write_lock = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._closed = False

    @contextmanager
    def _writing(self) -> Iterator[SqliteSession]:
        with self._write_lock, _driver_errors(self.path):
            self._writer.execute("begin immediate")
            try:
                yield SqliteSession(self._writer)
                self._writer.execute("commit")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _driver_errors(self.path):
            try:
                connection = self._readers.get_nowait()
            except queue.Empty:
                connection = _connect(self.path, self._wait_seconds, 16)
                connection.execute("pragma query_only = on")
            try:
                yield connection
            finally:
                if self._closed:
                    connection.close()
                else:
                    self._readers.put(connection)

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return connection.execute(sql, parameters).fetchall()

    def _among(self, select: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return among(connection, select, values)

    def _unpack(self, packed: Any) -> str:
        return unpack_id(packed)

    def backup(self, path: Path) -> None:
        """Write a consistent copy to ``path``, while others go on writing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reading() as connection:
            _copy(connection, path)

    def backup_tables(self, path: Path) -> None:
        """Write a copy as a folder of Parquet tables, which PostgreSQL can be filled from too."""
        from habitue.store.backups import dump

        with self._reading() as connection:
            connection.execute("begin")
            try:
                dump(lambda sql, p: connection.execute(sql, p).fetchall(), unpack_id, path)
            finally:
                connection.execute("rollback")

    def _journal(self, stones: Sequence[Tombstone]) -> None:
        """Append to the file beside the database, durably, before the erasure is committed."""
        with journal_of(self.path).open("ab") as journal:
            journal.write(b"".join(msgspec.json.encode(stone) + b"\n" for stone in stones))
            journal.flush()
            os.fsync(journal.fileno())

    def _scrub(self) -> None:
        """Fold the log into the file and empty it: ``secure_delete`` has zeroed the pages.

        A reader in the middle of something holds it up; then the log's next turn does it.
        """
        with self._write_lock, _driver_errors(self.path):
            self._writer.execute("pragma wal_checkpoint(truncate)").fetchall()

    def durability(self) -> dict[str, str]:
        """The settings on which durability rests, read back from the writing connection."""
        with self._write_lock, _driver_errors(self.path):
            read = {
                name: str(self._writer.execute(f"pragma {name}").fetchone()[0])
                for name in ("journal_mode", "synchronous", "secure_delete")
            }
        named = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}
        return {**read, "synchronous": named[read["synchronous"]]}

    def close(self) -> None:
        """Let go of the file; the log is folded into it."""
        self._closed = True
        while not self._readers.empty():
            self._readers.get_nowait().close()
        with self._write_lock:
            self._writer.close()


@contextmanager
def _driver_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as this package's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(
            f"{path}: {error}.",
            remedy="Nothing was stored by this call. Check that the disk has room and the file can "
            "be written and is not locked by another process, then send it again.",
        ) from error
    except sqlite3.Error as error:
        raise StoreError(
            f"{path}: {error}.",
            remedy="Nothing was stored by this call. If the file is damaged, restore a backup.",
        ) from error


def journal_of(path: Path) -> Path:
    """Where the tombstones of a database file lie: beside it, to outlive it."""
    return path.with_name(f"{path.name}.erased")


def tombstones_of(path: Path) -> list[Tombstone]:
    """The tombstones beside a database file."""
    journal = journal_of(path)
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    return [msgspec.json.decode(line, type=Tombstone) for line in lines if line]


def checked_copy(source: Path, path: Path) -> None:
    """Copy a database file that is whole, of a schema this program knows; ``BadInput`` if not."""
    try:
        connection = sqlite3.connect(f"file:{source.absolute()}?mode=ro", uri=True)
        try:
            found = connection.execute("pragma quick_check").fetchall()
            revision = _revision(connection)
            if found != [("ok",)] or revision is None:
                raise BadInput(f"{source} is no whole copy of a store.", remedy="Use another copy.")
            refuse_newer(revision, str(source))
            _copy(connection, path)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise BadInput(
            f"{source} is no copy of a store: {error}.", remedy="Check the path."
        ) from error


def replace_file(source: Path, target: Path) -> None:
    """Put one database in another's place in a single transaction, as a life of its own.

    Raises ``Unavailable`` while anybody has the target open.
    """
    with _driver_errors(target):
        old = sqlite3.connect(target, timeout=1, isolation_level=None)
        new = sqlite3.connect(source, isolation_level=None)
        try:
            new.execute("update ledger set lineage = ?, epoch = epoch + 1", (uuid.uuid4().hex,))
            old.execute("pragma journal_mode = DELETE")  # fails while another connection is open
            old.execute("pragma locking_mode = exclusive")
            old.execute("begin exclusive")
            old.execute("commit")
            new.backup(old)
            old.execute("pragma locking_mode = normal")
        finally:
            new.close()
            old.close()


def _copy(source: sqlite3.Connection, path: Path) -> None:
    """A copy of a whole database, complete or absent."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    target = sqlite3.connect(part)
    try:
        source.backup(target)  # in one step: in several, each write of another would begin it anew
        target.execute("pragma journal_mode = DELETE")
    finally:
        target.close()
    part.replace(path)


def _revision(connection: sqlite3.Connection) -> str | None:
    found = connection.execute(
        "select 1 from sqlite_master where type = 'table' and name = 'alembic_version'"
    ).fetchone()
    row = (
        connection.execute("select version_num from alembic_version").fetchone() if found else None
    )
    return None if row is None else str(row[0])


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Run missing migrations, after a copy of what was there; refuse a newer schema."""
    revision = _revision(connection)
    refuse_newer(revision, str(path))
    if revision == HEAD:
        return
    if revision is not None:
        _copy(connection, path.with_name(f"{path.name}.before-{HEAD}"))
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine, "begin", lambda c: c.exec_driver_sql("begin immediate"))
    with engine.begin() as migrating:
        migrate(migrating)
    connection.execute(
        "insert into ledger select 1, 0, 0, 0, 0, ?, 0, 0, 0, 0, 0, 0, 0 "
        "where not exists (select 1 from ledger)",
        (uuid.uuid4().hex,),
    )
