"""Shops without purchases by default: ratings, likes and sign-ups beside what merely counts.

    python -m benchmarks.meaning [--seeds 3] [--only rate|like|sign_up]

MovieLens 100K as ratings of whatever height, as likes (four stars and more), and Last.fm listeners
who tag an artist for the first time, told as sign-ups. The default training, as ``habitue
evaluate`` asks it: learnt up to the last 28 days, asked what known shoppers take in them and never
took before. No setting was tried on any of the three.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
import polars as pl
from rich.console import Console

from benchmarks.online_retail import _dense
from habitue.app.asking import pipeline_trained
from habitue.app.judging import held_out_span
from habitue.candidates.popular import PopularConfig, PopularLearner
from habitue.evaluation.replay import Lister, by_score, lists_of, through
from habitue.evaluation.report import (
    EvaluationConfig,
    Measured,
    Report,
    measure_lists,
    report_of,
)
from habitue.evaluation.splits import by_time
from habitue.facts import ActionKind, ActionLog, Item
from habitue.training.config import TrainingConfig
from habitue.training.dataset import NEVER_MS, ItemVersions, ShopFacts
from habitue.training.train import Trained, train
from habitue.training.understood import understood
from tests.needs import data_folder


def facts_from(acts: pl.DataFrame, kind: ActionKind) -> ShopFacts:
    """Actions of one kind (columns shopper, item, at_ms, and rating where there is one)."""
    acts = acts.sort("at_ms", "shopper", "item")
    n, shopper, item = acts.height, _dense(acts, "shopper"), _dense(acts, "item")
    first = acts.group_by("item", maintain_order=True).first()
    rating = acts["rating"].cast(pl.Float32).to_numpy() if "rating" in acts.columns else None
    log = ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=acts["at_ms"].to_numpy(),
        kind=np.full(n, int(kind), np.uint8),
        shopper_row=shopper,
        item_row=item,
        order_row=np.full(n, -1, np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32) if rating is None else rating,
        n_shoppers=int(shopper.max()) + 1,
        n_items=int(item.max()) + 1,
    )
    described = ["title", "product_type"]
    bodies = [
        msgspec.json.encode(Item(id=str(row["item"]), title=row["title"],
                                 product_type=row["product_type"])).decode()
        for row in first.select("item", *described).iter_rows(named=True)
    ]  # fmt: skip
    versions = ItemVersions(
        np.arange(len(first), dtype=np.int32),
        first["at_ms"].to_numpy() - 1,
        np.zeros(len(first), np.bool_),
        bodies,
        [str(one) for one in first["item"]],
    )
    return ShopFacts(log, np.full(n, NEVER_MS, np.int64), versions, n)


def ratings() -> pl.DataFrame:
    """MovieLens 100K."""
    folder = data_folder() / "movielens_100k"
    films = pl.read_parquet(folder / "ml-100k.item.parquet").select(
        item=pl.col("item_id:token").cast(pl.String), title="movie_title:token_seq",
        product_type=pl.col("class:token_seq").str.split(" ").list.first(),
    )  # fmt: skip
    return (
        pl.read_parquet(folder / "ml-100k.inter.parquet")
        .select(
            shopper="user_id:token", item=pl.col("item_id:token").cast(pl.String),
            rating="rating:float",
            at_ms=pl.col("timestamp:float").cast(pl.Int64) * 1000,
        )
        .join(films, on="item", how="left")
    )  # fmt: skip


def likes() -> pl.DataFrame:
    """The same films where they got four stars and more."""
    return ratings().filter(pl.col("rating") >= 4).drop("rating")


def sign_ups() -> pl.DataFrame:
    """Last.fm: when a listener tagged an artist for the first time."""
    folder = data_folder() / "lastfm_hetrec"
    artists = pl.read_parquet(folder / "artists.parquet").select(
        item="id", title="name", product_type=pl.lit(None, pl.String)
    )
    return (
        pl.read_parquet(folder / "user_taggedartists.parquet")
        .select(
            shopper="userID", item="artistID",
            at_ms=pl.datetime("year", "month", "day").dt.epoch("ms"),
        )
        .filter(pl.col("at_ms") > 1_104_537_600_000)  # a few are dated before there was Last.fm
        .group_by("shopper", "item").agg(pl.col("at_ms").min())
        .join(artists, on="item", how="left")
    )  # fmt: skip


SHOPS: dict[str, tuple[Callable[[], pl.DataFrame], ActionKind]] = {
    "rate": (ratings, ActionKind.rate),
    "like": (likes, ActionKind.like),
    "sign_up": (sign_ups, ActionKind.sign_up),
}


def lister(trained: Trained) -> Lister:
    """The whole pipeline, showing the best."""
    return through(pipeline_trained(trained))


def run(name: str, seed: int, console: Console) -> Report:
    """The default training as it was and as it is, and every source alone, on one span."""
    read_shop, kind = SHOPS[name]
    told = facts_from(read_shop(), kind)
    plain = TrainingConfig(evaluate=False)
    facts, config = understood(told, plain, (ActionKind.purchase,))
    cut, until = held_out_span(facts, config)
    judged = EvaluationConfig(length=config.recent_length)
    measured: list[Measured] = []
    asked = {
        "habitue": (facts, config, ActionKind.purchase), "as it was": (told, plain, kind),
    }  # fmt: skip
    for label, (known, settings, wanted) in asked.items():
        held = by_time(known.log, cut, until, kinds=(wanted,), repurchase=False)
        began = time.process_time()
        trained = train(known, settings, rng=np.random.default_rng(seed), now_ms=cut)
        spent = time.process_time() - began
        console.print(f"{name}, {label}: {spent:.1f} CPU-s; learnt orders: {[*trained.rankers]}")
        listers = {label: lister(trained)}
        if label == "habitue":
            listers["the same, not learnt"] = lister(replace(trained, rankers={}))
            if trained.choice is not None:
                console.print(f"  {trained.choice}")
            ever = PopularLearner(PopularConfig(name="all-time popularity", counts="actions"))
            alone = [*trained.sources, ever.fit(facts.as_of(cut), np.random.default_rng(seed))]
            listers |= {source.name: by_score(source) for source in alone}
        for one, answers in listers.items():
            rows = lists_of(
                held, answers, judged.n, np.random.default_rng(seed), length=judged.length
            )
            measured.append(measure_lists(held, one, rows))
    whole = {*asked, "the same, not learnt"}
    of_sources = [one for one in measured if one.name not in whole]
    best = max(of_sources, key=lambda one: float(one.per_question["ndcg@10"].mean()))
    against = (best.name, "all-time popularity")
    return report_of(held, measured, np.random.default_rng(seed), judged, against=against)


def main() -> None:
    """Print a table for each shop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=tuple(SHOPS))
    arguments = parser.parse_args()
    console = Console(width=180)
    for name in [arguments.only] if arguments.only else SHOPS:
        for seed in range(arguments.seeds):
            report = run(name, seed, console)
            console.print(report.table(("ndcg", "recall", "coverage")))


if __name__ == "__main__":
    main()
