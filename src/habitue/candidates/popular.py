"""What is bought and looked at most, by everyone: the same proposal for every request."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.layout import sealed
from habitue.candidates.profile import KindName, codes_of
from habitue.candidates.saved import Saved, read, write
from habitue.facts import MS_PER_DAY, NO_ROW, ActionLog, Context

__all__ = ["PopularConfig", "PopularLearner", "PopularSource", "warm"]

_LISTS_KEPT = 32  # quotas are few; a list is kept ready for each


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


class PopularSource(PreparingSource):
    """Scores an item by ``log(1 + count)``; items nobody wanted are not proposed."""

    def __init__(self, config: PopularConfig, score: NDArray[np.float32]) -> None:
        self.config = config
        self.name = config.name
        self._score = sealed(score, np.float32)  # (n_items,)
        wanted = np.flatnonzero(self._score > 0)
        order = wanted[np.argsort(-self._score[wanted], kind="stable")]
        self._best_row = sealed(order, np.int32)
        self._best_score = sealed(self._score[order], np.float32)
        self._told: dict[int, Proposals] = {}
        self.measured: dict[str, float] = {"items": float(len(order))}

    def prepare(self, context: Context) -> _Everybody:
        """The same for all; only how many they are is read."""
        return _Everybody(self, len(context))

    def best(self, n: int) -> Proposals:
        """The most wanted ``n`` items, as one read-only row."""
        told = self._told.get(n)
        if told is None:
            spare = max(n - len(self._best_row), 0)
            row = np.pad(self._best_row[:n], (0, spare), constant_values=NO_ROW)
            score = np.pad(self._best_score[:n], (0, spare))
            told = Proposals(sealed(row[None], np.int32), sealed(score[None], np.float32))
            if len(self._told) < _LISTS_KEPT:
                self._told[n] = told
        return told

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """Write the score of any items (B, n) at ``scores[:, :, place]``."""
        _look_up(self._score, item_row, scores, place)

    def save(self, path: Path) -> None:
        """Write the model into the folder ``path``."""
        saved = Saved(source="popular", config=self.config.model_dump(), measured=self.measured)
        write(path, saved, {"score": self._score})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there."""
        saved, arrays = read(path, "popular")
        return cls(PopularConfig.model_validate(saved.config), arrays["score"])


class _Everybody(Prepared):
    """A batch of whoever."""

    __slots__ = ("_n", "_source")

    def __init__(self, source: PopularSource, n_requests: int) -> None:
        self._source = source
        self._n = n_requests

    def propose(self, n: int) -> Proposals:
        """The most wanted ``n`` items; the rows of a batch share one read-only array."""
        told = self._source.best(n)
        if self._n == 1:
            return told
        shape = (self._n, n)
        return Proposals(np.broadcast_to(told[0], shape), np.broadcast_to(told[1], shape))

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The same score, whoever asks."""
        self._source.fill(item_row, scores, place)


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


@nb.njit(cache=True, nogil=True)
def _look_up(
    values: NDArray[np.float32],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill the values of the ``wanted`` rows (B, n); unknown: 0."""
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            scores[b, c, place] = values[j] if 0 <= j < values.shape[0] else 0.0


def warm() -> None:
    """Compile this module's kernel for the types requests bring, or read it from disk."""
    _look_up(
        sealed(np.ones(1), np.float32),
        np.zeros((1, 1), np.int32),
        np.ones((1, 1, 1), np.float32),
        0,
    )
