"""The item surface: what is like the item the shopper looks at."""

from __future__ import annotations

from dataclasses import replace

from habitue.errors import BadInput
from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["see"]


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of an item page; raises ``BadInput`` when the request names no item.

    An item nobody has posted or touched leaves only what is popular, marked ``unknown_item``.
    """
    if not asked.anchors:
        raise BadInput(
            "The surface 'item' needs the item that is looked at.",
            remedy='Send it as "items": ["<item id>"].',
            field="items",
        )
    seen = shop.context(asked)
    if not seen.context.anchor_item.shape[1] and not seen.fallback:
        return replace(seen, fallback="unknown_item")
    return seen
