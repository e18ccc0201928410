"""What the shopper bought before, most often and most lately: for shops where people buy again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.layout import plain
from habitue.candidates.saved import Saved, read, write
from habitue.facts import NO_ROW, Context

__all__ = ["AgainConfig", "AgainLearner", "AgainSource", "warm"]


class AgainConfig(BaseModel):
    """How past purchases fade."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["again"] = "again"
    name: str = Field(default="again", min_length=1, description="its name in slates and features")
    half_life_days: float = Field(
        default=60.0, gt=0, description="age of the last purchase at which an item counts half"
    )


class AgainSource(PreparingSource):
    """Scores an item by the shopper's own orders of it, halved with every half-life since the last.

    It knows nothing but the request's ``owned``, so it needs no fitting and is never stale.
    """

    def __init__(self, config: AgainConfig) -> None:
        self.config = config
        self.name = config.name
        self.measured: dict[str, float] = {}

    def prepare(self, context: Context) -> _Bought:
        """What each shopper bought."""
        return _Bought(context, self.config.half_life_days)

    def save(self, path: Path) -> None:
        """Write the config into the folder ``path``."""
        write(path, Saved(source="again", config=self.config.model_dump()), {})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The source written there."""
        saved, _ = read(path, "again")
        return cls(AgainConfig.model_validate(saved.config))


class _Bought(Prepared):
    """What the shoppers of a batch bought, and how long ago."""

    __slots__ = ("_lines",)

    def __init__(self, context: Context, half_life_days: float) -> None:
        owned = context.owned
        self._lines = (
            plain(context.personal, np.bool_),
            plain(owned.indptr, np.int64),
            plain(owned.item, np.int32),
            plain(owned.count, np.float32),
            plain(owned.age_days, np.float32),
            half_life_days,
        )

    def propose(self, n: int) -> Proposals:
        """The ``n`` items each shopper bought most often and most lately."""
        _, indptr, item, *_ = self._lines
        if not len(item):
            shape = (len(indptr) - 1, n)
            return Proposals(np.full(shape, NO_ROW, np.int32), np.zeros(shape, np.float32))
        row = np.empty((len(indptr) - 1, n), np.int32)
        score = np.empty(row.shape, np.float32)
        _best(*self._lines, row, score)
        return Proposals(row, score)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The same weight for any items: 0 for what was never bought."""
        if len(self._lines[2]):
            _look_up(*self._lines, item_row, scores, place)
        else:
            scores[:, :, place] = 0.0


class AgainLearner:
    """Makes the source; there is nothing to learn."""

    def __init__(self, config: AgainConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> AgainSource:  # noqa: ARG002
        """The source, whatever the facts."""
        return AgainSource(self.config)


@nb.njit(cache=True, nogil=True)
def _weight(count: np.float32, age_days: np.float32, half_life_days: float) -> np.float32:
    return np.float32(count * 2.0 ** (-age_days / half_life_days))


@nb.njit(cache=True, nogil=True)
def _best(
    personal: NDArray[np.bool_],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    count: NDArray[np.float32],
    age_days: NDArray[np.float32],
    half_life_days: float,
    row: NDArray[np.int32],
    score: NDArray[np.float32],
) -> None:
    for b in range(row.shape[0]):
        size = 0
        if personal.shape[0] == 0 or personal[b]:
            for x in range(indptr[b], indptr[b + 1]):
                weight = _weight(count[x], age_days[x], half_life_days)
                if weight > 0.0:
                    size = keep_best(score[b], row[b], size, weight, item[x])
        settle_best(score[b], row[b], size)


@nb.njit(cache=True, nogil=True)
def _look_up(
    personal: NDArray[np.bool_],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    count: NDArray[np.float32],
    age_days: NDArray[np.float32],
    half_life_days: float,
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    for b in range(wanted.shape[0]):
        mine = item[indptr[b] : indptr[b + 1]]
        for x in range(wanted.shape[1]):
            scores[b, x, place] = 0.0
            at = np.searchsorted(mine, wanted[b, x])
            allowed = personal.shape[0] == 0 or personal[b]
            if allowed and at < len(mine) and mine[at] == wanted[b, x]:
                line = indptr[b] + at
                scores[b, x, place] = _weight(count[line], age_days[line], half_life_days)


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    one = np.zeros((1, 1), np.int32)
    score = np.zeros((1, 1), np.float32)
    bought = (np.empty(0, np.bool_), np.zeros(2, np.int64), one[0], score[0], score[0], 1.0)
    _best(*bought, one, score)
    _look_up(*bought, one, score[:, :, None], 0)
