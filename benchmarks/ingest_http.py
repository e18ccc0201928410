"""Durable ingest over HTTP: batches of 100 from 32 clients, acknowledged only when they are safe.

    python benchmarks/ingest_http.py                              # all three, as below
    python benchmarks/ingest_http.py --case ordered               # SQLite, ids that sort by time
    python benchmarks/ingest_http.py --case random --stored 5000000
    python benchmarks/ingest_http.py --case postgres

The load generator shares the machine with the server and the database. Beside the figure stands
the store's own: ready-made rows bound into the same table with the same durability, in this run.
Targets: 50,000 actions/s, 15,000 into 5 million stored, 45,000.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.http_load import Outcome, drive, request
from benchmarks.http_server import Server
from benchmarks.ingest_raw import BATCH, CLIENTS, by_store, made, measured, raw
from habitue.store.sql_store import SqlFactStore

CASES = ("ordered", "random", "postgres")
ADMIN = os.environ.get("HABITUE_TEST_POSTGRES") or "postgresql://postgres@127.0.0.1:5432/postgres"


def opened(address: str) -> SqlFactStore:
    if address.startswith("sqlite:///"):
        from habitue.store.sqlite import SqliteFactStore

        return SqliteFactStore(Path(address.removeprefix("sqlite:///")))
    from habitue.store.postgres import PostgresFactStore

    return PostgresFactStore(address)


def fill(address: str, n: int, *, scattered: bool) -> None:
    store = opened(address)
    for since in range(0, n, 500_000):
        by_store(store, made(min(500_000, n - since), since + 1, scattered=scattered), 50_000)
    store.close()


def bodies(n: int, seed: int, *, scattered: bool) -> Iterator[tuple[int, bytes]]:
    """Requests of 100 actions each, made before the clock starts."""
    actions = made(n, seed, scattered=scattered)
    encode = msgspec.json.Encoder().encode
    yield from enumerate(
        [
            request("/v1/events", encode({"actions": actions[since : since + BATCH]}))
            for since in range(0, n, BATCH)
        ]
    )


def over_http(server: Server, n: int, *, scattered: bool) -> Outcome:
    """The measured part; every batch must be stored, every action new."""
    accepted = 0

    def read(number: int, status: int, body: bytes) -> None:
        nonlocal accepted
        del number, status
        accepted += json.loads(body)["new"]

    warm = iter(list(bodies(BATCH * CLIENTS * 4, -4, scattered=scattered)))
    uvloop.run(drive(server.port, warm, clients=CLIENTS))
    requests = iter(list(bodies(n, -5, scattered=scattered)))
    cpu = server.cpu_seconds()
    own = time.process_time()
    outcome = uvloop.run(drive(server.port, requests, clients=CLIENTS, reader=read))
    own = time.process_time() - own
    assert accepted == n, f"{accepted} of {n} acknowledged; {dict(outcome.statuses)}"
    print(
        f"{'over HTTP':28} {n / outcome.seconds:10,.0f} actions/s   "
        f"{(server.cpu_seconds() - cpu) / n * 1e6:6.2f} µs CPU an action in the server, "
        f"{own / n * 1e6:.2f} in the load generator; "
        f"p50 {outcome.quantile_ms(0.5):.1f} ms, p99 {outcome.quantile_ms(0.99):.1f} ms a batch"
    )
    return outcome


def raw_rate(address: str, folder: Path, n: int, *, scattered: bool) -> float:
    """Rows a second of the same table, on a copy where the store is a file."""
    if address.startswith("sqlite:///"):
        copy = folder / "raw.db"
        source = Path(address.removeprefix("sqlite:///"))
        if source.exists():
            shutil.copy(source, copy)
        address = f"sqlite:///{copy}"
    store = opened(address)
    actions = made(n, -1, scattered=scattered)
    started = time.perf_counter()
    raw(store, actions)
    seconds = time.perf_counter() - started
    measured("store, rules and all", n, lambda: by_store(store, made(n, -2, scattered=scattered)))
    store.close()
    return n / seconds


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database, dropped afterwards."""
    import psycopg

    name = f"habitue_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(ADMIN, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield ADMIN.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(ADMIN, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def run(case: str, n: int, stored: int, folder: Path) -> None:
    """One line of the table."""
    scattered = case == "random"
    stored = stored if scattered else 0
    print(f"\n{case}, {stored:,} actions stored before" if stored else f"\n{case}", flush=True)
    with ExitStack() as stack:
        if case == "postgres":
            address, other = stack.enter_context(postgres()), stack.enter_context(postgres())
        else:
            address = other = f"sqlite:///{folder}/{case}.db"
        if stored:
            fill(address, stored, scattered=True)
        raw_rate(other, folder, n, scattered=scattered)
        server = stack.enter_context(Server(folder, {"store.address": address}))
        over_http(server, n, scattered=scattered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--actions", type=int, default=320_000)
    parser.add_argument("--stored", type=int, default=5_000_000, help="before the random case")
    parser.add_argument("--folder", help="where SQLite files go")
    asked = parser.parse_args()
    for case in asked.case or CASES:
        with tempfile.TemporaryDirectory(dir=asked.folder) as name:
            run(case, asked.actions, asked.stored, Path(name))


if __name__ == "__main__":
    main()
