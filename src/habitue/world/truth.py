"""What only the simulation knows: how much each shopper wants each item.

The utility of an item for a shopper is a plain inner product of factors, so it can be checked by
hand, drawn for any pair, and compared with what a model believes. The table is rectangular: rows
are shoppers, columns items, and no model can pass by swapping the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.world.people import People
from habitue.world.shelves import STYLE_DIM, Shelves
from habitue.world.words import PALETTE_SIZE

__all__ = ["NOVELTY_DAYS", "Truth", "reveal"]

NOVELTY_DAYS = 21.0
"""For how long a launch counts as new, in days: the bonus halves every third of it."""

PRICE_WEIGHT = 0.35
"""How steeply utility falls with the squared distance to the liked price level."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The known utilities: ``shopper_factor @ item_factor.T + item_bias``, in log odds.

    The first ``n_taste`` factors are taste within a category; the rest say how much the shopper
    cares for the category at all.
    """

    shopper_factor: NDArray[np.float32]  # (S, F)
    item_factor: NDArray[np.float32]  # (I, F)
    item_bias: NDArray[np.float32]  # (I,)
    n_taste: int
    click_bias: float = -2.2
    click_slope: float = 0.55

    def utility(
        self, shopper: NDArray[np.int64], item: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Utilities of ``item`` (n,), or of all items, for each shopper: (len(shopper), n)."""
        factor, bias = self.item_factor, self.item_bias
        if item is not None:
            factor, bias = factor[item], bias[item]
        return np.asarray(self.shopper_factor[shopper] @ factor.T + bias, np.float32)

    def click_probability(
        self, shopper: NDArray[np.int64], item: NDArray[np.int64], slot: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The chance of a click on ``item`` (B, n) shown to each shopper (B,) in ``slot`` (n,).

        A slot is looked at with probability ``1 / log2(slot + 2)`` (the discount of DCG, Järvelin
        and Kekäläinen 2002); what is looked at is clicked with the logistic of its utility.
        """
        pairs = np.einsum("bf,bnf->bn", self.shopper_factor[shopper], self.item_factor[item])
        logit = self.click_bias + self.click_slope * (pairs + self.item_bias[item])
        return np.asarray(1.0 / np.log2(slot + 2.0) / (1.0 + np.exp(-logit)), np.float64)


def reveal(shelves: Shelves, people: People) -> Truth:
    """The factors of these items and people."""
    n_categories = len(shelves.categories)
    level = shelves.price_level
    colour = np.zeros((len(shelves), PALETTE_SIZE), np.float32)
    tinted = np.flatnonzero(shelves.colour >= 0)
    colour[tinted, shelves.colour[tinted]] = 1.0
    item = np.concatenate(
        [
            shelves.style,
            colour,
            np.eye(len(shelves.brands), dtype=np.float32)[shelves.brand],
            2 * PRICE_WEIGHT * level[:, None],
            np.eye(n_categories, dtype=np.float32)[shelves.category],
        ],
        axis=1,
    )
    # The share a category has of a shopper's visits, measured against an even share.
    care = people.category + np.log(n_categories)
    shopper = np.concatenate(
        [people.style, people.colour, people.brand, people.price_level[:, None], 0.8 * care], axis=1
    )
    return Truth(
        shopper_factor=shopper.astype(np.float32),
        item_factor=item.astype(np.float32),
        item_bias=(shelves.quality - PRICE_WEIGHT * level**2).astype(np.float32),
        n_taste=STYLE_DIM + PALETTE_SIZE + len(shelves.brands) + 1,
    )
