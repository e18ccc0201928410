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
        batch = self.batch
        place = _places(
            item_row, self.item_row, batch.norms if norms is None else norms, batch.norms
        )
        if len(place) < len(item_row):
            return None
        few = FeatureBatch(batch.x[place], batch.source_score[:, place], batch.norms)
        return Known(item_row, few, self.score[place])


@nb.njit(cache=True, nogil=True)
def _places(
    wanted: NDArray[np.int32],
    among: NDArray[np.int32],
    norms: NDArray[np.float32],
    own: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Where the wanted stand; as far as they are there, and nowhere where the norms are others."""
    place = np.empty(len(wanted), np.int64)
    if norms.shape != own.shape or not (norms == own).all():
        return place[:0]
    for x in range(len(wanted)):
        at = 0
        while at < len(among) and among[at] != wanted[x]:
            at += 1
        if at == len(among):
            return place[:x]
        place[x] = at
    return place


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
