"""Answering what a shopper would give an item."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.operation import Operation
from habitue.api.people import shopper_of
from habitue.api.problems import Problem
from habitue.candidates.foretold import ForetoldRatings

__all__ = ["RatingsDoor", "ratings_operation"]

_encode = msgspec.json.Encoder().encode
_LEVEL: Final = 0.8
_MOST: Final = 20_000  # characters of a list of items


@dataclass(frozen=True, slots=True)
class RatingsDoor:
    """Answers ``GET /v1/shoppers/{id}/ratings``."""

    shop: Shop

    async def answer(self, ask: Ask) -> Reply:
        """A rating for each item, with what it rests on."""
        told = await asyncio.to_thread(
            self.shop.ratings, shopper_of(ask), _items(ask), level=_level(ask), now_ms=ask.now_ms
        )
        return Reply(200, _encode(told))


def _items(ask: Ask) -> list[str]:
    text = ask.query("items")
    items = [item for item in text.split(",") if item]
    if len(text) > _MOST or any(len(item) > 200 or "\0" in item for item in items):
        raise Problem(
            422, "bad-input", "An id has 1 to 200 characters, none of them NUL.", field="items"
        )
    return items


def _level(ask: Ask) -> float:
    text = ask.query("level")
    try:
        return float(text) if text else _LEVEL
    except ValueError:
        raise Problem(
            422, "bad-input", f"{text[:40]!r} is no number.", field="level",
            remedy="A level lies between 0 and 1, as 0.8 does.",
        ) from None  # fmt: skip


def ratings_operation(shop: Shop, gate: Gate) -> Operation:
    """How foretold ratings are asked for."""
    return Operation(
        name="ratings",
        method="GET",
        path="/v1/shoppers/{id}/ratings",
        summary="What a shopper would give some items, how sure that is, and what it rests on",
        description=_DESCRIPTION,
        answer=RatingsDoor(shop).answer,
        gate=gate,
        needs="server",
        gives={200: ForetoldRatings},
        problems=(404, 409, 422),
        parameters={"id": ("The shopper's id, or an alias of it.", "s-1")},
        queries={
            "items": ("Ids of 1 to 100 items, a comma between.", "mug-blue,teapot-white", True),
            "level": ("Share of ratings that lie within the intervals; 0.8.", "0.8", False),
        },
        tag="shoppers",
    )


_DESCRIPTION = """Each rating has an interval, the sides of the item that the shopper is foretold to
praise or to blame, and the shopper's own ratings that say so; one given a moment ago counts.

409: the snapshot that answers has no source `factor`, or there was no rating to learn from. Of who
does not allow personalisation nothing is said but that."""
