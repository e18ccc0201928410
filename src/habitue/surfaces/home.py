"""The home surface: what this shopper may want now, from everything known of them."""

from __future__ import annotations

from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["see"]


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of a home request; items the page is already showing may stand as anchors."""
    return shop.context(asked)
