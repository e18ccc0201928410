"""The facts: frozen values that say what happened in a shop. Everything else is derived from them.

Times are UTC milliseconds since 1970 (``int``) or an aware ``datetime`` at the edge; unit prices
are integer micros (1.50 EUR = 1_500_000), line totals integer minor units (1.50 EUR = 150), both of
an ISO 4217 currency. ``None`` means "not said".
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

import msgspec

__all__ = [
    "Action",
    "Alias",
    "Availability",
    "Condition",
    "Consent",
    "Fact",
    "Id",
    "Item",
    "Link",
    "Money",
    "Purpose",
    "Shopper",
    "Shown",
    "ShownBody",
    "When",
]

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
When = int | Annotated[datetime, msgspec.Meta(tz=True)]
Short = Annotated[str, msgspec.Meta(max_length=500)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
Micros = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Minor = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
# Of actions, which come in their thousands, feeds check the letters (``money.is_currency``): the
# pattern alone would take as long as the rest of decoding.
ActionCurrency = Annotated[
    str,
    msgspec.Meta(min_length=3, max_length=3, extra_json_schema={"pattern": "^[A-Z]{3}$"}),
]
Availability = Literal["in_stock", "out_of_stock", "preorder", "limited_availability", "backorder"]
Condition = Literal["new", "refurbished", "used"]
Purpose = Literal["personalisation", "analytics", "messages", "research"]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Facts are immutable, named at construction, and refuse fields they do not know.

    They hold nothing that could hold them, so the garbage collector need not look at them: at
    ingest it would look at little else.
    """


class Action(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a shopper did. A purchase is one action an order line, tied by ``order_id``."""

    kind: str
    shopper: Id
    id: Id | None = None
    at: When | None = None
    item: Id | None = None
    quantity: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    price_micros: Micros | None = None
    value_minor: Minor | None = None
    currency: ActionCurrency | None = None
    order_id: Id | None = None
    surface: Short | None = None
    slate_id: Id | None = None
    slot: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None
    session_id: Id | None = None
    platform: Short | None = None
    device: Short | None = None
    locale: Short | None = None
    query: Short | None = None
    rating: Annotated[float, msgspec.Meta(ge=-1000, le=1000)] | None = None
    text: Text | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None
    score: float | None = None
    coupon: Short | None = None
    extra: dict[str, str | int | float | bool | None] | None = None


class Item(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a thing the shop offers, by Merchant Center's field names.

    It may be a product, an article, a video, a person, a group: ``item_type`` says which. A later
    version replaces this one from ``valid_from`` on; ``deleted`` is the tombstone.
    """

    id: Id
    title: Text | None = None
    description: Text | None = None
    link: Text | None = None
    image_link: Text | None = None
    additional_image_link: list[Text] | None = None
    price_micros: Micros | None = None
    sale_price_micros: Micros | None = None
    cost_micros: Micros | None = None
    currency: Currency | None = None
    availability: Availability = "in_stock"
    stock: Annotated[int, msgspec.Meta(ge=0)] | None = None
    condition: Condition | None = None
    brand: Short | None = None
    product_type: Short | None = None
    google_product_category: Short | None = None
    gtin: Short | None = None
    mpn: Short | None = None
    item_group_id: Id | None = None
    color: Short | None = None
    size: Short | None = None
    material: Short | None = None
    pattern: Short | None = None
    gender: Short | None = None
    age_group: Short | None = None
    adult: bool = False
    item_type: Short = "product"
    published_at: When | None = None
    valid_from: When | None = None
    deleted: bool = False
    attributes: dict[str, str | int | float | bool | None] | None = None


class Shopper(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a person besides what they did. A later version replaces this one."""

    id: Id
    at: When | None = None
    country: Short | None = None
    locale: Short | None = None
    traits: dict[str, str | int | float | bool | None] | None = None


class Link(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tie of two named things: friend, trust, or a knowledge triple (head, relation, tail)."""

    kind: Literal["friend", "trust", "knowledge"]
    head: Id
    tail: Id
    relation: Short | None = None
    weight: float = 1.0
    at: When | None = None
    deleted: bool = False


class Alias(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``shopper`` and ``alias`` are one person from now on; ``undo`` parts them again."""

    shopper: Id
    alias: Id
    at: When | None = None
    undo: bool = False


class Consent(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a shopper allows, by purpose. Purposes not named stay as they were."""

    shopper: Id
    granted: list[Purpose] = []
    denied: list[Purpose] = []
    at: When | None = None


class Shown(_Struct, frozen=True, kw_only=True):
    """A slate that was shown: the record learning, evaluation, explanation and audit all read.

    ``items``, ``scores``, ``sources`` and ``propensities`` run in slot order, from ``first_slot``.
    A propensity is the probability with which that slot was filled so, given the slots before it.
    ``anchors`` are what the slate stood beside: the item looked at, or the cart.
    """

    id: Id
    at: int
    shopper: Id | None
    surface: str
    snapshot: str
    arm: str
    items: list[str]
    scores: list[float]
    propensities: list[float]
    sources: list[str]
    first_slot: int = 0
    fallback: str = ""
    anchors: list[str] = []


class ShownBody(_Struct, frozen=True, array_like=True):
    """The lists of a ``Shown`` as a store keeps them: one JSON array of arrays."""

    items: list[str]
    scores: list[float]
    propensities: list[float]
    sources: list[str]
    anchors: list[str] = []

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """The lists of ``shown``."""
        return cls(shown.items, shown.scores, shown.propensities, shown.sources, shown.anchors)


class Money(_Struct, frozen=True, kw_only=True):
    """A unit price in micros of an ISO currency."""

    micros: int
    currency: str


Fact = Action | Item | Shopper | Link | Alias | Consent | Shown
