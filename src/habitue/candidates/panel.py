"""Several sources asked about the same contexts, each reading them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Proposals, Source, prepared
from habitue.facts import Context

__all__ = ["Panel"]


class Panel:
    """The sources of a pipeline, having read a batch of contexts.

    A source is numbered by its place.
    """

    def __init__(self, sources: Sequence[Source], context: Context) -> None:
        self._sources = sources
        self._context = context
        self._prepared = [prepared(source, context) for source in sources]

    def propose(self, quota: Mapping[str, int]) -> tuple[list[int], list[Proposals]]:
        """Who has a quota, and their proposals, as many as that."""
        asked = [s for s, source in enumerate(self._sources) if quota.get(source.name, 0) > 0]
        return asked, [self._prepared[s].propose(quota[self._sources[s].name]) for s in asked]

    def scores(self, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Every source's score of every item (B, m): (B, m, n_sources), 0 beside ``NO_ROW``."""
        by_source = np.empty((len(self._sources), *item_row.shape), np.float32)
        for s, source in enumerate(self._prepared):
            by_source[s] = source.score(item_row)
        return np.ascontiguousarray(np.moveaxis(by_source, 0, -1))
