"""What the shopper bought before: for shops where people buy again.

Ordered by how likely the next order holds it, as cycles of replenishment foretell (``due.py``), or
simply by how often and how lately it was bought.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numba as nb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.contract import Prepared, PreparingSource, Proposals, TrainingFacts
from habitue.candidates.due import Due
from habitue.candidates.due import warm as warm_due
from habitue.candidates.layout import plain
from habitue.candidates.saved import Saved, read, write
from habitue.facts import NO_ROW, Context, Owned
from habitue.portraits import ItemColumns

__all__ = ["AgainConfig", "AgainLearner", "AgainSource", "warm"]


class AgainConfig(BaseModel):
    """How past purchases fade."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["again"] = "again"
    name: str = Field(default="again", min_length=1, description="its name in slates and features")
    fades: Literal["cycle", "half_life"] = Field(
        default="half_life",
        description="by how the time since the last purchase fits the cycle, or by half-lives",
    )
    half_life_days: float = Field(
        default=60.0, gt=0, description="age of the last purchase at which an item counts half"
    )


class AgainSource(PreparingSource):
    """Scores an item by the chance that the shopper's next order holds it.

    Without ``due``, by the shopper's own orders of it, halved with every half-life since the last:
    then it knows nothing but the request's ``owned``. What was never bought scores 0.
    """

    def __init__(self, config: AgainConfig, due: Due | None = None) -> None:
        self.config = config
        self.due = due
        self.name = config.name
        self.measured: dict[str, float] = {}

    def prepare(self, context: Context) -> _Bought:
        """What each shopper bought."""
        return _Bought(context, self._worth(context.owned))

    def _worth(self, owned: Owned) -> NDArray[np.float32]:
        """What each thing owned is worth: (nnz,), above 0."""
        if self.due is None:
            faded = np.exp2(owned.age_days * np.float32(-1 / self.config.half_life_days))
            return np.asarray(owned.count * faded, np.float32)
        odds = self.due.log_odds(owned)
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def save(self, path: Path) -> None:
        """Write the config into the folder ``path``."""
        arrays = {} if self.due is None else self.due.arrays()
        write(path, Saved(source="again", config=self.config.model_dump()), arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The source written there."""
        saved, arrays = read(path, "again")
        config = AgainConfig.model_validate(saved.config)
        return cls(config, Due.of_arrays(arrays) if config.fades == "cycle" else None)


class _Bought(Prepared):
    """What the shoppers of a batch bought, and what it is worth to them."""

    __slots__ = ("_lines",)

    def __init__(self, context: Context, worth: NDArray[np.float32]) -> None:
        owned = context.owned
        self._lines = (
            plain(context.personal, np.bool_),
            plain(owned.indptr, np.int64),
            plain(owned.item, np.int32),
            worth,
        )

    def propose(self, n: int) -> Proposals:
        """The ``n`` things each shopper bought that are worth most."""
        _, indptr, item, *_ = self._lines
        if not len(item):
            shape = (len(indptr) - 1, n)
            return Proposals(np.full(shape, NO_ROW, np.int32), np.zeros(shape, np.float32))
        row = np.empty((len(indptr) - 1, n), np.int32)
        score = np.empty(row.shape, np.float32)
        _best(*self._lines, row, score)
        return Proposals(row, score)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The same worth of any items: 0 for what was never bought."""
        if len(self._lines[2]):
            _look_up(*self._lines, item_row, scores, place)
        else:
            scores[:, :, place] = 0.0


class AgainLearner:
    """Reads off a log how long things last; by half-lives there is nothing to learn."""

    def __init__(self, config: AgainConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> AgainSource:
        """The source of these facts."""
        if self.config.fades == "half_life":
            return AgainSource(self.config)
        category = ItemColumns.of(facts.catalogue).category
        return AgainSource(self.config, Due.of(facts.log, category, rng))


@nb.njit(cache=True, nogil=True)
def _best(
    personal: NDArray[np.bool_],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    worth: NDArray[np.float32],
    row: NDArray[np.int32],
    score: NDArray[np.float32],
) -> None:
    for b in range(row.shape[0]):
        size = 0
        if personal.shape[0] == 0 or personal[b]:
            for x in range(indptr[b], indptr[b + 1]):
                if worth[x] > 0.0:
                    size = keep_best(score[b], row[b], size, worth[x], item[x])
        settle_best(score[b], row[b], size)


@nb.njit(cache=True, nogil=True)
def _look_up(
    personal: NDArray[np.bool_],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    worth: NDArray[np.float32],
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
                scores[b, x, place] = worth[line]


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    one = np.zeros((1, 1), np.int32)
    score = np.zeros((1, 1), np.float32)
    bought = (np.empty(0, np.bool_), np.zeros(2, np.int64), one[0], score[0])
    _best(*bought, one, score)
    _look_up(*bought, one, score[:, :, None], 0)
    warm_due()
