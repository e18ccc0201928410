"""Durable ingest over HTTP: batches of 100 from 32 clients, acknowledged only when they are safe.

    python benchmarks/ingest_http.py [--postgres ADDRESS] [--actions N] [--stored N] [--random]

The load generator shares the machine with the server and the database. Beside the figure stands
the store's own: ready-made rows bound into the same table with the same durability, in this run.
Targets: SQLite 50,000 actions/s with time-ordered ids, 15,000 with random ids into 5 million;
PostgreSQL 45,000.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop

from benchmarks.http_load import Outcome, drive, request
from benchmarks.http_server import Server
from benchmarks.ingest_raw import BATCH, CLIENTS, by_store, made, measured, raw
from habitue.store.sql_store import SqlFactStore


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgres", help="address of an empty database; else SQLite")
    parser.add_argument("--raw-postgres", help="address of another one for the raw figure")
    parser.add_argument("--actions", type=int, default=320_000)
    parser.add_argument("--stored", type=int, default=0, help="how many are stored before")
    parser.add_argument("--random", action="store_true", help="ids that do not sort by time")
    parser.add_argument("--folder", help="where the SQLite file goes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        address = asked.postgres or f"sqlite:///{folder}/shop.db"
        if asked.stored:
            fill(address, asked.stored, scattered=asked.random)
            print(f"{asked.stored:,} actions stored before")
        if not asked.postgres or asked.raw_postgres:
            raw_rate(asked.raw_postgres or address, folder, asked.actions, scattered=asked.random)
        with Server(folder, {"store.address": address}) as server:
            over_http(server, asked.actions, scattered=asked.random)


if __name__ == "__main__":
    main()
