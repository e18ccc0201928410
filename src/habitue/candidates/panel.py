"""Several sources asked about the same contexts, each reading them once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Prepared, Proposals, Source, preparing
from habitue.candidates.layout import plain
from habitue.facts import Context

__all__ = ["Asked", "Panel"]


class Panel:
    """Sources that are asked together, numbered by their places."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._prepare = [preparing(source) for source in sources]

    def ask(self, context: Context) -> Asked:
        """All of them, having read the contexts."""
        return Asked([prepare(context) for prepare in self._prepare])


class Asked:
    """Sources that have read a batch of contexts."""

    __slots__ = ("_sources",)

    def __init__(self, sources: Sequence[Prepared]) -> None:
        self._sources = sources

    def propose(self, quota: Iterable[tuple[int, int]]) -> list[Proposals]:
        """The proposals of the sources of these numbers, as many as it says beside each."""
        sources = self._sources
        return [sources[s].propose(n) for s, n in quota]

    def scores(self, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Every source's score of every item (B, m): (B, m, n_sources), 0 beside ``NO_ROW``."""
        item_row = plain(item_row, np.int32)
        scores = np.empty((*item_row.shape, len(self._sources)), np.float32)
        for place, source in enumerate(self._sources):
            source.fill(item_row, scores, place)
        return scores
