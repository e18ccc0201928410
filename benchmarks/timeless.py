"""Ratings that have no time: who likes what as a set, split at random, asked of every item.

Sources are fitted on one part, a learnt order on a second, and both are asked for a third. All
items are ranked but those a shopper has.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.leave_one_out import BATCH, plain_log
from habitue.candidates.contract import Source, TrainingFacts
from habitue.facts import (
    MS_PER_DAY,
    NO_ROW,
    ActionKind,
    Catalogue,
    Context,
    Links,
    Owned,
    Triples,
)
from habitue.portraits import pick
from habitue.ranking.lambdamart import LambdaMartConfig, LambdaMartLearner, RankingSet

PROPOSED = 100


class Ratings:
    """Pairs of shopper and item, and what is told of both."""

    shopper: NDArray[np.int32]  # (N,)
    item: NDArray[np.int32]  # (N,)
    n_shoppers: int
    n_items: int
    catalogue: Catalogue
    links: Links | None = None
    triples: Triples | None = None

    def among(self, which: NDArray[np.int64], marked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The marked shoppers with any of those ratings."""
        there = np.bincount(self.shopper[which], minlength=self.n_shoppers) > 0
        return np.flatnonzero(marked & there)

    def facts(self, which: NDArray[np.int64]) -> TrainingFacts:
        """Those ratings as a log of one day."""
        log = plain_log(
            ActionKind.rate, np.arange(len(which), dtype=np.int64), self.shopper[which],
            self.item[which], n_shoppers=self.n_shoppers, n_items=self.n_items,
        )  # fmt: skip
        return TrainingFacts(log, self.catalogue, MS_PER_DAY, self.links, self.triples)

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
        data: Ratings,
        had: NDArray[np.int64],
        wanted: NDArray[np.int64],
        asked: NDArray[np.int64],
    ) -> None:
        self.context = data.contexts(had, asked)
        self.seen = self._marks(data, had, asked)
        self.right = self._marks(data, wanted, asked)

    @staticmethod
    def _marks(
        data: Ratings, which: NDArray[np.int64], asked: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
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

    def recall(self, score: NDArray[np.float32], n: int = 20) -> NDArray[np.float64]:
        """Recall@n of each shopper; equal scores in a random order, the same for all."""
        hits = np.take_along_axis(self.right, _order(score, n), axis=1).sum(axis=1)
        return np.asarray(hits / np.maximum(self.right.sum(axis=1), 1))

    def ndcg(self, score: NDArray[np.float32]) -> NDArray[np.float64]:
        """NDCG@10 of each shopper; equal scores in a random order, the same for all."""
        gain = np.take_along_axis(self.right, _order(score, 10), axis=1) / np.log2(
            np.arange(10) + 2
        )
        best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(10) + 2))])
        return np.asarray(gain.sum(axis=1) / best[np.minimum(self.right.sum(axis=1), 10)])


def _order(score: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """The ``n`` best items of each row; equal ones in a random order."""
    lot = np.random.default_rng(0).permutation(score.shape[1])
    return np.asarray(lot[np.argsort(-score[:, lot], axis=1, kind="stable")[:, :n]])


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
) -> NDArray[np.float32]:
    """The score of every item for everyone asked, as learnt on the teaching part from sources."""
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
    return out


def interval(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """The gain of ``a`` over ``b`` in per cent, with its 95 % interval."""
    rng, n = np.random.default_rng(0), len(a)
    drawn = [rng.integers(0, n, n) for _ in range(2000)]
    ratio = [a[rows].mean() / b[rows].mean() - 1 for rows in drawn]
    low, high = np.quantile(ratio, [0.025, 0.975])
    return f"{a.mean() / b.mean() - 1:+.1%} [{low:+.1%}, {high:+.1%}]"
