"""Storing the 541,909 lines of Online Retail as purchases: the store's share of the import.

python benchmarks/ingest_online_retail.py [--dsn POSTGRES]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import polars as pl

from habitue.store.sql_store import SqlFactStore

DATA = Path(os.environ.get("HABITUE_DATA") or Path(__file__).resolve().parents[2] / "shared/data")


def lines() -> pl.DataFrame:
    """Every line as an action; returns are refunds, lines without a customer their own guests."""
    raw = pl.read_parquet(DATA / "online_retail/online_retail.parquet").with_row_index("line")
    guest = pl.lit("guest-") + pl.col("InvoiceNo")
    return raw.select(
        kind=pl.when(pl.col("Quantity") < 0).then(pl.lit("refund")).otherwise(pl.lit("purchase")),
        shopper=pl.coalesce(pl.col("CustomerID").cast(pl.String), guest),
        id=pl.lit("online-retail:cf293b25e2a3cde5:") + pl.col("line").cast(pl.String).str.zfill(10),
        at=pl.col("InvoiceDate").cast(pl.Datetime("ms")).cast(pl.Int64),
        item=pl.col("StockCode"),
        quantity=pl.col("Quantity").abs().clip(1).cast(pl.Float64),
        price_micros=(pl.col("UnitPrice") * 1e6).round().clip(0).cast(pl.Int64),
        value_minor=(pl.col("UnitPrice") * pl.col("Quantity") * 100).round().cast(pl.Int64),
        currency=pl.lit("GBP"),
        order_id=pl.col("InvoiceNo"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", help="PostgreSQL address of an empty database; else SQLite")
    asked = parser.parse_args()
    table = lines().to_arrow()
    with tempfile.TemporaryDirectory() as folder:
        if asked.dsn:
            from habitue.store.postgres import PostgresFactStore

            store: SqlFactStore = PostgresFactStore(asked.dsn)
        else:
            from habitue.store.sqlite import SqliteFactStore

            store = SqliteFactStore(Path(folder) / "shop.db")
        for name in ("first import", "same file again"):
            wall, cpu = time.perf_counter(), time.process_time()
            told = store.append_columns(table, received_at_ms=1_700_000_000_000)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(
                f"{name:16} {table.num_rows:,} lines in {wall:5.2f} s ({cpu:5.2f} s CPU): "
                f"{told.new:,} new, {told.duplicate:,} duplicate, {len(told.rejected):,} rejected"
            )
        wall, cpu = time.perf_counter(), time.process_time()
        columns = ("seq", "at_ms", "kind", "shopper_row", "item_row", "quantity", "price_micros")
        n = sum(t.num_rows for t in store.scan("action", columns=columns))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{'scan, 7 columns':16} {n:,} rows in {wall:5.2f} s ({cpu:5.2f} s CPU)")
        store.close()


if __name__ == "__main__":
    main()
