"""Who has a place where places are few: the shopper least recently seen leaves first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from habitue.facts import NO_ROW

__all__ = ["ABSENT", "Seats"]

ABSENT: Final = -1
"""The place of a shopper who has none."""


class Seats:
    """Gives shopper rows places 0 to ``n`` - 1. Not locked: its owner is.

    Whom to send away goes by second chance: a hand passes over the places, and whoever was not
    seen since it passed last leaves. 5 bytes a place and 4 a shopper row.
    """

    def __init__(self, n: int, left: Callable[[int], object]) -> None:
        """``left`` is told of a place whose shopper leaves, before anybody else has it."""
        self.n = n
        self.slot_of = np.full(1024, ABSENT, np.int32)  # (rows reached and spare,)
        self.row_of = np.full(n, NO_ROW, np.int32)  # (n,)
        self.used = np.zeros(n, np.bool_)  # (n,) whether seen since the hand passed
        self._left = left
        self._hand = 0

    def find(self, row: int) -> int:
        """The place of a shopper row, ``ABSENT`` for one that has none."""
        return self.slot_of.item(row) if row < len(self.slot_of) else ABSENT

    def taken(self) -> int:
        """How many places are."""
        return int((self.row_of != NO_ROW).sum())

    def reach(self, row: int) -> None:
        """Make ``slot_of`` long enough for this row."""
        if row >= len(self.slot_of):
            more = np.full(max(row + 1, 2 * len(self.slot_of)), ABSENT, np.int32)
            more[: len(self.slot_of)] = self.slot_of
            self.slot_of = more

    def seat(self, row: int) -> int:
        """Give a row without one a place, that of the least recently seen if need be."""
        self.reach(row)
        while self.used[self._hand]:
            self.used[self._hand] = False
            self._hand = (self._hand + 1) % self.n
        slot = self._hand
        self._hand = (slot + 1) % self.n
        self.leave(slot)
        self.row_of[slot] = row
        self.slot_of[row] = slot
        return slot

    def leave(self, slot: int) -> None:
        """Empty a place; nothing happens where nobody is."""
        if slot >= 0 and self.row_of[slot] != NO_ROW:
            self._left(slot)
            self.slot_of[self.row_of[slot]] = ABSENT
            self.row_of[slot] = NO_ROW
            self.used[slot] = False
