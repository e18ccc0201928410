"""Buying again: by cycles of replenishment beside half-lives and own frequency, alone and learnt.

    python -m benchmarks.buy_again [--tune] [--pipeline]

What known customers buy in the weeks after a cut, things bought before included; NDCG and recall at
10. ``--tune`` asks the span before the last, from which every setting was chosen. ``--pipeline``
trains the whole benchmark pipeline of Online Retail with either kind of ``again``.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
from rich.console import Console

from benchmarks.online_retail import AGAIN, END, NOVEMBER, OCTOBER, facts_of_parquet, lister
from habitue.candidates.again import AgainConfig, AgainLearner
from habitue.candidates.contract import TrainingFacts
from habitue.evaluation.replay import by_score
from habitue.evaluation.report import EvaluationConfig, evaluate
from habitue.evaluation.splits import by_time
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog, Catalogue
from habitue.training.train import train
from tests.needs import data_folder

WEEKS = 4
SOURCES = {
    "cycle": AgainConfig(fades="cycle"),
    "half-life 60 days": AgainConfig(fades="half_life"),
    "half-life 200 days": AgainConfig(fades="half_life", half_life_days=200),
    "own frequency": AgainConfig(fades="half_life", half_life_days=1e9),
}


def journey() -> tuple[ActionLog, Catalogue]:
    """The Complete Journey's sample: baskets, and each product's category."""
    folder = data_folder() / "complete_journey"
    lines = pl.read_parquet(folder / "transactions_sample.parquet").sort("transaction_timestamp")
    products = pl.read_parquet(folder / "products.parquet")
    lines = lines.join(products, on="product_id", how="left", maintain_order="left")
    code = {
        name: lines[name].rank("dense").to_numpy().astype(np.int32) - 1
        for name in ("household_id", "product_id", "basket_id")
    }
    n = lines.height
    log = ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=lines["transaction_timestamp"].dt.epoch("ms").to_numpy(),
        kind=np.full(n, int(ActionKind.purchase), np.uint8),
        shopper_row=code["household_id"],
        item_row=code["product_id"],
        order_row=code["basket_id"],
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=int(code["household_id"].max()) + 1,
        n_items=int(code["product_id"].max()) + 1,
    )
    items = lines.unique("product_id", keep="first").sort("product_id")
    frame = items.select(
        pl.arange(pl.len(), dtype=pl.Int32).alias("item_row"),
        pl.col("product_category").alias("product_type"),
        pl.lit(0, pl.Int64).alias("first_seen_ms"),
    )
    return log, Catalogue(frame)


def alone(log: ActionLog, catalogue: Catalogue, cut: int, until: int, console: Console) -> None:
    """Each kind of ``again`` by itself."""
    held = by_time(log, cut, until, repurchase=True)
    facts = TrainingFacts(held.train, catalogue, cut)
    listers = {
        name: by_score(AgainLearner(config).fit(facts, np.random.default_rng(0)))
        for name, config in SOURCES.items()
    }
    judged = EvaluationConfig(length=100)
    report = evaluate(held, listers, np.random.default_rng(2), judged, against=("own frequency",))
    console.print(report.table(("ndcg", "recall", "hit_rate")))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true", help="ask the span before the last")
    parser.add_argument("--pipeline", action="store_true", help="train the whole pipeline too")
    arguments = parser.parse_args()
    console = Console(width=160)
    log, catalogue = journey()
    until = int(log.at_ms[-1]) + 1 - (WEEKS * 7 * MS_PER_DAY if arguments.tune else 0)
    console.print("Complete Journey")
    alone(log, catalogue, until - WEEKS * 7 * MS_PER_DAY, until, console)
    facts = facts_of_parquet(data_folder() / "online_retail" / "online_retail.parquet")
    cut, until = (OCTOBER, NOVEMBER) if arguments.tune else (NOVEMBER, END)
    console.print("Online Retail")
    alone(facts.log, facts.as_of(cut).catalogue, cut, until, console)
    if not arguments.pipeline:
        return
    held = by_time(facts.log, cut, until, repurchase=True)
    listers = {}
    for fades in ("cycle", "half_life"):
        sources = tuple(
            AgainConfig(fades=fades, half_life_days=200) if one.source == "again" else one
            for one in AGAIN.sources
        )
        config = AGAIN.model_copy(update={"sources": sources})
        listers[fades] = lister(train(facts, config, rng=np.random.default_rng(1), now_ms=cut))
    judged = EvaluationConfig(length=AGAIN.recent_length)
    report = evaluate(held, listers, np.random.default_rng(2), judged, against=("half_life",))
    console.print(report.table(("ndcg", "recall", "hit_rate")))


if __name__ == "__main__":
    main()
