"""The kinds of action a shopper can take, by their GA4 names, and the code each is stored under."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["CONVERSIONS", "ITEM_KINDS", "NAMES", "ActionKind", "code_of"]


class ActionKind(IntEnum):
    """Stored as one byte. A code is never reused or renumbered: stores and snapshots hold it."""

    page_view = 0
    view_item_list = 1
    select_item = 2
    view_item = 3
    add_to_wishlist = 4
    add_to_cart = 5
    remove_from_cart = 6
    view_cart = 7
    begin_checkout = 8
    add_shipping_info = 9
    add_payment_info = 10
    purchase = 11
    refund = 12
    view_promotion = 13
    select_promotion = 14
    search = 15
    view_search_results = 16
    share = 17
    sign_up = 18
    login = 19
    select_content = 20
    generate_lead = 21
    rate = 30
    review = 31
    dwell = 32
    like = 33
    not_interested = 34
    refer = 35
    satisfaction = 36
    attend = 37


NAMES: Final[dict[int, str]] = {int(kind): kind.name for kind in ActionKind}
"""Code to GA4 name."""

ITEM_KINDS: Final[frozenset[ActionKind]] = frozenset(
    {
        ActionKind.select_item,
        ActionKind.view_item,
        ActionKind.add_to_wishlist,
        ActionKind.add_to_cart,
        ActionKind.remove_from_cart,
        ActionKind.purchase,
        ActionKind.refund,
        ActionKind.rate,
        ActionKind.review,
        ActionKind.like,
        ActionKind.not_interested,
    }
)
"""Kinds that mean nothing without an item: an action of these kinds must name one.

Only a refund may name its order instead: then all lines of it are taken back.
"""

CONVERSIONS: Final[frozenset[ActionKind]] = frozenset({ActionKind.purchase})
"""Kinds counted as conversions unless the shop's settings say otherwise."""

_CODES: Final[dict[str, ActionKind]] = {kind.name: kind for kind in ActionKind}


def code_of(name: str) -> ActionKind:
    """The kind of this GA4 name; raises ``KeyError`` for a name that is none.

    >>> code_of("add_to_cart")
    <ActionKind.add_to_cart: 5>
    """
    return _CODES[name]
