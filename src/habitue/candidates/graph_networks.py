"""The networks over the shopper–item graph while they learn: vectors of all items, with gradients.

LightGCN multiplies sparse matrices; GraphSAGE and GAT draw each item's neighbours anew for every
step, by two steps of a random walk: to a shopper of the item, and to an item of theirs.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor

from habitue.candidates.graph_layers import NOBODY, SLOPE, Layer, Layers, Near
from habitue.candidates.graph_walks import Walks, or_else

__all__ = ["Layered", "Network", "Spreading", "times"]


class Network(Protocol):
    """What learns vectors of items."""

    @property
    def of_items(self) -> list[Tensor]:
        """Vectors that single items learn."""
        ...

    @property
    def of_all(self) -> list[Tensor]:
        """Weights that all items share."""
        ...

    def vectors(self, rng: np.random.Generator) -> Tensor:
        """The vectors (n_items, dim) of all items, for one step."""
        ...


class _Times(torch.autograd.Function):
    """A sparse matrix times vectors; the gradient goes back along its transpose."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, vectors: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, ctx.transposed @ gradients[0].contiguous()


def _csr(matrix: sp.csr_matrix) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=False,
        )


def times(matrix: sp.csr_matrix, vectors: Tensor) -> Tensor:
    """A sparse matrix (m, n) times vectors (n, dim)."""
    found: Tensor = _Times.apply(_csr(matrix), _csr(matrix.T.tocsr()), vectors)  # type: ignore[no-untyped-call]
    return found


