"""Is it time to buy it again? The chance that a shopper's next order holds what they bought before.

Elapsed time is told in cycles: the shopper's own mean gap between purchases of the item, shrunk
towards the item's, its category's and the shop's (``Cycles``). Over it stands a hazard read off the
shop's own orders: low just after buying, highest about when the cycle comes round, fading where the
habit was given up. It rises with how often the item was bought, and by as much as the item is
bought again more often than such a past foretells. After the renewal models of Bhagat et al., "Buy
it again: modeling repeat purchase recommendations", KDD 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import plain, sealed
from habitue.facts import ActionKind, ActionLog, Owned
from habitue.portraits import Cycles, ShopperIndex, contexts_as_of, cycle_ratio

__all__ = ["Due", "warm"]

KNOTS: Final = np.arange(-5.0, 5.0)
"""Where the hazard is told: elapsed time in cycles, as a power of two. Between, straight lines."""

_FIRST: Final = float(KNOTS[0])
_LAST: Final = float(KNOTS[-1] - KNOTS[0])
_ORDERS: Final = 20_000
_LEAST_BOUGHT_AGAIN: Final = 200
_MOST_COUNT: Final = 50
_STEPS: Final = 8  # cells of elapsed time between two knots
_RIDGE: Final = 1.0
_STRIDE: Final = 0.5
_ITEM_WEIGHT: Final = (1.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Due:
    """Cycles and the hazard over them.

    ``hazard`` (2, K) are log-odds at the ``KNOTS``, of what was bought once and of what was bought
    more often; ``per_log_count`` is added for each e-fold of orders, ``item`` (n_items,) for what
    the item itself is.
    """

    cycles: Cycles
    hazard: NDArray[np.float32]
    per_log_count: float
    item: NDArray[np.float32]

    @classmethod
    def unlearnt(cls, cycles: Cycles) -> Self:
        """Likeliest when the cycle comes round, and less so by every e-fold before and after it."""
        tent = -np.abs(KNOTS) * np.log(2.0)
        return cls(cycles, _sealed(np.stack([tent, tent])), 1.0, sealed(np.empty(0), np.float32))

    @classmethod
    def of(cls, log: ActionLog, category: NDArray[np.int32], rng: np.random.Generator) -> Self:
        """What the orders of a log show; ``category`` is (n_items,), -1 for none.

        Some 20,000 orders at most are looked at, each with what its shopper owned just before.
        """
        cycles = Cycles.of(log, category)
        owned, bought = _before_orders(log, rng)
        if int(bought.sum()) < _LEAST_BOUGHT_AGAIN:
            return cls.unlearnt(cycles)
        hazard, slope = _hazard(_places(cycles, owned), owned.count, bought)
        learnt = cls(cycles, _sealed(hazard), slope, sealed(np.empty(0), np.float32))
        chance = 1.0 / (1.0 + np.exp(-learnt.log_odds(owned).astype(np.float64)))
        n_items = max(log.n_items, len(category))
        return cls(cycles, learnt.hazard, slope, _of_items(owned.item, bought, chance, n_items))

    def log_odds(self, owned: Owned) -> NDArray[np.float32]:
        """The log-odds that the next order holds each thing owned: (nnz,)."""
        out = np.empty(len(owned.item), np.float32)
        learnt = (self.hazard, self.per_log_count, self.item)
        _log_odds(*(*_read(self.cycles, owned), *learnt, out))
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is to be written down; ``of_arrays`` reads it."""
        cycles = self.cycles
        numbers = np.array([cycles.shop_log_days, cycles.own_weight, self.per_log_count])
        return {
            "log_days": cycles.log_days, "hazard": self.hazard, "item": self.item,
            "numbers": numbers,
        }  # fmt: skip

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """What ``arrays`` told."""
        shop, own, slope = arrays["numbers"].tolist()
        return cls(
            Cycles(sealed(arrays["log_days"], np.float32), shop, own),
            _sealed(arrays["hazard"]),
            slope,
            sealed(arrays["item"], np.float32),
        )


def _read(cycles: Cycles, owned: Owned) -> tuple[Any, ...]:
    return (
        plain(owned.item, np.int32),
        plain(owned.count, np.float32),
        plain(owned.age_days, np.float32),
        plain(owned.first_age_days, np.float32),
        cycles.log_days,
        cycles.shop_log_days,
        cycles.own_weight,
    )


def _places(cycles: Cycles, owned: Owned) -> NDArray[np.float32]:
    """Where among the knots each thing owned stands, from 0 to the last: (nnz,)."""
    out = np.empty(len(owned.item), np.float32)
    _stand(*(*_read(cycles, owned), out))
    return out


def _sealed(hazard: NDArray[Any]) -> NDArray[np.float32]:
    return sealed(hazard, np.float32)


