"""Shoppers at rates no person has: crawlers, price watchers, monitors, test scripts.

They are never refused and never deleted: their actions are marked, and training leaves them out
unless told otherwise. What counts are moments (seconds in which a page was asked for), so that an
order of a hundred lines, all of one time, is one moment.
"""

from __future__ import annotations

from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from habitue.facts.kinds import ActionKind

__all__ = ["NO_PAGES", "RobotConfig", "robots"]

NO_PAGES: Final = [
    int(kind)
    for kind in (
        ActionKind.view_item_list, ActionKind.view_promotion, ActionKind.purchase,
        ActionKind.refund, ActionKind.rate, ActionKind.review, ActionKind.dwell,
    )
]  # fmt: skip
"""Kinds that tell nothing of a hurry: sent by pages themselves, or many at once by people."""

_MS: Final = 1000
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000


class RobotConfig(BaseModel):
    """Rates no person has. Each bound is several times what the busiest people do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_minute: PositiveFloat = Field(
        30, description="Moments a minute, kept up: a page each two seconds cannot be looked at."
    )
    minutes: PositiveInt = Field(
        10, description="For so long: a shopper in a hurry opens ten tabs, and then reads them."
    )
    items_a_day: PositiveInt = Field(
        1000, description="Different items looked at in a day: eight hours at two a minute are 960."
    )
    hours_a_day: int = Field(
        22, ge=1, le=25, description="Hours of a day in which something was done: people sleep."
    )
    longest_hours: PositiveFloat = Field(
        16, description="Hours without a pause: nobody stays at one shop from morning to night."
    )
    pause_minutes: PositiveFloat = Field(
        30, description="Idle for so long is a pause, as in the usual definition of a visit."
    )


def robots(acts: pl.DataFrame, config: RobotConfig) -> pl.DataFrame:
    """Who does what no person can, and what: columns shopper, pace, reach, hours, pause (bool).

    ``acts`` has the columns shopper, at_ms and kind (codes), and item where items are known.
    """
    pages = acts.lazy().filter(~pl.col("kind").is_in(NO_PAGES))
    at_least = min(
        int(config.per_minute * config.minutes), config.items_a_day, config.hours_a_day,
        int(config.longest_hours * 60 / config.pause_minutes),
    )  # fmt: skip
    busy = pages.group_by("shopper").len().filter(pl.col("len") >= at_least)
    pages = pages.join(busy, on="shopper", how="semi").collect().lazy()
    moments = (
        pages.select("shopper", second=pl.col("at_ms") // _MS).unique().sort("shopper", "second")
    )
    tests = {
        "pace": _pace(moments, config),
        "reach": _reach(pages, config) if "item" in acts.columns else None,
        "hours": _hours(moments, config),
        "pause": _pause(moments, config),
    }
    found = pl.concat(
        who.select("shopper", test=pl.lit(name)).unique()
        for name, who in tests.items()
        if who is not None
    ).collect()
    did = [(pl.col("test") == name).any().alias(name) for name in tests]
    return found.group_by("shopper").agg(did).sort("shopper")


def _pace(moments: pl.LazyFrame, config: RobotConfig) -> pl.LazyFrame:
    """So many moments in so little time: the n-th from each is no later than the span allows."""
    after = int(config.per_minute * config.minutes) - 1
    later = pl.col("second").shift(-after)
    same = pl.col("shopper").shift(-after) == pl.col("shopper")
    return moments.filter(same & (later - pl.col("second") < config.minutes * 60))


def _reach(pages: pl.LazyFrame, config: RobotConfig) -> pl.LazyFrame:
    day = (pl.col("at_ms") // _DAY_MS).alias("day")
    items = pages.group_by("shopper", day).agg(pl.col("item").drop_nulls().n_unique())
    return items.filter(pl.col("item") >= config.items_a_day)


def _hours(moments: pl.LazyFrame, config: RobotConfig) -> pl.LazyFrame:
    hour = pl.col("second") * _MS // _HOUR_MS
    hours = moments.group_by("shopper", day=hour // 24).agg(hour.n_unique().alias("hours"))
    return hours.filter(pl.col("hours") >= config.hours_a_day)


def _pause(moments: pl.LazyFrame, config: RobotConfig) -> pl.LazyFrame:
    """Stretches without a pause, by the time between their first moment and their last."""
    idle = pl.col("second").diff() > config.pause_minutes * 60
    begins = (pl.col("shopper") != pl.col("shopper").shift(1)) | idle
    stretch = begins.fill_null(True).cum_sum().alias("stretch")
    spans = (
        moments.with_columns(stretch)
        .group_by("stretch")
        .agg(pl.col("shopper").first(), seconds=pl.col("second").max() - pl.col("second").min())
    )
    return spans.filter(pl.col("seconds") >= config.longest_hours * 3600)
