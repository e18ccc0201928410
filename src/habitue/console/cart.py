"""The cart a shopper holds, read back from what they did: the console keeps no state of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from habitue.console.contract import Doing

__all__ = ["held"]


def held(doings: Sequence[Doing]) -> dict[str, int]:
    """What is in the cart, most recently added first, with how often each was added.

    ``doings`` are most recent first. Buying a thing or taking it out empties its line.

    >>> bought = [Doing("purchase", "a", 2), Doing("add_to_cart", "a", 1)]
    >>> held([Doing("add_to_cart", "b", 3), *bought])
    {'b': 1}
    """
    closed: set[str] = set()
    lines: Counter[str] = Counter()
    for doing in doings:
        if doing.kind in ("purchase", "remove_from_cart"):
            closed.add(doing.item)
        elif doing.kind == "add_to_cart" and doing.item not in closed:
            lines[doing.item] += 1
    return dict(lines)
