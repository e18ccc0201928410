"""Asking pipelines and sources what came after, and what that costs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from habitue.app.portraying import conversions_of
from habitue.evaluation.breadth import breadth_of
from habitue.evaluation.evaluated import Cost
from habitue.evaluation.replay import Lister, lists_of
from habitue.evaluation.report import (
    EvaluationConfig,
    Measured,
)
from habitue.evaluation.segments import (
    Segment,
    by_label,
    by_popularity,
)
from habitue.evaluation.splits import Split
from habitue.portraits import ItemColumns, ShopNorms, portrait_columns
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst, Trained
from habitue.training.understood import kinds_read

if TYPE_CHECKING:
    from habitue.app.wiring import Parts
    from habitue.slates.pipeline import Pipeline


__all__ = ["cost_of", "parts_of_questions", "pipeline_trained", "timed_lists", "with_breadth"]

_WARM: Final = 16  # questions asked before the clock runs, so that nothing is compiled under it


def pipeline_trained(trained: Trained) -> Pipeline:
    """What was trained, answering with the best and nothing else."""
    return pipeline_of(
        trained.config,
        trained.sources,
        trained.rankers,
        trained.stats,
        trained.columns,
        BestFirst(),
    )


def timed_lists(
    held: Split,
    warm: Lister,
    lister: Lister,
    judged: EvaluationConfig,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], float]:
    """Lists for every question, and the CPU-seconds they took; ``warm`` is asked a few before."""
    lists_of(held.sample(_WARM, rng), warm, judged.n, rng, length=judged.length)
    began = time.process_time()
    rows = lists_of(held, lister, judged.n, rng, length=judged.length)
    return rows, time.process_time() - began


def with_breadth(
    one: Measured, held: Split, rows: NDArray[np.int32], columns: ItemColumns
) -> Measured:
    """With how varied the lists are, and how well they keep to a shopper's proportions."""
    return replace(one, per_question=one.per_question | breadth_of(held, rows, columns))


def parts_of_questions(
    parts: Parts, held: Split, columns: ItemColumns, taken: tuple[str, ...]
) -> list[Segment]:
    """The segments of a split: life cycle, platform where there are several, head and tail.

    ``taken`` are the kinds that the split's logs read as purchases.
    """
    settings = parts.settings
    now_ms = int(held.now_ms.max())
    currency, config, kinds = (
        settings.shop.base_currency, settings.portraits,
        kinds_read(conversions_of(parts), taken),
    )  # fmt: skip
    norms = ShopNorms.of(held.train, columns, now_ms, currency=currency, config=config, kinds=kinds)
    frame = portrait_columns(
        held.train, columns, norms, now_ms, currency=currency, config=config, kinds=kinds
    )
    stage: list[str | None] = [None] * held.train.n_shoppers
    for row, name in zip(frame["shopper_row"].to_list(), frame["stage"].to_list(), strict=True):
        stage[row] = name
    found = by_label(held, "life cycle", stage)
    platforms = by_label(held, "platform", _platforms(parts, held, now_ms))
    return [*found, *(platforms if len(platforms) > 1 else ()), *by_popularity(held)]


def _platforms(parts: Parts, held: Split, now_ms: int) -> list[str | None]:
    """The platform each shopper used most before ``now_ms``: (n_shoppers,)."""
    who = parts.store.canonical_shoppers()
    label: list[str | None] = [None] * max(held.train.n_shoppers, len(who))
    columns = ("at_ms", "shopper_row", "platform")
    actions = pl.from_arrow(pa.concat_tables(parts.store.scan("action", columns=columns)))
    assert isinstance(actions, pl.DataFrame)
    used = actions.filter(
        pl.col("platform").is_not_null(), pl.col("at_ms") < now_ms, pl.col("shopper_row") >= 0
    )
    person = pl.Series("shopper_row", who[used["shopper_row"].to_numpy()])
    most = (
        used.with_columns(person)
        .group_by("shopper_row", "platform")
        .len()
        .sort("shopper_row", "len", "platform")
        .unique("shopper_row", keep="last")
    )
    for row, name in zip(most["shopper_row"].to_list(), most["platform"].to_list(), strict=True):
        label[row] = name
    return label


def cost_of(name: str, seconds_per_1000: float, cpu_hour_price: float) -> Cost:
    """CPU-seconds at their price."""
    return Cost(name, seconds_per_1000, seconds_per_1000 * cpu_hour_price / 3600)
