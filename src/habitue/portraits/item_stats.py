"""What happened to each item lately: decayed counters, one code for past and present."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Final, NamedTuple, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from habitue.errors import SnapshotError
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog
from habitue.store.contract import ActionColumns
from habitue.store.pages import pages, pages_like

__all__ = ["CHANNELS", "ItemStats", "ItemStatsConfig"]

CHANNELS: Final = ("view", "cart", "purchase", "new_buyer")
"""What is counted. A new buyer is a shopper's first purchase of the item."""

_VIEW, _CART, _PURCHASE, _NEW_BUYER = range(4)
_NEVER: Final = np.iinfo(np.int64).max
_EVER: Final = np.iinfo(np.int64).min
_HORIZON: Final = 400.0
"""Half-lives between the epoch of the counters and an event before the epoch moves on: 2**400 is
far from the end of a float64, and what is 400 half-lives old weighs nothing."""


class ItemStatsConfig(BaseModel):
    """How item statistics forget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    half_life_days: tuple[PositiveFloat, ...] = Field(
        default=(3.0, 7.0, 14.0, 28.0, 56.0),
        description="Half-lives of the decayed counters, in days, ascending.",
        min_length=1,
        max_length=8,
    )
    rating_prior_count: PositiveFloat = Field(
        default=10.0,
        description="How many ratings of the shop's mean an item starts with.",
    )


class _Table(NamedTuple):
    """The arrays behind the statistics, one row an item; rows beyond ``n`` are spare."""

    decayed: NDArray[np.float64]  # (cap, n_half_lives, n_channels), relative to the epoch
    total: NDArray[np.float64]  # (cap, n_channels)
    first_ms: NDArray[np.int64]  # (cap,) _NEVER where nothing was seen
    last_ms: NDArray[np.int64]  # (cap,) _EVER where nothing was seen
    last_buy_ms: NDArray[np.int64]  # (cap,)
    sums: NDArray[np.float64]  # (cap, 6): ratings, their count, log prices, count, log qty, count

    @classmethod
    def empty(cls, capacity: int, n_half_lives: int) -> _Table:
        first, last, last_buy = (pages(capacity, np.int64) for _ in range(3))
        first[:] = _NEVER
        last[:] = last_buy[:] = _EVER
        return cls(
            pages((capacity, n_half_lives, len(CHANNELS)), np.float64),
            pages((capacity, len(CHANNELS)), np.float64),
            first,
            last,
            last_buy,
            pages((capacity, 6), np.float64),
        )

    def grown(self, capacity: int) -> _Table:
        bigger = _Table.empty(capacity, self.decayed.shape[1])
        for new, old in zip(bigger, self, strict=True):
            new[: len(old)] = old
        return bigger


class _Events(NamedTuple):
    """The columns of actions that the counters read."""

    at_ms: NDArray[np.int64]
    kind: NDArray[np.uint8]
    shopper: NDArray[np.int32]
    item: NDArray[np.int32]
    price_micros: NDArray[np.int64]
    rating: NDArray[np.float32]
    quantity: NDArray[np.float32]


class ItemStats:
    """Decayed counters and running means of every item, as of the last action observed.

    A counter is the sum of ``2 ** -(age / half_life)`` over an item's actions, kept relative to an
    epoch so that actions may arrive in any order, late ones included, and give the same numbers.
    ``as_of`` reads a log, ``observe`` takes actions as they are stored; both run the same kernel.
    About 300 bytes an item, and 24 to 48 a (shopper, item) pair ever bought.
    """

    def __init__(self, config: ItemStatsConfig | None = None) -> None:
        self.config = config or ItemStatsConfig()
        self.half_life_ms = np.array(self.config.half_life_days) * MS_PER_DAY
        self.n_items = 0
        self.epoch_ms = 0
        self.watermark = 0
        self._ahead = np.empty(0, np.int64)
        self._table = _Table.empty(0, len(self.half_life_ms))
        self._pair_key = pages(1024, np.int64)
        self._pair_first = pages(1024, np.int64)
        self._n_pairs = 0
        self.totals = np.zeros(6)

    @classmethod
    def as_of(cls, log: ActionLog, now_ms: int, config: ItemStatsConfig | None = None) -> Self:
        """The statistics as they stood at ``now_ms``: nothing at or after it is read."""
        stats = cls(config)
        stats.grow(log.n_items)
        stats.observe_log(log.before(now_ms))
        return stats

    def observe_log(self, log: ActionLog) -> None:
        """Take in a piece of a log whatever its ``seq``: the caller sees that none repeats."""
        if len(log):
            self._add(
                _Events(
                    log.at_ms,
                    log.kind,
                    log.shopper_row,
                    log.item_row,
                    log.price_micros,
                    log.rating,
                    log.quantity,
                )
            )
            self.watermark = max(self.watermark, int(log.seq.max()))

    def observe(self, actions: ActionColumns) -> None:
        """Take in newly stored actions, each ``seq`` once however often it is told.

        Own appends may run ahead of what other processes wrote; ``caught_up`` says how far
        everything has been told.
        """
        fresh = (actions.seq > self.watermark) & ~np.isin(actions.seq, self._ahead)
        if not fresh.any():
            return
        self.add(actions, fresh)
        self._ahead = np.append(self._ahead, actions.seq[fresh])

    def add(self, actions: ActionColumns, which: NDArray[np.bool_] | None = None) -> None:
        """Take in these actions (of ``which``); the caller sees to it that none repeats."""
        those = slice(None) if which is None else which
        quantity = actions.quantity if len(actions.quantity) else np.ones(len(actions), np.float32)
        self._add(
            _Events(
                actions.at_ms[those],
                actions.kind[those],
                actions.shopper_row[those],
                actions.item_row[those],
                actions.price_micros[those],
                actions.rating[those],
                quantity[those],
            )
        )

    def copy(self) -> ItemStats:
        """The same statistics, to be led on apart from these."""
        other = copy(self)
        other._table = self._table.grown(len(self._table.total))
        other.totals = self.totals.copy()
        other._pair_key = pages_like(self._pair_key)
        other._pair_first = pages_like(self._pair_first)
        return other

    def caught_up(self, seq: int) -> None:
        """Everything up to ``seq`` has been observed."""
        self.watermark = max(self.watermark, seq)
        self._ahead = self._ahead[self._ahead > self.watermark]

    def grow(self, n_items: int) -> None:
        """Make room for items posted later; they start with nothing."""
        if n_items > len(self._table.total):
            self._table = self._table.grown(max(n_items, len(self._table.total) * 5 // 4 + 64))
        self.n_items = max(self.n_items, n_items)

    def posted(self, item_row: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
        """Items came into the shop: they are known from then on, though nobody acted yet."""
        if len(item_row):
            self.grow(int(item_row.max()) + 1)
            np.minimum.at(self._table.first_ms, item_row, at_ms)

    def _add(self, events: _Events) -> None:
        self.grow(int(events.item.max()) + 1)
        latest = int(events.at_ms.max())
        if not self._table.total.any():
            self.epoch_ms = latest
        elif (latest - self.epoch_ms) / self.half_life_ms.min() > _HORIZON:
            self._move_epoch(latest)
        most = self._n_pairs + len(events.at_ms)
        if most * 3 > len(self._pair_key) * 2:
            self._rehash(most)
        self._n_pairs += _count(
            events,
            float(self.epoch_ms),
            self.half_life_ms,
            self._table,
            self.totals,
            self._pair_key,
            self._pair_first,
        )

    def _move_epoch(self, epoch_ms: int) -> None:
        factor = 2.0 ** ((self.epoch_ms - epoch_ms) / self.half_life_ms)
        self._table.decayed[:] *= factor[:, None]
        self.epoch_ms = epoch_ms

    def _rehash(self, n_pairs: int) -> None:
        size = _slots(n_pairs)
        key, first = pages(size, np.int64), pages(size, np.int64)
        _reinsert(self._pair_key, self._pair_first, key, first)
        self._pair_key, self._pair_first = key, first

    # -- what the statistics say ------------------------------------------------------------

    def factors(self, now_ms: int) -> NDArray[np.float64]:
        """What turns the stored counters into those as of ``now_ms``: (n_half_lives,)."""
        return np.asarray(2.0 ** ((self.epoch_ms - now_ms) / self.half_life_ms))

    def counts(self, now_ms: int) -> NDArray[np.float64]:
        """Decayed counts as of ``now_ms``: (n_items, n_half_lives, n_channels)."""
        return np.asarray(self._table.decayed[: self.n_items] * self.factors(now_ms)[:, None])

    def count(self, channel: str, half_life_days: float, now_ms: int) -> NDArray[np.float64]:
        """One decayed counter as of ``now_ms``: (n_items,)."""
        h = self.config.half_life_days.index(half_life_days)
        decayed = self._table.decayed[: self.n_items, h, CHANNELS.index(channel)]
        return np.asarray(decayed * self.factors(now_ms)[h])

    @property
    def total(self) -> NDArray[np.float64]:
        """All-time counts: (n_items, n_channels)."""
        return self._table.total[: self.n_items]

    @property
    def first_ms(self) -> NDArray[np.int64]:
        """When each item was first seen: (n_items,), the largest int64 where it never was."""
        return self._table.first_ms[: self.n_items]

    @property
    def last_ms(self) -> NDArray[np.int64]:
        """When each item was last acted on: (n_items,), the smallest int64 where it never was."""
        return self._table.last_ms[: self.n_items]

    @property
    def last_buy_ms(self) -> NDArray[np.int64]:
        """When each item was last bought: (n_items,), the smallest int64 where it never was."""
        return self._table.last_buy_ms[: self.n_items]

    def mean_rating(self) -> NDArray[np.float64]:
        """Each item's mean rating, shrunk towards the shop's: (n_items,); 0 where nobody rates."""
        prior = self.config.rating_prior_count
        shop = self.totals[0] / self.totals[1] if self.totals[1] else 0.0
        sums = self._table.sums[: self.n_items]
        return np.asarray((sums[:, 0] + prior * shop) / (sums[:, 1] + prior))

    def mean_log_price(self) -> NDArray[np.float64]:
        """Mean log of the price paid, in currency units: (n_items,); the shop's mean if unknown."""
        return self._shop_mean(2)

    def mean_log_quantity(self) -> NDArray[np.float64]:
        """Mean of log(1 + quantity) over order lines: (n_items,); the shop's mean if unknown."""
        return self._shop_mean(4)

    def _shop_mean(self, column: int) -> NDArray[np.float64]:
        sums, counts = self._table.sums[: self.n_items, column : column + 2].T
        shop = self.totals[column] / max(self.totals[column + 1], 1.0)
        return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1.0), shop))

    def repeat_rate(self) -> NDArray[np.float64]:
        """Purchases for each buyer: (n_items,); 1 where nobody bought."""
        bought, buyers = self.total[:, _PURCHASE], self.total[:, _NEW_BUYER]
        return np.asarray(np.where(buyers > 0, bought / np.maximum(buyers, 1.0), 1.0))

    def bytes_per_item(self) -> float:
        """Memory held for each item, without the pairs of shoppers and items."""
        held = sum(column.nbytes for column in self._table)
        return held / max(self.n_items, 1)

    @property
    def n_pairs(self) -> int:
        """How many pairs of shopper and item were ever bought."""
        return self._n_pairs

    @property
    def pair_bytes(self) -> int:
        """Memory held for the pairs."""
        return self._pair_key.nbytes + self._pair_first.nbytes

    @property
    def arrays(
        self,
    ) -> tuple[
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.float64],
    ]:
        """The raw tables that feature kernels read: decayed, total, first_ms, last_buy_ms, sums."""
        table = self._table
        return table.decayed, table.total, table.first_ms, table.last_buy_ms, table.sums

    # -- written down -----------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the statistics into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        used = self._pair_key != 0
        table = {name: column[: self.n_items] for name, column in self._table._asdict().items()}
        np.savez(
            path / "stats.npz",
            **table,
            totals=self.totals,
            epoch_ms=np.int64(self.epoch_ms),
            watermark=np.int64(self.watermark),
            pair_key=self._pair_key[used],
            pair_first=self._pair_first[used],
        )
        (path / "config.json").write_text(self.config.model_dump_json())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The statistics written in ``path``; raises ``SnapshotError`` if they are not there."""
        try:
            config = ItemStatsConfig.model_validate_json((path / "config.json").read_text())
            with np.load(path / "stats.npz") as saved:
                stats = cls(config)
                stats._table = _Table(*(pages_like(saved[name]) for name in _Table._fields))
                stats.n_items = len(stats._table.total)
                stats.totals = saved["totals"]
                stats.epoch_ms = int(saved["epoch_ms"])
                stats.watermark = int(saved["watermark"])
                stats._restore_pairs(saved["pair_key"], saved["pair_first"])
        except (OSError, KeyError, ValueError) as problem:
            raise SnapshotError(
                f"The item statistics in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem
        return stats

    def _restore_pairs(self, key: NDArray[np.int64], first: NDArray[np.int64]) -> None:
        size = _slots(len(key))
        self._pair_key, self._pair_first = pages(size, np.int64), pages(size, np.int64)
        _reinsert(key, first, self._pair_key, self._pair_first)
        self._n_pairs = len(key)


def _slots(n_pairs: int) -> int:
    """Slots of a table of pairs: a power of two, at most two thirds of them taken.

    >>> [_slots(n) for n in (0, 512, 700)]
    [1024, 1024, 2048]
    """
    return 1 << int(np.ceil(np.log2(max(n_pairs, 512) * 1.5)))


_COUNTED: Final = np.full(256, -1, np.int8)
for _kind, _channel in (
    (ActionKind.view_item, _VIEW),
    (ActionKind.select_item, _VIEW),
    (ActionKind.add_to_cart, _CART),
    (ActionKind.add_to_wishlist, _CART),
    (ActionKind.like, _CART),
    (ActionKind.purchase, _PURCHASE),
):
    _COUNTED[int(_kind)] = _channel


@nb.njit(cache=True, nogil=True)
def _slot(keys: NDArray[np.int64], key: np.int64) -> np.int64:
    """Where ``key`` stands in the open-addressed table, or where it would."""
    mask = len(keys) - 1
    place = (key * np.int64(-7046029254386353131)) >> 20 & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & mask
    return place


@nb.njit(cache=True, nogil=True)
def _reinsert(
    old_key: NDArray[np.int64],
    old_first: NDArray[np.int64],
    key: NDArray[np.int64],
    first: NDArray[np.int64],
) -> None:
    for x in range(len(old_key)):
        if old_key[x] != 0:
            place = _slot(key, old_key[x])
            key[place] = old_key[x]
            first[place] = old_first[x]


@nb.njit(cache=True, nogil=True)
def _count(
    events: _Events,
    epoch_ms: float,
    half_life_ms: NDArray[np.float64],
    table: _Table,
    totals: NDArray[np.float64],
    pair_key: NDArray[np.int64],
    pair_first: NDArray[np.int64],
) -> int:
    """Add every action to its item's counters; returns how many new pairs were met."""
    new_pairs = 0
    for e in range(len(events.at_ms)):
        i = events.item[e]
        if i < 0:
            continue
        t = events.at_ms[e]
        table.first_ms[i] = min(table.first_ms[i], t)
        table.last_ms[i] = max(table.last_ms[i], t)
        _mean(table.sums[i], totals, 0, events.rating[e])
        channel = _COUNTED[events.kind[e]]
        if channel < 0:
            continue
        table.total[i, channel] += 1.0
        weight = 2.0 ** ((t - epoch_ms) / half_life_ms)
        table.decayed[i, :, channel] += weight
        if channel != _PURCHASE:
            continue
        table.last_buy_ms[i] = max(table.last_buy_ms[i], t)
        if events.price_micros[e] > 0:
            _mean(table.sums[i], totals, 2, np.log(events.price_micros[e] / 1e6))
        _mean(table.sums[i], totals, 4, np.log1p(events.quantity[e]))
        if events.shopper[e] < 0:
            continue
        key = ((np.int64(events.shopper[e]) << 32) | np.int64(i)) + 1
        place = _slot(pair_key, key)
        if pair_key[place] == 0:
            pair_key[place] = key
            pair_first[place] = t
            new_pairs += 1
            table.total[i, _NEW_BUYER] += 1.0
            table.decayed[i, :, _NEW_BUYER] += weight
        elif t < pair_first[place]:  # a late action: they were a new buyer earlier than we knew
            known = 2.0 ** ((pair_first[place] - epoch_ms) / half_life_ms)
            table.decayed[i, :, _NEW_BUYER] += weight - known
            pair_first[place] = t
    return new_pairs


@nb.njit(cache=True, nogil=True)
def _mean(
    sums: NDArray[np.float64], totals: NDArray[np.float64], column: int, value: float
) -> None:
    """Take a value into an item's running mean and the shop's; NaN is not said."""
    if value == value:
        sums[column] += value
        sums[column + 1] += 1.0
        totals[column] += value
        totals[column + 1] += 1.0
