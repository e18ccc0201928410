"""Online Retail through its shipped mapping: all 541,909 lines accounted for, by published counts.

Expected numbers are the data set's own (see its SOURCE.md) or counted here by plain filters.
"""

import json

import polars as pl
import pytest

from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import load_mapping
from habitue.facts.feeds.tables import read_table
from tests.needs import table

NOW = 1_763_000_000_000


@pytest.fixture(scope="module")
def source() -> pl.DataFrame:
    return pl.read_parquet(table("online_retail/online_retail.parquet"))


@pytest.fixture(scope="module")
def retail() -> Imported:
    raw = read_table(table("online_retail/online_retail.parquet"))
    return import_table(raw, load_mapping("online-retail"), now_ms=NOW)


@pytest.fixture(scope="module")
def actions(retail: Imported) -> pl.DataFrame:
    frame = pl.from_arrow(retail.actions)
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_every_line_is_accounted_for(retail: Imported) -> None:
    report = retail.report
    assert report.rows_read == 541_909
    assert report.kept + report.mended + report.rejected == 541_909
    assert retail.actions.num_rows == report.kept + report.mended
    assert retail.rejects.height == report.rejected


def test_what_was_found_is_what_a_plain_count_finds(retail: Imported, source: pl.DataFrame) -> None:
    found = {f.name: f.rows for f in retail.report.found}
    assert found["shopper_stood_in"] == 135_080
    assert found["duplicate_line"] == source.height - source.unique().height
    assert found["price_zero"] == source.filter(pl.col("UnitPrice") == 0).height
    assert found["price_micros_out_of_bounds"] == 2  # "Adjust bad debt", twice
    services = source.filter(~pl.col("StockCode").str.contains(r"^\d{5}"))
    assert found["non_product"] == services.height
    lower_case = pl.col("StockCode") != pl.col("StockCode").str.to_uppercase()
    assert found["item_tidied"] == source.filter(lower_case).height


def test_the_famous_cancellation_of_80995_birds_is_matched(actions: pl.DataFrame) -> None:
    bought, back = actions.filter(pl.col("quantity") == 80_995).sort("at").to_dicts()
    assert (bought["order_id"], back["order_id"]) == ("581483", "C581484")
    assert json.loads(bought["extra"])["cancelled"] is True
    assert json.loads(back["extra"])["cancels"] == bought["id"]


def test_kept_purchases_of_known_customers_are_the_benchmarks_lines(
    actions: pl.DataFrame, source: pl.DataFrame
) -> None:
    """The by-time benchmark's rule: no cancellations, no non-products, customers known."""
    rule = (
        ~pl.col("InvoiceNo").str.starts_with("C")
        & (pl.col("Quantity") > 0)
        & (pl.col("UnitPrice") > 0)
        & pl.col("CustomerID").is_not_null()
        & pl.col("StockCode").str.contains(r"^\d{5}")
    )
    expected = source.filter(rule).select(
        order_id="InvoiceNo",
        item=pl.col("StockCode").str.to_uppercase(),
        shopper=pl.col("CustomerID").cast(pl.String),
        quantity=pl.col("Quantity").cast(pl.Float32),
        value_minor=(pl.col("UnitPrice") * pl.col("Quantity") * 100).round(6),
    )
    purchases = actions.filter(
        (pl.col("kind") == "purchase") & ~pl.col("shopper").str.starts_with("order:")
    )
    same = ["order_id", "item", "shopper", "quantity"]
    assert purchases.select(same).equals(expected.select(same))
    off = (purchases["value_minor"] - expected["value_minor"]).abs()
    assert (off <= 0.5).all()  # pence: some unit prices have a tenth of a penny


def test_times_are_london_time(actions: pl.DataFrame) -> None:
    at = dict(actions.select("order_id", "at").iter_rows())
    assert at["536365"] == 1_291_191_960_000  # 2010-12-01 08:26, winter: UTC
    assert at["558638"] == 1_309_504_560_000  # 2011-07-01 08:16 on the shop's clock: 07:16 UTC


def test_items_and_people(retail: Imported, actions: pl.DataFrame) -> None:
    items = retail.items["id"].unique().to_pylist()
    assert len(items) == actions["item"].n_unique()
    people = set(retail.shoppers["id"].to_pylist())
    known = actions.filter(~pl.col("shopper").str.starts_with("order:"))["shopper"].unique()
    assert people == set(known.to_list())
