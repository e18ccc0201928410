"""The mappings and the preparation that docs/guides/import.md tells, run as they stand there."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

import habitue
from habitue.facts import Item
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import Mapping, load_mapping, shipped_mappings
from habitue.facts.feeds.tables import read_table
from tests.facts.tables import NOW

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "import.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def told(name: str) -> Mapping:
    (block,) = (one for one in blocks("toml") if f'name = "{name}"' in one)
    return Mapping.model_validate(tomllib.loads(block))


def read(folder: Path, file: str, name: str) -> Imported:
    result = import_table(read_table(folder / file), told(name), now_ms=NOW)
    assert result.report.rejected == 0
    return result


def actions(result: Imported) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = result.actions.to_pylist()
    return said


def items(result: Imported) -> dict[str, Item]:
    bodies = [msgspec.json.decode(body, type=Item) for body in result.items["body"].to_pylist()]
    return {item.id: item for item in bodies}


def test_every_shipped_mapping_is_told_of() -> None:
    assert [name for name in shipped_mappings() if f"`{name}`" not in GUIDE] == [
        "friends", "triples", "trust",
    ]  # fmt: skip
    for name in ("friends", "triples", "trust"):
        assert f"--mapping {name}\n" in GUIDE
        assert load_mapping(name).link is not None


@pytest.mark.parametrize("name", ["orders", "club"])
def test_the_examples_are_mappings(name: str) -> None:
    assert told(name).name == name


def test_hm(tmp_path: Path) -> None:
    (tmp_path / "transactions_train.csv").write_text(
        "t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2018-09-20,000058a1,0663713001,0.050830508474576264,2\n"
        "2018-09-20,000058a1,0541518023,0.03049152542372881,2\n"
        "2018-09-20,00007d2d,0505221004,0.01523728813559322,1\n"
    )
    (tmp_path / "articles.csv").write_text(
        "article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,"
        "graphical_appearance_name,colour_group_name,department_name,index_group_name,detail_desc\n"
        "0663713001,0663713,Strap top,253,Vest top,Garment Upper body,Solid,Black,Jersey Basic,"
        "Ladieswear,Jersey top with narrow shoulder straps.\n"
    )
    first, second, third = actions(read(tmp_path, "transactions_train.csv", "hm-transactions"))
    assert (first["shopper"], first["item"], first["at"], first["platform"]) == (
        "000058a1", "0663713001", 1_537_401_600_000, "web",
    )  # fmt: skip
    assert first["order_id"] == second["order_id"] != third["order_id"]
    assert third["platform"] == "store"
    top = items(read(tmp_path, "articles.csv", "hm-articles"))["0663713001"]
    assert (top.title, top.product_type, top.item_group_id, top.color) == (
        "Strap top", "Ladieswear > Garment Upper body > Vest top", "0663713", "Black",
    )  # fmt: skip


def test_the_example_of_an_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = (one for one in blocks("python") if "Alias" in one)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    with habitue.open("shop.db") as shop:
        assert shop.stored().facts["alias"] == 1


def test_instacart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        "orders": "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,"
        "days_since_prior_order\n11,1,prior,1,2,08,\n12,1,prior,2,3,07,15.0\n21,2,prior,1,0,23,\n",
        "order_products__prior": "order_id,product_id,add_to_cart_order,reordered\n"
        "11,196,1,0\n11,26,2,0\n12,196,1,1\n21,26,1,0\n",
        "products": "product_id,product_name,aisle_id,department_id\n196,Soda,77,7\n26,Tea,94,7\n",
        "aisles": "aisle_id,aisle\n77,soft drinks\n94,tea\n",
        "departments": "department_id,department\n7,beverages\n",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (script,) = (one for one in blocks("python") if "order_products__prior" in one)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    result = read(tmp_path, "instacart.parquet", "instacart")
    day, last = 86_400_000, 1_493_596_800_000  # 1 May 2017
    said = [
        tuple(row[name] for name in ("shopper", "item", "order_id", "at"))
        for row in actions(result)
    ]
    assert said == [
        ("1", "196", "11", last - 15 * day + 8 * 3_600_000),
        ("1", "26", "11", last - 15 * day + 8 * 3_600_000),
        ("1", "196", "12", last + 7 * 3_600_000),
        ("2", "26", "21", last + 23 * 3_600_000),
    ]  # fmt: skip
    assert items(result)["196"].product_type == "beverages > soft drinks"
