"""Answering who a shopper is."""

from __future__ import annotations

from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.operation import Operation
from habitue.api.people import telling
from habitue.portraits import Portrait

__all__ = ["portrait_operation"]


def portrait_operation(shop: Shop, gate: Gate) -> Operation:
    """How a portrait is asked for."""
    return Operation(
        name="portrait",
        method="GET",
        path="/v1/shoppers/{id}/portrait",
        summary="Who a shopper is: interests, price band, value, stage, and what that rests on",
        description="Of who does not allow personalisation nothing is said but that.",
        answer=telling(shop.portrait),
        gate=gate,
        needs="server",
        gives={200: Portrait},
        problems=(404, 422),
        parameters={"id": ("The shopper's id, or an alias of it.", "s-1")},
        tag="shoppers",
    )
