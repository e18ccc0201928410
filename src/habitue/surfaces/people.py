"""The people surface: persons and groups this shopper may want to know."""

from __future__ import annotations

from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["see"]


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of a page of people, once the latest ties are known."""
    shop.ties.bring_up(asked.now_ms)
    return shop.context(asked)
