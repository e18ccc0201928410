"""Other public data through mappings written as a shop would write them; counts as published."""

from pathlib import Path

import msgspec
import polars as pl

from habitue.facts import Item, Shopper
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


def test_retailrocket_events() -> None:
    result = read(
        table("retailrocket_sample/events_sample.parquet"),
        """
        [action]
        shopper = "visitorid"
        item = "itemid"
        at = "timestamp"
        order_id = "transactionid"
        session_id = "session_id"
        [action.kind]
        column = "event"
        translate = { 0 = "view_item", 1 = "add_to_cart", 2 = "purchase" }
        """,
    )
    made = result.report.made
    assert (made["view_item"], made["add_to_cart"], made["purchase"]) == (4_732, 377, 60)
    assert len(result.actions["shopper"].unique()) == 1_092
    assert len(result.actions["item"].unique()) == 2_960
    orders = result.actions.to_pylist()
    assert all((one["order_id"] is not None) == (one["kind"] == "purchase") for one in orders)


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


def test_movielens_ratings_films_and_people() -> None:
    folder = table("movielens_100k")
    columns = pl.read_parquet(folder / "ml-100k.inter.parquet").columns
    user, item, rating, time = columns
    ratings = read(
        folder / "ml-100k.inter.parquet",
        f"""
        [action]
        kind = "rate"
        shopper = "{user}"
        item = "{item}"
        rating = "{rating}"
        at = {{ column = "{time}", unit = "s" }}
        """,
    )
    assert ratings.report.made == {"rate": 100_000}
    assert len(ratings.actions["shopper"].unique()) == 943
    assert set(ratings.actions["rating"].to_pylist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    films = pl.read_parquet(folder / "ml-100k.item.parquet").columns
    result = read(
        folder / "ml-100k.item.parquet",
        f"""
        [item]
        id = "{films[0]}"
        title = "{films[1]}"
        product_type = "{films[3]}"
        item_type = {{ value = "video" }}
        """,
    )
    bodies = [msgspec.json.decode(body, type=Item) for body in result.items["body"].to_pylist()]
    assert len({film.id for film in bodies}) == 1_682
    assert {film.item_type for film in bodies} == {"video"}
    people = pl.read_parquet(folder / "ml-100k.user.parquet").columns
    said = read(
        folder / "ml-100k.user.parquet",
        f'[shopper]\nid = "{people[0]}"\n[shopper.traits]\nage = "{people[1]}"\n',
    )
    shoppers = [msgspec.json.decode(b, type=Shopper) for b in said.shoppers["body"].to_pylist()]
    assert len(shoppers) == 943
    assert all(one.traits and one.traits["age"] for one in shoppers)
