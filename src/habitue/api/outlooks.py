"""Answering when a customer is expected back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from habitue.api.ask import Ask, Reply
from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.operation import Operation
from habitue.api.people import shopper_of
from habitue.behaviour.returning import Outlook

__all__ = ["OutlooksDoor", "outlook_operation"]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class OutlooksDoor:
    """Answers ``GET /v1/shoppers/{id}/outlook``."""

    shop: Shop

    async def answer(self, ask: Ask) -> Reply:
        """One outlook, with what it rests on."""
        outlook = await asyncio.to_thread(self.shop.outlook, shopper_of(ask), now_ms=ask.now_ms)
        return Reply(200, _encode(outlook))


def outlook_operation(shop: Shop, gate: Gate) -> Operation:
    """How an outlook is asked for."""
    return Operation(
        name="outlook",
        method="GET",
        path="/v1/shoppers/{id}/outlook",
        summary="When a customer is expected back, how likely they buy soon, and why",
        description="Of who does not allow personalisation nothing is said but that. Chances are "
        "null for who never ordered, and until a snapshot has learnt when customers come back.",
        answer=OutlooksDoor(shop).answer,
        gate=gate,
        needs="server",
        gives={200: Outlook},
        problems=(404, 422),
        parameters={"id": ("The shopper's id, or an alias of it.", "s-1")},
        tag="shoppers",
    )
