"""What layers of a graph network make of an item and its neighbours, without PyTorch.

Hamilton, Ying and Leskovec, Inductive Representation Learning on Large Graphs (2017): an item's
vector is a function of what is told of it and of its neighbours' vectors, so an item has one from
the first moment on. Veličković et al., Graph Attention Networks (2018): that function itself says
how much is heard of which neighbour. Each layer here adds to the mean of the item and what it hears
what a hidden layer makes of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["NOBODY", "SLOPE", "Layer", "Layers", "Near"]

SLOPE = 0.2  # of the leaky side of an attention's logit
NOBODY = -1e9  # the logit of a neighbour that is none
_AT_ONCE = 4096  # items whose neighbours' vectors are in memory at once


@dataclass(frozen=True, slots=True)
class Near:
    """The neighbours of n items, k each, and how much each counts; 0 where there is none."""

    row: NDArray[np.int32]  # (n, k), 0 beside a share of 0
    share: NDArray[np.float32]  # (n, k), adding up to 1 or 0

    def take(self, which: NDArray[np.int64] | slice) -> Near:
        """The neighbours of those items."""
        return Near(self.row[which], self.share[which])

    def widened(self, k: int) -> Near:
        """The same with room for ``k`` neighbours."""
        more = ((0, 0), (0, k - self.row.shape[1]))
        return self if not more[1][1] else Near(np.pad(self.row, more), np.pad(self.share, more))

    def matrix(self) -> sp.csr_matrix:
        """The shares as a matrix over the items themselves: (n, n)."""
        n, k = self.row.shape
        indptr = np.arange(0, n * k + 1, k) if k else np.zeros(n + 1, np.int64)
        return sp.csr_matrix((self.share.ravel(), self.row.ravel(), indptr), (n, n))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights: ``dim`` numbers in and out, ``hidden`` between."""

    inner: NDArray[np.float32]  # (2 dim, hidden)
    bias: NDArray[np.float32]  # (hidden,)
    outer: NDArray[np.float32]  # (hidden, dim)
    turn: NDArray[np.float32]  # (dim, dim) what neighbours say; (0, 0) without attention
    ask: NDArray[np.float32]  # (heads, dim / heads)
    tell: NDArray[np.float32]  # (heads, dim / heads)

    def __call__(
        self, own: NDArray[np.float32], others: NDArray[np.float32], near: Near
    ) -> NDArray[np.float32]:
        """Vectors (n, dim) of items of vectors ``own`` (n, dim), their neighbours in ``others``."""
        parts = [
            self._some(
                own[first : first + _AT_ONCE], others, near.take(slice(first, first + _AT_ONCE))
            )
            for first in range(0, len(own), _AT_ONCE)
        ]
        return np.concatenate(parts) if parts else own

    def _some(
        self, own: NDArray[np.float32], others: NDArray[np.float32], near: Near
    ) -> NDArray[np.float32]:
        if self.turn.size:
            heard = self._heard(own, others, near)
        else:
            heard = np.einsum("nk,nkd->nd", near.share, others[near.row])
        hidden = np.maximum(np.concatenate([own, heard], axis=1) @ self.inner + self.bias, 0)
        return np.asarray((own + heard) / 2 + hidden @ self.outer, np.float32)

    def _heard(
        self, own: NDArray[np.float32], others: NDArray[np.float32], near: Near
    ) -> NDArray[np.float32]:
        """What each head hears of the neighbours, side by side: (n, dim)."""
        heads, size = self.ask.shape
        mine = (own @ self.turn).reshape(-1, heads, size)
        theirs = (others @ self.turn).reshape(-1, heads, size)
        asked = np.einsum("nhs,hs->nh", mine, self.ask)
        told = np.einsum("nhs,hs->nh", theirs, self.tell)
        logit = asked[:, None, :] + told[near.row]  # (n, k, heads)
        logit = np.where(logit > 0, logit, SLOPE * logit)
        logit = np.where(near.share[:, :, None] > 0, logit, NOBODY)
        loud = near.share[:, :, None] * np.exp(logit - logit.max(axis=1, keepdims=True))
        loud /= np.maximum(loud.sum(axis=1, keepdims=True), 1e-9)
        heard = np.einsum("nkh,nkhs->nhs", loud, theirs[near.row])
        return np.asarray(heard.reshape(len(own), heads * size), np.float32)


@dataclass(frozen=True, slots=True)
class Layers:
    """How what is told of items becomes vectors, and the layers over those."""

    told: NDArray[np.float32]  # (c, dim)
    layers: tuple[Layer, ...]

    def known(self, first: NDArray[np.float32], near: Near) -> list[NDArray[np.float32]]:
        """The vectors (n_items, dim) of all known items before each layer, and after the last."""
        vectors = [first]
        for layer in self.layers:
            vectors.append(layer(vectors[-1], vectors[-1], near))
        return vectors

    def new(
        self, content: NDArray[np.float32], known: Sequence[NDArray[np.float32]], near: Near
    ) -> NDArray[np.float32]:
        """Vectors (n, dim) of items that nobody has acted on, their neighbours among the known.

        ``content`` is (n, c), and ``known`` what is known of the others before each layer.
        """
        own = np.asarray(content @ self.told, np.float32)
        for layer, others in zip(self.layers, known, strict=True):
            own = layer(own, others, near)
        return own

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What is written down."""
        return {"told": self.told} | {
            f"layer{place}_{name}": getattr(layer, name)
            for place, layer in enumerate(self.layers)
            for name in Layer.__slots__
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """The layers written down there."""
        n = sum(name.endswith("_inner") for name in arrays)
        return cls(
            arrays["told"],
            tuple(
                Layer(**{name: arrays[f"layer{place}_{name}"] for name in Layer.__slots__})
                for place in range(n)
            ),
        )
