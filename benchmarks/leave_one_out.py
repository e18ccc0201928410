"""Leave-one-out: each shopper's last item is asked for, and every source and peer ranks them all.

The last item of every shopper is the test item, the one before it the validation item. All is
fitted on the items before those; the profile is everything before the item asked for. All items
are ranked but those the shopper has already; ties take their mean rank.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.linalg import lapack

from habitue.candidates.contract import TrainingFacts
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.facts import NO_ROW, ActionKind, ActionLog, Catalogue, Context, Owned
from habitue.metrics.ranks import hit_of_rank, mean_rank, ndcg_of_rank
from habitue.portraits import pick

BATCH = 512

Scores = Callable[[slice], NDArray[np.float32]]  # shoppers -> (B, n_items)
Fit = Callable[["Shoppers"], Scores]


@dataclass(frozen=True)
class Shoppers:
    """Every shopper's items, oldest first, one shopper after the other.

    ``asked`` counts the items held out of the profile: 1 asks for the test item, 2 for validation.
    """

    item: NDArray[np.int32]
    shopper: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    from_end: NDArray[np.int64]  # 0 for a shopper's last item
    place: NDArray[np.int64]  # 0 for a shopper's first item
    n_items: int
    n_shoppers: int
    catalogue: Catalogue
    kind: ActionKind = ActionKind.purchase
    asked: int = 1

    def upto(self, held_out: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Shoppers, items and places without the last ``held_out`` of each shopper."""
        kept = self.from_end >= held_out
        return self.shopper[kept], self.item[kept], self.place[kept]

    def matrix(self, held_out: int) -> sp.csr_matrix:
        """The same as a matrix of ones (n_shoppers, n_items)."""
        shopper, item, _ = self.upto(held_out)
        ones = np.ones(len(item), np.float32)
        return sp.csr_matrix((ones, (shopper, item)), shape=(self.n_shoppers, self.n_items))

    def profile(self, forgetting: float) -> sp.csr_matrix:
        """What each shopper stands on: each item a factor less than the one after it."""
        shopper, item, place = self.upto(self.asked)
        back = np.bincount(shopper)[shopper] - 1 - place
        value = (forgetting**back).astype(np.float32)
        return sp.csr_matrix((value, (shopper, item)), shape=(self.n_shoppers, self.n_items))


def shoppers_of(
    item: NDArray[np.int32],
    length: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    catalogue: Catalogue | None = None,
    kind: ActionKind = ActionKind.purchase,
) -> Shoppers:
    """Shoppers from their items in order, and how many each has."""
    first = np.repeat(np.cumsum(length) - length, length)
    place = np.arange(len(item)) - first
    n_items = int(item.max()) + 1
    rows = pl.DataFrame({"item_row": np.arange(n_items, dtype=np.int32)})
    return Shoppers(
        item=item,
        shopper=np.repeat(np.arange(len(length), dtype=np.int32), length),
        at_ms=at_ms,
        from_end=np.repeat(length, length) - 1 - place,
        place=place,
        n_items=n_items,
        n_shoppers=len(length),
        catalogue=catalogue or Catalogue(rows),
        kind=kind,
    )


def plain_log(
    kind: ActionKind,
    at_ms: NDArray[np.int64],
    shopper_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    *,
    n_shoppers: int,
    n_items: int,
) -> ActionLog:
    """Actions of one kind in order of time, (N,), of which nothing else is said."""
    n = len(at_ms)
    return ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=at_ms,
        kind=np.full(n, int(kind), np.uint8),
        shopper_row=shopper_row,
        item_row=item_row,
        order_row=np.full(n, NO_ROW, np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=n_shoppers,
        n_items=n_items,
    )


def training_facts(data: Shoppers) -> TrainingFacts:
    """The training part as a log, as of just after its last action."""
    kept = np.flatnonzero(data.from_end >= 2)
    kept = kept[np.argsort(data.at_ms[kept], kind="stable")]
    log = plain_log(
        data.kind, data.at_ms[kept], data.shopper[kept], data.item[kept],
        n_shoppers=data.n_shoppers, n_items=data.n_items,
    )  # fmt: skip
    return TrainingFacts(log, data.catalogue, now_ms=int(data.at_ms.max()) + 1)


def contexts(data: Shoppers) -> Context:
    """A request of every shopper at the moment of the item asked for."""
    kept = data.from_end >= data.asked
    shopper, item, at_ms = data.shopper[kept], data.item[kept], data.at_ms[kept]
    now_ms = data.at_ms[data.from_end == data.asked - 1]
    length = np.bincount(shopper, minlength=data.n_shoppers)
    back = length[shopper] - 1 - data.place[kept]
    recent = np.full((data.n_shoppers, length.max()), NO_ROW, np.int32)
    recent[shopper, back] = item
    age = np.zeros(recent.shape, np.float32)
    age[shopper, back] = (now_ms[shopper] - at_ms) / 86_400_000
    return Context(
        surface="home",
        now_ms=now_ms,
        shopper_row=np.arange(data.n_shoppers, dtype=np.int32),
        recent_item=recent,
        recent_kind=np.full(recent.shape, int(data.kind), np.uint8),
        recent_age_days=age,
        anchor_item=np.empty((data.n_shoppers, 0), np.int32),
        owned=Owned.nothing(data.n_shoppers),
    )