class Spreading:
    """LightGCN: vectors of the items alone, spread over the normalised edges."""

    def __init__(self, start: NDArray[np.float32], normal: sp.csr_matrix, hops: int) -> None:
        """``start`` is (n_items, dim) and ``normal`` (n_shoppers, n_items)."""
        self.start = torch.from_numpy(start.copy()).requires_grad_()
        self._along, self._back = _csr(normal), _csr(normal.T.tocsr())
        self._hops = hops

    @property
    def of_items(self) -> list[Tensor]:
        """The vectors before they are spread."""
        return [self.start]

    @property
    def of_all(self) -> list[Tensor]:
        """Nothing."""
        return []

    def vectors(self, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """The mean of what each hop makes of the vectors; nothing is drawn."""
        total = hop = self.start
        for _ in range(self._hops):
            over: Tensor = _Times.apply(self._along, self._back, hop)  # type: ignore[no-untyped-call]
            hop = _Times.apply(self._back, self._along, over)  # type: ignore[no-untyped-call]
            total = total + hop
        return total / (self._hops + 1)


class Layered:
    """GraphSAGE and GAT: layers over what is told of items, a vector of their own, and neighbours.

    In every step a share of the items is read as if it had just come: without a vector of its own,
    its neighbours those it is alike to. So those that do come are read as was learnt.
    """

    def __init__(
        self,
        start: NDArray[np.float32],
        content: NDArray[np.float32],
        alike: Near,
        walks: Walks,
        *,
        layers: int,
        heads: int,
        neighbours: int,
        as_new: float,
        rng: np.random.Generator,
    ) -> None:
        """``start`` (n_items, dim) is where vectors begin, ``content`` (n_items, c) what is told.

        Items that begin at 0 have no vector of their own: nobody has acted on them. ``alike`` are
        the neighbours by content. ``heads`` 0 takes plain means.
        """
        self._walks, self._alike, self._neighbours = walks, alike, neighbours
        self._content = torch.from_numpy(content)
        self._readable: NDArray[np.bool_] = np.asarray(content.any(axis=1))
        self._as_new = as_new
        dim = start.shape[1]
        self._acted_on: NDArray[np.bool_] = np.asarray(start.any(axis=1))
        told = _regressed(content[self._acted_on], start[self._acted_on])
        own = np.where(self._acted_on[:, None], start - content @ told, 0).astype(np.float32)
        self.told = torch.from_numpy(told).requires_grad_()
        self.own = torch.from_numpy(own).requires_grad_()
        self.layers = [_TorchLayer(dim, heads, rng) for _ in range(layers)]

    @property
    def of_items(self) -> list[Tensor]:
        """What each item has beside what is told of it."""
        return [self.own]

    @property
    def of_all(self) -> list[Tensor]:
        """How what is told is read, and the layers."""
        return [self.told, *(weight for layer in self.layers for weight in layer.weights)]

    def vectors(self, rng: np.random.Generator) -> Tensor:
        """The vectors of all items, some of them as if they had just come."""
        n = len(self._readable)
        new = (self._readable & (rng.random(n) < self._as_new)) | ~self._acted_on
        near = or_else(self._walks.draw(self._neighbours, rng), self._alike, new)
        kept = torch.from_numpy((~new).astype(np.float32))[:, None]
        vectors = self._content @ self.told + self.own * kept
        for layer in self.layers:
            vectors = layer(vectors, near)
        return vectors

    def first(self) -> NDArray[np.float32]:
        """The vectors (n_items, dim) before the first layer."""
        with torch.no_grad():
            return (self._content @ self.told + self.own).numpy().copy()

    def settled(self) -> Layers:
        """The layers as they stand, for whoever has no PyTorch."""
        return Layers(
            self.told.detach().numpy().copy(), tuple(layer.settled() for layer in self.layers)
        )


class _TorchLayer:
    """``Layer``, with gradients."""

    def __init__(self, dim: int, heads: int, rng: np.random.Generator) -> None:
        size = dim // heads if heads else 0

        def weight(*shape: int, scale: float) -> Tensor:
            drawn = rng.standard_normal(shape).astype(np.float32) * scale
            return torch.from_numpy(drawn.astype(np.float32)).requires_grad_()

        self.inner = weight(2 * dim, dim, scale=dim**-0.5)
        self.bias = torch.zeros(dim, requires_grad=True)
        self.outer = weight(dim, dim, scale=0.1 * dim**-0.5)
        self.turn = torch.eye(dim if heads else 0).requires_grad_()
        self.ask = weight(heads, size, scale=0.1)
        self.tell = weight(heads, size, scale=0.1)

    @property
    def weights(self) -> list[Tensor]:
        plain = [self.inner, self.bias, self.outer]
        return [*plain, self.turn, self.ask, self.tell] if self.turn.numel() else plain

    def __call__(self, vectors: Tensor, near: Near) -> Tensor:
        heard = self._heard(vectors, near) if self.turn.numel() else times(near.matrix(), vectors)
        hidden = torch.relu(torch.cat([vectors, heard], dim=1) @ self.inner + self.bias)
        return (vectors + heard) / 2 + hidden @ self.outer

    def _heard(self, vectors: Tensor, near: Near) -> Tensor:
        n, k = near.row.shape
        heads, size = self.ask.shape
        row = torch.from_numpy(near.row.astype(np.int64).ravel())
        spoken = (vectors @ self.turn).view(-1, heads, size)
        asked = (spoken * self.ask).sum(dim=2)
        told = (spoken * self.tell).sum(dim=2)
        logit = asked[:, None, :] + told.index_select(0, row).view(n, k, heads)
        share = torch.from_numpy(near.share)[:, :, None]
        logit = fn.leaky_relu(logit, SLOPE).masked_fill(share <= 0, NOBODY)
        loud = (logit - logit.amax(dim=1, keepdim=True)).exp() * share
        loud = loud / loud.sum(dim=1, keepdim=True).clamp_min(1e-9)
        theirs = spoken.index_select(0, row).view(n, k, heads, size)
        return (loud[:, :, :, None] * theirs).sum(dim=1).reshape(n, heads * size)

    def settled(self) -> Layer:
        return Layer(*(getattr(self, name).detach().numpy().copy() for name in Layer.__slots__))


def _regressed(content: NDArray[np.float32], start: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ridge regression (c, dim) of where vectors begin on what is told of items."""
    told = content.any(axis=1)
    x, y = content[told].astype(np.float64), start[told].astype(np.float64)
    gram = x.T @ x + np.eye(content.shape[1])
    return np.asarray(np.linalg.solve(gram, x.T @ y), np.float32)
