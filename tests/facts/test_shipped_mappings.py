"""The mappings that come with Habitué, on the data they are for and on rows as it is published."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from habitue.facts import Item
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import load_mapping, shipped_mappings
from habitue.facts.feeds.tables import read_table
from tests.facts.tables import NOW, imported
from tests.needs import table


def read(path: Path, name: str) -> Imported:
    told = load_mapping(name)
    result = import_table(read_table(path, told.read), told, now_ms=NOW)
    report = result.report
    assert report.kept + report.mended + report.rejected == report.rows_read
    return result


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def actions(result: Imported) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = result.actions.to_pylist()
    return said


def items(result: Imported) -> list[Item]:
    return [msgspec.json.decode(body, type=Item) for body in result.items["body"].to_pylist()]


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_mapping_says_what_it_is_for(name: str) -> None:
    assert load_mapping(name).about
    assert load_mapping(name).name == name


def test_movielens_as_recbole_has_it() -> None:
    result = read(table("movielens_100k/ml-100k.inter.parquet"), "movielens")
    assert result.report.made == {"rate": 100_000}
    assert len(result.actions["shopper"].unique()) == 943
    assert result.report.since_ms == 874_724_710_000  # 20 September 1997, as published
    films = items(read(table("movielens_100k/ml-100k.item.parquet"), "movielens-films"))
    assert (len(films), films[0].title, films[0].attributes) == (
        1_682, "Toy Story", {"year": "1995"},
    )  # fmt: skip


def test_movielens_as_grouplens_publishes_it(tmp_path: Path) -> None:
    new = written(
        tmp_path, "ratings.csv", "userId,movieId,rating,timestamp\n1,296,5.0,1147880044\n"
    )
    old = written(tmp_path, "u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    (said,) = actions(read(new, "movielens"))
    assert (said["shopper"], said["item"], said["rating"], said["at"]) == (
        "1", "296", 5.0, 1_147_880_044_000,
    )  # fmt: skip
    assert [row["item"] for row in actions(read(old, "movielens"))] == ["242", "302"]
    films = written(tmp_path, "movies.csv", "movieId,title,genres\n1,Toy Story (1995),Animation\n")
    (film,) = items(read(films, "movielens-films"))
    assert (film.id, film.product_type, film.item_type) == ("1", "Animation", "video")


def test_retailrocket() -> None:
    result = read(table("retailrocket_sample/events_sample.parquet"), "retailrocket")
    made = result.report.made
    assert (made["view_item"], made["add_to_cart"], made["purchase"]) == (4_732, 377, 60)
    bought = [row for row in actions(result) if row["kind"] == "purchase"]
    assert all(row["order_id"] for row in bought)


def test_retailrocket_as_published(tmp_path: Path) -> None:
    events = written(
        tmp_path,
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433222276276,599528,transaction,356475,4000\n",
    )
    seen, bought = actions(read(events, "retailrocket"))
    assert (seen["kind"], seen["at"], seen["order_id"]) == ("view_item", 1_433_221_332_117, None)
    assert (bought["kind"], bought["order_id"]) == ("purchase", "4000")
    tree = written(tmp_path, "category_tree.csv", "categoryid,parentid\n1016,213\n231,\n")
    result = read(tree, "retailrocket-categories")
    assert result.links.select(["head", "relation", "tail"]).to_pylist() == [
        {"head": "category:1016", "relation": "part_of", "tail": "category:213"}
    ]


def test_amazon_reviews_and_products() -> None:
    result = read(table("amazon_gift_cards/reviews.parquet"), "amazon-reviews")
    assert result.report.rows_read == 2_972
    kinds = Counter(row["kind"] for row in actions(result))
    assert set(kinds) == {"review", "rate"}
    (first, *_) = actions(result)
    assert (first["shopper"], first["item"], first["rating"], first["text"]) == (
        "A31UBHTUUIFJUT", "B004LLIKVU", 5.0, "Another great gift.",
    )  # fmt: skip
    assert first["at"] == 1_529_193_600_000
    goods = items(read(table("amazon_gift_cards/meta.parquet"), "amazon-products"))
    assert (goods[0].id, goods[0].brand, goods[0].product_type) == (
        "B001BKEWF2", "Serendipity 3", "Gift Cards > Gift Cards",
    )  # fmt: skip
    assert goods[0].description is not None
    assert goods[0].description.startswith("Gift card for the purchase of goods")


def test_amazon_reviews_of_2023(tmp_path: Path) -> None:
    line = (
        '{"rating": 4.0, "title": "Good", "text": "It pours.", "asin": "B1", "parent_asin": "B0",'
        ' "user_id": "AF", "timestamp": 1588687728923, "verified_purchase": true}\n'
    )
    (said,) = actions(read(written(tmp_path, "Kitchen.jsonl", line), "amazon-reviews"))
    assert (said["shopper"], said["item"], said["at"]) == ("AF", "B0", 1_588_687_728_923)
    assert (said["kind"], said["text"], said["rating"]) == ("review", "It pours.", 4.0)
    assert msgspec.json.decode(said["extra"]) == {"summary": "Good", "verified": "true"}


def test_yoochoose() -> None:
    result = read(table("yoochoose_100k/train_full.parquet"), "yoochoose")
    assert result.report.made == {"view_item": 70_278}
    assert len(result.actions["shopper"].unique()) == 17_794
    assert actions(result)[0]["at"] == 1_396_437_466_940


def test_yoochoose_as_published(tmp_path: Path) -> None:
    clicks = written(
        tmp_path,
        "yoochoose-clicks.dat",
        "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n",
    )
    first, second = actions(read(clicks, "yoochoose"))
    assert (first["shopper"], first["item"], first["at"]) == (
        "session:1", "214536502", 1_396_867_869_277,
    )  # fmt: skip
    assert msgspec.json.decode(second["extra"]) == {"category": "S"}
    buys = written(
        tmp_path,
        "yoochoose-buys.dat",
        "420374,2014-04-06T18:44:58.314Z,214537888,12462,2\n"
        "489758,2014-04-06T09:59:52.422Z,214826955,0,0\n",
    )
    bought, unsaid = actions(read(buys, "yoochoose-buys"))
    assert (bought["kind"], bought["quantity"], bought["shopper"]) == (
        "purchase", 2.0, "session:420374",
    )  # fmt: skip
    assert unsaid["quantity"] == 1.0


def test_a_line_of_a_file_without_a_header_is_told_by_its_number(tmp_path: Path) -> None:
    clicks = written(
        tmp_path, "c.dat", "1,2014-04-07T10:51:09.277Z,2145,0\n1,never,2145,0\n1,a,b,c,d,e\n"
    )
    result = read(clicks, "yoochoose")
    assert result.rejects["line"].to_list() == [2, 3]


def test_a_column_that_may_be_missing_says_nothing() -> None:
    row = {"visitorid": 1, "itemid": 2, "timestamp": NOW - 5, "event": "view"}
    rows: list[dict[str, Any]] = [{**row, "transactionid": None}]
    (said,) = actions(imported(rows, load_mapping("retailrocket")))
    assert said["session_id"] is None
