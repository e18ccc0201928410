"""The fresh surface: what came into the shop last."""

from __future__ import annotations

from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["see"]


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of a page of new items; what the shopper refused or owns is known in it."""
    return shop.context(asked)
