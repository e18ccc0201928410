"""The whole import of Online Retail: Parquet to durable facts, step by step.

    python benchmarks/import_online_retail.py [--dsn POSTGRES]

Reading, translating and cleaning the 541,909 lines, then storing items, shoppers and actions in a
new SQLite file (or an empty PostgreSQL database). Wall and CPU seconds, and the peak of memory.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from habitue.facts.feeds.imports import import_table
from habitue.facts.feeds.mapping import load_mapping
from habitue.facts.feeds.tables import read_table
from tests.needs import data_folder

NOW_MS = 1_763_000_000_000
T = TypeVar("T")


def timed(name: str, work: Callable[[], T]) -> T:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:28} {wall:6.2f} s wall {cpu:6.2f} s CPU")
    return result


def whole_shop(folder: Path, dsn: str | None) -> None:
    """What `habitue import` does, from file to stored facts."""
    from habitue.app import open_shop

    settings = {
        "store.address": dsn or f"sqlite:///{folder / 'shop.db'}",
        "snapshots.path": folder / "snapshots",
        "server.keys_file": folder / "keys.json",
    }
    source = data_folder() / "online_retail/online_retail.parquet"
    with open_shop(overrides=settings) as shop:
        found = timed(
            "import, all of it",
            lambda: shop.ingest(source, mapping="online-retail", rejects=folder / "rejects.jsonl"),
        )
    report = found.report
    print(
        f"{report.rows_read:,} rows read = {report.kept:,} kept + {report.mended:,} mended "
        f"+ {report.rejected:,} rejected; {found.stored.new:,} facts stored"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", help="PostgreSQL address of an empty database; else SQLite")
    asked = parser.parse_args()
    mapping = load_mapping("online-retail")
    source = data_folder() / "online_retail/online_retail.parquet"
    raw = timed("read", lambda: read_table(source, mapping.read))
    timed("translate and clean", lambda: import_table(raw, mapping, now_ms=NOW_MS))
    with tempfile.TemporaryDirectory() as folder:
        whole_shop(Path(folder), asked.dsn)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    main()
