"""What is acknowledged survives: settings read back, failing disks, and SIGKILL under load."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from habitue.errors import StoreError
from habitue.store.sql_store import SqlFactStore
from habitue.store.sqlite import SqliteFactStore
from tests.store.writer import NOON, SIZE, actions, open_store

ROOT = Path(__file__).resolve().parents[2]
WRITER = Path(__file__).with_name("writer.py")


def start(address: str, log: Path, run: int, *mode: str) -> subprocess.Popen[bytes]:
    search = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(WRITER), address, str(log), str(run), *mode],
        env={**os.environ, "PYTHONPATH": search},
    )


def noted(log: Path, letter: str) -> list[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [line[2:] for line in lines if line.startswith(letter + " ")]


def stored_ids(store: SqlFactStore) -> list[str]:
    tables = store.scan("action", columns=["id"])
    return [fact_id for table in tables for fact_id in table["id"].to_pylist()]


def test_sqlite_reads_back_the_settings_durability_rests_on(tmp_path: Path) -> None:
    store = SqliteFactStore(tmp_path / "shop.db")
    assert store.durability() == {
        "journal_mode": "wal",
        "synchronous": "FULL",
        "secure_delete": "1",
    }
    store.close()


def test_postgresql_reads_back_the_settings_durability_rests_on(postgres_dsn: str) -> None:
    store = open_store(postgres_dsn)
    assert store.durability()["synchronous_commit"] == "on"
    assert set(store.durability()) == {"synchronous_commit", "fsync", "full_page_writes"}
    store.close()


@pytest.mark.parametrize("mode", ["fsync", "write"])
def test_a_disk_that_fails_gives_an_error_and_never_an_acknowledgement(
    tmp_path: Path, mode: str
) -> None:
    path, log = tmp_path / "shop.db", tmp_path / "log"
    assert start(str(path), log, 0, mode).wait(60) == 0
    acknowledged, failed = noted(log, "a"), noted(log, "e")
    assert acknowledged[:3] == ["0/0/0", "0/0/1", "0/0/2"]
    assert len(acknowledged) + len(failed) == 10
    assert len(failed) >= 6, failed  # a write may still fit into room that was there
    assert all(line.split(" ", 1)[1].startswith("Unavailable") for line in failed)
    store = SqliteFactStore(path)
    ids = Counter(stored_ids(store))
    assert all(ids[f"{batch}/{n}"] == 1 for batch in acknowledged for n in range(SIZE))
    for line in failed:  # sending again what failed stores it once, whatever had become of it
        store.append(actions(line.split(" ")[0]), received_at_ms=NOON)
    assert sorted(Counter(stored_ids(store)).values()) == [1] * 10 * SIZE
    store.close()


def test_postgresql_losing_its_connection_gives_an_error_and_recovers(postgres_dsn: str) -> None:
    import psycopg

    from tests.store.emptied import emptied

    store = emptied(postgres_dsn)
    store.append(actions("0/0/0"), received_at_ms=NOON)

    def cut() -> None:
        with psycopg.connect(postgres_dsn, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )

    def append_and_lose() -> None:
        with store._writing() as session:
            session.insert("item_key", ("row", "id"), [(99, "lost")])
            cut()

    with pytest.raises(StoreError):
        append_and_lose()
    assert store.item_rows(["lost", "i0"]).tolist() == [-1, 0]
    assert store.append(actions("0/0/1"), received_at_ms=NOON).new == SIZE
    cut()
    assert store.append(actions("0/0/2"), received_at_ms=NOON).new == SIZE
    assert len(stored_ids(store)) == 3 * SIZE
    store.close()


@pytest.mark.parametrize("kills", [10])
def test_nothing_acknowledged_is_lost_or_doubled_by_sigkill(tmp_path: Path, kills: int) -> None:
    address, log = str(tmp_path / "shop.db"), tmp_path / "log"
    rng = random.Random(7)
    for run in range(kills):
        process = start(address, log, run)
        until = time.monotonic() + 60
        while str(run) not in noted(log, "r"):
            assert process.poll() is None, "the writer ended by itself"
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(rng.uniform(0.02, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
    check(address, log)


def check(address: str, log: Path) -> int:
    """How many actions were acknowledged; all are stored once, and nothing else was made up."""
    store = open_store(address)
    ids = Counter(stored_ids(store))
    acknowledged = {f"{batch}/{n}" for batch in noted(log, "a") for n in range(SIZE)}
    sent = {f"{batch}/{n}" for batch in noted(log, "s") for n in range(SIZE)}
    assert acknowledged
    assert acknowledged - set(ids) == set()
    assert set(ids) - sent == set()
    assert set(ids.values()) == {1}
    seqs = [s for table in store.scan("action", columns=["seq"]) for s in table["seq"].to_pylist()]
    assert len(set(seqs)) == len(seqs) == store.stored().facts["action"]
    store.close()
    return len(acknowledged)
