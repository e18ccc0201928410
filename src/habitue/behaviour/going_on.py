"""Going on from a network trained earlier: what it knows is kept, what is new begins near it.

A shop that trains every day need not begin anew every day. Item vectors keep their rows; an item
that came since begins at the mean of what it was acted on beside, in the space the network already
speaks, and at nothing but its content where it was beside nothing known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.behaviour.beginnings import ties_of
from habitue.behaviour.streams import Streams, Windows
from habitue.facts import Vocabulary

__all__ = ["Earlier", "OtherNetworkError", "Stretches", "begun_from"]


class OtherNetworkError(ValueError):
    """The earlier network is of another size, or reads other things."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A trained network, as its source keeps it."""

    read: NDArray[np.float32]  # (n_known, dim) the vectors items are read by, content included
    weights: Mapping[str, NDArray[Any]]  # all others, by their names in the network
    until_ms: int = 0  # what happened from then on is new to it
    names: Vocabulary = field(default_factory=Vocabulary)  # of what requests say, by its codes
    cuts: NDArray[np.int64] | None = None  # between the steps of prices, where it reads them


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


@dataclass(frozen=True, slots=True)
class Stretches:
    """What a pass reads: all stretches, or what is new and a share of the old, drawn anew."""

    new: Windows
    old: Windows
    n_drawn: int  # of the old ones, in each pass

    @classmethod
    def of(cls, streams: Streams, windows: Windows, earlier: Earlier | None, replay: float) -> Self:
        """Those to learn from; ``replay`` old ones are read beside each new one."""
        if earlier is None:
            return cls(windows, windows.take(np.empty(0, np.int64)), 0)
        is_new = streams.at_ms[windows.last] >= earlier.until_ms
        new, old = np.flatnonzero(is_new), np.flatnonzero(~is_new)
        n_drawn = min(len(old), int(np.ceil(replay * len(new))))
        return cls(windows.take(new), windows.take(old), n_drawn)

    def drawn(self, rng: np.random.Generator) -> Windows:
        """The stretches of one pass."""
        if not self.n_drawn:
            return self.new
        return self.new.joined(self.old.take(rng.permutation(len(self.old))[: self.n_drawn]))

    def tokens(self) -> int:
        """Tokens of a pass, on average."""
        share = self.n_drawn / max(len(self.old), 1)
        return int(self.new.length.sum() + share * self.old.length.sum())
