"""What came into the shop last, those shown to few first: so that each new item gets its chance."""

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
from habitue.facts import MS_PER_DAY
from habitue.facts.kind_names import KindName

__all__ = ["FreshConfig", "FreshLearner", "FreshSource"]


class FreshConfig(BaseModel):
    """How long an item is new, and how often it may be seen before others come first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["fresh"] = "fresh"
    name: str = Field(default="fresh", min_length=1, description="its name in slates and features")
    half_life_days: float = Field(
        default=7.0, gt=0, description="days in the shop after which an item is half as new"
    )
    oldest_days: float = Field(
        default=60.0, gt=0, description="days in the shop after which an item is not new"
    )
    seen_by: tuple[KindName, ...] = Field(
        default=("view_item_list", "view_item", "select_item"),
        description="kinds of action that say an item was seen",
    )
    allowance: float = Field(
        default=20.0, gt=0, description="times seen after which an item's score is halved"
    )


class FreshSource(EverybodySource):
    """Scores an item by ``2 ** -(age / half-life) * allowance / (allowance + times seen)``."""

    def __init__(self, config: FreshConfig, score: NDArray[np.float32]) -> None:
        super().__init__(score)
        self.config = config
        self.name = config.name

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="fresh", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, {"score": self._score})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there."""
        saved, arrays = read(path, "fresh")
        return cls(FreshConfig.model_validate(saved.config), arrays["score"])


class FreshLearner:
    """Looks at when items came, and how often they were seen."""

    def __init__(self, config: FreshConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> FreshSource:  # noqa: ARG002
        """What is new as of these facts; nothing is drawn."""
        config = self.config
        age_days = (facts.now_ms - _came_ms(facts)) / MS_PER_DAY
        log = facts.log.of_kinds(codes_of(config.seen_by))
        seen = np.bincount(log.item_row[log.item_row >= 0], minlength=len(age_days))
        score = 0.5 ** (age_days / config.half_life_days)
        score = score * config.allowance / (config.allowance + seen)
        score[~(age_days <= config.oldest_days)] = 0.0
        return FreshSource(config, score.astype(np.float32))


def _came_ms(facts: TrainingFacts) -> NDArray[np.float64]:
    """When each item came: as the catalogue says, else at its first action, else never (-inf)."""
    log, frame = facts.log, facts.catalogue.frame
    came = np.full(max(log.n_items, frame.height), np.inf)
    known = log.item_row >= 0
    np.minimum.at(came, log.item_row[known], log.at_ms[known].astype(np.float64))
    if "first_seen_ms" in frame.columns:
        told = frame["first_seen_ms"].cast(float).to_numpy()
        row = frame["item_row"].to_numpy()
        came[row] = np.where(np.isnan(told), came[row], told)
    return np.where(np.isinf(came), -np.inf, came)
