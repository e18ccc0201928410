"""Orders that are written down rather than learnt: sums of what the sources say.

``sum`` adds scores as they are: with ALS and a count of sales it is the classical TopK(u·v + s),
the shopper's vector times the item's plus a score of the item. ``zscore`` first measures each
source by its mean and spread among the request's candidates, so that any scales can be added.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TIES", "FusionConfig", "break_ties"]

TIES: Final = ("popular", "popular_now", "new_buyers")
"""Sources that break ties, the first of them that there is."""


class FusionConfig(BaseModel):
    """How one surface makes one order of what its sources say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fuse: Literal["learned", "sum", "zscore"] = Field(
        default="learned", description="learned (LambdaMART), sum (scores as they are) or zscore"
    )
    weights: dict[str, float] = Field(
        default={}, description="weight of each source by name; those not named count nothing"
    )

    def without(self, names: Collection[str]) -> FusionConfig:
        """The same sum without these sources."""
        kept = {name: weight for name, weight in self.weights.items() if name not in names}
        return self.model_copy(update={"weights": kept})


def break_ties(score: NDArray[np.float32], popularity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores (B, m) with equal ones of a request put in the order of ``popularity`` (B, m).

    They are raised by less than half the way to the next higher score; nothing else moves.

    >>> break_ties(np.array([[1, 3, 1, 2]], np.float32), np.array([[5, 0, 9, 0]], np.float32))
    array([[1.  , 3.  , 1.25, 2.  ]], dtype=float32)
    """
    if score.shape[1] < 2:
        return score
    order = np.lexsort((popularity, score), axis=1)
    value = np.take_along_axis(score, order, axis=1).astype(np.float64)
    popular = np.take_along_axis(popularity, order, axis=1)
    column = np.broadcast_to(np.arange(score.shape[1]), score.shape)
    higher = np.zeros(score.shape, np.bool_)  # a new score begins
    higher[:, 1:] = value[:, 1:] > value[:, :-1]
    apart = higher.copy()  # a new score or a new popularity
    apart[:, 1:] |= popular[:, 1:] > popular[:, :-1]
    start = np.maximum.accumulate(np.where(higher, column, 0), axis=1)
    place = np.maximum.accumulate(np.where(apart, column, 0), axis=1) - start
    following = np.full(score.shape, score.shape[1])
    following[:, :-1] = np.where(higher[:, 1:], column[:, 1:], score.shape[1])
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    above = np.take_along_axis(value, np.minimum(following, score.shape[1] - 1), axis=1)
    with np.errstate(invalid="ignore"):  # what must not compete is -inf, and stays it
        room = np.where(following < score.shape[1], above - value, 1e-3 * (1.0 + np.abs(value)))
    room[~np.isfinite(room)] = 0.0
    raised = value + 0.5 * room * place / (following - start)
    out = np.empty_like(score)
    np.put_along_axis(out, order, raised.astype(np.float32), axis=1)
    return out
