"""A ranker that needs no training: what the sources say, each in its own measure, added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts import Context
from habitue.ranking.feature_kernels import request_norms
from habitue.ranking.features import FeatureMaker

__all__ = ["DEFAULT_WEIGHTS", "BlendRanker"]

DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "again": 1.0,
    "als": 1.0,
    "bought_bought": 1.0,
    "viewed_bought": 1.0,
    "viewed_viewed": 0.5,
    "content": 0.5,
    "new_buyers": 1.0,
    "popular_now": 0.5,
    "popular": 0.25,
}
"""What each source weighs where nothing has been learnt; a source not named weighs nothing."""


class BlendRanker:
    """Ranks by the weighted sum of the sources' standardised scores.

    Used where a shop has too few answered requests to learn an order from.
    """

    def __init__(
        self, features: FeatureMaker, weights: Mapping[str, float] = DEFAULT_WEIGHTS
    ) -> None:
        self.features = features
        self.weights = np.array(
            [weights.get(source.name, 0.0) for source in features.sources], np.float32
        )

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``item_row`` (B, m); ``-inf`` beside ``NO_ROW``."""
        score = self.features.source_scores(context, item_row)
        norms = request_norms(score, item_row)
        standard = (score - norms[:, None, :, 0]) / (norms[:, None, :, 1] + np.float32(1e-9))
        blended = np.asarray(standard @ self.weights, np.float32)
        blended[item_row < 0] = -np.inf
        return blended
