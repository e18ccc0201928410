"""Co-visitation beside item-kNN, ALS and EASE on Amazon Beauty, leave-one-out, in one run.

    .venv/bin/python benchmarks/beauty.py [--without-ease]

The last item of every shopper is the test item, the one before it the validation item. All is
fitted on the items before those; the profile is everything before the test item. All items are
ranked but those the shopper has already; ties take their mean rank. Shoppers' items have an order
and no times: they are told one day apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
from habitue.candidates.covisit import CovisitConfig, CovisitLearner
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import warm
from habitue.facts import (
    MS_PER_DAY,
    NO_ROW,
    ActionKind,
    ActionLog,
    Catalogue,
    Context,
    Owned,
)
from habitue.metrics.ranks import hit_of_rank, mean_rank, ndcg_of_rank

BATCH = 512
CONFIG = CovisitConfig(
    name="bought_bought",
    kinds_from=("purchase",),
    kinds_to=("purchase",),
    window_moments=10,
    moment_decay=0.9,
    forward_weight=1.0,
    backward_weight=0.5,
    damping_from=0.5,
    damping_to=0.3,
    neighbours=1000,
    profile=ProfileConfig(
        kind_weight={"purchase": 1.0}, position_decay=0.5, half_life_days=1e9, max_actions=100
    ),
)


@dataclass(frozen=True)
class Beauty:
    """Every shopper's items, oldest first, one shopper after the other."""

    item: NDArray[np.int32]
    shopper: NDArray[np.int32]
    from_end: NDArray[np.int64]  # 0 for a shopper's last item
    place: NDArray[np.int64]  # 0 for a shopper's first item
    n_items: int
    n_shoppers: int

    def upto(self, held_out: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Shoppers, items and places without the last ``held_out`` of each shopper."""
        kept = self.from_end >= held_out
        return self.shopper[kept], self.item[kept], self.place[kept]

    def matrix(self, held_out: int) -> sp.csr_matrix:
        """The same as a matrix of ones (n_shoppers, n_items)."""
        shopper, item, _ = self.upto(held_out)
        ones = np.ones(len(item), np.float32)
        return sp.csr_matrix((ones, (shopper, item)), shape=(self.n_shoppers, self.n_items))


def read_beauty(path: Path) -> Beauty:
    """The file of S3-Rec: a shopper a line, then items from oldest to newest."""
    lines = [np.array(line.split()[1:], np.int64) for line in path.read_text().splitlines()]
    length = np.array([len(line) for line in lines])
    _, item = np.unique(np.concatenate(lines), return_inverse=True)
    first = np.repeat(np.cumsum(length) - length, length)
    place = np.arange(len(item)) - first
    return Beauty(
        item=item.astype(np.int32),
        shopper=np.repeat(np.arange(len(lines), dtype=np.int32), length),
        from_end=np.repeat(length, length) - 1 - place,
        place=place,
        n_items=int(item.max()) + 1,
        n_shoppers=len(lines),
    )


def training_facts(data: Beauty) -> TrainingFacts:
    """The training part as a log of purchases, one day apart."""
    shopper, item, place = data.upto(2)
    order = np.lexsort((shopper, place))
    n = len(item)
    log = ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=place[order] * MS_PER_DAY,
        kind=np.full(n, int(ActionKind.purchase), np.uint8),
        shopper_row=shopper[order],
        item_row=item[order],
        order_row=np.full(n, NO_ROW, np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=data.n_shoppers,
        n_items=data.n_items,
    )
    rows = pl.DataFrame({"item_row": np.arange(data.n_items, dtype=np.int32)})
    return TrainingFacts(log, Catalogue(rows), now_ms=int(data.place.max() + 1) * MS_PER_DAY)


def contexts(data: Beauty) -> Context:
    """A request of every shopper just before the test item."""
    shopper, item, place = data.upto(1)
    length = np.bincount(shopper, minlength=data.n_shoppers)
    back = length[shopper] - 1 - place
    recent = np.full((data.n_shoppers, length.max()), NO_ROW, np.int32)
    recent[shopper, back] = item
    age = np.broadcast_to(1.0 + np.arange(length.max(), dtype=np.float32), recent.shape)
    return Context(
        surface="home",
        now_ms=length * MS_PER_DAY,
        shopper_row=np.arange(data.n_shoppers, dtype=np.int32),
        recent_item=recent,
        recent_kind=np.full(recent.shape, int(ActionKind.purchase), np.uint8),
        recent_age_days=age,
        anchor_item=np.empty((data.n_shoppers, 0), np.int32),
        owned=Owned.nothing(data.n_shoppers),
    )


def part(context: Context, rows: slice) -> Context:
    """Some requests of a batch."""
    return Context(
        surface=context.surface,
        now_ms=context.now_ms[rows],
        shopper_row=context.shopper_row[rows],
        recent_item=context.recent_item[rows],
        recent_kind=context.recent_kind[rows],
        recent_age_days=context.recent_age_days[rows],
        anchor_item=context.anchor_item[rows],
        owned=Owned.nothing(len(context.now_ms[rows])),
    )


Scores = Callable[[slice], NDArray[np.float32]]  # shoppers -> (B, n_items)


def covisit(data: Beauty) -> Scores:
    """Habitué's source, asked for every item."""
    source = CovisitLearner(CONFIG).fit(training_facts(data), np.random.default_rng(0))
    everyone = contexts(data)
    rows = np.arange(data.n_items, dtype=np.int32)

    def scores(shoppers: slice) -> NDArray[np.float32]:
        context = part(everyone, shoppers)
        return source.score(context, np.broadcast_to(rows, (len(context), data.n_items)))

    return scores


def reference(data: Beauty) -> Scores:
    """The same formula as sparse matrix products, without a cut to the nearest neighbours."""
    shopper, item, _ = data.upto(2)
    row, column, value = [], [], []
    for k in range(1, 11):
        same = shopper[k:] == shopper[:-k]
        x, y = item[:-k][same], item[k:][same]
        weight = np.full(len(x), 0.9 ** (k - 1), np.float32)
        row += [x, y]
        column += [y, x]
        value += [weight, 0.5 * weight]
    where = (np.concatenate(row), np.concatenate(column))
    ties = sp.csr_matrix((np.concatenate(value), where), shape=(data.n_items, data.n_items))
    ties.setdiag(0)
    popularity = np.bincount(item, minlength=data.n_items) + 1.0
    damped = (sp.diags(popularity**-0.5) @ ties @ sp.diags(popularity**-0.3)).tocsr()
    shopper, item, place = data.upto(1)
    back = np.bincount(shopper)[shopper] - 1 - place
    shape = (data.n_shoppers, data.n_items)
    profile = sp.csr_matrix((0.5**back, (shopper, item)), shape=shape)
    return lambda shoppers: (profile[shoppers] @ damped).toarray().astype(np.float32)


def item_knn(data: Beauty) -> Scores:
    """Cosine with TF-IDF weights by ``implicit``: the best of its kNN on this data."""
    from implicit.nearest_neighbours import TFIDFRecommender

    model = TFIDFRecommender(K=1000, num_threads=1)
    model.fit(data.matrix(2), show_progress=False)
    similarity = model.similarity.tocsr()
    similarity.setdiag(0)
    profile = data.matrix(1)
    return lambda shoppers: (profile[shoppers] @ similarity).toarray().astype(np.float32)


def als(data: Beauty) -> Scores:
    """ALS by ``implicit``, shoppers folded in from their whole profile."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=256,
        regularization=0.1,
        alpha=40.0,
        iterations=15,
        num_threads=1,
        random_state=0,
    )
    model.fit(data.matrix(2), show_progress=False)
    profile = data.matrix(1)
    everyone = np.arange(data.n_shoppers)

    def scores(shoppers: slice) -> NDArray[np.float32]:
        factors = model.recalculate_user(everyone[shoppers], profile[shoppers])
        return np.asarray(factors @ model.item_factors.T, np.float32)

    return scores


def ease(data: Beauty) -> Scores:
    """Steck, Embarrassingly Shallow Autoencoders for Sparse Data (2019), penalty 500."""
    training = data.matrix(2)
    gram = (training.T @ training).toarray().astype(np.float32, order="F")
    np.fill_diagonal(gram, gram.diagonal() + 500.0)
    factor, problem = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, problem_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if problem or problem_too:
        sys.exit("EASE: the matrix could not be inverted")
    whole = np.tril(inverse) + np.tril(inverse, -1).T
    whole /= -np.diag(whole)
    np.fill_diagonal(whole, 0.0)
    profile = data.matrix(1)
    return lambda shoppers: np.asarray(profile[shoppers] @ whole, np.float32)


def evaluate(data: Beauty, fit: Callable[[Beauty], Scores]) -> tuple[float, ...]:
    """NDCG and recall at 10, CPU-seconds to fit, and to score and rank everything."""
    target = data.item[data.from_end == 0]
    seen = data.matrix(1)
    started = time.process_time()
    scores = fit(data)
    fitted = time.process_time()
    ranks = []
    for first in range(0, data.n_shoppers, BATCH):
        shoppers = slice(first, min(first + BATCH, data.n_shoppers))
        score = scores(shoppers)
        score[seen[shoppers].nonzero()] = -np.inf
        ranks.append(mean_rank(score, target[shoppers]))
    done = time.process_time()
    rank = np.concatenate(ranks)
    return (
        float(ndcg_of_rank(rank, 10).mean()),
        float(hit_of_rank(rank, 10).mean()),
        fitted - started,
        done - fitted,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-ease", action="store_true", help="EASE takes minutes")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("HABITUE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = folder / "amazon_beauty_s3rec" / "Beauty.txt"
    if not path.exists():
        sys.exit(f"{path} is not there: set HABITUE_DATA to the folder of the public data sets")
    data = read_beauty(path)
    warm()
    rows: list[tuple[str, Callable[[Beauty], Scores]]] = [
        ("Habitué co-visitation", covisit),
        ("the same formula, scipy", reference),
        ("item-kNN (implicit)", item_knn),
        ("ALS (implicit)", als),
    ]
    if not arguments.without_ease:
        rows.append(("EASE", ease))
    table = Table(title=f"Beauty: {data.n_shoppers} shoppers, {data.n_items} items, leave-one-out")
    for name in ("", "NDCG@10", "Recall@10", "fit CPU-s", "score + rank CPU-s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, fit in rows:
        ndcg, recall, fit_s, score_s = evaluate(data, fit)
        table.add_row(name, f"{ndcg:.4f}", f"{recall:.4f}", f"{fit_s:.2f}", f"{score_s:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
