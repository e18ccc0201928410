"""Requests of the past with what became of them: the ranker's lessons, cut so that nothing leaks.

A window has a cut: sources and item statistics know what lay before it, labels are what came after.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source, TrainingFacts
from habitue.facts import ActionKind, ActionLog, Context
from habitue.portraits import ItemColumns, ItemStats, ItemStatsConfig, ShopperIndex, pick
from habitue.ranking.feature_kernels import request_norms
from habitue.ranking.features import FeatureMaker
from habitue.ranking.lambdamart import RankingSet
from habitue.ranking.proposed import Proposed
from habitue.slates.pipeline import gather, gather_proposed

__all__ = ["GRADE_OF_KIND", "Answers", "Moments", "Window", "answers_after", "lessons", "window_of"]

GRADE_OF_KIND = np.zeros(256, np.int8)
GRADE_OF_KIND[[int(ActionKind.view_item), int(ActionKind.select_item)]] = 1
GRADE_OF_KIND[
    [int(ActionKind.add_to_cart), int(ActionKind.add_to_wishlist), int(ActionKind.like)]
] = 2
GRADE_OF_KIND[int(ActionKind.purchase)] = 3
"""How good an answer each kind of action is: 0 nothing, 1 looked at, 2 put aside, 3 bought."""

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Answers:
    """The best answer of each request to each item: pairs in ascending order of their key."""

    key: NDArray[np.int64]  # (n,) request << 32 | item_row
    grade: NDArray[np.int8]  # (n,)

    def of(self, request: NDArray[np.int64], item_row: NDArray[np.int32]) -> NDArray[np.int8]:
        """The grade of each item (B, m) for its request (B,); 0 where there was no answer."""
        if not len(self.key):
            return np.zeros(item_row.shape, np.int8)
        key = (request[:, None] << 32) | np.maximum(item_row, 0).astype(np.int64)
        where = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        hit = (self.key[where] == key) & (item_row >= 0)
        return np.where(hit, self.grade[where], 0).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Moments:
    """Requests of one surface in order of time, and what became of each."""

    context: Context
    answers: Answers
    shown: NDArray[np.int32] | None = None  # (B, n) the slates themselves, where they are known


def answers_after(
    index: ShopperIndex,
    shopper_row: NDArray[np.int32],
    since_ms: NDArray[np.int64],
    until_ms: NDArray[np.int64],
) -> Answers:
    """What each shopper did from its ``since_ms`` on and before its ``until_ms``: all (B,)."""
    start = index.before(shopper_row, since_ms)
    count = index.before(shopper_row, until_ms) - start
    ends = np.cumsum(count)
    entry = np.repeat(start - ends + count, count) + np.arange(ends[-1] if len(ends) else 0)
    request = np.repeat(np.arange(len(shopper_row)), count)
    grade = GRADE_OF_KIND[index.kind[entry]]
    kept = grade > 0
    key = (request[kept] << 32) | index.item_row[entry[kept]].astype(np.int64)
    order = np.lexsort((-grade[kept], key))
    unique, first = np.unique(key[order], return_index=True)
    return Answers(unique, grade[kept][order][first])


@dataclass(frozen=True, slots=True)
class Window:
    """What was known at a cut: everything a request of that moment is answered with."""

    cut_ms: int
    sources: tuple[Source, ...]
    stats: ItemStats
    columns: ItemColumns

    @property
    def features(self) -> FeatureMaker:
        """The features as of the cut."""
        return FeatureMaker(self.sources, self.stats, self.columns)

    def without(self, names: Collection[str]) -> Window:
        """The same window without these sources."""
        return replace(self, sources=tuple(one for one in self.sources if one.name not in names))

    def copy(self) -> Window:
        """The same window with statistics of its own, to be led on past the cut."""
        return replace(self, stats=self.stats.copy())


def window_of(facts: TrainingFacts, sources: Sequence[Source], config: ItemStatsConfig) -> Window:
    """What was known at ``facts.now_ms``, with sources fitted on nothing later."""
    return Window(
        facts.now_ms,
        tuple(sources),
        ItemStats.as_of(facts.log, facts.now_ms, config),
        ItemColumns.of(facts.catalogue),
    )


def lessons(
    window: Window,
    moments: Moments,
    quota: Mapping[str, int],
    *,
    rebuy: bool,
    rng: np.random.Generator,
    kept: int,
    later: ActionLog | None = None,
    proposed: bool = False,
) -> RankingSet:
    """The candidates of each request, their features and grades; unanswered requests left out.

    Of each request ``kept`` candidates are learnt from: those answered and others drawn at random;
    what they are measured against within the request are still all of them. Where slates were
    shown, their items are learnt from instead, measured against the same.

    ``later`` are the actions after the cut: each chunk of
    requests sees item statistics that know all that happened before its first request, as live ones
    would. ``proposed`` keeps who proposed what, for ``RankingSet.without``.
    """
    context, answers = moments.context, moments.answers
    features = window.features
    names = tuple(source.name for source in window.sources)
    parts: list[RankingSet] = []
    known_ms = window.cut_ms
    for start in range(0, len(context), _CHUNK):
        chosen = np.arange(start, min(start + _CHUNK, len(context)))
        first_ms = int(context.now_ms[start])
        if later is not None and first_ms > known_ms:
            window.stats.observe_log(later.between(known_ms, first_ms))
            known_ms = first_ms
        part = pick(context, chosen)
        if proposed:
            item_row, by = gather_proposed(window.sources, quota, part, rebuy=rebuy)
        else:
            item_row = gather(window.sources, quota, part, rebuy=rebuy).item_row
            by = np.zeros((len(item_row), 0), np.uint64)
        learnt = item_row if moments.shown is None else moments.shown[chosen]
        grade = answers.of(chosen, learnt)
        answered = np.flatnonzero((grade > 0).any(axis=1))
        if not len(answered):
            continue
        part, item_row, grade = pick(part, answered), item_row[answered], grade[answered]
        learnt, by = learnt[answered], by[answered]
        score = every = features.source_scores(part, item_row)
        norms = request_norms(score, item_row)
        if moments.shown is not None:
            score = features.source_scores(part, learnt)
        column = _drawn(learnt, grade, kept, rng)
        learnt = np.take_along_axis(learnt, column, axis=1)
        grade = np.take_along_axis(grade, column, axis=1)
        score = np.take_along_axis(score, column[:, :, None], axis=1)
        real = learnt >= 0
        made = features.make(part, learnt, source_score=score, norms=norms)
        x = made.x[real.ravel()]
        told = None
        if proposed:
            mine = None if moments.shown is not None else np.take_along_axis(by, column, axis=1)
            told = _told(names, mine, real, by, every, item_row, part.shopper_row)
        parts.append(RankingSet(x, grade[real], real.sum(axis=1), features.names, proposed=told))
    if not parts:
        return _no_lessons(features.names, names if proposed else None)
    return RankingSet.joined(parts)


def _told(
    names: tuple[str, ...],
    mine: NDArray[np.uint64] | None,
    real: NDArray[np.bool_],
    by: NDArray[np.uint64],
    score: NDArray[np.float32],
    item_row: NDArray[np.int32],
    shopper_row: NDArray[np.int32],
) -> Proposed:
    """Who proposed what; with ``mine`` None everybody did: what was shown stays without any."""
    if mine is None:
        mine = np.full(real.shape, np.iinfo(np.uint64).max)
    there = item_row >= 0
    return Proposed(names, mine[real], by[there], score[there], there.sum(axis=1), shopper_row)


def _no_lessons(columns: tuple[str, ...], sources: tuple[str, ...] | None) -> RankingSet:
    x = np.empty((0, len(columns)), np.float32)
    none, by = np.empty(0, np.int64), np.empty(0, np.uint64)
    told = None
    if sources is not None:
        told = Proposed(
            sources, by, by, np.empty((0, len(sources)), np.float32), none, none.astype(np.int32)
        )
    return RankingSet(x, np.empty(0, np.int8), none, columns, proposed=told)


def _drawn(
    item_row: NDArray[np.int32], grade: NDArray[np.int8], kept: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Columns of each request's candidates to learn from: the answered, then others by lot."""
    lot = rng.random(item_row.shape, np.float32)
    lot[grade > 0] = -1.0
    lot[item_row < 0] = 2.0
    return np.argsort(lot, axis=1, kind="stable")[:, :kept]
