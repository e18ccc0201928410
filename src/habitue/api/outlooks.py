"""Answering when a customer is expected back."""

from __future__ import annotations

from habitue.api.contract import Shop
from habitue.api.gate import Gate
from habitue.api.operation import Operation
from habitue.api.people import telling
from habitue.behaviour.returning import Outlook

__all__ = ["outlook_operation"]


def outlook_operation(shop: Shop, gate: Gate) -> Operation:
    """How an outlook is asked for."""
    return Operation(
        name="outlook",
        method="GET",
        path="/v1/shoppers/{id}/outlook",
        summary="When a customer is expected back, how likely they buy soon, and why",
        description="Of who does not allow personalisation nothing is said but that. Chances are "
        "null for who never ordered, and until a snapshot has learnt when customers come back. "
        "`network` is what a behaviour model says besides, also of who never ordered: null where "
        "none was taught it (`head_weights`).",
        answer=telling(shop.outlook),
        gate=gate,
        needs="server",
        gives={200: Outlook},
        problems=(404, 422),
        parameters={"id": ("The shopper's id, or an alias of it.", "s-1")},
        tag="shoppers",
    )
