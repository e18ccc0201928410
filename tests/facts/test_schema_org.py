"""Products as pages tell them to search engines."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from habitue.errors import BadInput
from habitue.facts import Item
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import load_mapping
from habitue.facts.feeds.recognise import form_of
from habitue.facts.feeds.schema_org import product_rows, read_products

NOW = 1_700_000_000_000
SCHEMA = "https://schema.org/"

KETTLE = {
    "@context": "https://schema.org",
    "@type": "Product",
    "sku": "K-1",
    "name": "Kettle",
    "description": "It pours.",
    "image": ["https://a/1.png", {"@type": "ImageObject", "url": "https://a/2.png"}],
    "brand": {"@type": "Brand", "name": "Acme"},
    "category": ["Kitchen", "Kettles"],
    "gtin13": "4006381333931",
    "color": "red",
    "aggregateRating": {"@type": "AggregateRating", "ratingValue": 4.5, "reviewCount": 11},
    "offers": {
        "@type": "Offer",
        "price": "39.90",
        "priceCurrency": "EUR",
        "availability": "https://schema.org/InStock",
        "itemCondition": "http://schema.org/NewCondition",
        "url": "https://a/kettle",
    },
}


def read(path: Path) -> Imported:
    assert form_of(path) == "schema-org"
    return import_table(read_products(path), load_mapping("merchant"), now_ms=NOW)


def items(result: Imported) -> list[Item]:
    return [msgspec.json.decode(body, type=Item) for body in result.items["body"].to_pylist()]


def test_a_product_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "kettle.html"
    path.write_text(
        "<html><script>var x = 1 < 2;</script>\n"
        f'<script type="application/ld+json">{json.dumps(KETTLE)}</script>\n'
        '<script type="application/ld+json">{"@type": "Product", </script></html>'
    )
    result = read(path)
    assert items(result) == [
        Item(
            id="K-1",
            title="Kettle",
            description="It pours.",
            link="https://a/kettle",
            image_link="https://a/1.png",
            additional_image_link=["https://a/2.png"],
            price_micros=39_900_000,
            currency="EUR",
            availability="in_stock",
            condition="new",
            brand="Acme",
            google_product_category="Kitchen > Kettles",
            gtin="4006381333931",
            color="red",
            valid_from=NOW,
            attributes={"rating_value": "4.5", "review_count": "11"},
        )
    ]
    assert result.rejects["line"].to_list() == [3]
    assert (result.report.rows_read, result.report.rejected) == (2, 1)


def test_a_graph_and_lists_are_looked_through(tmp_path: Path) -> None:
    said = {
        "@context": "https://schema.org",
        "@graph": [
            {"@type": "BreadcrumbList"},
            {"@type": ["Product", "Thing"], "sku": "a"},
            {
                "@type": "ItemList",
                "itemListElement": [
                    {"@type": "ListItem", "position": 1, "item": {"@type": "Product", "sku": "b"}}
                ],
            },
            {"@type": "WebPage", "mainEntity": {"@type": "schema:Product", "productID": "c"}},
        ],
    }
    path = tmp_path / "products.jsonld"
    path.write_text(json.dumps(said))
    assert [item.id for item in items(read(path))] == ["a", "b", "c"]


def test_variants_have_what_their_group_says() -> None:
    group = {
        "@type": "ProductGroup",
        "productGroupID": "shirt",
        "name": "Shirt",
        "brand": "Acme",
        "variesBy": SCHEMA + "size",
        "hasVariant": [
            {"@type": "Product", "sku": "s-m", "size": "M", "offers": offer("20")},
            {"@type": "Product", "sku": "s-l", "size": "L", "name": "Shirt, large"},
        ],
    }
    medium, large = product_rows(group)
    assert medium == {
        "id": "s-m", "title": "Shirt", "brand": "Acme", "size": "M", "price": "20 EUR",
        "availability": "in_stock", "item_group_id": "shirt",
    }  # fmt: skip
    assert (large["title"], large["brand"], large["item_group_id"]) == (
        "Shirt, large", "Acme", "shirt",
    )  # fmt: skip


def offer(price: str | None, stock: str = "InStock", **more: Any) -> dict[str, Any]:
    return {
        "@type": "Offer", "price": price, "priceCurrency": "EUR", "availability": SCHEMA + stock,
        **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("offers", "price", "sale", "availability"),
    [
        ([offer("9"), offer("7"), offer("5", "SoldOut")], "7 EUR", None, "in_stock"),
        ([offer("5", "SoldOut")], "5 EUR", None, "out_of_stock"),
        ({"@type": "AggregateOffer", "lowPrice": 3, "highPrice": 9, "priceCurrency": "EUR"},
         "3 EUR", None, None),
        ({"@type": "AggregateOffer", "lowPrice": 3, "offers": [offer("4", "PreOrder")]},
         "4 EUR", None, "preorder"),
        (offer("8", priceSpecification={"@type": "UnitPriceSpecification", "price": 10,
                                        "priceType": SCHEMA + "StrikethroughPrice"}),
         "10 EUR", "8 EUR", "in_stock"),
        (offer(None, priceSpecification=[{"price": 6, "priceCurrency": "EUR"}]),
         "6 EUR", None, "in_stock"),
        ({"@type": "Offer", "price": "1"}, "1", None, None),
        (None, None, None, None),
    ],
)  # fmt: skip
def test_the_offer_a_shopper_would_take(
    offers: Any, price: str | None, sale: str | None, availability: str | None
) -> None:
    (row,) = product_rows({"@type": "Product", "sku": "a", "offers": offers})
    assert (row.get("price"), row.get("sale_price"), row.get("availability")) == (
        price, sale, availability,
    )  # fmt: skip


def test_a_product_is_known_by_the_best_name_it_has() -> None:
    rows = product_rows(
        [{"@type": "Product", "gtin": "1", "mpn": "2"}, {"@type": "Product", "@id": "https://a/x"}]
    )
    assert [row["id"] for row in rows] == ["1", "https://a/x"]


@pytest.mark.parametrize("said", [[], {"@type": "WebSite"}, [[[]]], "Product", 5, None])
def test_what_names_no_product_makes_no_row(said: Any) -> None:
    assert product_rows(said) == []


def test_no_depth_breaks_it() -> None:
    said: Any = {"@type": "Product", "sku": "deep"}
    for _ in range(500):
        said = {"@graph": [said]}
    assert product_rows(said) == []


def test_a_page_without_products_says_so(tmp_path: Path) -> None:
    path = tmp_path / "about.html"
    path.write_text("<html><p>Nothing to buy.</p></html>")
    with pytest.raises(BadInput, match="no products"):
        read_products(path)
