"""Where the price of an action's item stands among the prices of the shop.

The step is the item's, in training as in serving: a request's recent actions do not say what was
paid for them, so what an action said counts only in the middle of all that were on its item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionLog

__all__ = ["PriceSteps", "StepsOf", "cuts_of", "median_paid", "price_steps", "step_of"]

StepsOf = Callable[[NDArray[np.int32]], NDArray[np.int64]]
"""From item rows (...) to the steps of their prices (...), 0 where those are not known."""


@dataclass(frozen=True, slots=True)
class PriceSteps:
    """The steps of the items' prices, and where one ends and the next begins."""

    cuts: NDArray[np.int64]  # (n - 1,) micros, rising: the least price of all steps but the first
    item: NDArray[np.uint8]  # (n_items,) from 1 on; 0 where the price is not known


def step_of(price_micros: NDArray[np.int64], cuts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The steps (...) of prices (...); 0 where there is none.

    >>> step_of(np.array([0, 5, 10, 25]), np.array([10, 20]))
    array([0, 1, 2, 3], dtype=uint8)
    """
    step = 1 + np.searchsorted(cuts, price_micros, side="right")
    return np.where(price_micros > 0, step, 0).astype(np.uint8)


def cuts_of(price_micros: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The cuts (n - 1,) that part the items with a price into ``n`` steps of as many each.

    Items of one price are never parted: where many have it, steps below theirs are empty, so that
    a step says the same share of the shop's items whatever its prices. None without a price.
    """
    known = np.sort(price_micros[price_micros > 0])
    return known[np.arange(1, n) * len(known) // n] if len(known) else known


def median_paid(log: ActionLog, row: NDArray[np.int64], n_items: int) -> NDArray[np.int64]:
    """The middle of the unit prices that the actions ``row`` (T,) said of each item: (n_items,).

    The lower of two; 0 where none said any. O(T log T).
    """
    row = row[log.price_micros[row] > 0]
    item, price = log.item_row[row], log.price_micros[row]
    order = np.lexsort((price, item))
    count = np.bincount(item, minlength=n_items)
    first = np.cumsum(count) - count
    middle = np.zeros(n_items, np.int64)
    some = count > 0
    middle[some] = price[order][(first + (count - 1) // 2)[some]]
    return middle


def price_steps(
    log: ActionLog,
    row: NDArray[np.int64],
    listed: NDArray[np.int64],
    n: int,
    known: NDArray[np.int64] | None = None,
) -> PriceSteps | None:
    """The ``n`` steps of items: of what the actions ``row`` (T,) paid, else of what is ``listed``.

    ``listed`` (n_items,) are micros, 0 where none is. Cuts ``known`` from an earlier network are
    kept. None where no price is known.
    """
    paid = median_paid(log, row, len(listed))
    price = np.where(paid > 0, paid, listed)
    if not (price > 0).any():
        return None
    cuts = cuts_of(price, n) if known is None else known
    return PriceSteps(cuts, step_of(price, cuts))
