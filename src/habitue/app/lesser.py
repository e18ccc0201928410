"""How much data is enough: learning from part of the shoppers, or of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from habitue.app.asking import pipeline_trained
from habitue.evaluation.evaluated import CurvePoint, LearningCurve, enough_of
from habitue.evaluation.replay import lists_of, through
from habitue.evaluation.report import (
    EvaluationConfig,
    measure_lists,
)
from habitue.evaluation.splits import Split
from habitue.metrics import bootstrap_mean, paired_lift
from habitue.training.dataset import NEVER_MS, ShopFacts
from habitue.training.train import train

if TYPE_CHECKING:
    from habitue.app.shop import Progress
    from habitue.training.config import TrainingConfig


__all__ = ["CurveBy", "learning_curve"]

CurveBy = Literal["none", "shoppers", "time"]

_SHARES: Final = (0.1, 0.25, 0.5, 1.0)
_CURVE_QUESTIONS: Final = 3000


def learning_curve(
    held: Split,
    facts: ShopFacts,
    until_ms: int,
    config: TrainingConfig,
    by: str,
    judged: EvaluationConfig,
    rng: np.random.Generator,
    progress: Progress,
) -> LearningCurve:
    """Learn from part of the shoppers, or of the time (``by``), and ask the same of each."""
    metric = f"ndcg@{judged.n}"
    draw, learn, ask = rng.spawn(3)
    held = held.sample(_CURVE_QUESTIONS, draw)
    known = replace(
        facts,
        log=held.train,
        void_from_ms=np.full(len(held.train), NEVER_MS, np.int64),
        slates={},
    )
    kept = _part_of(known, by, draw)
    reached: list[NDArray[np.float64]] = []
    points: list[tuple[float, int, int, float]] = []
    for place, share in enumerate(_SHARES):
        part = replace(known, log=known.log.take(kept(share)))
        part = replace(part, void_from_ms=np.full(len(part.log), NEVER_MS, np.int64))
        began = time.process_time()
        trained = train(part, config, rng=learn.spawn(1)[0], now_ms=until_ms)
        spent = time.process_time() - began
        lister = through(pipeline_trained(trained))
        rows = lists_of(held, lister, judged.n, ask.spawn(1)[0], length=judged.length)
        reached.append(measure_lists(held, "habitue", rows).per_question[metric])
        n_shoppers = len(np.unique(part.log.shopper_row))
        points.append((share, n_shoppers, len(part.log), spent))
        progress("learning from less", place + 1, len(_SHARES))
    who = held.shopper_row
    told = [
        CurvePoint(
            *point,
            bootstrap_mean(value, rng, group=who),
            paired_lift(value, reached[-1], rng, group=who),
        )
        for point, value in zip(points, reached, strict=True)
    ]
    return LearningCurve(by, metric, told, enough_of(told))


def _part_of(
    known: ShopFacts, by: str, rng: np.random.Generator
) -> Callable[[float], NDArray[np.bool_]]:
    """Which actions are learnt from with a share of the shoppers, by lot, or of the latest time."""
    if by == "shoppers":
        lot = rng.random(known.log.n_shoppers + 1)  # the last stands for nobody
        return lambda share: lot[known.log.shopper_row] < share
    at_ms = known.log.at_ms
    first, last = int(at_ms[0]), int(at_ms[-1])
    return lambda share: at_ms >= last - share * (last - first)
