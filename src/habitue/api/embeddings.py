"""Answering where a shopper lies in the space of a source."""

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
from habitue.candidates.embedded import Embedding

__all__ = ["EmbeddingDoor", "embedding_operation"]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class EmbeddingDoor:
    """Answers ``GET /v1/shoppers/{id}/embedding``."""

    shop: Shop

    async def answer(self, ask: Ask) -> Reply:
        """The shopper's vector, and whose space it lies in."""
        told = await asyncio.to_thread(
            self.shop.embedding, shopper_of(ask), source=ask.query("source") or None,
            now_ms=ask.now_ms,
        )  # fmt: skip
        return Reply(200, _encode(told))


def embedding_operation(shop: Shop, gate: Gate) -> Operation:
    """How a shopper's vector is asked for."""
    return Operation(
        name="embedding",
        method="GET",
        path="/v1/shoppers/{id}/embedding",
        summary="A shopper as a vector, as of now",
        description=_DESCRIPTION,
        answer=EmbeddingDoor(shop).answer,
        gate=gate,
        needs="server",
        gives={200: Embedding},
        problems=(404, 409, 422),
        parameters={"id": ("The shopper's id, or an alias of it.", "s-1")},
        queries={"source": ("The name of a source that has vectors of shoppers.", "als", False)},
        tag="shoppers",
    )


_DESCRIPTION: Final = """Shoppers who are alike lie near each other: a product of two vectors is
their cosine. What a shopper did a moment ago counts. Vectors of different snapshots, and of
different sources, cannot be compared; without `source` the one that reads the order of actions best
answers.

409: there is no snapshot, or none of its sources has a space. Of who does not allow personalisation
nothing is said but that."""
