"""What a press of a button tells the shop: the facts of a deed, by the item's own price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from habitue.console.shelf import Card
from habitue.console.views import Line
from habitue.errors import BadInput
from habitue.facts import Action
from habitue.facts.ids import uuid7
from habitue.facts.money import line_total_minor

__all__ = ["KINDS", "Deed", "checkout", "facts_of", "read_deed"]

KINDS: Final = frozenset(
    {"view_item", "add_to_cart", "remove_from_cart", "purchase", "not_interested"}
)
"""The kinds of action a button may stand for."""

_PRICED: Final = KINDS - {"not_interested"}
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Deed:
    """A press of a button: what was done to which item, and where it stood."""

    kind: str
    item: str
    shopper: str
    surface: str
    slot: int | None = None
    slate_id: str | None = None


def read_deed(do: str, *, shopper: str, surface: str, slate_id: str) -> Deed:
    """The deed a button's value says: kind, slot (or ``-``) and item, parted by spaces.

    Raises ``BadInput`` for what no button of ours says.

    >>> read_deed("view_item 3 mug 1", shopper="s", surface="home", slate_id="").item
    'mug 1'
    """
    parts = do.split(" ", 2)
    if len(parts) != 3 or parts[0] not in KINDS or not 0 < len(parts[2]) <= _LONGEST:
        raise BadInput("This button is not known.", remedy="Load the page again.", field="do")
    if not 0 < len(shopper) <= _LONGEST:
        raise BadInput("No shopper was picked.", remedy="Pick one at the top.", field="as")
    if len(surface) > _LONGEST or len(slate_id) > _LONGEST:
        raise BadInput("This form is not ours.", remedy="Load the page again.", field="surface")
    kind, slot, item = parts
    placed = slot.isascii() and slot.isdigit() and len(slot) <= 4
    return Deed(kind, item, shopper, surface, int(slot) if placed else None, slate_id or None)


def facts_of(deed: Deed, card: Card, now_ms: int, currency: str) -> list[Action]:
    """The action of one deed; buying puts the thing in the cart first, as people do."""
    if deed.kind != "purchase":
        return [_action(deed, deed.kind, card, now_ms, currency)]
    order = uuid7(now_ms)
    return [
        _action(deed, "add_to_cart", card, now_ms, currency),
        _action(deed, "purchase", card, now_ms, currency, order=order),
    ]


def checkout(shopper: str, lines: Sequence[Line], now_ms: int, currency: str) -> list[Action]:
    """One order of everything in the cart."""
    order = uuid7(now_ms)
    return [
        _action(
            Deed("purchase", line.card.id, shopper, "cart"),
            "purchase",
            line.card,
            now_ms,
            currency,
            order=order,
            line=line,
        )
        for line in lines
    ]


def _action(
    deed: Deed,
    kind: str,
    card: Card,
    now_ms: int,
    currency: str,
    *,
    order: str | None = None,
    line: Line | None = None,
) -> Action:
    price = card.price_micros if kind in _PRICED else None
    currency = card.currency or currency
    bought = order is not None
    quantity = line.quantity if line else 1
    total = None
    if bought and price is not None:
        total = line.total_minor if line else line_total_minor(price, quantity, currency)
    return Action(
        kind=kind,
        shopper=deed.shopper,
        item=card.id,
        id=uuid7(now_ms),
        at=now_ms,
        quantity=float(quantity) if bought else None,
        price_micros=price,
        value_minor=total,
        currency=currency if price is not None else None,
        order_id=order,
        surface=deed.surface or None,
        slate_id=deed.slate_id,
        slot=deed.slot,
        platform="console",
    )
