"""After how many days things are bought again: a shopper's own gaps, an item's, its category's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import MS_PER_DAY, ActionKind, ActionLog

__all__ = ["Cycles", "Gaps", "cycle_ratio"]

_LEAST_GAP_DAYS: Final = 0.5
_LEAST_AGE_DAYS: Final = 1 / 24
_LOG_2: Final = float(np.log(2.0))
_UNKNOWN_DAYS: Final = 30.0
_LEAST_WEIGHT: Final = 0.1
_MOST_WEIGHT: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Gaps:
    """Every time between two purchases of one item by one shopper, a day and longer: G of them."""

    pair: NDArray[np.int64]  # (G,) rising: who and what
    item: NDArray[np.int64]  # (G,)
    days: NDArray[np.float64]  # (G,)

    @classmethod
    def of(cls, log: ActionLog) -> Self:
        """The gaps of a log. Purchases of the same item on one day are one."""
        bought = log.of_kinds((ActionKind.purchase,))
        bought = bought.take((bought.item_row >= 0) & (bought.shopper_row >= 0))
        n_items = max(log.n_items, 1)
        pair = bought.shopper_row.astype(np.int64) * n_items + bought.item_row
        order = np.lexsort((bought.at_ms, pair))
        pair, at_ms = pair[order], bought.at_ms[order]
        gap = np.diff(at_ms) / MS_PER_DAY
        again = (pair[1:] == pair[:-1]) & (gap >= 1)
        pair = pair[1:][again]
        return cls(pair, pair % n_items, gap[again])


@dataclass(frozen=True, slots=True)
class Cycles:
    """The usual cycle of each item, shrunk towards its category's and the shop's, in log days.

    A shopper's own mean gap counts as many times as there are gaps in it, the item's ``own_weight``
    times: with the little that is known of most pairs, mostly the item's. Morris, "Parametric
    empirical Bayes inference", JASA 1983; the weights are the ratios of the variance within to that
    between, by the method of moments of one-way random effects (Searle, "Linear models", 1971).
    """

    log_days: NDArray[np.float32]  # (n_items,) natural log
    shop_log_days: float  # of items that came later
    own_weight: float

    @classmethod
    def unknown(cls, days: float = _UNKNOWN_DAYS) -> Self:
        """Everything comes round after so many days."""
        return cls(_fixed(np.empty(0)), float(np.log(days)), 1.0)

    @classmethod
    def told(cls, usual_days: NDArray[np.float32], default_days: float) -> Self:
        """Cycles (n_items,) as they are known, ``default_days`` where they are NaN."""
        days = np.where(usual_days > 0, usual_days, default_days).astype(np.float64)
        return cls(_fixed(np.log(days)), float(np.log(default_days)), 1.0)

    @classmethod
    def of(cls, log: ActionLog, category: NDArray[np.int32]) -> Self:
        """The cycles a log shows; ``category`` is (n_items,), -1 for none."""
        gaps = Gaps.of(log)
        if not len(gaps.days):
            return cls.unknown()
        value = np.log(gaps.days)
        n_items = max(log.n_items, len(category))
        group = np.full(n_items, -1, np.int64)
        group[: len(category)] = category
        group[group < 0] = group.max(initial=-1) + 1  # those of no category are one
        _, pair = np.unique(gaps.pair, return_inverse=True)
        shop = float(value.mean())
        to_shop = _shrinking(value, group[gaps.item], np.zeros(len(value), np.int64))
        to_category = _shrinking(value, gaps.item, group[gaps.item])
        own = _shrinking(value, pair, gaps.item)
        of_category = _shrunk(value, group[gaps.item], np.full(group.max() + 1, shop), to_shop)
        of_item = _shrunk(value, gaps.item, of_category[group], to_category)
        return cls(_fixed(of_item), shop, own)


def _fixed(log_days: NDArray[np.float64]) -> NDArray[np.float32]:
    """A read-only array: what kernels are compiled for."""
    fixed = log_days.astype(np.float32)
    fixed.setflags(write=False)
    return fixed


def _shrunk(
    value: NDArray[np.float64], group: NDArray[np.int64], prior: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Each group's mean, its prior counted ``weight`` times: (n_groups,)."""
    count = np.bincount(group, minlength=len(prior))
    total = np.bincount(group, value, minlength=len(prior))
    return np.asarray((total + weight * prior) / (count + weight))


def _shrinking(
    value: NDArray[np.float64], group: NDArray[np.int64], parent: NDArray[np.int64]
) -> float:
    """The variance within groups over that between the groups of one parent."""
    groups, place, count = np.unique(group, return_inverse=True, return_counts=True)
    mean = np.bincount(place, value) / count
    within = np.sum((value - mean[place]) ** 2)
    of_group = np.zeros(len(groups), np.int64)
    of_group[place] = np.unique(parent, return_inverse=True)[1]
    size = np.bincount(of_group, count)
    centre = np.bincount(of_group, mean * count) / size
    between = np.sum(count * (mean - centre[of_group]) ** 2)
    apart = len(groups) - len(size)
    left = len(value) - len(groups)
    usual = len(value) - np.sum(np.bincount(of_group, count.astype(float) ** 2) / size)
    if apart < 1 or left < 1 or usual <= 0:
        return 1.0
    noise = within / left
    signal = (between - apart * noise) / usual
    if noise <= 0:
        return _LEAST_WEIGHT
    most = noise / max(signal, noise / _MOST_WEIGHT)
    return float(min(max(most, _LEAST_WEIGHT), _MOST_WEIGHT))


@nb.njit(cache=True, nogil=True)
def cycle_ratio(
    item: np.int32,
    count: np.float32,
    age_days: np.float32,
    first_age_days: np.float32,
    log_days: NDArray[np.float32],
    shop_log_days: float,
    own_weight: float,
) -> float:
    """How many cycles ago a thing owned was last bought, as a power of two."""
    usual = log_days[item] if item < len(log_days) else shop_log_days
    gaps = float(count) - 1.0
    if gaps > 0.0:
        own = np.log(max(float(first_age_days - age_days) / gaps, _LEAST_GAP_DAYS))
        usual = (gaps * own + own_weight * usual) / (gaps + own_weight)
    return float((np.log(max(float(age_days), _LEAST_AGE_DAYS)) - usual) / _LOG_2)
