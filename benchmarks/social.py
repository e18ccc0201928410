"""Yelp with its friendships: what the source ``social`` adds to the pipeline for newcomers.

    python -m benchmarks.social [--seeds 3] [--validate]

Of all ratings 30 % at random, drawn anew with each seed, are the test part; an eighth of the others
teaches the order, and the sources are fitted on what is left. Asked are shoppers with at most five
actions outside the test part, with friends, and with something in it: all items are ranked but
those a shopper has. The data has no time, so nothing here can tell before from after. Intervals
are paired bootstraps over shoppers. ``--validate`` looks at the teaching part alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.timeless import Question, Ratings, interval, learnt_order
from habitue.candidates.als import AlsConfig
from habitue.candidates.content import ContentConfig
from habitue.candidates.item_knn import ItemKnnConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.candidates.social import SocialConfig
from habitue.candidates.user_knn import UserKnnConfig
from habitue.facts import Catalogue, Links
from tests.needs import data_folder

RATED = {"rate": 1.0}
EVEN = ProfileConfig(kind_weight=RATED, position_decay=1.0, half_life_days=1e9)
PIPELINE: dict[str, SourceConfig] = {
    "popular": PopularConfig(counts="buyers", kinds=("rate",)),
    "item_knn": ItemKnnConfig(kind_weight=RATED, profile=EVEN),
    "user_knn": UserKnnConfig(kind_weight=RATED, profile=EVEN, shoppers_per_item=20_000),
    "als": AlsConfig(kind_weight=RATED, factors=64),
    "content": ContentConfig(profile=EVEN),
}
SOCIAL = SocialConfig(kind_weight=RATED)
ASKED_AT_MOST = 5


class Yelp(Ratings):
    """Ratings without a time, friendships, and what is told of businesses."""

    def __init__(self) -> None:
        folder = data_folder() / "yelp_social_hin"
        if not folder.exists():
            sys.exit(f"{folder} is not there: set HABITUE_DATA to the folder of the data sets")
        rated = pl.read_parquet(folder / "user_business.parquet").unique(
            ["user", "business"], maintain_order=True
        )
        ties = pl.read_parquet(folder / "user_user.parquet")
        self.shopper = rated["user"].to_numpy().astype(np.int32) - 1
        self.item = rated["business"].to_numpy().astype(np.int32) - 1
        self.n_items = int(self.item.max()) + 1
        one, other = (ties[end].to_numpy().astype(np.int32) - 1 for end in ("user", "friend"))
        self.n_shoppers = int(max(self.shopper.max(), one.max(), other.max())) + 1
        pairs = np.unique(np.stack([np.append(one, other), np.append(other, one)]), axis=1)
        n = pairs.shape[1]
        self.links = Links(pairs[0], pairs[1], np.ones(n, np.float32), np.zeros(n, np.int64))
        self.befriended = np.bincount(pairs[0], minlength=self.n_shoppers) > 0
        said = [
            pl.read_parquet(folder / f"business_{side}.parquet").select(
                item_row=pl.col("business").cast(pl.Int32) - 1,
                word=pl.lit(side) + pl.col(side).cast(pl.String),
            )
            for side in ("category", "city")
        ]
        words = pl.concat(said).group_by("item_row").agg(title=pl.col("word").sort().str.join(" "))
        rows = pl.DataFrame({"item_row": np.arange(self.n_items, dtype=np.int32)})
        frame = rows.join(words, on="item_row", how="left", maintain_order="left")
        self.catalogue = Catalogue(
            frame.with_columns(
                pl.col("item_row").cast(pl.String).alias("id"),
                *(pl.lit(None, pl.String).alias(name) for name in
                  ("description", "brand", "product_type", "attributes")),
                pl.lit(None, pl.Int64).alias("price_micros"),
            )
        )  # fmt: skip


def main() -> None:
    """Print each seed's table, and the gain over all seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validate", action="store_true", help="the sources on the teaching part")
    arguments = parser.parse_args()
    console, data = Console(width=100), Yelp()
    gains: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for seed in range(arguments.seeds):
        lot = np.random.RandomState(seed).permutation(len(data.item))
        n_test = int(len(lot) * 0.3)
        test, rest = lot[:n_test], lot[n_test:]
        teach, fit = rest[: len(rest) // 8], rest[len(rest) // 8 :]
        few = np.bincount(data.shopper[rest], minlength=data.n_shoppers) <= ASKED_AT_MOST
        few &= data.befriended
        taught = Question(data, fit, teach, data.among(teach, few))
        asked = Question(data, rest, test, data.among(test, few))
        facts = data.facts(fit)
        scores, spent = {}, {}
        for name, config in {**PIPELINE, "social": SOCIAL}.items():
            started = time.process_time()
            source = learner_of(config).fit(facts, np.random.default_rng(seed))
            spent[name] = time.process_time() - started
            scores[name] = (taught.scores(source), asked.scores(source))
        table = Table(title=f"Yelp, seed {seed}: {len(asked.seen)} newcomers with friends")
        for name in ("", "NDCG@10, teaching part", "NDCG@10", "fit CPU-s"):
            table.add_column(name, justify="left" if not name else "right")
        for name, (at_teaching, at_test) in scores.items():
            told = "" if arguments.validate else f"{asked.ndcg(at_test).mean():.4f}"
            table.add_row(
                name, f"{taught.ndcg(at_teaching).mean():.4f}", told, f"{spent[name]:.1f}"
            )
        if not arguments.validate:
            without = {name: both for name, both in scores.items() if name != "social"}
            every, others = (
                asked.ndcg(learnt_order(taught, asked, told, seed)) for told in (scores, without)
            )
            gains.append((every, others))
            for name, found in zip(("all, learnt", "all without social"), gains[-1], strict=True):
                table.add_row(name, "", f"{found.mean():.4f}", "")
        console.print(table)
    if gains:
        every, without_it = (np.concatenate(side) for side in zip(*gains, strict=True))
        console.print(f"social adds {interval(every, without_it)} to the learnt order")


if __name__ == "__main__":
    main()
