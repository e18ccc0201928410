"""The popular surface: what sells best now, the same for everyone but for what they refused."""

from __future__ import annotations

from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["see"]


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of a page of best sellers."""
    return shop.context(asked)
