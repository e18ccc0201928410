"""Files of every form reach the store, without a word where they say themselves what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import habitue
from habitue.errors import BadInput

T = 1_700_000_000_000
FEED = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><g:id>tea</g:id><g:title>Tea</g:title><g:price>4.50 EUR</g:price></item>
<item><g:title>Nameless</g:title></item>
</channel></rss>"""
PAGE = """<html><script type="application/ld+json">
{"@type": "Product", "sku": "cup", "name": "Cup"}</script></html>"""
EVENT = {"kind": "view_item", "shopper": "anna", "item": "tea", "at": T}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[habitue.Shop]:
    with habitue.open(tmp_path / "shop.db") as opened:
        yield opened


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_feeds_pages_and_events_need_no_mapping(shop: habitue.Shop, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    done = shop.ingest(written(tmp_path, "products.xml", FEED), rejects=rejects)
    assert (done.report.made, done.report.rejected, done.stored.new) == (
        {"items": 1, "item versions": 1}, 1, 1,
    )  # fmt: skip
    (refused,) = map(json.loads, rejects.read_text().splitlines())
    assert (refused["line"], refused["field"]) == (2, "id")
    assert shop.ingest(written(tmp_path, "cup.html", PAGE), mapping=None).stored.new == 1
    assert (
        shop.ingest(written(tmp_path, "events.jsonl", json.dumps(EVENT)), mapping=None).stored.new
        == 1
    )
    assert shop.stored().facts["item"] == 2
    assert shop.stored().facts["action"] == 1


@pytest.mark.parametrize(
    ("name", "text", "mapping", "facts"),
    [
        ("events.jsonl", f"{json.dumps(EVENT)}\n{json.dumps(EVENT)}\n", None, 2),
        ("ties.csv", "head,tail\nanna,ben\n", "friends", 2),
        ("products.xml", FEED, None, 1),
        ("people.csv", "who,land\nanna,DE\n", "people.toml", 1),
    ],
)
def test_a_file_read_twice_adds_nothing(
    shop: habitue.Shop, tmp_path: Path, name: str, text: str, mapping: str | None, facts: int
) -> None:
    written(tmp_path, "people.toml", 'name = "p"\n[shopper]\nid = "who"\ncountry = "land"\n')
    told = tmp_path / mapping if mapping and mapping.endswith(".toml") else mapping
    path = written(tmp_path, name, text)
    first, again = (shop.ingest(path, mapping=told).stored for _ in range(2))
    assert (first.new, first.duplicate) == (facts, 0)
    assert (again.new, again.duplicate) == (0, facts)


def test_a_catalogue_adds_the_items_that_changed(shop: habitue.Shop, tmp_path: Path) -> None:
    head = "id,title,price,sale_price,sale_price_effective_date\n"
    tea, cup = "tea,Tea,4 EUR,,\n", "cup,Cup,6 EUR,,\n"
    on_sale = "tea,Tea,4 EUR,3 EUR,2020-01-01T00:00Z/2099-01-01T00:00Z\n"
    new = []
    for rows in (tea + cup, tea + cup, on_sale + cup, on_sale + cup, tea + cup, tea + cup):
        path = written(tmp_path, "feed.csv", head + rows)
        new.append(shop.ingest(path, mapping=None).stored.new)
    assert new == [2, 0, 2, 0, 1, 0]  # a sale is two versions: from now, and after its end


def test_a_file_that_does_not_say_what_it_is_needs_a_mapping(
    shop: habitue.Shop, tmp_path: Path
) -> None:
    path = written(tmp_path, "events.csv", "who,what\nanna,tea\n")
    with pytest.raises(BadInput, match=r"movielens.*schema-org"):
        shop.ingest(path)


def test_names_in_ties_rest_as_pseudonyms(tmp_path: Path) -> None:
    overrides = {"privacy.pseudonyms": True}
    with habitue.open(tmp_path / "shop.db", overrides=overrides) as shop:
        ties = written(tmp_path, "ties.csv", "head,tail,weight\nanna,ben,1\nanna,ben,much\n")
        rejects = tmp_path / "rejects.jsonl"
        assert shop.ingest(ties, mapping="trust", rejects=rejects).stored.new == 1
        (link,) = (row for one in shop.parts.store.scan("link") for row in one.to_pylist())
        assert "anna" not in str(link)
        assert "anna" not in rejects.read_text()
        assert "much" in rejects.read_text()
        names = shop.parts.pseudonyms
        assert names is not None
        assert set(shop.parts.store.shopper_ids()) == {names.of("anna"), names.of("ben")}
