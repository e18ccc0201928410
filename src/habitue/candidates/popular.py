"""What is bought and looked at most, by everyone: the same proposal for every request."""

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
from habitue.facts import MS_PER_DAY, ActionLog
from habitue.facts.kind_names import KindName

__all__ = ["PopularConfig", "PopularLearner", "PopularSource"]


class PopularConfig(BaseModel):
    """What is counted, and over which time.

    ``actions`` counts every action, ``buyers`` each shopper once an item, ``new_buyers`` each
    shopper at the first action on the item ever: what people begin to want just now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["popular"] = "popular"
    name: str = Field(
        default="popular", min_length=1, description="its name in slates and features"
    )
    kinds: tuple[KindName, ...] = Field(default=("purchase",), description="kinds counted")
    counts: Literal["actions", "buyers", "new_buyers"] = Field(
        default="buyers", description="actions, distinct shoppers, or shoppers new to the item"
    )
    window_days: float | None = Field(
        default=None, gt=0, description="only what happened so recently; all time where not said"
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="age at which an action counts half; no fading if not said"
    )


class PopularSource(EverybodySource):
    """Scores an item by ``log(1 + count)``; items nobody wanted are not proposed."""

    def __init__(self, config: PopularConfig, score: NDArray[np.float32]) -> None:
        super().__init__(score)
        self.config = config
        self.name = config.name

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="popular", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, {"score": self._score})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there."""
        saved, arrays = read(path, "popular")
        return cls(PopularConfig.model_validate(saved.config), arrays["score"])


class PopularLearner:
    """Counts."""

    def __init__(self, config: PopularConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> PopularSource:  # noqa: ARG002
        """The counts of these facts; nothing is drawn."""
        config = self.config
        log = facts.log.of_kinds(codes_of(config.kinds))
        log = log.take(log.item_row >= 0)
        if config.counts == "new_buyers":
            log = _first_of_each_pair(log)
        if config.window_days is not None:
            log = log.between(facts.now_ms - int(config.window_days * MS_PER_DAY), facts.now_ms + 1)
        if config.counts == "buyers":
            log = _last_of_each_pair(log)
        weight = None
        if config.half_life_days is not None:
            age_days = (facts.now_ms - log.at_ms) / MS_PER_DAY
            weight = 0.5 ** (age_days / config.half_life_days)
        n_items = max(facts.log.n_items, len(facts.catalogue))
        count = np.bincount(log.item_row, weight, minlength=n_items)
        return PopularSource(config, np.log1p(count).astype(np.float32))


def _pairs(log: ActionLog) -> NDArray[np.int64]:
    return log.shopper_row.astype(np.int64) * max(log.n_items, 1) + log.item_row


def _first_of_each_pair(log: ActionLog) -> ActionLog:
    """The first action of each shopper on each item."""
    _, first = np.unique(_pairs(log), return_index=True)
    return log.take(np.sort(first))


def _last_of_each_pair(log: ActionLog) -> ActionLog:
    """The last action of each shopper on each item."""
    _, first = np.unique(_pairs(log)[::-1], return_index=True)
    return log.take(np.sort(len(log) - 1 - first))
