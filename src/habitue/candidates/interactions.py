"""What each shopper did with each item, added up: the matrix that neighbours are found in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import scipy.sparse as sp

from habitue.candidates.contract import TrainingFacts
from habitue.facts import MS_PER_DAY, code_of
from habitue.facts.kind_names import KindName

__all__ = ["KIND_WEIGHT", "interactions"]

KIND_WEIGHT: Final[dict[KindName, float]] = {
    "view_item": 0.3,
    "select_item": 0.3,
    "add_to_wishlist": 0.5,
    "add_to_cart": 0.7,
    "purchase": 1.0,
    "like": 0.7,
}
"""How much an action says of a liking, where a shop says nothing else."""


def interactions(
    facts: TrainingFacts,
    kind_weight: Mapping[str, float],
    *,
    half_life_days: float | None = None,
    counts: bool = True,
) -> sp.csr_matrix:
    """The summed weight of each shopper's actions on each item: (n_shoppers, n_items), sparse.

    Without ``counts`` an item is either there, as 1, or not.
    """
    by_kind = np.zeros(256)
    for name, value in kind_weight.items():
        by_kind[int(code_of(name))] = value
    log = facts.log
    log = log.take((by_kind[log.kind] > 0) & (log.item_row >= 0) & (log.shopper_row >= 0))
    weight = by_kind[log.kind]
    if half_life_days is not None:
        weight = weight * 0.5 ** ((facts.now_ms - log.at_ms) / MS_PER_DAY / half_life_days)
    shape = (log.n_shoppers, max(log.n_items, len(facts.catalogue)))
    matrix = sp.csr_matrix((weight.astype(np.float32), (log.shopper_row, log.item_row)), shape)
    matrix.sum_duplicates()
    if not counts:
        matrix.data[:] = 1.0
    return matrix
