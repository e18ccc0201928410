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

from benchmarks.leave_one_out import BATCH
from habitue.candidates.als import AlsConfig
from habitue.candidates.content import ContentConfig
from habitue.candidates.contract import Source, TrainingFacts
from habitue.candidates.item_knn import ItemKnnConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.candidates.social import SocialConfig
from habitue.candidates.user_knn import UserKnnConfig
from habitue.facts import (
    MS_PER_DAY,
    NO_ROW,
    ActionKind,
    ActionLog,
    Catalogue,
    Context,
    Links,
    Owned,
)
from habitue.portraits import pick
from habitue.ranking.lambdamart import LambdaMartConfig, LambdaMartLearner, RankingSet
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
PROPOSED = 100
ASKED_AT_MOST = 5


class Yelp:
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

    def among(self, which: NDArray[np.int64], marked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The marked shoppers with any of those ratings."""
        there = np.bincount(self.shopper[which], minlength=self.n_shoppers) > 0
        return np.flatnonzero(marked & there)

    def facts(self, which: NDArray[np.int64]) -> TrainingFacts:
        """Those ratings as a log of one day."""
        n = len(which)
        log = ActionLog(
            seq=np.arange(1, n + 1),
            at_ms=np.arange(n, dtype=np.int64),
            kind=np.full(n, int(ActionKind.rate), np.uint8),
            shopper_row=self.shopper[which],
            item_row=self.item[which],
            order_row=np.full(n, NO_ROW, np.int32),
            quantity=np.ones(n, np.float32),
            price_micros=np.zeros(n, np.int64),
            value_minor=np.zeros(n, np.int64),
            rating=np.full(n, np.nan, np.float32),
            n_shoppers=self.n_shoppers,
            n_items=self.n_items,
        )
        return TrainingFacts(log, self.catalogue, MS_PER_DAY, self.links)

    def contexts(self, which: NDArray[np.int64], asked: NDArray[np.int64]) -> Context:
        """Requests of the ``asked`` shoppers, who have those ratings."""
        place = np.full(self.n_shoppers, -1)
        place[asked] = np.arange(len(asked))
        row = place[self.shopper[which]]
        mine = np.flatnonzero(row >= 0)
        order = mine[np.argsort(row[mine], kind="stable")]
        at, item = row[order], self.item[which][order]
        count = np.bincount(at, minlength=len(asked))
        recent = np.full((len(asked), max(1, int(count.max(initial=0)))), NO_ROW, np.int32)
        recent[at, np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)] = item
        return Context(
            surface="home",
            now_ms=np.full(len(asked), MS_PER_DAY),
            shopper_row=asked.astype(np.int32),
            recent_item=recent,
            recent_kind=np.full(recent.shape, int(ActionKind.rate), np.uint8),
            recent_age_days=np.ones(recent.shape, np.float32),
            anchor_item=np.empty((len(asked), 0), np.int32),
            owned=Owned.nothing(len(asked)),
        )


class Question:
    """Shoppers, what they have, and what they are asked for."""

    def __init__(
        self,
        data: Yelp,
        had: NDArray[np.int64],
        wanted: NDArray[np.int64],
        asked: NDArray[np.int64],
    ) -> None:
        self.context = data.contexts(had, asked)
        self.seen = self._marks(data, had, asked)
        self.right = self._marks(data, wanted, asked)

    @staticmethod
    def _marks(data: Yelp, which: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.bool_]:
        place = np.full(data.n_shoppers, -1)
        place[asked] = np.arange(len(asked))
        marks = np.zeros((len(asked), data.n_items), np.bool_)
        row = place[data.shopper[which]]
        marks[row[row >= 0], data.item[which][row >= 0]] = True
        return marks

    def scores(self, source: Source) -> NDArray[np.float32]:
        """The source's score of every item for everyone; what they have is out."""
        n, n_items = self.seen.shape
        every = np.arange(n_items, dtype=np.int32)
        parts = []
        for first in range(0, n, BATCH):
            rows = np.arange(first, min(first + BATCH, n))
            asked = np.broadcast_to(every, (len(rows), n_items))
            parts.append(source.score(pick(self.context, rows), asked))
        found = np.concatenate(parts)
        found[self.seen] = -np.inf
        return found

    def ndcg(self, score: NDArray[np.float32]) -> NDArray[np.float64]:
        """NDCG@10 of each shopper; equal scores in a random order, the same for all."""
        lot = np.random.default_rng(0).permutation(score.shape[1])
        order = lot[np.argsort(-score[:, lot], axis=1, kind="stable")[:, :10]]
        gain = np.take_along_axis(self.right, order, axis=1) / np.log2(np.arange(10) + 2)
        best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(10) + 2))])
        return np.asarray(gain.sum(axis=1) / best[np.minimum(self.right.sum(axis=1), 10)])


