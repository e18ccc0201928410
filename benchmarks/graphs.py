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
from benchmarks.leave_one_out import (
    Fit,
    Scores,
    Shoppers,
    als,
    contexts,
    shoppers_of,
    training_facts,
)
from habitue.candidates.contract import Source
from habitue.candidates.graph_config import GatConfig, GraphSageConfig
from habitue.candidates.roster import SourceConfig, learner_of, warm
from habitue.facts import NO_ROW, Catalogue
from habitue.metrics.ranks import hit_of_rank, ndcg_of_rank
from habitue.portraits import pick
from tests.needs import data_folder

SAGE = GRAPH.model_copy(update={"name": "graphsage", "network": GraphSageConfig(), "epochs": 5})
GAT = SAGE.model_copy(update={"name": "gat", "network": GatConfig()})
GRAPHS: dict[str, SourceConfig] = {"lightgcn": GRAPH, "graphsage": SAGE, "gat": GAT}
FEW = {"max_recent": 20}  # actions looked at: with the decay, what is further off says nothing
HIN_ALS = ALS.model_copy(update={"alpha": 10.0, "regularisation": 30.0})
ROWS: dict[str, dict[str, SourceConfig | Fit]] = {
    "beauty": {"als": ALS, "als, forgetting": als(256, 0.1, 40.0, 0.7), **GRAPHS},
    "hin": {
        "als": HIN_ALS,
        "als, forgetting": als(256, 30.0, 11.0, 0.7),
        **{name: config.model_copy(update=FEW) for name, config in GRAPHS.items()},
    },
}
"""Sources by their config, and ``implicit``'s ALS asked with a profile that forgets."""


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


def asked_how(
    row: SourceConfig | Fit, data: Shoppers, seed: int
) -> tuple[Callable[[int], NDArray[np.float64]], float]:
    """The ranks of the items asked for when so many are held out; the CPU-seconds of fitting."""
    started = time.process_time()
    if callable(row):
        row(data)
        spent = time.process_time() - started
        return lambda asked: ranks(data, row(replace(data, asked=asked)), asked), spent
    model = learner_of(row).fit(training_facts(data), np.random.default_rng(seed))
    spent = time.process_time() - started
    return lambda asked: ranks(data, scores_of(model, replace(data, asked=asked)), asked), spent


DATA: dict[str, Callable[[], Shoppers]] = {"beauty": lambda: beauty()[0], "hin": hin}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="beauty")
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate", action="store_true", help="the validation items alone")
    arguments = parser.parse_args()
    warm()
    data = DATA[arguments.data]()
    table = Table(title=f"{arguments.data}: {data.n_shoppers} shoppers, {data.n_items} items")
    for name in ("", "validation NDCG@10", "NDCG@10", "Recall@10", "Recall@20", "fit CPU-s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, row in ROWS[arguments.data].items():
        if arguments.only and name not in arguments.only:
            continue
        ranks_of, spent = asked_how(row, data, arguments.seed)
        told = [f"{ndcg_of_rank(ranks_of(2), 10).mean():.4f}", "", "", ""]
        if not arguments.validate:
            rank = ranks_of(1)
            told[1] = f"{ndcg_of_rank(rank, 10).mean():.4f}"
            told[2:] = [f"{hit_of_rank(rank, n).mean():.4f}" for n in (10, 20)]
        table.add_row(name, *told, f"{spent:.1f}")
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
