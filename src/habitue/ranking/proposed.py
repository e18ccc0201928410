"""Who proposed a request's candidates: so that a ranker learns as if a source were not there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["Proposed"]


@dataclass(frozen=True, slots=True)
class Proposed:
    """Of each request all candidates, whoever proposed them, and what each source said of them.

    Bit ``s`` of a candidate is 1 where the source ``sources[s]`` proposed it: 64 sources at most.
    """

    sources: tuple[str, ...]
    by: NDArray[np.uint64]  # (n_rows,) of the candidates that are learnt from
    every_by: NDArray[np.uint64]  # (n_candidates,) of all, request by request
    every_score: NDArray[np.float32]  # (n_candidates, n_sources)
    count: NDArray[np.int64]  # (n_requests,) candidates of each
    shopper_row: NDArray[np.int32]  # (n_requests,) whose

    def left(self, names: Collection[str]) -> tuple[list[int], np.uint64]:
        """The places of the sources that are left without ``names``, and their bits."""
        places = [s for s, name in enumerate(self.sources) if name not in names]
        return places, np.uint64(sum(1 << s for s in places))

    def by_others(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Whether a candidate that is learnt from is proposed without ``names``: (n_rows,)."""
        marked: NDArray[np.bool_] = (self.by & self.left(names)[1]) != 0
        return marked

    def norms(self, places: Sequence[int], bits: np.uint64) -> NDArray[np.float32]:
        """Mean, sd and maximum of the scores of the sources at ``places``: (n_requests, S, 3).

        Of the candidates that a source of ``bits`` proposed, as ``request_norms`` of the features.
        """
        where = np.asarray(places, np.int64)
        return np.asarray(_norms(self.every_score, self.every_by, self.count, where, bits))

    def unsaid(self, names: Collection[str]) -> Proposed:
        """Without the sources ``names``, none of which proposed or scored anything."""
        places, _ = self.left(names)
        return replace(
            self,
            sources=tuple(self.sources[s] for s in places),
            by=_packed(self.by, places),
            every_by=_packed(self.every_by, places),
            every_score=self.every_score[:, places],
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several as one."""
        return cls(
            parts[0].sources,
            np.concatenate([part.by for part in parts]),
            np.concatenate([part.every_by for part in parts]),
            np.concatenate([part.every_score for part in parts]),
            np.concatenate([part.count for part in parts]),
            np.concatenate([part.shopper_row for part in parts]),
        )


def _packed(by: NDArray[np.uint64], places: Sequence[int]) -> NDArray[np.uint64]:
    """The bits at ``places`` alone, side by side."""
    left = np.zeros(len(by), np.uint64)
    for bit, place in enumerate(places):
        left |= ((by >> np.uint64(place)) & np.uint64(1)) << np.uint64(bit)
    return left


@nb.njit(cache=True, nogil=True)
def _norms(
    score: NDArray[np.float32],
    by: NDArray[np.uint64],
    count: NDArray[np.int64],
    place: NDArray[np.int64],
    bits: np.uint64,
) -> NDArray[np.float32]:
    n_sources = len(place)
    norms = np.zeros((len(count), n_sources, 3), np.float32)
    total, square, largest = np.empty(n_sources), np.empty(n_sources), np.empty(n_sources)
    x = 0
    for b in range(len(count)):
        n = 0
        total[:] = square[:] = largest[:] = 0.0
        for _ in range(count[b]):
            if by[x] & bits:
                n += 1
                for s in range(n_sources):
                    value = float(score[x, place[s]])
                    total[s] += value
                    square[s] += value * value
                    largest[s] = max(largest[s], value)
            x += 1
        for s in range(n_sources):
            if n:
                mean = total[s] / n
                norms[b, s, 0] = mean
                norms[b, s, 1] = np.sqrt(max(square[s] / n - mean * mean, 0.0))
                norms[b, s, 2] = largest[s]
    return norms
