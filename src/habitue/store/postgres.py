"""Facts in PostgreSQL: any number of processes write, one at a time, in order of ``seq``."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
from psycopg import errors

from habitue.errors import StoreError, Unavailable
from habitue.store.contract import FactKind
from habitue.store.erasing import Tombstone
from habitue.store.keys import pack_ids, packed_bytes, unpack_bytes
from habitue.store.reading import Select
from habitue.store.schema import HEAD, migrate, refuse_newer
from habitue.store.session import FACT_TABLES, Ledger, Repeated
from habitue.store.sql_store import SqlFactStore

__all__ = ["PostgresFactStore"]

_MIGRATING: Final = 0x4861_6269_7475_65  # the advisory lock of migrations
_BULK: Final = 50_000  # from so many facts on, columns over the wire are worth a connection
_WINDOW: Final = 1_000_000
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_SPECIAL: Final = ("\\", "\t", "\n", "\r")


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    return sql.replace("?", "%s")


_COUNTED: Final = tuple(f"n_{table}" for table in FACT_TABLES)
_LEDGER: Final = ("last_seq", "n_items", "n_shoppers", "epoch", *_COUNTED)
_LOCKED: Final = f"select lineage, {', '.join(_LEDGER)} from ledger for update"


class PostgresSession:
    """One write transaction on PostgreSQL, begun by ``of``.

    A trip to the server costs as much as some dozens of rows: the transaction begins with the
    ledger in one trip, and ends with it in one.
    """

    def __init__(self, connection: psycopg.Connection[Any], ledger: tuple[Any, ...] | None) -> None:
        self._connection = connection
        self._ledger = ledger
        self._save = ""
        self.careful = False

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> PostgresSession:
        """Begin a transaction, with the ledger locked."""
        cursor = connection.execute(f"begin; {_LOCKED}".encode(), prepare=False)
        cursor.nextset()
        return cls(connection, cursor.fetchone())

    def commit(self) -> None:
        """Make it durable."""
        self._connection.execute(f"{self._save}commit".encode(), prepare=False)

    def lock_ledger(self) -> Ledger:
        """The ledger, locked: every other writer waits here, so ``seq`` is in order of commit."""
        if self._ledger is None:
            self._ledger = self._read_again()
        (lineage, seq, items, shoppers, epoch, *counted), self._ledger = self._ledger, None
        return Ledger(
            seq, items, shoppers, epoch, lineage, dict(zip(FACT_TABLES, counted, strict=True))
        )

    def _read_again(self) -> tuple[Any, ...]:
        if self._save:
            self._connection.execute(self._save.encode(), prepare=False)
            self._save = ""
        return self.query(_LOCKED)[0]

    def save_ledger(self, ledger: Ledger) -> None:
        """Write the ledger back, along with the commit."""
        counts = (ledger.counts[table] for table in FACT_TABLES)
        values = (ledger.last_seq, ledger.n_items, ledger.n_shoppers, ledger.epoch, *counts)
        said = ", ".join(f"{name} = {int(n)}" for name, n in zip(_LEDGER, values, strict=True))
        self._save = f"update ledger set {said}; "

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(_translated(sql), parameters or None).fetchall()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it touched."""
        return self._connection.execute(_translated(sql), parameters or None).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(sql), list(rows))

    def among(self, select: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of ``select ... where column`` whose column is in ``values``."""
        return among(self._connection, select, values)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows none of which can be there yet."""
        if rows:
            self._copy(table, columns, list(zip(*rows, strict=True)))

    def insert_actions(self, columns: dict[str, Sequence[Any]], n: int) -> int:
        """Insert the actions whose ``id`` is new; how many were.

        They are copied straight into the table, for nearly always all are new. When one is not,
        ``Repeated`` is raised; then they go into a staging table first, and from there what is new.
        """
        names, values = list(columns), list(columns.values())
        if not self.careful:
            try:
                self._copy("action", names, values)
            except errors.UniqueViolation as error:
                raise Repeated from error
            return n
        self.execute(
            "create temp table if not exists action_in (like action) on commit delete rows"
        )
        self._copy("action_in", names, values)
        listed = ", ".join(names)
        return self.execute(
            f"insert into action ({listed}) select {listed} from action_in order by seq "
            "on conflict (id) do nothing"
        )

    def _copy(self, table: str, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
        texts = [_copy_text(column) for column in columns]
        lines = "\n".join(map("\t".join, zip(*texts, strict=True)))
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"copy {table} ({', '.join(names)}) from stdin") as copy,
        ):
            copy.write(lines + "\n")

    def pack(self, ids: Sequence[str]) -> list[Any]:
        """Ids as bytes."""
        return [packed_bytes(packed) for packed in pack_ids(ids)]

    def unpack(self, packed: Any) -> str:
        """The id that ``pack`` packed."""
        return unpack_bytes(packed)


