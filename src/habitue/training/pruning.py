"""Which sources add nothing on a shop's data, so that they need not propose, score or be fitted.

Judged on a span from which the orders asked about it have not learnt, and of which no report is
made: the last but one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.again import AgainSource
from habitue.candidates.contract import ExtendingSource, Source
from habitue.evaluation.report import Judged
from habitue.metrics import Interval, paired_difference
from habitue.ranking.lambdamart import LambdaMartRanker, RankingSet
from habitue.training.config import TrainingConfig
from habitue.training.orders import learn_without
from habitue.training.together import together

__all__ = ["judge_sources", "may_go"]

_SLOTS: Final = 10
_LOTS: Final = 3
"""How often the whole is learnt, by other lots: no lucky draw is what others are held against."""


def may_go(config: TrainingConfig, sources: Sequence[Source], off: Collection[str]) -> list[str]:
    """The sources a shop can be without beside those ``off`` already.

    Kept are those that a surface names or weighs, and ``again``, from whose cycles the surface
    ``rebuy`` is made; the last that proposes anything on a surface; the last that reads items it
    was not fitted on.
    """
    left = [one for one in sources if one.name not in off]
    growing = [one.name for one in left if isinstance(one, ExtendingSource)]
    needed = {*config.needed, *config.weighed()}
    needed |= {one.name for one in left if isinstance(one, AgainSource)}
    needed |= set(growing) if len(growing) == 1 else set()
    remaining = config.without(off)
    return [
        one.name
        for one in left
        if one.name not in needed
        and all(remaining.can_spare(one.name, surface) for surface in config.quotas)
    ]


def judge_sources(
    taught: Sequence[Mapping[str, RankingSet]],
    asked: Mapping[str, RankingSet],
    sources: Sequence[Source],
    config: TrainingConfig,
    rng: np.random.Generator,
    off_before: Collection[str] = (),
) -> list[Judged]:
    """Each source that may go, what leaving it out changes, and whether it is switched off.

    Orders learn from ``taught``, all of before what is ``asked``: the requests of a later span by
    surface, with all their candidates and how they were answered. Switched off is what surely
    loses less than ``least_gain`` of the NDCG on every surface: one after another, the least missed
    first, and all of them together losing no more than that. A source that was ``off_before`` comes
    back only where it was missed by so much. Empty where too few were asked to tell.
    """
    names = may_go(config, sources, ())
    judge = _Judge(taught, asked, config, rng, frozenset(off_before))
    if not judge.surfaces or not names:
        return []
    alone = dict(zip(names, judge.without([[name] for name in names]), strict=True))
    off: list[str] = []
    for name in sorted(names, key=lambda name: judge.loss(alone[name])):
        if not judge.spares(alone[name], name) or name not in may_go(config, sources, off):
            continue
        all_off = judge.without([[*off, name]])[0] if off else alone[name]
        if judge.spares(all_off, name):
            off.append(name)
    return [Judged(name, name in off, alone[name]) for name in names]


class _Judge:
    """Learns orders without some sources, and holds them against the order with all."""

    def __init__(
        self,
        taught: Sequence[Mapping[str, RankingSet]],
        asked: Mapping[str, RankingSet],
        config: TrainingConfig,
        rng: np.random.Generator,
        off_before: frozenset[str],
    ) -> None:
        self._taught, self._asked, self._config = taught, asked, config
        self._rng, self._off_before = rng, off_before
        whole = self._learn([[]] * _LOTS)
        least = config.prune.least_questions
        self.surfaces = [
            name for name, one in asked.items() if name in whole[0] and len(one.group) >= least
        ]
        self._whole: dict[str, NDArray[np.float64]] = {
            surface: np.mean([self._ndcg(surface, [], orders) for orders in whole], axis=0)
            for surface in self.surfaces
        }

    def without(self, left_out: Sequence[Sequence[str]]) -> list[dict[str, Interval]]:
        """For each list of sources what leaving them out changes, by surface."""
        orders = self._learn(left_out)
        return [
            {surface: self._change(surface, names, mine) for surface in self.surfaces}
            for names, mine in zip(left_out, orders, strict=True)
        ]

    def loss(self, changes: Mapping[str, Interval]) -> float:
        """The largest share of a surface's NDCG that is lost."""
        return max(-one.estimate / self._reached(surface) for surface, one in changes.items())

    def spares(self, changes: Mapping[str, Interval], name: str) -> bool:
        """Whether so little is lost everywhere that ``name`` is switched off, or stays so."""
        stays = name in self._off_before
        return all(
            (one.estimate if stays else one.low)
            > -self._config.prune.least_gain * self._reached(surface)
            for surface, one in changes.items()
        )

    def _reached(self, surface: str) -> float:
        return max(float(self._whole[surface].mean()), 1e-9)

    def _learn(self, left_out: Sequence[Sequence[str]]) -> list[dict[str, LambdaMartRanker]]:
        """Without each list of sources an order for each surface."""
        lots = self._rng.spawn(len(left_out))
        config = self._config.model_copy(update={"threads": 1})
        jobs = [
            partial(learn_without, self._taught, config, names, lot)
            for names, lot in zip(left_out, lots, strict=True)
        ]
        return together(jobs, self._config.threads)

    def _change(
        self, surface: str, names: Sequence[str], orders: Mapping[str, LambdaMartRanker]
    ) -> Interval:
        """NDCG without ``names`` less NDCG with all; shoppers are resampled."""
        proposed = self._asked[surface].proposed
        assert proposed is not None
        return paired_difference(
            self._ndcg(surface, names, orders),
            self._whole[surface],
            self._rng,
            level=self._config.prune.confidence,
            group=proposed.shopper_row,
        )

    def _ndcg(
        self, surface: str, names: Sequence[str], orders: Mapping[str, LambdaMartRanker]
    ) -> NDArray[np.float64]:
        """NDCG of each request (B,), against the best order of what all sources propose."""
        asked = self._asked[surface]
        assert asked.proposed is not None
        score = np.full(len(asked.x), -np.inf, np.float32)
        row = asked.proposed.by_others(names)
        if surface in orders:
            score[row] = orders[surface].forest.predict(asked.seen_without(names, row)[0])
        gain = np.array(self._config.ranker.gains)[asked.grade]
        owner = np.repeat(np.arange(len(asked.group)), asked.group)
        with np.errstate(invalid="ignore"):
            return _discounted(score, np.where(row, gain, 0.0), owner) / _discounted(
                gain, gain, owner
            )


def _discounted(
    score: NDArray[np.floating], gain: NDArray[np.float64], owner: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What the first slots of each request's order gain, less the further down."""
    order = np.lexsort((-score, owner))
    mine = owner[order]
    place = np.arange(len(mine)) - np.searchsorted(mine, mine)
    first = place < _SLOTS
    worth = gain[order][first] / np.log2(place[first] + 2)
    return np.bincount(mine[first], worth, owner[-1] + 1).astype(np.float64)