def table_of(
    question: Question, scores: list[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features, shopper and item of all that is proposed by any of these sources."""
    chosen, places = np.zeros(question.seen.shape, np.bool_), []
    for score in scores:
        order = np.argsort(-score, axis=1, kind="stable")[:, :PROPOSED]
        place = np.full(score.shape, PROPOSED, np.float32)
        np.put_along_axis(place, order, np.arange(PROPOSED, dtype=np.float32)[None, :], 1)
        spoken = np.take_along_axis(score, order, 1) > 0
        np.put_along_axis(chosen, order, spoken | np.take_along_axis(chosen, order, 1), 1)
        places.append(place)
    row, item = np.nonzero(chosen & ~question.seen)
    had = question.seen.sum(axis=1)
    columns = [score[row, item] for score in scores] + [place[row, item] for place in places]
    columns += [score[row, item] / np.maximum(score.max(axis=1), 1e-9)[row] for score in scores]
    return np.stack([*columns, had[row]], axis=1).astype(np.float32), row, item


def learnt_order(
    taught: Question, asked: Question, scores: dict[str, tuple[NDArray[np.float32], ...]], seed: int
) -> NDArray[np.float64]:
    """NDCG@10 of each shopper by the order learnt on the teaching part from these sources."""
    x, row, item = table_of(taught, [of_both[0] for of_both in scores.values()])
    grade = taught.right[row, item].astype(np.int8) * 3
    answered = np.bincount(row, grade, minlength=len(taught.seen)) > 0
    kept = answered[row]
    kept &= (grade > 0) | (np.random.default_rng(seed).random(len(kept)) < 0.34)
    size = np.bincount(row[kept], minlength=len(answered))
    config = LambdaMartConfig(
        rounds=150, leaves=15, learning_rate=0.05, min_leaf_rows=200, truncation=10,
        feature_share=0.6, threads=1,
    )  # fmt: skip
    told = RankingSet(
        x[kept], grade[kept], size[answered], tuple(f"f{c}" for c in range(x.shape[1]))
    )
    ranker = LambdaMartLearner(config).fit(told, np.random.default_rng(seed))
    x, row, item = table_of(asked, [of_both[1] for of_both in scores.values()])
    out = np.full(asked.seen.shape, -np.inf, np.float32)
    out[row, item] = ranker.forest.predict(x)
    return asked.ndcg(out)


def interval(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """The gain of ``a`` over ``b`` in per cent, with its 95 % interval."""
    rng, n = np.random.default_rng(0), len(a)
    drawn = [rng.integers(0, n, n) for _ in range(2000)]
    ratio = [a[rows].mean() / b[rows].mean() - 1 for rows in drawn]
    low, high = np.quantile(ratio, [0.025, 0.975])
    return f"{a.mean() / b.mean() - 1:+.1%} [{low:+.1%}, {high:+.1%}]"


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
            learnt = [learnt_order(taught, asked, told, seed) for told in (scores, without)]
            gains.append((learnt[0], learnt[1]))
            for name, found in zip(("all, learnt", "all without social"), gains[-1], strict=True):
                table.add_row(name, "", f"{found.mean():.4f}", "")
        console.print(table)
    if gains:
        every, without_it = (np.concatenate(side) for side in zip(*gains, strict=True))
        console.print(f"social adds {interval(every, without_it)} to the learnt order")


if __name__ == "__main__":
    main()
