"""What a ranker is, and what one must also do whose slates are to be explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts import Context
from habitue.ranking.features import FeatureBatch, FeatureMaker

__all__ = ["Explainable", "Known", "Ranker"]


class Ranker(Protocol):
    """Says how good each candidate is for each context; higher is better."""

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``item_row`` (B, n); ``-inf`` beside ``NO_ROW``."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Some items of a single request as they were ranked."""

    item_row: NDArray[np.int32]  # (n,)
    batch: FeatureBatch  # B = 1, m = n; norms as among all candidates
    score: NDArray[np.float32]  # (n,)

    def some(self, item_row: NDArray[np.int32], norms: NDArray[np.float32] | None) -> Known | None:
        """Items (n,) among these; ``None`` where one is not, or other ``norms`` are asked for."""
        own, n = self.batch, len(item_row)
        x = np.empty((n, own.x.shape[1]), np.float32)
        source_score = np.empty((1, n, own.source_score.shape[2]), np.float32)
        score = np.empty(n, np.float32)
        if not _some(
            item_row, own.norms if norms is None else norms, self.item_row, own.norms, own.x,
            own.source_score, self.score, x, source_score, score,
        ):  # fmt: skip
            return None
        return Known(item_row, FeatureBatch(x, source_score, own.norms), score)


@nb.njit(cache=True, nogil=True)
def _some(
    wanted: NDArray[np.int32],
    wanted_norms: NDArray[np.float32],
    item: NDArray[np.int32],
    norms: NDArray[np.float32],
    x: NDArray[np.float32],
    source_score: NDArray[np.float32],
    score: NDArray[np.float32],
    out_x: NDArray[np.float32],
    out_source_score: NDArray[np.float32],
    out_score: NDArray[np.float32],
) -> bool:
    """Copy what is known of the wanted items; whether all are there, with these norms."""
    if wanted_norms.shape != norms.shape or not (wanted_norms == norms).all():
        return False
    for c in range(len(wanted)):
        at = 0
        while at < len(item) and item[at] != wanted[c]:
            at += 1
        if at == len(item):
            return False
        out_x[c], out_source_score[0, c], out_score[c] = x[at], source_score[0, at], score[at]
    return True


@runtime_checkable
class Explainable(Protocol):
    """A ranker that can score a few items again, with something taken away."""

    @property
    def features(self) -> FeatureMaker:
        """The features it reads."""
        ...

    def known(
        self, context: Context, item_row: NDArray[np.int32], norms: NDArray[np.float32] | None
    ) -> Known:
        """Items (n,) of a single request, normalised by ``norms`` (1, n_sources, 3).

        Without norms they are measured as they were last ranked, else against each other.
        """
        ...

    def without(
        self,
        known: Known,
        variants: Context,
        source_score: NDArray[np.float32],
        variant: NDArray[np.int32],
        place: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores (P,) of items in requests with less in them, and (n,) as if nobody wanted them.

        The items at ``place`` (P,) are asked for as the requests ``variant`` (P,), rising, see
        them. The first of the V ``variants`` is the request that is known, the others lack some of
        it; ``source_score`` (V, n, n_sources) is what the sources say of the items in each.
        """
        ...

    def long_known(self, known: Known, place: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores (P,) of the items at ``place`` as if they had long been in the shop."""
        ...
