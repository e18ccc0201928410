"""Who wants what, spread along the edges between shoppers and items.

He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation (2020).
Only items have vectors of their own; a shopper is what its items say. So whoever came later, or
has acted since, is placed by the same step over the graph as those who were known at training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import PreparingSource, TrainingFacts
from habitue.candidates.graph_step import shoppers_now
from habitue.candidates.interactions import interactions
from habitue.candidates.layout import plain, sealed
from habitue.candidates.profile import ProfileConfig, Weigher
from habitue.candidates.saved import Saved, read, write
from habitue.candidates.search import ItemSearch, Sought
from habitue.candidates.vectors import VectorConfig
from habitue.errors import MissingPiece
from habitue.facts import Context, code_of
from habitue.facts.kind_names import KindName
from habitue.metrics.ranks import mean_rank, ndcg_of_rank

__all__ = ["GraphConfig", "GraphLearner", "GraphSource", "normalised", "spread"]

_ASKED = 256  # shoppers that recall is measured with
_JUDGED = 3_000  # shoppers at most whose last action is foretold


class GraphConfig(BaseModel):
    """The graph, the vectors on it, and how they are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["graph"] = "graph"
    name: str = Field(default="graph", min_length=1, description="its name in slates and features")
    kind: Literal["lightgcn"] = Field(default="lightgcn", description="what runs over the graph")
    dim: int = Field(default=64, ge=1, le=1024, description="length of a vector")
    hops: int = Field(
        default=1, ge=0, le=8, description="times an item's vector is spread to other items"
    )
    kind_weight: dict[KindName, float] = Field(
        default={
            "view_item": 0.3,
            "select_item": 0.3,
            "add_to_wishlist": 0.5,
            "add_to_cart": 0.7,
            "purchase": 1.0,
            "like": 0.7,
        },
        description="weight of an edge by the kind of action; kinds not named count nothing",
    )
    half_life_days: float = Field(
        default=120.0, gt=0, description="age at which an action counts half"
    )
    anchor_weight: float = Field(
        default=1.0, ge=0, description="weight of an anchor item, as if just acted on"
    )
    max_recent: int = Field(default=50, ge=1, description="recent actions folded in")
    temperature: float = Field(
        default=0.1, ge=0.0125, le=10, description="how sharply the loss tells cosines apart"
    )
    negatives: int = Field(default=1024, ge=1, description="items drawn a step to tell apart from")
    popular_share: float = Field(
        default=0.5, ge=0, le=1, description="share of those drawn by how often they are wanted"
    )
    rate: float = Field(default=0.01, gt=0, description="step of the gradient")
    batch: int = Field(default=8192, ge=1, description="edges asked about in a step")
    epochs: int = Field(default=40, ge=1, description="passes over the edges at most")
    patience: int = Field(default=3, ge=1, description="passes without a gain before it ends")
    validation_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of the shoppers whose last action is foretold to know when to stop",
    )
    threads: int = Field(
        default=1, ge=1, description="threads; with more a seed may not say everything"
    )
    vectors: VectorConfig = Field(default=VectorConfig(), description="how items are searched")


