"""The vectors of items that came after a source was fitted: what they are read and found by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.candidates.growing import Growing
from habitue.candidates.vectors import units
from habitue.facts import Catalogue

__all__ = ["ItemTail"]


class ItemTail(NamedTuple):
    """Vectors of items beyond the fitted ones, in the order of their rows; 0 for those between."""

    read: Growing  # (n_tail, dim)
    unit: Growing  # (n_tail, dim) the same of unit length, searched

    @classmethod
    def none(cls, dim: int) -> ItemTail:
        """Where nothing has come yet."""
        nothing = Growing(np.empty((0, dim), np.float32))
        return cls(nothing, nothing)

    def with_items(
        self,
        catalogue_tail: Catalogue,
        n_fitted: int,
        vector_of: Callable[[pl.DataFrame], NDArray[np.float32]],
    ) -> ItemTail:
        """The tail with those items that lie beyond the fitted rows; itself where none is new.

        ``vector_of`` makes their vectors from the columns of a catalogue. The tail is copied where
        an item in it now reads otherwise.
        """
        frame = catalogue_tail.frame.filter(pl.col("item_row") >= n_fitted)
        if not frame.height:
            return self
        place = frame["item_row"].to_numpy().astype(np.int64) - n_fitted
        vectors = vector_of(frame)
        read = self.read.put(place, vectors)
        if read is self.read:
            return self
        return ItemTail(read, self.unit.put(place, units(vectors)))
