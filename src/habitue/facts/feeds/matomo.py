"""Requests of Matomo's tracking API (``matomo.php``) as facts.

A request is the parameters of one address; a bulk body holds many. A view is a product's where
``_pks`` names it, a purchase an order where ``ec_id`` does. Matomo tells the whole cart whenever it
changes: what stands in it is added once a day for an item and a quantity.

Source: https://developer.matomo.org/api-reference/tracking-api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from habitue.errors import BadInput
from habitue.facts.facts import Fact
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.tracked import (
    Gathering,
    Happening,
    Product,
    Skipped,
    Terms,
    Who,
    Wrong,
    text,
    when,
)
from habitue.facts.kinds import ActionKind

__all__ = ["decode_matomo", "parameters", "requests_of"]

_MOST_PARAMETERS: Final = 500
_MS_PER_DAY: Final = 86_400_000
_SKIPPED: Final = (
    ("ping", "ping"), ("e_c", "event"), ("link", "outlink"), ("download", "download"),
    ("c_n", "content"), ("c_i", "content"), ("ma_id", "media"), ("cra", "crash"),
)  # fmt: skip
"""Parameters that make a request something Habitué keeps nothing of, and what that is."""


def parameters(query: str) -> dict[str, Any]:
    """The parameters of a query string; raises ``BadInput`` when there are too many.

    >>> parameters("?idsite=1&_pks=mug%20blue")
    {'idsite': '1', '_pks': 'mug blue'}
    """
    try:
        return dict(parse_qsl(query.lstrip("?"), max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise BadInput(f"A request has at most {_MOST_PARAMETERS} parameters.") from None


def requests_of(said: object) -> list[object]:
    """The requests of a bulk body, read as JSON: query strings or objects.

    Raises ``BadInput`` when the body holds none.
    """
    listed = said.get("requests") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise BadInput("The body holds no requests.", remedy='Send {"requests": ["?idsite=..."]}.')
    return [_request(one) for one in listed]


def _request(one: object) -> object:
    if not isinstance(one, str):
        return one
    try:
        return parameters(one)
    except BadInput:
        return None


def decode_matomo(requests: list[object], terms: Terms) -> Decoded:
    """Facts of requests, each its parameters; a ``BadRow`` counts them from 0.

    >>> told = decode_matomo([{"_id": "4f9d0c2b7a61e358", "_pks": "mug"}],
    ...                      Terms(1_700_000_000_000))
    >>> [(action.kind, action.shopper, action.item) for action in told.facts]
    [('view_item', 'anon-4f9d0c2b7a61e358', 'mug')]
    """
    return Gathering(terms).read(requests, lambda said: _Request(said, terms).facts())


class _Request:
    """One tracking request."""

    def __init__(self, said: Mapping[str, Any], terms: Terms) -> None:
        self.said, self.terms = said, terms

    def facts(self) -> list[Fact]:
        """The facts of the request; raises ``Wrong`` and ``Skipped``."""
        for parameter, name in _SKIPPED:
            if self._text(parameter):
                raise Skipped(name)
        visitor = self._text("cid") or self._text("_id")
        who = self.terms.who(self._text("uid"), visitor, "_id")
        at, _ = when(_instant(self._text("cdt")), None, self.terms, "cdt")
        facts = who.alias()
        for happening in self._happenings(who, at):
            facts += happening.facts(self.terms)
        return facts

    def _happenings(self, who: Who, at: int | None) -> Iterator[Happening]:
        order, goal = self._text("ec_id"), self._text("idgoal")
        said: dict[str, object] = {"locale": self._text("lang"), "session_id": self._text("pv_id")}
        if order is not None:
            products = tuple(self._lines(self.said.get("ec_items")))
            if not products:
                raise Wrong("ec_items", "an order must list its items")
            key, fields = ("matomo", "order", order), {**said, "order_id": order}
            yield Happening("purchase", who.shopper, at, key, 0, fields, products)
        elif goal == "0":
            yield from self._cart(who, at, said)
        elif goal is not None:
            raise Skipped("goal")
        else:
            yield self._seen(who, at, said)

    def _cart(self, who: Who, at: int | None, said: dict[str, object]) -> Iterator[Happening]:
        lines = list(self._lines(self.said.get("ec_items")))
        if not lines:
            raise Skipped("empty cart")
        day = (at or self.terms.now_ms) // _MS_PER_DAY
        for line in lines:
            key = ("matomo", "cart", who.shopper, day, text(line.quantity))
            yield Happening("add_to_cart", who.shopper, at, key, 0, said, (line,))

    def _seen(self, who: Who, at: int | None, said: dict[str, object]) -> Happening:
        """A product, a category, a search or a page."""
        product = self._viewed()
        searched = self._text("search")
        if product is not None:
            return Happening("view_item", who.shopper, at, None, 0, said, (product,))
        if searched is not None:
            return Happening("search", who.shopper, at, None, 0, {**said, "query": searched})
        category = _category(self.said.get("_pkc"))
        if category is not None:
            extra = {**said, "extra": {"item_list_name": category}}
            return Happening("view_item_list", who.shopper, at, None, 0, extra)
        if self._text("url") is None and self._text("action_name") is None:
            raise Wrong("url", "the request says nothing that happened")
        return Happening(ActionKind.page_view.name, who.shopper, at, None, 0, said)

    def _viewed(self) -> Product | None:
        identity = self._text("_pks")
        if identity is None:
            return None
        return Product(
            identity,
            "_pks",
            title=self._text("_pkn"),
            category=_category(self.said.get("_pkc")),
            price=_price(self.said.get("_pkp")),
            link=self._page() if self.terms.with_items else None,
        )

    def _page(self) -> str | None:
        """The page's address without its query, which may hold personal data."""
        url = self._text("url")
        return None if url is None else url.partition("?")[0].partition("#")[0] or None

    def _lines(self, told: object) -> Iterator[Product]:
        """The lines of ``ec_items``: [sku, name, category, price, quantity] each."""
        if isinstance(told, str) and told:
            try:
                told = msgspec.json.decode(told)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                raise Wrong("ec_items", "is no JSON") from None
        if told in (None, "", []):
            return
        if not isinstance(told, list):
            raise Wrong("ec_items", "is no list of lines")
        for place, line in enumerate(told):
            if not isinstance(line, list) or (identity := text((line or [None])[0])) is None:
                raise Wrong(f"ec_items[{place}]", "a line begins with the item's SKU")
            _, name, category, price, quantity, *_ = [*line, None, None, None, None]
            yield Product(
                identity,
                f"ec_items[{place}]",
                title=text(name),
                category=_category(category),
                price=_price(price),
                quantity=quantity,
            )

    def _text(self, name: str) -> str | None:
        return text(self.said.get(name))


def _price(said: object) -> object:
    """A price; Matomo's trackers write 0 where none was given."""
    return None if said in (0, "0", "0.0", "0.00", False) else said


def _category(said: object) -> str | None:
    """A category, or the path of several that a list (or its JSON) gives."""
    if isinstance(said, str) and said.startswith("["):
        try:
            said = msgspec.json.decode(said)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
    if isinstance(said, list):
        return " > ".join(name for one in said if (name := text(one))) or None
    return text(said)


def _instant(said: str | None) -> str | None:
    """``cdt`` is a number since 1970 or a time in UTC without saying so."""
    if said is None or said.isdigit():
        return said
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return said
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).isoformat()
