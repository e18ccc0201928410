"""Answering who a shopper is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.operation import Operation
from habitue.api.people import shopper_of
from habitue.portraits import Portrait

__all__ = ["PortraitsDoor", "portrait_operation"]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class PortraitsDoor:
    """Answers ``GET /v1/shoppers/{id}/portrait``."""

    shop: Shop

    async def answer(self, ask: Ask) -> Reply:
        """One portrait, each thing it says with what it rests on."""
        portrait = await asyncio.to_thread(self.shop.portrait, shopper_of(ask), now_ms=ask.now_ms)
        return Reply(200, _encode(portrait))


def portrait_operation(shop: Shop, gate: Gate) -> Operation:
    """How a portrait is asked for."""
    return Operation(
        name="portrait",
        method="GET",
        path="/v1/shoppers/{id}/portrait",
        summary="Who a shopper is: interests, price band, value, stage, and what that rests on",
        description="Of who does not allow personalisation nothing is said but that.",
        answer=PortraitsDoor(shop).answer,
        gate=gate,
        needs="server",
        gives={200: Portrait},
        problems=(404, 422),
        parameters={"id": ("The shopper's id, or an alias of it.", "s-1")},
        tag="shoppers",
    )
