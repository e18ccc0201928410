"""Features of items as if nobody had wanted them lately, or as if they had long been in the shop.

What the shop does for an item is no cause a request could be without: it is taken out of the
columns that speak of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.ranking.features import FeatureBatch

__all__ = ["COUNTING", "DemandColumns"]

COUNTING: Final = ("popular", "popular_now", "new_buyers")
"""Names of the sources that only count what everybody does."""

_DEMAND: Final = ("item_bought_", "item_new_buyers_", "item_viewed_", "item_carted_")
_LOG_NOTHING: Final = np.float32(np.log(0.1))
_LONG_DAYS: Final = np.float32(365.0)


@dataclass(frozen=True, slots=True)
class DemandColumns:
    """Which features speak of demand and of novelty, by place."""

    demand: NDArray[np.int64]  # logs of decayed counts
    trend: NDArray[np.int64]  # trends, scores and shares of sources that only count
    standard: NDArray[np.int64]  # standardised scores of those sources
    known_days: int
    new_gap: int

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Self:
        """The places in these names of features."""

        def where(wanted: Callable[[str], bool]) -> NDArray[np.int64]:
            return np.array([at for at, name in enumerate(names) if wanted(name)], np.int64)

        return cls(
            where(lambda name: name.startswith(_DEMAND) and not name.endswith("_ever")),
            where(
                lambda name: (
                    name.startswith("item_trend_") or name.removesuffix("_share") in COUNTING
                )
            ),
            where(lambda name: name.endswith("_z") and name.removesuffix("_z") in COUNTING),
            names.index("item_known_days"),
            names.index("pair_new_gap"),
        )

    def unwanted(self, batch: FeatureBatch, out: NDArray[np.float32]) -> None:
        """Fill ``out`` with a request's features as if nobody had wanted the items lately."""
        _unwanted(batch.x, batch.norms, self.demand, self.trend, self.standard, out)

    def long_known(self, batch: FeatureBatch, place: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows ``place`` (P,) of a single request as if the items had been there for a year."""
        x = batch.x[place]
        x[:, self.new_gap] += np.log1p(_LONG_DAYS) - np.log1p(x[:, self.known_days])
        x[:, self.known_days] = _LONG_DAYS
        return x


@nb.njit(cache=True, nogil=True)
def _unwanted(
    x: NDArray[np.float32],
    norms: NDArray[np.float32],
    demand: NDArray[np.int64],
    trend: NDArray[np.int64],
    standard: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    out[:] = x
    for row in range(len(out)):
        for column in demand:
            out[row, column] = _LOG_NOTHING
        for column in trend:
            out[row, column] = 0.0
        for column in standard:
            mean, spread = norms[0, column // 3, 0], norms[0, column // 3, 1]
            out[row, column] = -mean / (spread + np.float32(1e-9))
