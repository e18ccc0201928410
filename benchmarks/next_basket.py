"""Ta-Feng, the next basket: buying again and user-kNN in one sum, beside personal top-frequency.

    python -m benchmarks.next_basket

Every shopper's last basket is asked for, items bought before included; recall, NDCG and hit rate at
10 over everybody. The baskets have an order and no times: they are told one day apart. The weights
of the sum were chosen on the basket before the last.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from habitue.candidates.again import AgainConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.user_knn import UserKnnConfig
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog, Catalogue
from habitue.metrics import hits_of, ndcg, recall
from habitue.portraits import ItemColumns, ItemStats, ShopperIndex, contexts_as_of
from habitue.ranking.fusion import FusionConfig
from habitue.training.config import TrainingConfig
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst, fit_sources
from tests.needs import data_folder

AT = 10
BATCH = 256
BOUGHT = {"purchase": 1.0}
SOURCES = (
    AgainConfig(fades="cycle"),
    UserKnnConfig(
        kind_weight=BOUGHT,
        neighbours=300,
        shoppers_per_item=20_000,
        profile=ProfileConfig(
            kind_weight=BOUGHT, position_decay=1.0, half_life_days=1e9, max_actions=1000
        ),
    ),
    PopularConfig(counts="actions"),
)
WEIGHTS = {"again": 1.0, "user_knn": 0.25}
Lists = Callable[["Baskets"], NDArray[np.int32]]  # (n_shoppers, AT)


class Baskets:
    """Baskets as orders a day apart, and what is asked: the basket after them."""

    def __init__(self, bought: pl.DataFrame, asked: pl.DataFrame) -> None:
        ids = {
            name: pl.concat([bought[name], asked[name]]).unique().sort()
            for name in ("user", "item")
        }
        self.n_shoppers, self.n_items = len(ids["user"]), len(ids["item"])
        shopper, item = (
            np.searchsorted(ids[name].to_numpy(), bought[name].to_numpy()).astype(np.int32)
            for name in ("user", "item")
        )
        basket = bought["basket"].to_numpy().astype(np.int64)
        last = np.zeros(self.n_shoppers, np.int64)
        np.maximum.at(last, shopper, basket)
        self.now_ms = int(last.max() + 1) * MS_PER_DAY
        day = last.max() - last[shopper] + basket  # everybody's last basket was yesterday
        order = np.lexsort((shopper, day))
        n = len(order)
        codes = np.unique(shopper.astype(np.int64) * 10_000 + basket, return_inverse=True)[1]
        self.log = ActionLog(
            seq=np.arange(1, n + 1),
            at_ms=day[order] * MS_PER_DAY,
            kind=np.full(n, int(ActionKind.purchase), np.uint8),
            shopper_row=shopper[order],
            item_row=item[order],
            order_row=codes[order].astype(np.int32),
            quantity=np.ones(n, np.float32),
            price_micros=np.zeros(n, np.int64),
            value_minor=np.zeros(n, np.int64),
            rating=np.full(n, np.nan, np.float32),
            n_shoppers=self.n_shoppers,
            n_items=self.n_items,
        )
        pairs = np.unique(
            np.searchsorted(ids["user"].to_numpy(), asked["user"].to_numpy()) * self.n_items
            + np.searchsorted(ids["item"].to_numpy(), asked["item"].to_numpy())
        )
        self.wanted = sp.csr_matrix(
            (np.ones(len(pairs)), (pairs // self.n_items, pairs % self.n_items)),
            shape=(self.n_shoppers, self.n_items),
        )

    @property
    def counts(self) -> sp.csr_matrix:
        """How often each shopper bought each item."""
        ones = np.ones(len(self.log), np.float32)
        where = (self.log.shopper_row, self.log.item_row)
        return sp.csr_matrix((ones, where), shape=(self.n_shoppers, self.n_items))


def read_baskets(*, earlier: bool = False) -> Baskets:
    """The published split; ``earlier`` asks for the last basket of the history instead."""
    folder = data_folder() / "tafeng_baskets"
    history = pl.read_parquet(folder / "history.parquet")
    if not earlier:
        return Baskets(history, pl.read_parquet(folder / "future.parquet"))
    last = pl.col("basket") == pl.col("basket").max().over("user")
    return Baskets(history.filter(~last), history.filter(last))


def habitue(weights: dict[str, float]) -> Lists:
    """The whole pipeline, its order written down as a sum."""

    def lists(data: Baskets) -> NDArray[np.int32]:
        config = TrainingConfig(
            sources=SOURCES,
            quotas={"home": {"again": 200, "user_knn": 100, "popular": 50}},
            fusion={"home": FusionConfig(fuse="sum", weights=weights)},
        )
        rows = pl.DataFrame(
            {
                "item_row": np.arange(data.n_items, dtype=np.int32),
                "first_seen_ms": np.zeros(data.n_items, np.int64),
            }
        )
        facts = TrainingFacts(data.log, Catalogue(rows), data.now_ms)
        sources = fit_sources(facts, config, np.random.default_rng(0))
        stats = ItemStats.as_of(data.log, data.now_ms)
        columns = ItemColumns.of(facts.catalogue)
        pipeline = pipeline_of(config, sources, {}, stats, columns, BestFirst())
        index = ShopperIndex.of(data.log)
        found = []
        for first in range(0, data.n_shoppers, BATCH):
            who = np.arange(first, min(first + BATCH, data.n_shoppers), dtype=np.int32)
            now = np.full(len(who), data.now_ms)
            context = contexts_as_of(index, who, now, surface="home", length=300)
            slates = pipeline.recommend(context, AT, np.random.default_rng(0), rebuy=True)
            found.append(slates.item_row)
        return np.concatenate(found)

    return lists


def _top(score_of: Callable[[slice], NDArray[np.float32]], n: int) -> NDArray[np.int32]:
    found = []
    for first in range(0, n, BATCH):
        score = score_of(slice(first, min(first + BATCH, n)))
        found.append(np.argsort(-score, axis=1, kind="stable")[:, :AT])
    return np.concatenate(found).astype(np.int32)


def frequency(data: Baskets) -> NDArray[np.int32]:
    """What each shopper bought most often; popularity breaks ties."""
    popular = np.bincount(data.log.item_row, minlength=data.n_items).astype(np.float32)
    counts = data.counts
    share = popular / (popular.max() * 2)
    return _top(lambda some: counts[some].toarray() + share, data.n_shoppers)


def popularity(data: Baskets) -> NDArray[np.int32]:
    """What is bought most, the same for everybody."""
    popular = np.bincount(data.log.item_row, minlength=data.n_items)
    best = np.argsort(-popular, kind="stable")[:AT]
    return np.tile(best.astype(np.int32), (data.n_shoppers, 1))


def item_knn(data: Baskets) -> NDArray[np.int32]:
    """TF-IDF item-kNN by ``implicit`` over counts, items bought before included."""
    from implicit.nearest_neighbours import TFIDFRecommender

    model = TFIDFRecommender(K=100, num_threads=1)
    model.fit(data.counts, show_progress=False)
    similarity, counts = model.similarity.tocsr(), data.counts
    return _top(lambda some: (counts[some] @ similarity).toarray(), data.n_shoppers)


def judged(data: Baskets, items: NDArray[np.int32]) -> tuple[float, float, float]:
    """Recall, NDCG and hit rate at 10."""
    wanted = data.wanted
    count = np.diff(wanted.indptr).astype(np.int64)
    hits = hits_of(items, wanted.indptr.astype(np.int64), wanted.indices.astype(np.int32))
    asked = np.flatnonzero(count)
    each = (recall(hits, count), ndcg(hits, count), hits.any(axis=1).astype(np.float64))
    found = [float(np.asarray(one)[asked].mean()) for one in each]
    return found[0], found[1], found[2]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true", help="choose the weight anew")
    console = Console(width=120)
    if parser.parse_args().tune:
        data = read_baskets(earlier=True)
        for weight in (0.1, 0.2, 0.25, 0.3, 0.5, 1.0):
            found = judged(data, habitue({"again": 1.0, "user_knn": weight})(data))
            console.print(f"user_knn {weight}: recall {found[0]:.4f}")
        return
    data = read_baskets()
    rows: dict[str, Lists] = {
        "Habitué: again + 0.25 user_knn": habitue(WEIGHTS),
        "Habitué: again": habitue({"again": 1.0}),
        "Habitué: user_knn": habitue({"user_knn": 1.0}),
        "personal top-frequency": frequency,
        "item-kNN (implicit)": item_knn,
        "popularity": popularity,
    }
    table = Table(title=f"Ta-Feng, the next basket: {data.n_shoppers:,} shoppers")
    for name in ("", "recall@10", "NDCG@10", "hit rate@10", "CPU-s", "peak MB so far"):
        table.add_column(name, justify="left" if not name else "right")
    for name, lists in rows.items():
        started = time.process_time()
        found = judged(data, lists(data))
        spent = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        table.add_row(name, *(f"{one:.4f}" for one in found), f"{spent:.1f}", f"{peak:,.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
