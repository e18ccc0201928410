"""Lessons become orders: a ranker for each surface, also as if some sources were not there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import numpy as np

from habitue.ranking.lambdamart import LambdaMartLearner, LambdaMartRanker, RankingSet
from habitue.training.config import TrainingConfig
from habitue.training.together import together

__all__ = ["learn_orders", "learn_without"]


def learn_orders(
    taught: Sequence[Mapping[str, RankingSet]], config: TrainingConfig, rng: np.random.Generator
) -> dict[str, LambdaMartRanker]:
    """A ranker for each surface with enough answered requests; later spans weigh more."""
    jobs: dict[str, Callable[[], LambdaMartRanker]] = {}
    for surface, stream in zip(config.surfaces, rng.spawn(len(config.surfaces)), strict=True):
        parts = [
            span[surface].weighted(config.window_fade**age)
            for age, span in enumerate(reversed(taught))
            if surface in span and len(span[surface].group)
        ]
        if surface in config.written_down():
            continue
        if sum(len(part.group) for part in parts) >= config.least_answered:
            learner = LambdaMartLearner(config.ranker)
            jobs[surface] = partial(learner.fit, RankingSet.joined(parts), stream)
    return dict(zip(jobs, together(list(jobs.values()), config.threads), strict=True))


def learn_without(
    taught: Sequence[Mapping[str, RankingSet]],
    config: TrainingConfig,
    names: Collection[str],
    rng: np.random.Generator,
) -> dict[str, LambdaMartRanker]:
    """``learn_orders`` as if the sources ``names`` were not there.

    The lessons know who proposed what; nothing is fitted or asked anew but the orders.
    """
    left = [{surface: one.without(names) for surface, one in span.items()} for span in taught]
    return learn_orders(left, config.without(names), rng)
