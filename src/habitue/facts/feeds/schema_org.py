"""Products as pages say them to search engines: schema.org JSON-LD, in a file or a page.

A product becomes a row by Merchant Center's names, which the shipped mapping ``merchant`` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import msgspec

from habitue.errors import BadInput
from habitue.facts.feeds.merchant import rows_as_table
from habitue.facts.feeds.tables import RawTable, Unreadable

__all__ = ["PAGE_SUFFIXES", "product_rows", "read_products"]

PAGE_SUFFIXES: Final = frozenset({".html", ".htm", ".jsonld"})
_IDS: Final = (
    "sku",
    "productID",
    "gtin",
    "gtin14",
    "gtin13",
    "gtin12",
    "gtin8",
    "mpn",
    "@id",
    "url",
)
_GTINS: Final = ("gtin", "gtin14", "gtin13", "gtin12", "gtin8", "isbn")
_AS_IT_IS: Final = {
    "name": "title", "description": "description", "mpn": "mpn", "color": "color", "size": "size",
    "material": "material", "pattern": "pattern", "inProductGroupWithID": "item_group_id",
}  # fmt: skip
_AVAILABILITY: Final = {
    "InStock": "in_stock", "InStoreOnly": "in_stock", "OnlineOnly": "in_stock",
    "MadeToOrder": "in_stock", "LimitedAvailability": "limited_availability",
    "PreOrder": "preorder", "PreSale": "preorder", "BackOrder": "backorder",
    "OutOfStock": "out_of_stock", "SoldOut": "out_of_stock", "Discontinued": "out_of_stock",
    "Reserved": "out_of_stock",
}  # fmt: skip
_CONDITION: Final = {
    "NewCondition": "new", "RefurbishedCondition": "refurbished", "UsedCondition": "used",
    "DamagedCondition": "used",
}  # fmt: skip
_LIST_PRICES: Final = frozenset({"ListPrice", "StrikethroughPrice", "SRP", "MSRP"})
_SHARED: Final = ("title", "description", "brand", "image_link", "google_product_category",
                  "material", "pattern")  # fmt: skip
_DEEPEST: Final = 30


def read_products(path: Path) -> RawTable:
    """The products of a .jsonld file or of a page, as a table of text, a row a product.

    A script of a page that is no JSON is reported by its line. Raises ``BadInput`` for a file that
    cannot be read and for one without products.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    text = body.decode("utf-8", errors="replace")
    page = path.suffix.lower() in (".html", ".htm")
    scripts = _scripts(text) if page else [(1, text)]
    rows: list[dict[str, str]] = []
    unreadable: list[Unreadable] = []
    for line, script in scripts:
        try:
            rows += product_rows(msgspec.json.decode(script))
        except (msgspec.DecodeError, RecursionError) as error:
            unreadable.append(Unreadable(line, f"the JSON-LD is no JSON: {error}", script[:2000]))
    if not rows and not unreadable:
        raise BadInput(
            f"{path.name} names no products.",
            remedy='Pages say them in <script type="application/ld+json">, as schema.org Product.',
        )
    return rows_as_table(rows, path, body, tuple(unreadable))


