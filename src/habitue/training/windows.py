"""Requests of the past with what became of them: the ranker's lessons, cut so that nothing leaks.

A window has a cut: sources and item statistics know what lay before it, labels are what came after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source
from habitue.facts import ActionKind, ActionLog, Catalogue, Context
from habitue.portraits import ItemColumns, ItemStats, ItemStatsConfig, ShopperIndex, pick
from habitue.ranking.features import FeatureMaker
from habitue.ranking.lambdamart import RankingSet
from habitue.slates.pipeline import gather

__all__ = ["Answers", "Window", "answers_between", "lessons", "window_of"]

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
    """The best answer of each shopper to each item: pairs in ascending order of their key."""

    key: NDArray[np.int64]  # (n,) request << 32 | item_row
    grade: NDArray[np.int8]  # (n,)

    def of(self, request: NDArray[np.int64], item_row: NDArray[np.int32]) -> NDArray[np.int8]:
        """The grade of each item (B, m) for its request (B,); 0 where there was no answer."""
        key = (request[:, None] << 32) | np.maximum(item_row, 0).astype(np.int64)
        where = np.minimum(np.searchsorted(self.key, key), max(len(self.key) - 1, 0))
        if not len(self.key):
            return np.zeros(item_row.shape, np.int8)
        hit = (self.key[where] == key) & (item_row >= 0)
        return np.where(hit, self.grade[where], 0).astype(np.int8)


def answers_between(log: ActionLog, shopper_row: NDArray[np.int32]) -> Answers:
    """What these shoppers did in ``log``: request ``x`` is that of ``shopper_row[x]``."""
    request_of = np.full(log.n_shoppers, -1, np.int64)
    request_of[shopper_row] = np.arange(len(shopper_row))
    grade = GRADE_OF_KIND[log.kind]
    kept = (grade > 0) & (log.item_row >= 0) & (log.shopper_row >= 0)
    kept &= request_of[np.maximum(log.shopper_row, 0)] >= 0
    key = (request_of[log.shopper_row[kept]] << 32) | log.item_row[kept].astype(np.int64)
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
    index: ShopperIndex

    @property
    def features(self) -> FeatureMaker:
        """The features as of the cut."""
        return FeatureMaker(self.sources, self.stats, self.columns)


def window_of(
    log: ActionLog,
    catalogue: Catalogue,
    cut_ms: int,
    sources: Sequence[Source],
    stats_config: ItemStatsConfig,
) -> Window:
    """The window at ``cut_ms``: ``catalogue`` and ``sources`` as of then, the rest is cut here."""
    before = log.before(cut_ms)
    return Window(
        cut_ms,
        tuple(sources),
        ItemStats.as_of(before, cut_ms, stats_config),
        ItemColumns.of(catalogue),
        ShopperIndex.of(before),
    )


def lessons(
    window: Window,
    context: Context,
    answers: Answers,
    quotas: Mapping[str, int],
    *,
    rebuy: bool,
    only_answered: bool = True,
    progress: Callable[[int], None] | None = None,
) -> RankingSet:
    """Candidates of each request with features and grades; requests without an answer left out."""
    features = window.features
    xs: list[NDArray[np.float32]] = []
    grades: list[NDArray[np.int8]] = []
    groups: list[NDArray[np.int64]] = []
    for start in range(0, len(context), _CHUNK):
        chosen = np.arange(start, min(start + _CHUNK, len(context)))
        part = pick(context, chosen)
        item_row = gather(window.sources, quotas, part, rebuy=rebuy).item_row
        grade = answers.of(chosen, item_row)
        if only_answered:
            answered = (grade > 0).any(axis=1)
            part, item_row, grade = (
                pick(part, np.flatnonzero(answered)),
                item_row[answered],
                grade[answered],
            )
        if not len(part):
            continue
        batch = features.make(part, item_row)
        real = (item_row >= 0).ravel()
        xs.append(batch.x[real])
        grades.append(grade.ravel()[real])
        groups.append((item_row >= 0).sum(axis=1))
        if progress:
            progress(len(chosen))
    if not xs:
        return RankingSet(
            np.empty((0, len(features.names)), np.float32),
            np.empty(0, np.int8),
            np.empty(0, np.int64),
            features.names,
        )
    return RankingSet(
        np.concatenate(xs), np.concatenate(grades), np.concatenate(groups), features.names
    )
