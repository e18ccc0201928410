"""Where the learnt order is below the best single source, the surface ``home`` goes by that source.

A shop may have too few answers, or tastes that change too fast, for an order to be learnt. Which it
is is asked of a span before the last, by an order learnt from what lay before it; the last span is
for the report alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitue.evaluation.choice import choose
from habitue.evaluation.replay import ask
from habitue.evaluation.report import Choice, EvaluationConfig, measure_lists
from habitue.evaluation.splits import Split, by_time
from habitue.facts import NO_ROW
from habitue.policy.contract import Policy
from habitue.ranking.fusion import TIES, FusionConfig, break_ties
from habitue.ranking.lambdamart import RankingSet
from habitue.slates.pipeline import Pipeline
from habitue.training.config import TrainingConfig
from habitue.training.dataset import ShopFacts
from habitue.training.orders import learn_orders
from habitue.training.serving import pipeline_of
from habitue.training.windows import Window, window_of

__all__ = ["HOME", "best_source", "by_source"]

HOME: Final = "home"
_MOST_QUESTIONS: Final = 1000
_LEARNT: Final = "learnt"

Looked = Sequence[tuple[Window, dict[str, RankingSet]]]
"""The spans of the past, oldest first: what was known at each, and what came after taught."""


def best_source(
    facts: ShopFacts,
    looked: Looked,
    config: TrainingConfig,
    policy: Policy,
    rng: np.random.Generator,
) -> Choice | None:
    """What ``home`` goes by; ``None`` where that is written down or there are too few spans.

    Costs an order learnt from all spans but the last two, and ``_MOST_QUESTIONS`` requests.
    """
    if not config.best_source or HOME in config.written_down() or len(looked) < 3:
        return None
    learn, draw, lots, judge = rng.spawn(4)
    earlier = [{HOME: taught[HOME]} for _, taught in looked[:-2] if HOME in taught]
    rankers = learn_orders(earlier, config, learn)
    held, until_ms = looked[-2][0], looked[-1][0].cut_ms
    window = window_of(facts.as_of(held.cut_ms), held.sources, config.item_stats)
    log = facts.between(np.iinfo(np.int64).min, until_ms)
    split = by_time(log, held.cut_ms, until_ms, repurchase=config.rebuy)
    if not len(split):
        return None
    split = split.sample(_MOST_QUESTIONS, draw)
    pipeline = pipeline_of(config, window.sources, rankers, window.stats, window.columns, policy)
    judged = EvaluationConfig(length=config.recent_length)
    lists = _lists(pipeline, split, judged, lots)
    measured = {name: measure_lists(split, name, rows) for name, rows in lists.items()}
    learnt = measured.pop(_LEARNT)
    return choose(
        learnt,
        list(measured.values()),
        f"ndcg@{judged.n}",
        judge,
        surface=HOME,
        least_questions=config.gate.least_questions,
    )


def by_source(config: TrainingConfig, choice: Choice | None) -> TrainingConfig:
    """The config with the order that was chosen written down."""
    if choice is None or not choice.taken:
        return config
    alone = FusionConfig(fuse="sum", weights={choice.source: 1.0})
    return config.model_copy(update={"fusion": {**config.fusion, choice.surface: alone}})


def _lists(
    pipeline: Pipeline, split: Split, judged: EvaluationConfig, rng: np.random.Generator
) -> dict[str, NDArray[np.int32]]:
    """What the learnt order answers to each question, and each source over the same candidates."""
    names = tuple(source.name for source in pipeline.sources)
    answers = {
        name: np.full((len(split), judged.n), NO_ROW, np.int32) for name in (_LEARNT, *names)
    }
    at = 0
    for asked in ask(split, length=judged.length):
        found = pipeline.candidates(asked.context, barred=~asked.available, rebuy=asked.rebuy)
        by_name = dict(zip(names, np.moveaxis(found.scores(), 2, 0), strict=True))
        orders = {_LEARNT: pipeline.ranker(HOME).score(asked.context, found.item_row)}
        orders |= {name: _ordered(found.item_row, name, by_name) for name in names}
        here = slice(at, at + len(asked.context))
        for name, score in orders.items():
            chosen = pipeline.policy.choose(asked.context, found.item_row, score, judged.n, rng)
            answers[name][here, : chosen.item_row.shape[1]] = chosen.item_row
        at = here.stop
    return answers


def _ordered(
    item_row: NDArray[np.int32], name: str, by_name: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Scores (B, m) as a sum of this source alone gives them, ties by popularity."""
    score = np.where(item_row >= 0, by_name[name], np.float32(-np.inf))
    ties = next((by_name[one] for one in TIES if one in by_name), None)
    return score if ties is None else break_ties(score, np.ascontiguousarray(ties))
