"""A person's rights at a whole shop: files imported, ids hidden, everything forgotten."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import habitue
from habitue.app import open_shop
from habitue.errors import NotFound

MAPPING = """
name = "till"
currency = "EUR"
[action]
kind = "purchase"
shopper = "who"
item = "what"
at = "when"
price = "price"
"""
ORDERS = """who,what,when,price
anna,tea,2023-06-01,2.50
anna,cup,never,2.50
ben,pot,2023-06-01,
ben,lid,2023-06-01,x
"""
Open = Callable[[], habitue.Shop]


@pytest.fixture(params=[False, True], ids=["named", "pseudonyms"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    (tmp_path / "till.toml").write_text(MAPPING)
    (tmp_path / "orders.csv").write_text(ORDERS)
    settings = {
        "store.address": f"sqlite:///{tmp_path / 'shop.db'}",
        "snapshots.path": tmp_path / "snapshots",
        "server.keys_file": tmp_path / "keys.json",
        "privacy.pseudonyms": request.param,
    }
    return lambda: open_shop(overrides=settings)


def everything_on_disk(folder: Path) -> bytes:
    """What the shop wrote, compressed tables unfolded; what it was given is not the shop's."""
    given = {"till.toml", "orders.csv", "events.jsonl"}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in given]
    tables = [str(pl.read_parquet(path).rows()).encode() for path in folder.rglob("*.parquet")]
    return b"".join([path.read_bytes() for path in files] + tables)


def test_a_shopper_is_forgotten_down_to_the_reject_file(opened: Open, tmp_path: Path) -> None:
    rejects = tmp_path / "elsewhere" / "rejects.jsonl"
    with opened() as shop:
        found = shop.ingest(
            tmp_path / "orders.csv", mapping=tmp_path / "till.toml", rejects=rejects
        )
        assert (found.report.kept, found.report.rejected, found.stored.new) == (2, 2, 2)
        assert len(shop.export("anna")["action"]) == 1
        shop.forget("anna")
        with pytest.raises(NotFound):
            shop.export("anna")
        assert len(shop.export("ben")["action"]) == 1
    rows = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(row["line"], row["field"], row["said"] is None) for row in rows] == [
        (3, "at", True),
        (5, "price", False),
    ]
    assert b"anna" not in everything_on_disk(tmp_path)


@pytest.mark.parametrize("opened", [True], indirect=True, ids=["pseudonyms"])
def test_with_pseudonyms_no_id_ever_reaches_the_disk(opened: Open, tmp_path: Path) -> None:
    lines = [
        {"kind": "login", "shopper": "carola"},
        {"kind": "nothing", "shopper": "carola"},
        {"aliases": [{"shopper": "carola", "alias": "cookie-carola"}]},
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    with opened() as shop:
        shop.ingest(tmp_path / "orders.csv", mapping=tmp_path / "till.toml",
                    rejects=tmp_path / "a.parquet")  # fmt: skip
        told = shop.ingest(
            tmp_path / "events.jsonl", mapping="habitue", rejects=tmp_path / "b.jsonl"
        )
        assert (told.report.kept, told.report.rejected) == (2, 1)
        assert len(shop.export("cookie-carola")["action"]) == 1
        written = everything_on_disk(tmp_path)
        for name in (b"anna", b"ben", b"carola"):
            assert name not in written
