"""The best by score and nothing else: how an order is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from habitue.policy.contract import Chosen

__all__ = ["BestFirst"]


class BestFirst:
    """A policy without rules: the best by score, each with certainty. For measuring."""

    def choose(
        self,
        context: object,  # noqa: ARG002
        item_row: NDArray[np.int32],
        score: NDArray[np.float32],
        n: int,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> Chosen:
        """The ``n`` best of each request."""
        order = np.argsort(-score, axis=1, kind="stable")[:, :n]
        row = np.take_along_axis(item_row, order, axis=1)
        best = np.take_along_axis(score, order, axis=1)
        return Chosen(row, best, np.ones(row.shape, np.float32))
