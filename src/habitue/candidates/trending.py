"""What is wanted more than it used to be: the ratio of a short and a long rate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import TrainingFacts
from habitue.candidates.everybody import EverybodySource
from habitue.candidates.profile import codes_of
from habitue.candidates.saved import Saved, read, write
from habitue.errors import BadSetting
from habitue.facts import MS_PER_DAY
from habitue.facts.kind_names import KindName

__all__ = ["TrendingConfig", "TrendingLearner", "TrendingSource"]


class TrendingConfig(BaseModel):
    """Which actions are counted, and which two rates are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["trending"] = "trending"
    name: str = Field(
        default="trending", min_length=1, description="its name in slates and features"
    )
    kinds: tuple[KindName, ...] = Field(
        default=("view_item", "add_to_cart", "purchase"), description="kinds counted"
    )
    short_half_life_days: float = Field(
        default=2.0, gt=0, description="age at which an action counts half in the short rate"
    )
    long_half_life_days: float = Field(default=28.0, gt=0, description="the same in the long rate")
    doubt: float = Field(
        default=3.0,
        gt=0,
        description="actions at the usual rate that each item is taken to have had besides",
    )
    within_category: bool = Field(
        default=False, description="measured against the trend of the item's product_type"
    )


class TrendingSource(EverybodySource):
    """Scores an item by the log of its short over its long rate; what does not rise scores 0."""

    def __init__(self, config: TrendingConfig, score: NDArray[np.float32]) -> None:
        super().__init__(score)
        self.config = config
        self.name = config.name

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="trending", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, {"score": self._score})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there."""
        saved, arrays = read(path, "trending")
        return cls(TrendingConfig.model_validate(saved.config), arrays["score"])


class TrendingLearner:
    """Counts twice; takes a pass over the log."""

    def __init__(self, config: TrendingConfig) -> None:
        """Raises ``BadSetting`` where the short rate is not the shorter."""
        if config.short_half_life_days >= config.long_half_life_days:
            raise BadSetting(
                f"{config.name}: a trend needs a short half-life below the long one, not "
                f"{config.short_half_life_days} and {config.long_half_life_days} days.",
                remedy="Lower short_half_life_days.",
                field="short_half_life_days",
            )
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> TrendingSource:  # noqa: ARG002
        """The trends of these facts; nothing is drawn."""
        config = self.config
        n_items = max(facts.log.n_items, len(facts.catalogue))
        log = facts.log.of_kinds(codes_of(config.kinds))
        log = log.take(log.item_row >= 0)
        age_days = (facts.now_ms - log.at_ms) / MS_PER_DAY

        def per_day(half_life_days: float) -> NDArray[np.float64]:
            faded = 0.5 ** (age_days / half_life_days)
            count = np.bincount(log.item_row, faded, minlength=n_items)
            return np.asarray(count * (np.log(2.0) / half_life_days), np.float64)

        short = per_day(config.short_half_life_days)
        long = per_day(config.long_half_life_days)
        doubt = config.doubt * np.log(2.0) / config.short_half_life_days
        group = (
            _categories(facts, n_items) if config.within_category else np.zeros(n_items, np.int64)
        )
        n_groups = int(group.max(initial=-1)) + 1
        now, ever = (np.bincount(group, rate, minlength=n_groups) for rate in (short, long))
        usual = np.where(now > 0, now / np.where(ever > 0, ever, 1.0), 1.0)
        trend = np.log((short / usual[group] + doubt) / (long + doubt))
        trend[short == 0] = 0.0
        return TrendingSource(config, np.maximum(trend, 0.0).astype(np.float32))


def _categories(facts: TrainingFacts, n_items: int) -> NDArray[np.int64]:
    """A number for each item's product_type; items without one share one."""
    group = np.zeros(n_items, np.int64)
    frame = facts.catalogue.frame
    if "product_type" in frame.columns and frame.height:
        told = frame["product_type"].fill_null("").rank("dense").to_numpy()
        group[frame["item_row"].to_numpy()] = told.astype(np.int64)
    return group