class GraphSource(PreparingSource):
    """Scores an item by its cosine with the shopper, both as spread over the graph."""

    def __init__(
        self,
        config: GraphConfig,
        search: ItemSearch,
        read: NDArray[np.float32],
        carried: NDArray[np.float32],
        measured: dict[str, float],
        *,
        fitted_until_ms: int,
    ) -> None:
        """``read`` (n_items, dim) is what an action of weight 1 on an item adds to a shopper.

        ``carried`` (n_shoppers, dim) is what each shopper's actions had added up to at training.
        """
        self.config = config
        self.name = config.name
        self.search = search
        self.read_vectors = sealed(read, np.float32)
        self.carried = sealed(carried, np.float32)
        self.fitted_until_ms = fitted_until_ms
        self.measured = measured
        self._weigher = Weigher(
            ProfileConfig(
                kind_weight=config.kind_weight,
                position_decay=1.0,
                half_life_days=config.half_life_days,
                max_actions=config.max_recent,
                anchor_weight=max(config.anchor_weight, 1e-9),
                beside_anchor=1.0,
                reads="both" if config.anchor_weight > 0 else "profile",
            )
        )

    def vectors(self, context: Context) -> NDArray[np.float32]:
        """The unit vector (B, dim) of each request's shopper as of now; 0 where none is known."""
        out = np.empty((len(context), self.search.dim), np.float32)
        weigher = self._weigher
        shoppers_now(
            plain(context.recent_item, np.int32),
            plain(context.recent_kind, np.uint8),
            plain(context.recent_age_days, np.float32),
            plain(context.anchor_item, np.int32),
            plain(context.personal, np.bool_),
            plain(context.shopper_row, np.int32),
            plain(context.now_ms, np.int64),
            weigher.kind_weight,
            weigher.half_life_days,
            weigher.anchor_weight,
            self.config.max_recent,
            self.carried,
            self.fitted_until_ms,
            self.read_vectors,
            out,
        )
        return out

    def prepare(self, context: Context) -> Sought:
        """The vectors of the requests' shoppers."""
        return Sought(self.search, self.vectors(context))

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        self.search.save(path)
        saved = Saved(
            source="graph",
            config=self.config.model_dump(),
            numbers={"fitted_until_ms": self.fitted_until_ms, **self.search.numbers()},
            measured=self.measured,
        )
        arrays = {"read": self.read_vectors, "carried": self.carried, **self.search.arrays()}
        write(path, saved, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its vectors memory-mapped."""
        saved, arrays = read(path, "graph")
        return cls(
            GraphConfig.model_validate(saved.config),
            ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"]),
            arrays["read"],
            arrays["carried"],
            saved.measured,
            fitted_until_ms=saved.numbers["fitted_until_ms"],
        )


class GraphLearner:
    """Learns the vectors on the graph of all actions; the extra ``deep`` brings what it needs."""

    def __init__(self, config: GraphConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> GraphSource:
        """The source of these facts. Raises ``MissingPiece`` where PyTorch is not installed."""
        config = self.config
        weight = interactions(facts, config.kind_weight, half_life_days=config.half_life_days)
        start = np.zeros((weight.shape[1], config.dim), np.float32)
        measured: dict[str, float] = {}
        if weight.nnz:
            start, measured = self._learn(facts, weight, rng)
        item = spread(normalised(weight), start, config.hops)
        degree = np.asarray(weight.sum(axis=0), np.float64).ravel()
        there = degree > 0
        item[~there] = 0
        read = (item / np.sqrt(np.where(there, degree, 1.0))[:, None]).astype(np.float32)
        carried = np.asarray(weight @ read, np.float32)
        acting = np.flatnonzero(np.diff(weight.indptr))
        asked = rng.permutation(acting)[: max(_ASKED, config.vectors.measured_queries)]
        row = np.flatnonzero(there).astype(np.int32)
        search = ItemSearch.build(_units(item), row, _units(carried[asked]), config.vectors)
        return GraphSource(
            config, search, read, carried, {**measured, **search.measured},
            fitted_until_ms=facts.now_ms,
        )  # fmt: skip

    def _learn(
        self, facts: TrainingFacts, weight: sp.csr_matrix, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, float]]:
        """Vectors of the items before they are spread (n_items, dim), and figures."""
        try:
            import torch  # noqa: F401
        except ImportError:
            raise MissingPiece(
                "Training a graph model needs PyTorch, which is not installed.",
                remedy="Install it with pip install 'habitue[deep]', or leave the source out of "
                "training.sources.",
            ) from None
        from habitue.candidates.graph_fitting import Plan, fit

        config = self.config
        learnt_from, shopper, target = held_out(facts, config, weight, rng)
        normal = normalised(learnt_from)
        judge = None
        if len(shopper):
            judge = _judge(learnt_from, normal, shopper, target, config.hops)
        plan = Plan(**{name: getattr(config, name) for name in Plan.__slots__})
        fitted = fit(learnt_from, normal, plan, judge, rng)
        return fitted.start, fitted.measured


def held_out(
    facts: TrainingFacts, config: GraphConfig, weight: sp.csr_matrix, rng: np.random.Generator
) -> tuple[sp.csr_matrix, NDArray[np.int64], NDArray[np.int32]]:
    """The edges without the last one of a share of the shoppers, those shoppers and those items.

    Only shoppers with three items and more are asked.
    """
    none = np.empty(0, np.int64), np.empty(0, np.int32)
    able = np.flatnonzero(np.diff(weight.indptr) >= 3)
    n = min(int(np.ceil(len(able) * config.validation_share)), _JUDGED)
    if not n:
        return weight, *none
    asked = np.sort(rng.permutation(able)[:n])
    log = facts.log
    counts = np.zeros(256, np.bool_)
    for name, value in config.kind_weight.items():
        counts[int(code_of(name))] = value > 0
    log = log.take(counts[log.kind] & (log.item_row >= 0) & (log.shopper_row >= 0))
    last = np.full(weight.shape[0], -1, np.int32)
    last[log.shopper_row] = log.item_row  # in order of time: the last one stays
    target = last[asked]
    out = sp.csr_matrix(
        (np.ones(n, np.float32), (asked, target)), shape=weight.shape, dtype=np.float32
    )
    kept = (weight - weight.multiply(out)).tocsr()
    kept.eliminate_zeros()
    return kept, asked, target


def normalised(weight: sp.csr_matrix) -> sp.csr_matrix:
    """Each edge over the root of both its ends' weights: ``D_u^-1/2 W D_i^-1/2``."""
    shopper = np.asarray(weight.sum(axis=1), np.float64).ravel()
    item = np.asarray(weight.sum(axis=0), np.float64).ravel()
    shopper = 1 / np.sqrt(np.where(shopper > 0, shopper, 1.0))
    item = 1 / np.sqrt(np.where(item > 0, item, 1.0))
    return (sp.diags(shopper) @ weight @ sp.diags(item)).tocsr().astype(np.float32)


def spread(normal: sp.csr_matrix, start: NDArray[np.float32], hops: int) -> NDArray[np.float32]:
    """Item vectors (n_items, dim) after the hops: the mean of ``(A'A)^k start``, k to ``hops``."""
    total = hop = start
    for _ in range(hops):
        hop = normal.T @ (normal @ hop)
        total = total + hop
    return np.asarray(total / (hops + 1), np.float32)


def _judge(
    weight: sp.csr_matrix,
    normal: sp.csr_matrix,
    shopper: NDArray[np.int64],
    target: NDArray[np.int32],
    hops: int,
) -> Callable[[NDArray[np.float32]], float]:
    """NDCG@10 of the held-out items among all the shopper does not have."""
    known, own = weight[shopper], normal[shopper]

    def judge(start: NDArray[np.float32]) -> float:
        item = spread(normal, start, hops)
        query, units = own @ item, _units(item)
        total = 0.0
        for first in range(0, len(shopper), 1024):
            rows = slice(first, min(first + 1024, len(shopper)))
            score = query[rows] @ units.T
            score[known[rows].nonzero()] = -np.inf
            total += float(ndcg_of_rank(mean_rank(score, target[rows]), 10).sum())
        return total / len(shopper)

    return judge


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9), np.float32)
