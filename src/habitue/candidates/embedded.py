"""A shopper as a vector, as it is told: for segments, likeness and models of the shop's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import EmbeddingSource, Source
from habitue.errors import BadInput, SnapshotError

__all__ = ["Embedding", "embedding_source"]

_FIRST: Final = ("sequence", "two_tower", "graph", "als")
"""Names of sources, in the order in which one is chosen where none is named."""


class Embedding(msgspec.Struct, frozen=True):
    """Where a shopper lies in the space of one source of one snapshot."""

    shopper: str
    at: datetime
    personalisation: bool
    """False where the shopper does not allow it: then nothing else is said."""
    snapshot: str | None = None
    """Vectors of different snapshots, and of different sources, cannot be compared."""
    source: str | None = None
    vector: list[float] | None = None
    """Of unit length, so that a product of two is their cosine; none where nothing is known."""

    @classmethod
    def withheld(cls, shopper: str, now_ms: int) -> Embedding:
        """Of who does not allow it."""
        return cls(shopper, _when(now_ms), False)

    @classmethod
    def of(
        cls, shopper: str, now_ms: int, snapshot: str, source: str, vector: NDArray[np.float32]
    ) -> Embedding:
        """Of a unit vector (dim,), or zeros where nothing is known."""
        told = [float(x) for x in vector] if vector.any() else None
        return cls(shopper, _when(now_ms), True, snapshot, source, told)


def embedding_source(sources: Iterable[Source], name: str | None) -> EmbeddingSource:
    """The source of that name; without one the first there is of those that read an order best.

    Raises ``BadInput`` where that one has no vectors of shoppers, ``SnapshotError`` where none has.
    """
    able = {one.name: one for one in sources if isinstance(one, EmbeddingSource)}
    if not able:
        raise SnapshotError(
            "The snapshot that answers has no vectors of shoppers: no source of it has a space.",
            remedy='Add source = "als" or "sequence" to training.sources, and train again.',
        )
    if name is None:
        return next((able[one] for one in _FIRST if one in able), next(iter(able.values())))
    if name not in able:
        raise BadInput(
            f"No source {name!r} has vectors of shoppers.",
            remedy=f"There are {', '.join(sorted(able))}.",
            field="source",
        )
    return able[name]


def _when(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)
