"""Other public data through mappings written as a shop would write them; counts as published."""

from pathlib import Path

import msgspec
import polars as pl

from habitue.facts import Shopper
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.tables import read_table
from tests.facts.tables import NOW, mapping
from tests.needs import table


def read(path: Path, toml: str) -> Imported:
    raw = read_table(path)
    result = import_table(raw, mapping(toml), now_ms=NOW)
    report = result.report
    assert report.rows_read == raw.frame.height
    assert report.kept + report.mended + report.rejected == report.rows_read
    return result


def test_cdnow_purchases() -> None:
    result = read(
        table("cdnow/master.parquet"),
        """
        currency = "USD"
        time_zone = "America/New_York"
        [action]
        kind = "purchase"
        shopper = "customer_id"
        item = { value = "cd" }
        at = { column = "date", format = "%Y%m%d" }
        quantity = "number_of_cds"
        value = "dollar_value"
        [cleaning]
        match_cancellations = false
        """,
    )
    assert result.report.made == {"purchase": 69_659}
    assert len(result.actions["shopper"].unique()) == 23_570
    assert sum(result.actions["value_minor"].to_pylist()) == 250_031_563
    first = min(result.actions["at"].to_pylist())
    assert first == 852_094_800_000  # 1997-01-01 00:00 in New York


def test_movielens_people() -> None:
    folder = table("movielens_100k")
    people = pl.read_parquet(folder / "ml-100k.user.parquet").columns
    said = read(
        folder / "ml-100k.user.parquet",
        f'[shopper]\nid = "{people[0]}"\n[shopper.traits]\nage = "{people[1]}"\n',
    )
    shoppers = [msgspec.json.decode(b, type=Shopper) for b in said.shoppers["body"].to_pylist()]
    assert len(shoppers) == 943
    assert all(one.traits and one.traits["age"] for one in shoppers)
