"""What it costs training to read where and how actions happened: time and memory.

    python -m benchmarks.read_circumstances [--actions 1000000]

A SQLite store of made-up actions, each with surface, platform, device and locale, a tenth with one
of 50,000 texts searched. Times are the best of three.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from habitue.facts import SIDES
from habitue.store.sqlite import SqliteFactStore
from habitue.training import dataset
from habitue.training.circumstances import SAID, circumstances_of

T0 = 1_700_000_000_000


def fill(store: SqliteFactStore, n: int) -> None:
    """Put ``n`` actions of 50,000 shoppers on 10,000 items into the store."""
    rng = np.random.default_rng(3)

    def one_of(names: list[str]) -> pl.Series:
        return pl.Series(names).gather(rng.integers(0, len(names), n))

    number = pl.Series(rng.integers(0, 50_000, n)).cast(pl.String)
    searched = pl.Series(rng.random(n) < 0.1)
    frame = pl.DataFrame(
        {
            "id": pl.Series(np.arange(n)).cast(pl.String),
            "at": T0 + np.arange(n) * 1000,
            "kind": ["view_item"] * n,
            "shopper": "s" + pl.Series(rng.integers(0, 50_000, n)).cast(pl.String),
            "item": "i" + pl.Series(rng.integers(0, 10_000, n)).cast(pl.String),
            "surface": one_of(["home", "item", "cart", "search"]),
            "platform": one_of(["web", "app", "shop"]),
            "device": one_of(["mobile", "desktop", "tablet"]),
            "locale": one_of([f"{a}-{b}" for a in ("de", "en", "fr") for b in ("AT", "CH", "DE")]),
            "query": pl.select(pl.when(searched).then("words " + number)).to_series(),
        }
    )
    store.append_columns(frame.to_arrow(), received_at_ms=T0 + n * 1000)


def best(work: Callable[[], object]) -> float:
    """Seconds, the best of three."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--actions", type=int, default=1_000_000)
    n = parser.parse_args().actions
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteFactStore(Path(folder) / "shop.db")
        fill(store, n)
        bare = [name for name in dataset._COLUMNS if name not in SAID]
        plain = best(lambda: list(store.scan("action", columns=bare)))
        scan = best(lambda: list(store.scan("action", columns=dataset._COLUMNS)))
        whole = best(lambda: dataset.facts_of_store(store))
        tables = [dataset._read(table, None) for table in dataset._actions(store, 2**62)]
        frame = pl.concat(tables)
        coding = best(lambda: circumstances_of(frame))
        said = circumstances_of(frame)
        assert said is not None
        held = sum(said.codes(side).nbytes for side in SIDES)
        texts = sum(len(name) for side in SIDES for name in said.vocabulary.names(side))
        print(f"{n:,} actions")
        print(f"scan without them {plain:.2f} s, with them {scan:.2f} s")
        print(f"coding {coding:.2f} s; the whole of facts_of_store {whole:.2f} s")
        print(f"{held / n:.0f} bytes an action; {len(said.vocabulary.words):,} texts searched, ")
        print(f"{texts:,} letters in all")
        store.close()


if __name__ == "__main__":
    main()