def _copy_text(column: Sequence[Any]) -> list[str]:
    """A column in PostgreSQL's text format for COPY."""
    if None in column:
        some = [value for value in column if value is not None]
        texts = iter(_copy_text(some) if some else ())
        return [r"\N" if value is None else next(texts) for value in column]
    kind = type(column[0])
    if kind is int:
        return list(map(str, column))
    if kind is str:
        whole = "".join(column)
        if any(mark in whole for mark in _SPECIAL):
            return [value.translate(_ESCAPES) for value in column]
        return list(column)
    if kind in (bytes, bytearray):
        return [rf"\\x{value.hex()}" for value in column]
    return list(map(repr, map(float, column)))


def among(
    connection: psycopg.Connection[Any], select: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """The rows of ``select ... where column`` whose column is in ``values``."""
    if not values:
        return []
    return connection.execute(f"{_translated(select)} = any(%s)", (list(values),)).fetchall()


class PostgresFactStore(SqlFactStore):
    """Facts in the PostgreSQL database at ``dsn``, brought to today's schema.

    ``wait_seconds`` is how long a write waits for another process's.
    """

    def __init__(self, dsn: str, *, wait_seconds: float = 10.0) -> None:
        super().__init__()
        self.dsn = dsn.replace("postgresql+psycopg://", "postgresql://")
        self._wait_seconds = wait_seconds
        self._write_lock = threading.Lock()
        self._readers: queue.LifoQueue[psycopg.Connection[Any]] = queue.LifoQueue()
        self._closed = False
        with _driver_errors():
            _bring_up_to_date(self.dsn)
            self._writer = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.dsn, autocommit=True, connect_timeout=5)
        wait_ms = int(self._wait_seconds * 1000)
        connection.execute("set synchronous_commit = on")
        connection.execute(f"set lock_timeout = {wait_ms}")
        connection.execute("set idle_in_transaction_session_timeout = '5min'")
        return connection

    @contextmanager
    def _writing(self) -> Iterator[PostgresSession]:
        with self._write_lock, _driver_errors():
            try:
                session = self._begun()
                yield session
                session.commit()
            except BaseException:
                self._roll_back()
                raise

    def _begun(self) -> PostgresSession:
        try:
            return PostgresSession.of(self._writer)
        except psycopg.OperationalError:
            if not self._writer.closed:
                raise
            self._writer = self._connect()  # the server went and came back: nothing was begun yet
            return PostgresSession.of(self._writer)

    def _roll_back(self) -> None:
        try:
            self._writer.execute("rollback")
        except psycopg.Error:  # the connection is gone, and with it the transaction
            self._writer.close()

    def _read(self, work: Callable[[psycopg.Connection[Any]], Any]) -> Any:
        """Run ``work`` on a reading connection; on a fresh one when that turns out to be dead."""
        with _driver_errors():
            try:
                connection = self._readers.get_nowait()
            except queue.Empty:
                return self._on(self._connect(), work)
            try:
                return self._on(connection, work)
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
                return self._on(self._connect(), work)

    def _on(
        self, connection: psycopg.Connection[Any], work: Callable[[psycopg.Connection[Any]], Any]
    ) -> Any:
        try:
            return work(connection)
        finally:
            if self._closed or connection.closed:
                connection.close()
            else:
                self._readers.put(connection)

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._read(
            lambda c: c.execute(_translated(sql), parameters or None).fetchall()
        )
        return rows

    def _among(self, select: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._read(lambda c: among(c, select, values))
        return rows

    def _unpack(self, packed: Any) -> str:
        return unpack_bytes(packed)

    def scan(
        self,
        kind: FactKind,
        *,
        since_seq: int = 0,
        until_seq: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """As ``FactStore.scan``; much at once is read in bulk."""
        until = self.stored().seq if until_seq is None else min(until_seq, self.stored().seq)
        if until - since_seq < _BULK:
            return super().scan(kind, since_seq=since_seq, until_seq=until, columns=columns)
        return self._in_bulk(Select(kind, columns), since_seq, until)

    def _in_bulk(self, select: Select, since_seq: int, until_seq: int) -> Iterator[pa.Table]:
        from habitue.store.postgres_bulk import table_of

        for first in range(since_seq, until_seq, _WINDOW):
            last = min(first + _WINDOW, until_seq)
            found = table_of(
                self.dsn,
                f"{select.head} where t.seq > {int(first)} and t.seq <= {int(last)} order by t.seq",
            )
            if found.num_rows:
                yield select.typed(found, unpack_bytes)

    def backup(self, path: Path) -> None:
        """Write a consistent copy as a folder of Parquet tables, while others go on writing."""
        from habitue.store.backups import dump

        def copied(connection: psycopg.Connection[Any]) -> None:
            connection.execute("begin isolation level repeatable read, read only")
            try:
                dump(
                    lambda sql, p: connection.execute(_translated(sql), p).fetchall(),
                    unpack_bytes,
                    path,
                )
            finally:
                connection.execute("rollback")

        self._read(copied)

    def _journal(self, stones: Sequence[Tombstone]) -> None:
        """Nothing to do: a copy put back is erased by the table of tombstones it finds here."""

    def _scrub(self) -> None:
        """Nothing to do: autovacuum reuses the room of deleted rows."""

    def durability(self) -> dict[str, str]:
        """The settings on which durability rests, read back from the writing connection."""
        names = ("synchronous_commit", "fsync", "full_page_writes")
        with self._write_lock, _driver_errors():
            return {name: _shown(self._writer, name) for name in names}

    def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        while not self._readers.empty():
            self._readers.get_nowait().close()
        with self._write_lock:
            self._writer.close()


def _shown(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute(f"show {name}").fetchone()
    return str(row[0]) if row else ""


@contextmanager
def _driver_errors() -> Iterator[None]:
    """PostgreSQL's errors as this package's."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(
            f"PostgreSQL: {_first_line(error)}.",
            remedy="Check that the server runs, has room and can be reached, then send it again: "
            "what is stored already is recognised.",
        ) from error
    except psycopg.Error as error:
        raise StoreError(
            f"PostgreSQL: {_first_line(error)}.", remedy="Nothing was stored by this call."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0].rstrip(".")


def _bring_up_to_date(dsn: str) -> None:
    """Run missing migrations; refuse a newer schema. One process at a time."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        if _revision(connection) == HEAD:
            return
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        dsn.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool
    )
    with engine.begin() as migrating:
        migrating.execute(text(f"select pg_advisory_xact_lock({_MIGRATING})"))
        migrate(migrating)
        migrating.execute(
            text(
                "insert into ledger select 1, 0, 0, 0, 0, :lineage, 0, 0, 0, 0, 0, 0, 0 "
                "where not exists (select 1 from ledger)"
            ),
            {"lineage": uuid.uuid4().hex},
        )


def _revision(connection: psycopg.Connection[Any]) -> str | None:
    found = connection.execute("select to_regclass('alembic_version')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    revision = None if row is None else str(row[0])
    refuse_newer(revision, "The PostgreSQL database")
    return revision
