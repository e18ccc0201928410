"""Learning the vectors that are spread over the shopper–item graph; the one part that needs torch.

He et al., LightGCN (2020), with a sampled softmax over cosines (Wu et al., On the Effectiveness of
Sampled Softmax Loss for Item Recommendation, 2022) in place of pairs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor

from habitue.behaviour.losses import softmax_against_sample
from habitue.behaviour.negatives import Urn

__all__ = ["Fitted", "Plan", "fit"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast is learnt."""

    dim: int
    hops: int
    temperature: float
    negatives: int
    popular_share: float
    rate: float
    batch: int
    epochs: int
    patience: int
    threads: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """The vectors before they are spread (n_items, dim), and how they came to be."""

    start: NDArray[np.float32]
    measured: dict[str, float]


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


class _Run:
    """One training run over the edges of ``weight`` (n_shoppers, n_items)."""

    def __init__(
        self, weight: sp.csr_matrix, normal: sp.csr_matrix, plan: Plan, rng: np.random.Generator
    ) -> None:
        self.plan, self.rng = plan, rng
        self.along = _csr(normal)
        self.back = _csr(normal.T.tocsr())
        edges = weight.tocoo()
        self.shopper = edges.row.astype(np.int64)
        self.item = edges.col.astype(np.int64)
        upto = np.cumsum(edges.data, dtype=np.float64)
        self.upto = upto / upto[-1]
        self.share = torch.from_numpy(normal.tocoo().data.astype(np.float32))
        target = np.bincount(self.item, weights=edges.data, minlength=weight.shape[1])
        self.urn = Urn(target, plan.negatives, plan.popular_share)
        self.correction = torch.from_numpy(self.urn.log_expected)
        self.where = np.full(weight.shape[1], -1)
        first = rng.standard_normal((weight.shape[1], plan.dim)) * 0.1
        self.start = torch.from_numpy(first.astype(np.float32)).requires_grad_()
        self.optimiser = torch.optim.Adam([self.start], lr=plan.rate)

    def spread(self) -> Tensor:
        """The item vectors after the hops: the mean of what each hop makes of them."""
        total = hop = self.start
        for _ in range(self.plan.hops):
            over: Tensor = _Times.apply(self.along, self.back, hop)  # type: ignore[no-untyped-call]
            hop = _Times.apply(self.back, self.along, over)  # type: ignore[no-untyped-call]
            total = total + hop
        return total / (self.plan.hops + 1)

    def epoch(self) -> float:
        """As many draws of edges as there are, by weight; the mean loss."""
        n = len(self.item)
        steps = -(-n // self.plan.batch)
        size = -(-n // steps)
        total = 0.0
        for _ in range(steps):
            edge = np.searchsorted(self.upto, self.rng.random(size), side="right")
            loss = self._loss(np.minimum(edge, n - 1))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            total += float(loss.detach())
        return total / steps

    def _loss(self, edge: NDArray[np.int64]) -> Tensor:
        """Each drawn item asked of its shopper, whose vector is made without it."""
        item = self.item[edge]
        vectors = self.spread()
        shoppers: Tensor = _Times.apply(self.along, self.back, vectors)  # type: ignore[no-untyped-call]
        own = vectors.index_select(0, torch.from_numpy(item))
        query = shoppers.index_select(0, torch.from_numpy(self.shopper[edge]))
        query = query - own * self.share[torch.from_numpy(edge)][:, None]
        drawn = np.unique(self.urn.draw(self.rng))
        self.where[drawn] = np.arange(len(drawn))
        hit = self.where[item]
        self.where[drawn] = -1
        token = np.flatnonzero(hit >= 0)
        return softmax_against_sample(
            fn.normalize(query, dim=1) / self.plan.temperature,
            fn.normalize(vectors.index_select(0, torch.from_numpy(drawn)), dim=1),
            fn.normalize(own, dim=1),
            self.correction[torch.from_numpy(drawn)],
            torch.from_numpy(token),
            torch.from_numpy(hit[token]),
            half=False,
        )


def fit(
    weight: sp.csr_matrix,
    normal: sp.csr_matrix,
    plan: Plan,
    judge: Callable[[NDArray[np.float32]], float] | None,
    rng: np.random.Generator,
) -> Fitted:
    """Learn from ``weight`` (n_shoppers, n_items), spread over its normalised form ``normal``.

    ``judge`` says how good starting vectors are; the best epoch is kept, the last without it.
    On one thread the same rng gives the same vectors.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    began = time.process_time()
    try:
        run = _Run(weight, normal, plan, rng)
        best, kept, waited, done = -1.0, run.start.detach().numpy().copy(), 0, 0
        while done < plan.epochs and waited < plan.patience:
            run.epoch()
            done += 1
            now = run.start.detach().numpy()
            found = 0.0 if judge is None else judge(now)
            if judge is None or found > best:
                best, kept, waited = found, now.copy(), 0
            else:
                waited += 1
    finally:
        torch.set_num_threads(threads)
    measured = {"epochs": float(done), "cpu_seconds": time.process_time() - began}
    if judge is not None:
        measured["validation_ndcg@10"] = best
    return Fitted(kept, measured)
