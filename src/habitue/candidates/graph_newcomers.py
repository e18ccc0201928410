"""Vectors of items that came after the training, by what is told of them and whom they are like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.candidates.graph_layers import Layers, Near
from habitue.candidates.item_space import ItemSpace, SpaceConfig
from habitue.candidates.vectors import nearest, nearest_of

__all__ = ["Newcomers", "alike_among", "near_of"]


@dataclass(frozen=True, slots=True)
class Newcomers:
    """The layers of a graph network, and what they read of the items it was fitted on."""

    space: ItemSpace
    layers: Layers
    content: NDArray[np.float32]  # (n, c) of the items acted on
    row: NDArray[np.int32]  # (n,) which these are
    known: Sequence[NDArray[np.float32]]  # before each layer: (n_items, dim)
    neighbours: int

    def vectors(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Vectors (n, dim) of items by a catalogue's frame; 0 where nothing is said of one."""
        content = self.space.vectors(frame)
        place, likeness = nearest_of(content, self.content, self.neighbours)
        vectors = self.layers.new(content, self.known, near_of(self.row[place], likeness))
        vectors[~content.any(axis=1)] = 0
        return vectors

    def save(self, path: Path) -> dict[str, NDArray[Any]]:
        """Write the space into the folder ``path``; the arrays are the caller's to write."""
        self.space.save(path / "space")
        known = {f"known{place}": vectors for place, vectors in enumerate(self.known)}
        return {"content": self.content, "told_row": self.row, **known, **self.layers.arrays()}

    @classmethod
    def load(
        cls, path: Path, config: SpaceConfig, arrays: dict[str, NDArray[Any]], neighbours: int
    ) -> Self:
        """What was written there."""
        layers = Layers.of_arrays(arrays)
        known = [arrays[f"known{place}"] for place in range(len(layers.layers))]
        space = ItemSpace.load(path / "space", config)
        return cls(space, layers, arrays["content"], arrays["told_row"], known, neighbours)


def alike_among(
    content: NDArray[np.float32],
    acted_on: NDArray[np.bool_],
    neighbours: int,
    rng: np.random.Generator,
) -> Near:
    """Each item's nearest by what is told (n_items, c), among those acted on, without itself."""
    row = np.full((len(content), neighbours), -1, np.int64)
    likeness = np.zeros(row.shape, np.float32)
    told = content.any(axis=1)
    among = np.flatnonzero(told & acted_on)
    others = np.flatnonzero(told & ~acted_on)
    place, product, _ = nearest(content[among], neighbours, rng)
    row[among, : place.shape[1]] = np.where(place >= 0, among[place], -1)
    likeness[among, : place.shape[1]] = product
    place_too, product_too = nearest_of(content[others], content[among], neighbours)
    row[others[:, None], np.arange(place_too.shape[1])] = among[place_too]
    likeness[others[:, None], np.arange(place_too.shape[1])] = product_too
    return near_of(row, likeness)


def near_of(row: NDArray[np.integer], likeness: NDArray[np.float32]) -> Near:
    """Neighbours (n, k) that count by how alike they are; -1 is nobody, and so is who is unlike."""
    share = np.where(row >= 0, np.maximum(likeness, 0), 0)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-9)
    return Near(np.where(share > 0, row, 0).astype(np.int32), share.astype(np.float32))