def product_rows(said: Any) -> list[dict[str, str]]:
    """The products in a JSON-LD document, wherever they stand, by Merchant Center's names.

    Of a ``ProductGroup`` each variant is a row, with what the group says for all of them.

    >>> product_rows({"@type": "Product", "sku": "T1", "name": "Tea", "offers": {
    ...     "@type": "Offer", "price": 4.5, "priceCurrency": "EUR"}})
    [{'id': 'T1', 'title': 'Tea', 'price': '4.5 EUR'}]
    """
    return list(_products(said, 0))


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[int, str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = (dict(attrs).get("type") or "").split(";")[0].strip().lower()
        self._open = tag == "script" and kind == "application/ld+json"

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.found.append((self.getpos()[0], data))

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "script"


def _scripts(page: str) -> list[tuple[int, str]]:
    """The JSON-LD scripts of a page, each with the line it begins in."""
    parser = _Scripts()
    parser.feed(page)
    parser.close()
    return parser.found


def _products(node: Any, depth: int) -> Iterator[dict[str, str]]:
    if depth > _DEEPEST:
        return
    if isinstance(node, list):
        for one in node:
            yield from _products(one, depth + 1)
        return
    if not isinstance(node, dict):
        return
    kinds = _kinds(node)
    if "ProductGroup" in kinds and node.get("hasVariant"):
        yield from _variants(node)
    elif kinds & {"Product", "ProductGroup", "IndividualProduct", "ProductModel", "Book"}:
        yield _row(node)
    else:
        for name in ("@graph", "mainEntity", "itemListElement", "item"):
            yield from _products(node.get(name), depth + 1)


def _variants(group: dict[str, Any]) -> Iterator[dict[str, str]]:
    of_all = _row(group)
    shared = {name: of_all[name] for name in _SHARED if name in of_all}
    for variant in _listed(group["hasVariant"]):
        if not isinstance(variant, dict):
            continue
        row = shared | _row(variant)
        of_group = _text(group.get("productGroupID")) or of_all.get("id")
        yield row if "item_group_id" in row or not of_group else row | {"item_group_id": of_group}


def _row(product: dict[str, Any]) -> dict[str, str]:
    """One product by Merchant Center's names, without what it does not say."""
    images = [image for said in _listed(product.get("image")) if (image := _address(said))]
    rating = product.get("aggregateRating")
    rating = rating if isinstance(rating, dict) else {}
    said: dict[str, str | None] = {
        "id": next((one for name in _IDS if (one := _text(product.get(name)))), None),
        **{ours: _text(product.get(theirs)) for theirs, ours in _AS_IT_IS.items()},
        "brand": _name(product.get("brand")),
        "google_product_category": _name(product.get("category")),
        "gtin": next((one for name in _GTINS if (one := _text(product.get(name)))), None),
        "link": _address(product.get("url")),
        "image_link": images[0] if images else None,
        "additional_image_link": ",".join(images[1:]) or None,
        "condition": _CONDITION.get(_term(product.get("itemCondition"))),
        "rating_value": _text(rating.get("ratingValue")),
        "review_count": _text(rating.get("reviewCount") or rating.get("ratingCount")),
        **_offered(product.get("offers")),
    }
    return {name: text for name, text in said.items() if text is not None}


def _offered(offers: Any) -> dict[str, str | None]:
    """Price, availability and link of the offer a shopper would take: at hand, then cheapest."""
    several = [one for one in _listed(offers) if isinstance(one, dict)]
    inner = [one for aggregate in several for one in _listed(aggregate.get("offers"))]
    several = [one for one in inner if isinstance(one, dict)] or several
    if not several:
        return {}
    offer = min(several, key=_preference)
    currency, price, usual = _prices(offer)
    told = {
        "price": _with_currency(usual if usual is not None else price, currency),
        "sale_price": _with_currency(price, currency) if usual is not None else None,
        "availability": _AVAILABILITY.get(_term(offer.get("availability"))),
        "condition": _CONDITION.get(_term(offer.get("itemCondition"))),
        "link": _address(offer.get("url")),
    }
    return {name: text for name, text in told.items() if text is not None}


def _preference(offer: dict[str, Any]) -> tuple[bool, float]:
    _, price, _ = _prices(offer)
    try:
        amount = float(price) if price is not None else float("inf")
    except ValueError:
        amount = float("inf")
    return _AVAILABILITY.get(_term(offer.get("availability")), "in_stock") == "out_of_stock", amount


def _prices(offer: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Currency, price asked, and the list price it stands beside, if any."""
    currency = _text(offer.get("priceCurrency"))
    price = _text(offer.get("price")) or _text(offer.get("lowPrice"))
    usual = None
    for said in _listed(offer.get("priceSpecification")):
        if not isinstance(said, dict):
            continue
        currency = currency or _text(said.get("priceCurrency"))
        if _term(said.get("priceType")) in _LIST_PRICES:
            usual = _text(said.get("price"))
        elif price is None:
            price = _text(said.get("price"))
    return (currency, price, usual) if price is not None else (currency, usual, None)


def _with_currency(price: str | None, currency: str | None) -> str | None:
    return price if price is None or currency is None else f"{price} {currency}"


def _kinds(node: dict[str, Any]) -> set[str]:
    return {_term(kind) for kind in _listed(node.get("@type"))}


def _term(said: Any) -> str:
    """The last part of a term's address: ``InStock`` of ``https://schema.org/InStock``."""
    if isinstance(said, dict):
        said = said.get("@id")
    return said.rstrip("/").rpartition("/")[2].rpartition(":")[2] if isinstance(said, str) else ""


def _listed(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [] if said is None else [said]


def _text(said: Any) -> str | None:
    """A value as text; of several the first."""
    if isinstance(said, list):
        said = said[0] if said else None
    if isinstance(said, dict):
        said = said.get("@value") or said.get("name")
    if said is None or isinstance(said, bool | dict | list):
        return None
    return str(said).strip() or None


def _name(said: Any) -> str | None:
    return " > ".join(name for one in _listed(said) if (name := _text(one))) or None


def _address(said: Any) -> str | None:
    if isinstance(said, dict):
        said = said.get("contentUrl") or said.get("url") or said.get("@id")
    return _text(said)
