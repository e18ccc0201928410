"""The rebuy surface: what this shopper bought before and is due to need again."""

from __future__ import annotations

from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["see"]


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of a page of things to buy again; a stranger's is empty, and so is the page."""
    return shop.context(asked)
