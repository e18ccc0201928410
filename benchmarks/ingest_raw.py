"""How many actions a second the store takes, beside what the database takes with no rules at all.

    python benchmarks/ingest_raw.py [--dsn POSTGRES] [--actions N] [--stored N] [--random]

Three figures of one run, each in commits of 32 batches of 100: ``raw`` binds ready-made rows into
the same table with the same indexes and durability; ``store`` is ``append_many`` with all its
rules; ``group`` is 32 threads in front of ``GroupCommit``. CPU is of this process alone.
"""

from __future__ import annotations

import argparse
import gc
import random
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from habitue.facts import Action
from habitue.facts.ids import uuid7s
from habitue.store.group_commit import GroupCommit
from habitue.store.sql_store import SqlFactStore

BATCH, CLIENTS = 100, 32
NOW_MS = 1_700_000_000_000


def made(n: int, seed: int, *, scattered: bool) -> list[Action]:
    """Views as a web shop sends them: ten fields, 50,000 shoppers, 10,000 items."""
    rng = random.Random(str(seed))  # of a number the sign would be dropped
    ids = (
        [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(n)]
        if scattered
        else uuid7s(NOW_MS, n)
    )
    return [
        Action(
            kind="view_item",
            shopper=f"shopper-{rng.randrange(50_000)}",
            item=f"item-{rng.randrange(10_000)}",
            id=ids[i],
            at=NOW_MS + i,
            price_micros=1_500_000,
            currency="EUR",
            session_id=f"s{i // 20}",
            platform="web",
            surface="home",
        )
        for i in range(n)
    ]


def measured(name: str, n: int, work: Callable[[], None]) -> None:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{name:28} {n / wall:10,.0f} actions/s   {cpu / n * 1e6:6.2f} µs CPU an action", flush=True
    )


def by_store(
    store: SqlFactStore, actions: Sequence[Action], per_commit: int = BATCH * CLIENTS
) -> None:
    for since in range(0, len(actions), per_commit):
        some = actions[since : since + per_commit]
        parts = [some[i : i + BATCH] for i in range(0, len(some), BATCH)]
        store.append_many([store.prepare(part, received_at_ms=NOW_MS) for part in parts])


def by_group(store: SqlFactStore, actions: Sequence[Action]) -> None:
    group = GroupCommit(store)
    batches = [actions[i : i + BATCH] for i in range(0, len(actions), BATCH)]

    def client(mine: Sequence[Sequence[Action]]) -> None:
        for batch in mine:
            group.append_sync(batch, received_at_ms=NOW_MS)

    threads = [threading.Thread(target=client, args=(batches[i::CLIENTS],)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    group.close()
    print(f"{'':28} {group.counts().commits:,} commits of {len(batches):,} batches")


def raw(store: SqlFactStore, actions: Sequence[Action]) -> None:
    """Rows with everything worked out already, inserted and committed; nothing looked at."""
    first = store.stored().seq + 1
    n = len(actions)
    with store._writing() as session:
        packed = session.pack([a.id for a in actions])
    columns: dict[str, list[object]] = {
        "seq": list(range(first, first + n)),
        "id": packed,
        "at_ms": [a.at for a in actions],
        "received_at_ms": [NOW_MS] * n,
        "kind": [3] * n,
        "shopper_row": [int(a.shopper[8:]) for a in actions],
        "item_row": [int(a.item[5:]) for a in actions],
        "price_micros": [a.price_micros for a in actions],
        "currency": [a.currency for a in actions],
        "session_id": [a.session_id for a in actions],
        "platform": [a.platform for a in actions],
        "surface": [a.surface for a in actions],
    }

    def work() -> None:
        step = BATCH * CLIENTS
        for since in range(0, n, step):
            with store._writing() as session:
                part = {name: values[since : since + step] for name, values in columns.items()}
                session.insert_actions(part, len(part["seq"]))

    measured("raw insert, same table", n, work)
    with store._writing() as session:
        ledger = session.lock_ledger()
        ledger.last_seq += n
        session.save_ledger(ledger)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", help="PostgreSQL address of an empty database; else SQLite")
    parser.add_argument("--actions", type=int, default=320_000)
    parser.add_argument("--stored", type=int, default=0, help="how many are stored before")
    parser.add_argument("--random", action="store_true", help="ids that do not sort by time")
    parser.add_argument("--folder", help="where the SQLite file goes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        if asked.dsn:
            from habitue.store.postgres import PostgresFactStore

            store: SqlFactStore = PostgresFactStore(asked.dsn)
        else:
            from habitue.store.sqlite import SqliteFactStore

            store = SqliteFactStore(Path(folder) / "shop.db")
        print(store.durability())
        for since in range(0, asked.stored, 500_000):
            filler = made(min(500_000, asked.stored - since), since + 1, scattered=asked.random)
            by_store(store, filler, 50_000)
        if asked.stored:
            print(f"{asked.stored:,} stored before")
        n = asked.actions
        raw(store, made(n, -1, scattered=asked.random))
        actions = made(n, -2, scattered=asked.random)
        measured("store, rules and all", n, lambda: by_store(store, actions))
        actions = made(n, -3, scattered=asked.random)
        measured("group commit, 32 threads", n, lambda: by_group(store, actions))
        store.close()


if __name__ == "__main__":
    main()