def source(config: SourceConfig, *, strangers: bool = False) -> Fit:
    """One of Habitué's sources, asked for every item.

    ``strangers`` are known by their profile alone, not by what was fitted for them.
    """

    def fit(data: Shoppers) -> Scores:
        model = learner_of(config).fit(training_facts(data), np.random.default_rng(0))
        everyone = contexts(data)
        if strangers:
            nobody = np.full(data.n_shoppers, NO_ROW, np.int32)
            everyone = replace(everyone, shopper_row=nobody)
        rows = np.arange(data.n_items, dtype=np.int32)

        def scores(shoppers: slice) -> NDArray[np.float32]:
            context = pick(everyone, np.arange(shoppers.start, shoppers.stop))
            return model.score(context, np.broadcast_to(rows, (len(context), data.n_items)))

        return scores

    return fit


def item_knn(neighbours: int = 1000, forgetting: float = 1.0) -> Fit:
    """Cosine with TF-IDF weights by ``implicit``."""

    def fit(data: Shoppers) -> Scores:
        from implicit.nearest_neighbours import TFIDFRecommender

        model = TFIDFRecommender(K=neighbours, num_threads=1)
        model.fit(data.matrix(2), show_progress=False)
        similarity = model.similarity.tocsr()
        similarity.setdiag(0)
        profile = data.profile(forgetting)
        return lambda shoppers: (profile[shoppers] @ similarity).toarray().astype(np.float32)

    return fit


def als(factors: int, regularization: float, alpha: float, forgetting: float = 1.0) -> Fit:
    """ALS by ``implicit``, shoppers folded in from their whole profile."""

    def fit(data: Shoppers) -> Scores:
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=factors, regularization=regularization, alpha=alpha, iterations=15,
            num_threads=1, random_state=0,
        )  # fmt: skip
        model.fit(data.matrix(2), show_progress=False)
        profile = data.profile(forgetting)
        everyone = np.arange(data.n_shoppers)

        def scores(shoppers: slice) -> NDArray[np.float32]:
            vectors = model.recalculate_user(everyone[shoppers], profile[shoppers])
            return np.asarray(vectors @ model.item_factors.T, np.float32)

        return scores

    return fit


def ease(penalty: float, forgetting: float = 1.0) -> Fit:
    """Steck, Embarrassingly Shallow Autoencoders for Sparse Data (2019)."""

    def fit(data: Shoppers) -> Scores:
        training = data.matrix(2)
        gram = (training.T @ training).toarray(order="F")
        np.fill_diagonal(gram, gram.diagonal() + penalty)
        factor, problem = lapack.spotrf(gram, lower=1, overwrite_a=1)
        whole, problem_too = lapack.spotri(factor, lower=1, overwrite_c=1)
        if problem or problem_too:
            raise ValueError(f"penalty {penalty}: the matrix could not be inverted")
        _mirror(whole)
        whole /= -np.diag(whole)
        np.fill_diagonal(whole, 0.0)
        profile = data.profile(forgetting)
        return lambda shoppers: np.asarray(profile[shoppers] @ whole, np.float32)

    return fit


def _mirror(lower: NDArray[np.float32], step: int = 1024) -> None:
    """Write the lower triangle of a large matrix over the upper one, without a copy of it."""
    for first in range(0, len(lower), step):
        last = first + step
        lower[first:last, last:] = lower[last:, first:last].T
        corner = np.tril(lower[first:last, first:last])
        lower[first:last, first:last] = corner + np.tril(corner, -1).T


class Found(NamedTuple):
    """How good one ranking was, and what it cost."""

    ndcg: float
    recall: float
    fit_seconds: float  # of processor
    score_seconds: float  # of processor, to score and rank everything
    peak_mb: float  # of memory by then; never falls within a run


def evaluate(data: Shoppers, fit: Fit) -> Found:
    """NDCG and recall at 10 for the items asked for, and the cost."""
    target = data.item[data.from_end == data.asked - 1]
    shopper, item, _ = data.upto(data.asked)
    seen = sp.csr_matrix(
        (np.ones(len(item), np.float32), (shopper, item)), shape=(data.n_shoppers, data.n_items)
    )
    started = time.process_time()
    scores = fit(data)
    fitted = time.process_time()
    ranks = []
    for first in range(0, data.n_shoppers, BATCH):
        shoppers = slice(first, min(first + BATCH, data.n_shoppers))
        score = np.array(scores(shoppers), np.float32)
        score[seen[shoppers].nonzero()] = -np.inf
        ranks.append(mean_rank(score, target[shoppers]))
    done = time.process_time()
    rank = np.concatenate(ranks)
    return Found(
        float(ndcg_of_rank(rank, 10).mean()),
        float(hit_of_rank(rank, 10).mean()),
        fitted - started,
        done - fitted,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def show(title: str, rows: list[tuple[str, Found]]) -> None:
    """Print what was found."""
    table = Table(title=title)
    for name in ("", "NDCG@10", "Recall@10", "fit CPU-s", "score + rank CPU-s", "peak MB so far"):
        table.add_column(name, justify="left" if not name else "right")
    for name, found in rows:
        table.add_row(
            name, f"{found.ndcg:.4f}", f"{found.recall:.4f}", f"{found.fit_seconds:.2f}",
            f"{found.score_seconds:.2f}", f"{found.peak_mb:,.0f}",
        )  # fmt: skip
    Console(width=120).print(table)
