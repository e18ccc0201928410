"""The cart surface: what goes with the items in the cart."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionKind, Context
from habitue.slates.live import Asked, LiveShop, Seen

__all__ = ["CART_DAYS", "cart_of", "see"]

CART_DAYS: Final = 7.0
"""Days after which an item put into a cart and left there no longer counts as in it."""

_OUT: Final = (int(ActionKind.remove_from_cart), int(ActionKind.purchase))


def see(shop: LiveShop, asked: Asked) -> Seen:
    """The context of a cart page; a request that names no items gets the cart its actions tell."""
    seen = shop.context(asked)
    if asked.anchors:
        return seen
    return replace(seen, context=replace(seen.context, anchor_item=cart_of(seen.context)))


def cart_of(context: Context) -> NDArray[np.int32]:
    """Items (1, A) put into the cart lately and neither taken out nor bought since."""
    left: set[int] = set()
    inside: list[int] = []
    recent = zip(
        context.recent_item[0].tolist(),
        context.recent_kind[0].tolist(),
        context.recent_age_days[0].tolist(),
        strict=True,
    )
    for item, kind, age in recent:
        if item < 0 or item in left:
            continue
        if kind in _OUT:
            left.add(item)
        elif kind == ActionKind.add_to_cart and age <= CART_DAYS:
            left.add(item)
            inside.append(item)
    return np.array([inside], np.int32)
