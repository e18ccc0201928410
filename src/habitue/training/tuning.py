"""Trainings with their knobs turned, each asked about a span that it has not learnt from.

The last span is never touched: orders learn from the spans before the last two and are asked about
the last but one. What does not differ between two trainings is fitted once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.errors import BadInput
from habitue.evaluation.replay import lists_of, through
from habitue.evaluation.report import measure_lists
from habitue.evaluation.splits import by_time
from habitue.facts import ActionKind
from habitue.policy.best_first import BestFirst
from habitue.ranking.lambdamart import RankingSet
from habitue.training.config import TrainingConfig
from habitue.training.dataset import ShopFacts
from habitue.training.orders import learn_orders
from habitue.training.serving import pipeline_of
from habitue.training.train import lessons_of, span_cuts
from habitue.training.windows import Window, window_of

__all__ = ["Tuner"]

_BEGINNING: Final = np.iinfo(np.int64).min
_KEPT: Final = 60  # fitted sources held at once
_SETS: Final = 2  # lessons held at once


class Tuner:
    """Says what a config reaches on the last span but one.

    Raises ``BadInput`` where there is too little past: orders learn from a span, the next is asked,
    and the last is for the report.
    """

    def __init__(
        self,
        facts: ShopFacts,
        config: TrainingConfig,
        *,
        kinds: Iterable[ActionKind],
        rebuy: bool,
        n: int,
        questions: int,
        seed: int,
    ) -> None:
        now = int(facts.log.at_ms[-1]) + 1
        cuts = span_cuts(int(facts.log.at_ms[0]), now, config)
        if len(cuts) < 3:
            raise BadInput(
                "There is too little past to tune on: three spans are needed, one to learn from, "
                "one to choose on and one to report on.",
                remedy="Set training.windows to 3 or more, or tune when there is more history.",
            )
        self.spans = list(pairwise([*cuts, now]))
        self._facts, self._seed, self._n = facts, seed, n
        cut, until = self.spans[-2]
        split = by_time(facts.between(_BEGINNING, until), cut, until, kinds=kinds, repurchase=rebuy)
        self.split = split.sample(questions, np.random.default_rng(seed))
        if not len(self.split):
            raise BadInput(
                "Nobody can be asked: no shopper came back in the last span but one.",
                remedy="There is too little history yet; tune when shoppers have returned.",
            )
        self._fitted: OrderedDict[tuple[int, str], Source] = OrderedDict()
        self._lessons: OrderedDict[tuple[str, ...], list[dict[str, RankingSet]]] = OrderedDict()

    def reach(self, config: TrainingConfig) -> float:
        """NDCG on the last span but one of what this config learns from the spans before."""
        return float(np.nanmean(self.values(config)))

    def values(self, config: TrainingConfig) -> NDArray[np.float64]:
        """The same, question by question: (B,)."""
        config = config.model_copy(update={"surfaces": ("home",)})
        orders = learn_orders(self._taught(config), config, self._rng("orders"))
        cut, _ = self.spans[-2]
        window = self._window(cut, config)
        pipeline = pipeline_of(
            config, window.sources, orders, window.stats, window.columns, BestFirst()
        )
        rows = lists_of(
            self.split, through(pipeline), self._n, self._rng("asking"), length=config.recent_length
        )
        measured = measure_lists(self.split, "habitue", rows)
        return measured.per_question[f"ndcg@{self._n}"]

    def _taught(self, config: TrainingConfig) -> list[dict[str, RankingSet]]:
        """What the spans before the last two teach: once for the same sources."""
        said = tuple(one.model_dump_json() for one in config.sources)
        if said not in self._lessons:
            self._lessons[said] = [
                lessons_of(
                    self._facts, self._window(cut, config), until, config, self._rng(str(cut))
                )
                for cut, until in self.spans[:-2]
            ]
            while len(self._lessons) > _SETS:
                self._lessons.popitem(last=False)
        self._lessons.move_to_end(said)
        return self._lessons[said]

    def _window(self, cut_ms: int, config: TrainingConfig) -> Window:
        known = self._facts.as_of(cut_ms)
        fitted = tuple(self._source(cut_ms, one) for one in config.sources)
        return window_of(known, fitted, config.item_stats)

    def _source(self, cut_ms: int, config: SourceConfig) -> Source:
        key = (cut_ms, config.model_dump_json())
        if key not in self._fitted:
            rng = self._rng(config.name)
            self._fitted[key] = learner_of(config).fit(self._facts.as_of(cut_ms), rng)
            while len(self._fitted) > _KEPT:
                self._fitted.popitem(last=False)
        self._fitted.move_to_end(key)
        return self._fitted[key]

    def _rng(self, what: str) -> np.random.Generator:
        """The same lots for the same thing, whatever else differs."""
        return np.random.default_rng([self._seed, crc32(what.encode())])
