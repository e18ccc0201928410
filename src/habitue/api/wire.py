"""What goes over the wire: the bodies of requests and answers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from habitue.facts import Action, Alias, Consent, Id, Item, Link, Shopper

__all__ = [
    "ActionsBody",
    "AliasesBody",
    "AppendedAnswer",
    "ConsentsBody",
    "ErasedAnswer",
    "HealthAnswer",
    "ItemsBody",
    "LinksBody",
    "ReadyAnswer",
    "RecommendBody",
    "RejectedRow",
    "ShoppersBody",
    "SlateAnswer",
    "SlotAnswer",
    "SnapshotAnswer",
    "SnapshotsAnswer",
]

Short = Annotated[str, msgspec.Meta(max_length=500)]


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


class RecommendBody(_Body, frozen=True, omit_defaults=True, kw_only=True):
    """Asks for a slate."""

    surface: Short
    shopper: Id | None = None
    items: Annotated[list[Id], msgspec.Meta(max_length=100)] = []
    n: Annotated[int, msgspec.Meta(ge=1, le=200)] = 12
    page: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    filter: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    query: Short | None = None
    device: Short | None = None
    locale: Short | None = None
    session_id: Id | None = None
    reasons: bool = True


class SlotAnswer(msgspec.Struct, omit_defaults=True):
    """One place of a slate."""

    item: str
    score: float
    propensity: float
    source: str = ""
    reason: str = ""


class SlateAnswer(msgspec.Struct):
    """A slate: its slots in order, and what it was made from."""

    slate_id: str
    surface: str
    items: list[SlotAnswer]
    snapshot: str
    arm: str
    seen_seq: int
    fallback: str = ""
    next_page: str | None = None


class ErasedAnswer(msgspec.Struct):
    """How much of a shopper was erased, by table."""

    rows: dict[str, int]


class SnapshotAnswer(msgspec.Struct, omit_defaults=True):
    """One trained snapshot."""

    name: str
    active: bool
    watermark: int
    made_at: int
    metrics: dict[str, float] = {}
    problem: str = ""


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
