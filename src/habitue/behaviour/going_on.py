"""Going on from a network trained earlier: what it knows is kept, what is new begins near it.

A shop that trains every day need not begin anew every day. Item vectors keep their rows; an item
that came since begins at the mean of what it was acted on beside, in the space the network already
speaks, and at nothing but its content where it was beside nothing known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.behaviour.beginnings import ties_of
from habitue.behaviour.streams import Streams

__all__ = ["Earlier", "OtherNetworkError", "begun_from"]


class OtherNetworkError(ValueError):
    """The earlier network is of another size, or reads other things."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A trained network, as its source keeps it."""

    read: NDArray[np.float32]  # (n_known, dim) the vectors items are read by, content included
    weights: Mapping[str, NDArray[Any]]  # all others, by their names in the network


def begun_from(earlier: Earlier, streams: Streams) -> NDArray[np.float32]:
    """Where the vectors of all items begin: (n_items, dim), content included.

    Known items keep theirs; a new one gets the mean of its known neighbours in the streams, weighed
    by how near they stood; zeros where it has none. Costs O(T + new pairs · dim).
    """
    n_known, dim = earlier.read.shape
    vectors = np.zeros((streams.n_items, dim), np.float32)
    vectors[: min(n_known, streams.n_items)] = earlier.read[: streams.n_items]
    if streams.n_items > n_known:
        near: sp.csr_matrix = ties_of(streams)[n_known:, :n_known]
        weight = np.maximum(np.asarray(near.sum(axis=1)), 1e-9)
        vectors[n_known:] = (near @ earlier.read) / weight
    return vectors
