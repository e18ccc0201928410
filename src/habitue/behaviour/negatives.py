"""What a next item is told apart from: items drawn by popularity and evenly, for a whole batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Urn"]


class Urn:
    """Draws items, and says how often an item is drawn.

    Bengio and Senécal, Adaptive Importance Sampling (2008): subtracting the log of how often an
    item is expected among the draws makes a sampled softmax estimate the whole one.
    """

    def __init__(
        self, count: NDArray[np.integer] | NDArray[np.floating], draws: int, popular_share: float
    ) -> None:
        """``count`` (n_items,) is how often each item is a target; ``draws`` items a batch."""
        n = len(count)
        share = np.full(n, (1 - popular_share) / n) + popular_share * count / max(count.sum(), 1)
        share /= share.sum()
        self._upto = np.cumsum(share)
        self._upto[-1] = 1.0
        self.draws = draws
        self.log_expected = np.log(np.maximum(share * draws, 1e-30)).astype(np.float32)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Item rows (draws,), with repeats."""
        return np.searchsorted(self._upto, rng.random(self.draws), side="right")
