"""Orders out of a log: which purchase lines belong together, when, and what they were worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.facts import CONVERSIONS, MS_PER_DAY, ActionKind, ActionLog
from habitue.facts.money import line_totals_minor

__all__ = ["Orders"]


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders by shopper, and of each shopper in order of time: M of them."""

    shopper_row: NDArray[np.int32]  # (M,)
    at_ms: NDArray[np.int64]  # (M,) of its first line
    value_minor: NDArray[np.int64]  # (M,)

    @classmethod
    def of(
        cls, log: ActionLog, *, currency: str, kinds: Iterable[ActionKind] = CONVERSIONS
    ) -> Orders:
        """The orders of a log: lines of ``kinds`` that share an order, or, without one, a moment.

        A line is worth its total; where none was said, its unit price in ``currency`` times its
        quantity.
        """
        lines = log.of_kinds(kinds)
        lines = lines.take((lines.shopper_row >= 0) & (lines.item_row >= 0))
        worth = value_of_lines(lines, currency)
        named = lines.order_row >= 0
        key = np.where(named, lines.order_row.astype(np.int64), -1 - lines.at_ms)
        order = np.lexsort((lines.at_ms, key, lines.shopper_row))
        shopper, key, at_ms = lines.shopper_row[order], key[order], lines.at_ms[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (shopper[1:] != shopper[:-1]) | (key[1:] != key[:-1])
        start = np.flatnonzero(first)
        value = np.add.reduceat(worth[order], start) if len(start) else worth[:0]
        by_time = np.lexsort((at_ms[start], shopper[start]))
        start = start[by_time]
        return cls(shopper[start], at_ms[start], value[by_time])

    def __len__(self) -> int:
        return len(self.shopper_row)

    def gaps_days(self) -> NDArray[np.float64]:
        """Days between one order of a shopper and the next, those of one day being one: (G,)."""
        gap = np.diff(self.at_ms) / MS_PER_DAY
        gaps: NDArray[np.float64] = gap[(np.diff(self.shopper_row) == 0) & (gap >= 1)]
        return gaps


def value_of_lines(lines: ActionLog, currency: str) -> NDArray[np.int64]:
    """What each line was worth, in minor units: (N,)."""
    reckoned = line_totals_minor(lines.price_micros, lines.quantity.astype(np.float64), currency)
    worth: NDArray[np.int64] = np.where(lines.value_minor != 0, lines.value_minor, reckoned)
    return worth.astype(np.int64)
