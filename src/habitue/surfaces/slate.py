"""What a surface is asked and what it answers, whichever surface it is."""

from __future__ import annotations

from typing import Annotated

import msgspec

from habitue.facts import Id

__all__ = ["SlateAnswer", "Slot", "SlotPath", "SurfaceRequest"]

Short = Annotated[str, msgspec.Meta(max_length=500)]


class SurfaceRequest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Asks a surface for a slate, or for the next page of one."""

    surface: Short
    shopper: Id | None = None
    items: Annotated[list[Id], msgspec.Meta(max_length=100)] = []
    """The item looked at, or the items in the cart."""
    n: Annotated[int, msgspec.Meta(ge=1, le=200)] = 12
    page: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    """``next_page`` of the answer before."""
    filter: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    """Only items this filter expression holds of."""
    query: Short | None = None
    platform: Short | None = None
    device: Short | None = None
    locale: Short | None = None
    session_id: Id | None = None
    reasons: bool = True


class SlotPath(msgspec.Struct, frozen=True):
    """What ties a slot's item to one of the shopper's: both have ``relation`` to ``entity``."""

    item: str
    """Id of the shopper's item the path begins with."""
    relation: str
    entity: str
    """Its name; the id of an item, where the entity is one, and be it either end of the path."""


class Slot(msgspec.Struct, omit_defaults=True):
    """One place of a slate."""

    item: str
    score: float
    propensity: float
    source: str = ""
    reason: str = ""
    causes: list[str] = []
    """Ids of the items the reason names."""
    path: SlotPath | None = None
    """The path over the shop's knowledge that the reason goes, where there is one."""


class SlateAnswer(msgspec.Struct):
    """A slate: its slots in order, and what it was made from."""

    slate_id: str
    surface: str
    items: list[Slot]
    snapshot: str
    arm: str
    seen_seq: int
    """Every fact acknowledged up to here was known when the slate was made."""
    fallback: str = ""
    """Why this is not the shopper's own trained slate; empty when it is."""
    next_page: str | None = None
