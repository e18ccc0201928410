"""What goes over the wire: the bodies of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from habitue.facts import Action, Alias, Consent, Item, Link, Shopper
from habitue.facts.facts import Availability, Id, Purpose

__all__ = [
    "AccessAnswer",
    "ActionsBody",
    "AliasesBody",
    "AppendedAnswer",
    "Card",
    "CardsAnswer",
    "CardsBody",
    "ConsentsBody",
    "ErasedAnswer",
    "HealthAnswer",
    "ItemsBody",
    "LinksBody",
    "ReadyAnswer",
    "RejectedRow",
    "ShoppersBody",
    "SnapshotAnswer",
    "SnapshotsAnswer",
]


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's body refuses what it does not know."""


class ActionsBody(_Body, frozen=True):
    """A batch of things shoppers did."""

    actions: list[Action]


class ItemsBody(_Body, frozen=True):
    """A batch of item versions."""

    items: list[Item]


class ShoppersBody(_Body, frozen=True):
    """A batch of shopper versions."""

    shoppers: list[Shopper]


class LinksBody(_Body, frozen=True):
    """A batch of ties between named things."""

    links: list[Link]


class ConsentsBody(_Body, frozen=True):
    """A batch of what shoppers allow."""

    consents: list[Consent]


class AliasesBody(_Body, frozen=True):
    """A batch of ids that are one person."""

    aliases: list[Alias]


class CardsBody(_Body, frozen=True):
    """Asks what a page shows of items."""

    items: Annotated[list[Id], msgspec.Meta(max_length=200)]


class Card(msgspec.Struct, omit_defaults=True):
    """What a page shows of an item, as it is now; what is not said of it is left out."""

    id: str
    title: str | None = None
    link: str | None = None
    image_link: str | None = None
    brand: str | None = None
    price_micros: int | None = None
    sale_price_micros: int | None = None
    currency: str | None = None
    availability: Availability = "in_stock"


class CardsAnswer(msgspec.Struct):
    """The items that are sold, in the order asked; those nobody knows or sells are left out."""

    cards: list[Card]


class RejectedRow(msgspec.Struct, omit_defaults=True):
    """One row that was not stored, and why."""

    row: int
    problem: Literal["conflict", "invalid", "order_incomplete"]
    message: str
    id: str | None = None
    field: str | None = None


class AppendedAnswer(msgspec.Struct):
    """What became of a batch. What is counted here is durable, and the next slate knows it."""

    accepted: int
    new: int
    duplicate: int
    last_seq: int
    rejected: list[RejectedRow] = []


class AccessAnswer(msgspec.Struct):
    """All that is held of a person, and what they allow."""

    made_at: datetime
    known_as: list[str]
    """Every id of theirs."""
    allowed: dict[Purpose, bool]
    """What counts as allowed now, by purpose: what they said, else the shop's default."""
    held: dict[str, list[dict[str, Any]]]
    """Facts by kind, in the order in which they were stored."""


class ErasedAnswer(msgspec.Struct):
    """How much of a shopper was erased, by table."""

    rows: dict[str, int]


class SnapshotAnswer(msgspec.Struct):
    """One trained snapshot."""

    name: str
    active: bool
    watermark: int
    made_at_ms: int
    metrics: dict[str, float] = {}


class SnapshotsAnswer(msgspec.Struct):
    """The snapshots, newest first."""

    snapshots: list[SnapshotAnswer]


class HealthAnswer(msgspec.Struct):
    """The process is up."""

    status: Literal["ok"]
    version: str


class ReadyAnswer(msgspec.Struct):
    """Whether slates can be answered now, and by what."""

    ready: bool
    checks: dict[str, str]