def _before_orders(log: ActionLog, rng: np.random.Generator) -> tuple[Owned, NDArray[np.bool_]]:
    """What was owned just before some orders, and which of it they held: both (nnz,)."""
    log = log.of_kinds((ActionKind.purchase,))
    log = log.take((log.item_row >= 0) & (log.shopper_row >= 0))
    order = np.where(log.order_row >= 0, log.order_row.astype(np.int64), -1 - log.at_ms)
    by_order = np.lexsort((log.at_ms, order, log.shopper_row))
    shopper, order = log.shopper_row[by_order], order[by_order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (shopper[1:] != shopper[:-1]) | (order[1:] != order[:-1])
    start = by_order[np.flatnonzero(new)]
    index = ShopperIndex.of(log)
    who, now = log.shopper_row[start], log.at_ms[start]
    drawn = np.flatnonzero(index.before(who, now) > index.indptr[who])
    if len(drawn) > _ORDERS:
        drawn = np.sort(rng.choice(drawn, _ORDERS, replace=False))
    owned = contexts_as_of(index, who[drawn], now[drawn], surface="home", length=0).owned
    place = np.full(len(start), -1, np.int64)
    place[drawn] = np.arange(len(drawn))
    held = place[np.cumsum(new) - 1]
    lines = (held << 32 | log.item_row[by_order])[held >= 0]
    asked = np.repeat(np.arange(len(drawn)), np.diff(owned.indptr)) << 32 | owned.item
    return owned, np.isin(asked, lines)


def _hazard(
    place: NDArray[np.float32], count: NDArray[np.float32], bought: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Log-odds at the knots (2, K) and for each e-fold of orders, by logistic regression.

    Pairs are counted in cells of elapsed time and orders first: some hundred rows remain.
    """
    step = np.round(place * _STEPS).astype(np.int64)
    often = np.minimum(count, _MOST_COUNT).astype(np.int64)
    cell, pair = np.unique(step * (_MOST_COUNT + 1) + often, return_inverse=True)
    n = np.bincount(pair).astype(np.float64)
    hits = np.bincount(pair, bought)
    at, often = cell // (_MOST_COUNT + 1) / _STEPS, cell % (_MOST_COUNT + 1)
    hats = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(len(KNOTS))))
    once = (often == 1)[:, None]
    x = np.hstack([hats * once, hats * ~once, np.log(np.maximum(often, 1))[:, None]])
    base = np.log(hits.sum() / max(n.sum() - hits.sum(), 1.0))
    beta = np.full(x.shape[1], base)
    beta[-1] = 0.0
    centre = beta.copy()  # knots nobody reached stay at what is usual
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-x @ beta))
        weight = n * chance * (1.0 - chance)
        slope = x.T @ (hits - n * chance) - _RIDGE * (beta - centre)
        move = np.linalg.solve(x.T @ (x * weight[:, None]) + _RIDGE * np.eye(len(beta)), slope)
        beta += move * min(1.0, _STRIDE / np.abs(move).max(initial=1e-12))  # far off, it overshoots
        if np.abs(move).max() < 1e-6:
            break
    return beta[:-1].reshape(2, len(KNOTS)), float(beta[-1])


def _of_items(
    item: NDArray[np.int32], bought: NDArray[np.bool_], chance: NDArray[np.float64], n_items: int
) -> NDArray[np.float32]:
    """By how much, in logs, each item is bought again beyond what was foretold: (n_items,).

    Observed over expected, shrunk to 1 as in Clayton and Kaldor, "Empirical Bayes estimates of
    age-standardized relative risks", Biometrics 1987, the weight by the method of moments.
    """
    observed = np.bincount(item, bought, minlength=n_items)
    expected = np.bincount(item, chance, minlength=n_items)
    beyond = np.sum((observed - expected) ** 2) - expected.sum()
    weight = float(np.clip(np.sum(expected**2) / max(beyond, 1e-9), *_ITEM_WEIGHT))
    return sealed(np.log((observed + weight) / (expected + weight)), np.float32)


@nb.njit(cache=True, nogil=True)
def _place(
    item: np.int32,
    count: np.float32,
    age_days: np.float32,
    first_age_days: np.float32,
    log_days: NDArray[np.float32],
    shop_log_days: float,
    own_weight: float,
) -> float:
    cycles = cycle_ratio(item, count, age_days, first_age_days, log_days, shop_log_days, own_weight)
    return min(max(cycles - _FIRST, 0.0), _LAST)


@nb.njit(cache=True, nogil=True)
def _stand(
    item: NDArray[np.int32],
    count: NDArray[np.float32],
    age_days: NDArray[np.float32],
    first_age_days: NDArray[np.float32],
    log_days: NDArray[np.float32],
    shop_log_days: float,
    own_weight: float,
    out: NDArray[np.float32],
) -> None:
    for x in range(len(item)):
        out[x] = _place(
            item[x], count[x], age_days[x], first_age_days[x], log_days, shop_log_days, own_weight
        )


@nb.njit(cache=True, nogil=True)
def _log_odds(
    item: NDArray[np.int32],
    count: NDArray[np.float32],
    age_days: NDArray[np.float32],
    first_age_days: NDArray[np.float32],
    log_days: NDArray[np.float32],
    shop_log_days: float,
    own_weight: float,
    hazard: NDArray[np.float32],
    per_log_count: float,
    of_item: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    for x in range(len(item)):
        at = _place(
            item[x], count[x], age_days[x], first_age_days[x], log_days, shop_log_days, own_weight
        )
        knot = min(int(at), hazard.shape[1] - 2)
        of = hazard[0] if count[x] < 1.5 else hazard[1]
        odds = of[knot] + (at - knot) * (of[knot + 1] - of[knot])
        odds += per_log_count * np.log(max(count[x], np.float32(1.0)))
        out[x] = odds + (of_item[item[x]] if item[x] < len(of_item) else 0.0)


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    one = np.zeros(1, np.float32)
    owned = Owned(np.array([0, 1]), np.zeros(1, np.int32), one, one, one)
    Due.unlearnt(Cycles.unknown()).log_odds(owned)
