"""One order of what several scorers propose, learnt where the answers are known.

Each scorer proposes its best items for a request; a boosted order (``LambdaMartLearner``) reads
what every scorer says of them. Requests are read in batches, so that no matrix of all requests and
all items is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.metrics import bootstrap_mean
from habitue.ranking.lambdamart import (
    LambdaMartConfig,
    LambdaMartLearner,
    LambdaMartRanker,
    RankingSet,
)

PROPOSED = 100  # candidates of each scorer that the order chooses from
ORDER = LambdaMartConfig(
    rounds=250, leaves=31, learning_rate=0.05, min_leaf_rows=200, truncation=10, feature_share=0.6
)
WRONG_KEPT = 0.34  # a third of the wrong ones is enough to tell right from wrong

Columns = list[NDArray[np.generic]]
Scores = Callable[[slice], NDArray[np.float32]]  # requests -> (B, n_items), -inf where barred
Beside = Callable[[slice, NDArray[np.intp], NDArray[np.intp]], Columns]
"""Requests, and of each candidate the place of its request among them and its item -> columns."""


@dataclass(frozen=True)
class Candidates:
    """What was proposed for some requests, request after request."""

    requests: slice
    x: NDArray[np.float32]  # (n_rows, n_features)
    item: NDArray[np.intp]  # (n_rows,)
    row: NDArray[np.intp]  # (n_rows,) the place of the request among these

    @property
    def n(self) -> int:
        """How many requests these are."""
        return self.requests.stop - self.requests.start

    def right(self, target: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which rows are what was asked for, of a ``target`` (n_requests,) of all requests."""
        return self.item == target[self.requests][self.row]


def candidates(
    scorers: Sequence[Scores], batches: Iterable[slice], beside: Beside
) -> Iterator[Candidates]:
    """The union of the best items of each scorer, with what all of them say of it.

    Of each scorer: the score, the place among its best, and how far below its best the score is;
    then what stands ``beside``.
    """
    for some in batches:
        every = [scores(some) for scores in scorers]
        chosen = np.zeros(every[0].shape, np.bool_)
        places = []
        for score in every:
            best = _best(score)
            place = np.full(score.shape, PROPOSED, np.float32)
            np.put_along_axis(place, best, np.arange(PROPOSED, dtype=np.float32)[None, :], 1)
            np.put_along_axis(chosen, best, np.ones((1, 1), np.bool_), 1)
            places.append(place)
        chosen &= np.isfinite(every[0])
        row, item = np.nonzero(chosen)
        top = [score.max(axis=1)[row] for score in every]
        columns: Columns = [score[row, item] for score in every]
        columns += [place[row, item] for place in places]
        columns += [score[row, item] - best for score, best in zip(every, top, strict=True)]
        columns += beside(some, row, item)
        yield Candidates(some, np.stack(columns, axis=1).astype(np.float32), item, row)


def learn(
    found: Iterable[Candidates],
    target: NDArray[np.int32],
    seed: int,
    config: LambdaMartConfig = ORDER,
) -> LambdaMartRanker:
    """The order in which what was asked for stands as high as can be."""
    rng, told = np.random.default_rng(seed), []
    for one in found:
        right = one.right(target)
        answered = np.bincount(one.row, right, minlength=one.n) > 0
        kept = right | (rng.random(len(right)) < WRONG_KEPT)
        kept &= answered[one.row]
        names = tuple(f"f{c}" for c in range(one.x.shape[1]))
        size = np.bincount(one.row[kept], minlength=one.n)[answered]
        told.append(RankingSet(one.x[kept], right[kept].astype(np.int8) * 3, size, names))
    return LambdaMartLearner(config).fit(RankingSet.joined(told), np.random.default_rng(seed))


def fused_ranks(
    found: Iterable[Candidates], target: NDArray[np.int32], ranker: LambdaMartRanker
) -> NDArray[np.float64]:
    """The rank of what was asked for, ties at the mean; infinite where nobody proposed it."""
    ranks = []
    for one in found:
        score, right = ranker.forest.predict(one.x), one.right(target)
        own = np.full(one.n, np.nan, np.float32)
        own[one.row[right]] = score[right]
        better = np.bincount(one.row, score > own[one.row], minlength=one.n)
        equal = np.bincount(one.row, score == own[one.row], minlength=one.n) - 1
        ranks.append(np.where(np.isnan(own), np.inf, 1.0 + better + 0.5 * equal))
    return np.concatenate(ranks)


def interval(gain: NDArray[np.float64], group: NDArray[np.integer] | None = None) -> str:
    """The mean ``gain`` with its 95 % interval, by a bootstrap over each or over the groups."""
    found = bootstrap_mean(gain, np.random.default_rng(0), group=group)
    return f"{found.estimate:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _best(score: NDArray[np.float32]) -> NDArray[np.intp]:
    """The columns of the best scores of each row, best first."""
    best = np.argpartition(-score, PROPOSED, axis=1)[:, :PROPOSED]
    order = np.argsort(-np.take_along_axis(score, best, 1), axis=1)
    return np.take_along_axis(best, order, 1)
