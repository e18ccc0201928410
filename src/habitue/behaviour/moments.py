"""Where each customer stood at a moment, as numbers: what an outlook is made of.

The same columns in training, at many moments of the past, and in serving, at the moment asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts import CONVERSIONS, MS_PER_DAY, ActionKind, ActionLog
from habitue.portraits.orders import value_of_lines

__all__ = ["COLUMNS", "GROUPS", "Heat", "Standing", "standing_of"]

_WINDOWS: Final = (7, 30, 60, 180)
_HALF_LIVES: Final = (15, 45, 120)
_WARM_DAYS: Final = 10.0
_COOL_DAYS: Final = 60.0

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "recency": ("since", "since_of_life"),
    "frequency": (
        "life", "days", "orders", *(f"days_{w}" for w in _WINDOWS),
        *(f"fading_{h}" for h in _HALF_LIVES),
    ),
    "rhythm": ("gap", "last_gap", "gap_spread", "gap_log_spread", "of_gap", "of_longest", "late"),
    "value": ("value", "order_value", "last_value", "value_30", "value_90"),
    "basket": ("lines", "last_lines", "quantity"),
    "breadth": ("items", "categories", "again"),
    "weekday": ("weekday",),
    "demand": ("heat", "popularity"),
    "refunds": ("refunds", "refund_14", "refund_45", "refund_100"),
    "visits": ("seen", "acts_7", "acts_30", "carts_7"),
}  # fmt: skip
"""What the columns tell of, by group."""

COLUMNS: Final = tuple(name for group in GROUPS.values() for name in group)
"""The columns of ``Standing.x``, in order."""


@dataclass(frozen=True, slots=True)
class Heat:
    """How sought each item was at a moment: lately as a share of before, and how much at all."""

    warm: NDArray[np.float32]  # (n_items,)
    popular: NDArray[np.float32]  # (n_items,)

    @classmethod
    def of(cls, log: ActionLog, now_ms: int, kinds: Iterable[ActionKind] = CONVERSIONS) -> Heat:
        """The heat of a log's purchases before ``now_ms``."""
        log = log.before(now_ms).of_kinds(kinds)
        log = log.take(log.item_row >= 0)
        age = (now_ms - log.at_ms) / MS_PER_DAY
        lately, long = (
            np.bincount(log.item_row, np.exp2(-age / days), minlength=log.n_items)
            for days in (_WARM_DAYS, _COOL_DAYS)
        )
        usual = _WARM_DAYS / _COOL_DAYS
        warm = (lately + 1.0) / (long + 1.0 / usual)
        return cls(warm.astype(np.float32), np.log1p(long).astype(np.float32))

    def means(
        self, item: NDArray[np.int32], place: NDArray[np.int64], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean heat and popularity of lines at each ``place``: (n,); unknown items are cold."""
        known = item < len(self.warm)
        at = np.minimum(item, max(len(self.warm) - 1, 0))
        count = np.maximum(np.bincount(place, minlength=n), 1)
        return tuple(  # type: ignore[return-value]
            np.bincount(place, np.where(known, column[at], other), n) / count
            if len(column)
            else np.full(n, other)
            for column, other in ((self.warm, _WARM_DAYS / _COOL_DAYS), (self.popular, 0.0))
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Customers at a moment: S who had bought before it."""

    shopper_row: NDArray[np.int32]  # (S,) rising
    x: NDArray[np.float32]  # (S, len(COLUMNS)) all finite
    orders: NDArray[np.int64]  # (S,)
    days: NDArray[np.int64]  # (S,) different days with an order
    value_minor: NDArray[np.int64]  # (S,)
    since_days: NDArray[np.float64]  # (S,) since the last order
    life_days: NDArray[np.float64]  # (S,) since the first order

    def __len__(self) -> int:
        return len(self.shopper_row)


def standing_of(
    log: ActionLog,
    now_ms: int,
    heat: Heat,
    *,
    currency: str,
    category: NDArray[np.int32] | None = None,
    kinds: Iterable[ActionKind] = CONVERSIONS,
) -> Standing:
    """Where each customer of a log stood at ``now_ms``: no later action is read.

    ``category`` (n_items,) is -1 for none. O(N log N).
    """
    log = log.before(now_ms)
    wanted = np.zeros(256, np.bool_)
    wanted[[int(kind) for kind in kinds]] = True
    which = np.flatnonzero(wanted[log.kind] & (log.shopper_row >= 0) & (log.item_row >= 0))
    named, at_ms = log.order_row[which].astype(np.int64), log.at_ms[which]
    key = np.where(named >= 0, named, -1 - at_ms)
    order = np.lexsort((at_ms, key, log.shopper_row[which]))
    lines, key = log.take(which[order]), key[order]
    worth = value_of_lines(lines, currency) / 100.0
    start = _starts(lines.shopper_row, key)
    bought = _Bought.of(lines.shopper_row[start], lines.at_ms[start], worth, start, len(lines))
    found: dict[str, NDArray[np.floating]] = {}
    _rhythm(found, bought, now_ms)
    _worth(found, bought, now_ms)
    place = np.searchsorted(bought.who, lines.shopper_row).astype(np.int64)
    _things(found, lines, place, len(bought.who), heat, category)
    _beside(found, log, bought, now_ms)
    x = np.empty((len(bought.who), len(COLUMNS)), np.float32)
    for column, name in enumerate(COLUMNS):
        x[:, column] = found[name]
    return Standing(
        bought.who,
        x,
        bought.count,
        np.bincount(bought.of_day, minlength=len(bought.who)),
        np.rint(np.bincount(bought.place, bought.value, len(bought.who)) * 100).astype(np.int64),
        (now_ms - bought.at_ms[bought.last]) / MS_PER_DAY,
        (now_ms - bought.at_ms[bought.first]) / MS_PER_DAY,
    )


@dataclass(frozen=True, slots=True)
class _Bought:
    """M orders of S customers, by customer and time, and the D days they fell on."""

    who: NDArray[np.int32]  # (S,)
    count: NDArray[np.int64]  # (S,) orders
    first: NDArray[np.int64]  # (S,) places of the first and the last order
    last: NDArray[np.int64]  # (S,)
    place: NDArray[np.int64]  # (M,) whose
    at_ms: NDArray[np.int64]  # (M,)
    value: NDArray[np.float64]  # (M,)
    lines: NDArray[np.int64]  # (M,)
    of_day: NDArray[np.int64]  # (D,) whose
    day_ms: NDArray[np.int64]  # (D,) of the day's first order

    @classmethod
    def of(
        cls,
        shopper: NDArray[np.int32],
        at_ms: NDArray[np.int64],
        worth: NDArray[np.float64],
        start: NDArray[np.int64],
        n_lines: int,
    ) -> _Bought:
        value = np.add.reduceat(worth, start) if len(start) else worth
        lines = np.diff(np.append(start, n_lines))
        order = np.lexsort((at_ms, shopper))
        shopper, at_ms, value, lines = shopper[order], at_ms[order], value[order], lines[order]
        first = _starts(shopper)
        count = np.diff(np.append(first, len(shopper)))
        place = np.repeat(np.arange(len(first)), count)
        new = _starts(shopper, at_ms // MS_PER_DAY)
        return cls(
            shopper[first], count, first, first + count - 1,
            place, at_ms, value, lines, place[new], at_ms[new],
        )  # fmt: skip


def _starts(*keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where a new run of equal keys begins."""
    new = np.ones(len(keys[0]), np.bool_)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(new)


def _rhythm(found: dict[str, NDArray[np.floating]], b: _Bought, now_ms: int) -> None:
    """How long ago, how often, how regularly; days count, not the orders of one day."""
    n = len(b.who)
    age = (now_ms - b.day_ms) / MS_PER_DAY
    days = np.bincount(b.of_day, minlength=n).astype(np.float64)
    since = (now_ms - b.at_ms[b.last]) / MS_PER_DAY
    life = (now_ms - b.at_ms[b.first]) / MS_PER_DAY
    found["since"], found["life"] = np.log1p(since), np.log1p(life)
    found["since_of_life"] = since / np.maximum(life, 1e-6)
    found["days"], found["orders"] = np.log(days), np.log(b.count)
    for window in _WINDOWS:
        found[f"days_{window}"] = np.log1p(np.bincount(b.of_day, age <= window, n))
    for half in _HALF_LIVES:
        fading = np.bincount(b.of_day, np.exp2(-age / half), n)
        found[f"fading_{half}"] = fading.astype(np.float64)
    gap = np.diff(b.day_ms) / MS_PER_DAY
    same = b.of_day[1:] == b.of_day[:-1]
    whose, gap = b.of_day[1:][same], gap[same]
    gaps = np.bincount(whose, minlength=n)
    some = np.maximum(gaps, 1)
    mean = np.bincount(whose, gap, n) / some
    spread = _spread(whose, gap, mean, some)
    log_gap = np.log(gap + 0.5)
    log_mean = np.bincount(whose, log_gap, n) / some
    log_spread = _spread(whose, log_gap, log_mean, some)
    longest, latest = np.zeros(n), np.zeros(n)
    np.maximum.at(longest, whose, gap)
    latest[whose] = gap  # rising in time, so the latest stays
    again = gaps > 0
    found["gap"], found["last_gap"] = np.log1p(mean), np.log1p(latest)
    found["gap_spread"] = np.divide(spread, mean, out=np.full(n, -1.0), where=gaps > 1)
    found["gap_log_spread"] = np.where(gaps > 1, log_spread, -1.0)
    found["of_gap"] = np.where(again, np.log1p(since / np.maximum(mean, 0.5)), 0.0)
    found["of_longest"] = np.where(again, np.log1p(since / np.maximum(longest, 0.5)), 0.0)
    late = (np.log(since + 0.5) - log_mean) / np.maximum(log_spread, 0.3)
    found["late"] = np.where(again, np.clip(late, -8, 8), 0.0)
    share = np.bincount(b.of_day * 7 + b.day_ms // MS_PER_DAY % 7, minlength=7 * n)
    found["weekday"] = share.reshape(n, 7).max(axis=1) / np.maximum(days, 1)


def _spread(
    whose: NDArray[np.int64],
    value: NDArray[np.float64],
    mean: NDArray[np.float64],
    count: NDArray[np.int64],
) -> NDArray[np.float64]:
    squares = np.bincount(whose, (value - mean[whose]) ** 2, len(mean))
    return np.sqrt(squares / count)


def _worth(found: dict[str, NDArray[np.floating]], b: _Bought, now_ms: int) -> None:
    """What orders were worth, and how many lines they had."""
    n = len(b.who)
    age = (now_ms - b.at_ms) / MS_PER_DAY
    value = np.maximum(b.value, 0)
    total = np.bincount(b.place, value, n)
    found["value"] = np.log1p(total)
    found["order_value"] = np.log1p(total / b.count)
    found["last_value"] = np.log1p(value[b.last])
    for window in (30, 90):
        found[f"value_{window}"] = np.log1p(np.bincount(b.place, value * (age <= window), n))
    found["lines"] = np.log(np.bincount(b.place, b.lines, n) / b.count)
    found["last_lines"] = np.log(b.lines[b.last])


def _things(
    found: dict[str, NDArray[np.floating]],
    lines: ActionLog,
    place: NDArray[np.int64],
    n: int,
    heat: Heat,
    category: NDArray[np.int32] | None,
) -> None:
    """What was bought: how many different things, how often again, how sought they are now."""
    count = np.maximum(np.bincount(place, minlength=n), 1)
    items = _different(place, lines.item_row, n)
    found["items"] = np.log1p(items)
    found["again"] = 1.0 - items / count
    found["categories"] = np.zeros(n)
    if category is not None and len(category):
        of_item = np.full(max(lines.n_items, len(category)), -1, np.int32)
        of_item[: len(category)] = category
        told = of_item[lines.item_row] >= 0
        found["categories"] = np.log1p(_different(place[told], of_item[lines.item_row[told]], n))
    found["quantity"] = np.log1p(np.bincount(place, np.maximum(lines.quantity, 0), n) / count)
    found["heat"], found["popularity"] = heat.means(lines.item_row, place, n)


def _different(place: NDArray[np.int64], code: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """How many different codes (K,) stand at each ``place`` (K,): (n,)."""
    pair = np.sort(place << 32 | code)  # np.unique would hash: ten times as long
    return np.bincount(pair[_starts(pair)] >> 32, minlength=n)


def _beside(
    found: dict[str, NDArray[np.floating]], log: ActionLog, b: _Bought, now_ms: int
) -> None:
    """What customers did with items beside buying: refunds, visits, carts.

    Actions without an item are not read: the history a request sees has none.
    """
    n = len(b.who)
    place = np.searchsorted(b.who, log.shopper_row).astype(np.int64)
    theirs = (place < n) & (log.item_row >= 0)
    theirs[theirs] = b.who[place[theirs]] == log.shopper_row[theirs]
    place, kind = place[theirs], log.kind[theirs]
    age = (now_ms - log.at_ms[theirs]) / MS_PER_DAY
    back = kind == int(ActionKind.refund)
    found["refunds"] = np.log1p(np.bincount(place, back, n))
    for window in (14, 45, 100):
        within = np.bincount(place, back & (age <= window), n)
        found[f"refund_{window}"] = (within > 0).astype(np.float64)
    seen = np.full(n, np.inf)
    np.minimum.at(seen, place, age)
    found["seen"] = np.log1p(seen)
    found["acts_7"] = np.log1p(np.bincount(place, age <= 7, n))
    found["acts_30"] = np.log1p(np.bincount(place, age <= 30, n))
    cart = kind == int(ActionKind.add_to_cart)
    found["carts_7"] = np.log1p(np.bincount(place, cart & (age <= 7), n))
