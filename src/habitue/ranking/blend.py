"""A ranker that needs no training: what the sources say, added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.facts import Context
from habitue.ranking.contract import Known
from habitue.ranking.demand import COUNTING
from habitue.ranking.feature_kernels import request_norms
from habitue.ranking.features import FeatureBatch, FeatureMaker
from habitue.ranking.fusion import break_ties

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
    """Ranks by the weighted sum of the sources' scores: standardised, or as they are.

    Used where a shop has too few answered requests to learn an order from, or says which it wants.
    What is scored alike stands in the order of the source ``ties``, if there is one. The last
    single request is kept as it was ranked: who asks for a slate asks for its reasons.
    """

    def __init__(
        self,
        features: FeatureMaker,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        *,
        standardised: bool = True,
        ties: str | None = None,
    ) -> None:
        self.features = features
        self.standardised = standardised
        names = [source.name for source in features.sources]
        self._ties = names.index(ties) if ties is not None else None
        self.weights = np.array(
            [weights.get(source.name, 0.0) for source in features.sources], np.float32
        )
        self._counting = [s for s, one in enumerate(features.sources) if one.name in COUNTING]
        self._last: tuple[Context, Known] | None = None

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``item_row`` (B, m); ``-inf`` beside ``NO_ROW``."""
        score = self.features.source_scores(context, item_row)
        norms = request_norms(score, np.ascontiguousarray(item_row, np.int32))
        blended = self._blended(score, norms)
        blended[item_row < 0] = -np.inf
        if len(context) == 1:
            self._last = (context, Known(item_row[0], _unread(score, norms), blended[0]))
        if self._ties is not None:
            return break_ties(blended, score[:, :, self._ties])
        return blended

    def _blended(
        self, score: NDArray[np.float32], norms: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores (B, m) of what the sources say (B, m, n_sources), measured by these norms."""
        if not self.standardised:
            return np.asarray(score @ self.weights, np.float32)
        standard = (score - norms[:, None, :, 0]) / (norms[:, None, :, 1] + np.float32(1e-9))
        return np.asarray(standard @ self.weights, np.float32)

    # ------------------------------------------------------------------ with something taken away

    def known(
        self, context: Context, item_row: NDArray[np.int32], norms: NDArray[np.float32] | None
    ) -> Known:
        """Items (n,) of a single request: as they were ranked if that was the last, else anew."""
        last = self._last
        if last is not None and last[0] is context:
            found = last[1].some(item_row, norms)
            if found is not None:
                return found
        row = np.ascontiguousarray(item_row[None, :], np.int32)
        score = self.features.source_scores(context, row)
        norms = request_norms(score, row) if norms is None else norms
        return Known(item_row, _unread(score, norms), self._blended(score, norms)[0])

    def without(
        self,
        known: Known,
        variants: Context,  # noqa: ARG002  the sources have read them
        source_score: NDArray[np.float32],
        variant: NDArray[np.int32],
        place: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores (P,) of items in requests with less in them, and (n,) as if nobody wanted them.

        As ``Explainable`` says.
        """
        norms, unwanted = known.batch.norms, known.batch.source_score.copy()
        unwanted[:, :, self._counting] = 0.0
        return (
            self._blended(source_score[variant, place][None], norms)[0],
            self._blended(unwanted, norms)[0],
        )

    def long_known(self, known: Known, place: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores (P,) of the items at ``place``: to this ranker the age of an item is nothing."""
        return known.score[place]


def _unread(score: NDArray[np.float32], norms: NDArray[np.float32]) -> FeatureBatch:
    """The scores of a single request without features, of which a blend reads none."""
    return FeatureBatch(np.empty((score.shape[1], 0), np.float32), score, norms)
