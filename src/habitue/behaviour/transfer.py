"""Beginning where the network of another shop ended: what items are told by is the same in both.

Items of two shops have no rows in common, but words and attributes they have. The encoder and what
makes a vector of an item's content are taken over; items begin where their content says, moved by
what was acted on near them, turned into the same space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from habitue.facts import Vocabulary

__all__ = ["Pretrained", "turned"]


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The network of another shop, as its source keeps it."""

    told: NDArray[np.float32]  # (c, dim) from what is told of an item to the vector it is read by
    weights: Mapping[str, NDArray[Any]]  # all but the items' own, by their names in the network
    names: Vocabulary = field(default_factory=Vocabulary)  # of what requests say, by its codes


def turned(vectors: NDArray[np.float32], like: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ``vectors`` (n, dim) turned so that they lie as near as they can to others, row by row.

    Nothing but the axes changes: lengths and products stay. Schönemann, A generalized solution of
    the orthogonal Procrustes problem (1966).
    """
    left, _, right = np.linalg.svd(vectors.T.astype(np.float64) @ like)
    return np.asarray(vectors @ (left @ right), np.float32)
