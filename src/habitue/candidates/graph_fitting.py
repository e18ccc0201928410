"""Learning vectors on the shopper–item graph: any network over it, held to the same question.

An action is foretold by the shopper's other actions: a sampled softmax over cosines (Wu et al., On
the Effectiveness of Sampled Softmax Loss for Item Recommendation, 2022) in place of pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor

from habitue.behaviour.losses import softmax_against_sample
from habitue.behaviour.negatives import Urn
from habitue.candidates.graph_edges import Edges, said_by
from habitue.candidates.graph_networks import Network, times

__all__ = ["Fitted", "Plan", "fit"]

S = TypeVar("S")
_SHARED = 0.1  # of the rate for weights that all items share: each step moves them by all items


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, how long and how fast is learnt."""

    position_decay: float
    after_weight: float
    max_recent: int
    temperature: float
    negatives: int
    popular_share: float
    rate: float
    batch: int
    epochs: int
    patience: int
    threads: int


@dataclass(frozen=True, slots=True)
class Fitted(Generic[S]):
    """The network as it was when it was best, and how it came to be."""

    settled: S
    measured: dict[str, float]


class _Run:
    """One training run over the edges."""

    def __init__(
        self, edges: Edges, network: Network, plan: Plan, rng: np.random.Generator
    ) -> None:
        self.edges, self.network, self.plan, self.rng = edges, network, plan, rng
        weight: NDArray[np.float64] = edges.weight()
        upto = np.cumsum(weight)
        self.upto = upto / upto[-1]
        self.item = edges.streams.item_row.astype(np.int64)
        n_items = edges.streams.n_items
        wanted = np.bincount(self.item, weights=weight, minlength=n_items).astype(np.float64)
        self.said = torch.from_numpy(said_by(wanted))[:, None]
        self.urn = Urn(wanted, plan.negatives, plan.popular_share)
        self.correction = torch.from_numpy(self.urn.log_expected)
        self.where = np.full(len(wanted), -1)
        groups = [{"params": network.of_items, "lr": plan.rate}]
        if network.of_all:
            groups.append({"params": network.of_all, "lr": plan.rate * _SHARED})
        self.optimiser = torch.optim.Adam(groups)
        self.steps = -(-len(edges) // plan.batch)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, self.steps * plan.epochs
        )

    def epoch(self) -> float:
        """As many draws of edges as there are, by weight; the mean loss."""
        n = len(self.edges)
        size = -(-n // self.steps)
        total = 0.0
        for _ in range(self.steps):
            edge = np.searchsorted(self.upto, self.rng.random(size), side="right")
            loss = self._loss(np.minimum(edge, n - 1))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self.schedule.step()
            total += float(loss.detach())
        return total / self.steps

    def _loss(self, edge: NDArray[np.int64]) -> Tensor:
        """Each drawn action asked of its shopper's others; who has no others is not asked."""
        plan = self.plan
        around = self.edges.around(
            edge,
            position_decay=plan.position_decay,
            after_weight=plan.after_weight,
            within=plan.max_recent,
        )
        some = np.flatnonzero(np.diff(around.indptr))
        if not len(some):
            return self._nothing()
        around, item = around[some], self.item[edge[some]]
        vectors = self.network.vectors(self.rng)
        query = times(around, vectors * self.said)
        drawn = np.unique(self.urn.draw(self.rng))
        self.where[drawn] = np.arange(len(drawn))
        hit = self.where[item]
        self.where[drawn] = -1
        token = np.flatnonzero(hit >= 0)
        units = fn.normalize(vectors, dim=1)
        return softmax_against_sample(
            fn.normalize(query, dim=1) / plan.temperature,
            units.index_select(0, torch.from_numpy(drawn)),
            units.index_select(0, torch.from_numpy(item)),
            self.correction[torch.from_numpy(drawn)],
            torch.from_numpy(token),
            torch.from_numpy(hit[token]),
            half=False,
        )

    def _nothing(self) -> Tensor:
        return sum((own.sum() * 0 for own in self.network.of_items), torch.zeros(()))


def fit(
    edges: Edges,
    network: Network,
    settled: Callable[[], S],
    plan: Plan,
    judge: Callable[[S], float] | None,
    rng: np.random.Generator,
) -> Fitted[S]:
    """Learn from the edges.

    ``settled`` is what is kept of the network, and ``judge`` says how good that is: the best epoch
    is kept, the last without it. On one thread the same rng gives the same.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    began = time.process_time()
    try:
        run = _Run(edges, network, plan, rng)
        kept = settled()
        best = first = 0.0 if judge is None else judge(kept)
        waited = done = 0
        while done < plan.epochs and waited < plan.patience:
            run.epoch()
            done += 1
            now = settled()
            found = 0.0 if judge is None else judge(now)
            if judge is None or found > best:
                best, kept, waited = found, now, 0
            else:
                waited += 1
    finally:
        torch.set_num_threads(threads)
    measured = {"epochs": float(done), "cpu_seconds": time.process_time() - began}
    if judge is not None:
        measured |= {"validation_ndcg@10": best, "untrained_ndcg@10": first}
    return Fitted(kept, measured)
