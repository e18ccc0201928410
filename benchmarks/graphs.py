"""LightGCN, GraphSAGE and GAT beside ALS, leave-one-out, on Amazon Beauty and Amazon as a graph.

    python -m benchmarks.graphs [--data beauty|hin] [--only NAME ...] [--validate] [--seed N]

The protocol is that of ``leave_one_out``: fitted on the training part, full catalogue, seen items
excluded, ties at mean rank, shoppers known by their profile alone. Every setting was chosen on the
validation item (tried_graph.md). Amazon's ratings tell days: those of one day stand in a seeded
random order.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.beauty import ALS, GRAPH
from benchmarks.behaviour import beauty, ranks
from benchmarks.leave_one_out import Scores, Shoppers, contexts, shoppers_of, training_facts
from habitue.candidates.contract import Source
from habitue.candidates.graph_config import GatConfig, GraphSageConfig
from habitue.candidates.roster import SourceConfig, learner_of, warm
from habitue.facts import NO_ROW, Catalogue
from habitue.metrics.ranks import hit_of_rank, ndcg_of_rank
from habitue.portraits import pick
from tests.needs import data_folder

SAGE = GRAPH.model_copy(update={"name": "graphsage", "network": GraphSageConfig()})
GAT = GRAPH.model_copy(update={"name": "gat", "network": GatConfig()})
BEAUTY: dict[str, SourceConfig] = {"als": ALS, "lightgcn": GRAPH, "graphsage": SAGE, "gat": GAT}
HIN: dict[str, SourceConfig] = dict(BEAUTY)


def hin() -> Shoppers:
    """Amazon's ratings as wants, items told by brand, categories and what is viewed with them."""
    folder = data_folder() / "amazon_hin"
    acts = pl.read_parquet(folder / "user_item.parquet").sample(fraction=1.0, shuffle=True, seed=0)
    acts = acts.sort("user", "timestamp", maintain_order=True)
    length = acts.group_by("user", maintain_order=True).len()["len"].to_numpy()
    n_items = int(acts["item"].to_numpy().max()) + 1
    told = pl.concat(
        pl.read_parquet(folder / f"item_{side}.parquet").select(
            "item", word=pl.lit(side) + pl.col(side).cast(pl.String)
        )
        for side in ("brand", "category", "view")
    )
    words = dict(told.group_by("item").agg(pl.col("word").sort().str.join(" ")).iter_rows())
    return shoppers_of(
        acts["item"].to_numpy().astype(np.int32),
        length.astype(np.int64),
        acts["timestamp"].to_numpy().astype(np.int64) * 1000,
        catalogue_of([words.get(item, "") for item in range(n_items)]),
    )


def catalogue_of(titles: list[str]) -> Catalogue:
    """Items of which nothing is told but these words."""
    return Catalogue(
        pl.DataFrame(
            {
                "item_row": np.arange(len(titles), dtype=np.int32),
                "id": [f"item-{row}" for row in range(len(titles))],
                "title": titles,
            }
        )
    )


def scores_of(model: Source, data: Shoppers) -> Scores:
    """The source's scores of every item for shoppers known by their profile alone."""
    everyone = contexts(data)
    everyone = replace(everyone, shopper_row=np.full(data.n_shoppers, NO_ROW, np.int32))
    rows = np.arange(data.n_items, dtype=np.int32)

    def scores(shoppers: slice) -> NDArray[np.float32]:
        context = pick(everyone, np.arange(shoppers.start, shoppers.stop))
        return model.score(context, np.broadcast_to(rows, (len(context), len(rows))))

    return scores


DATA: dict[str, tuple[Callable[[], Shoppers], dict[str, SourceConfig]]] = {
    "beauty": (lambda: beauty()[0], BEAUTY),
    "hin": (hin, HIN),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="beauty")
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate", action="store_true", help="the validation items alone")
    arguments = parser.parse_args()
    warm()
    read, configs = DATA[arguments.data]
    data = read()
    facts = training_facts(data)
    console = Console(width=110)
    table = Table(title=f"{arguments.data}: {data.n_shoppers} shoppers, {data.n_items} items")
    for name in ("", "validation NDCG@10", "NDCG@10", "Recall@10", "Recall@20", "fit CPU-s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, config in configs.items():
        if arguments.only and name not in arguments.only:
            continue
        started = time.process_time()
        model = learner_of(config).fit(facts, np.random.default_rng(arguments.seed))
        spent = time.process_time() - started
        told = [f"{ndcg_of_rank(rank_of(model, data, 2), 10).mean():.4f}"]
        if not arguments.validate:
            rank = rank_of(model, data, 1)
            told += [f"{ndcg_of_rank(rank, 10).mean():.4f}"]
            told += [f"{hit_of_rank(rank, n).mean():.4f}" for n in (10, 20)]
        table.add_row(name, *told, *[""] * (4 - len(told)), f"{spent:.1f}")
        console.print(table)


def rank_of(model: Source, data: Shoppers, asked: int) -> NDArray[np.float64]:
    """The rank of each shopper's item when ``asked`` items are held out."""
    return ranks(data, scores_of(model, replace(data, asked=asked)), asked)


if __name__ == "__main__":
    main()
