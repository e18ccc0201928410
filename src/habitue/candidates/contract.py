"""What a source of candidates is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import plain
from habitue.facts import ActionLog, Catalogue, Context, Links, Triples

if TYPE_CHECKING:
    from habitue.behaviour.returning import NetworkForetold

__all__ = [
    "ContinuingLearner",
    "EmbeddingSource",
    "ExtendingSource",
    "ForetellingSource",
    "Learner",
    "Prepared",
    "PreparingSource",
    "Proposals",
    "Source",
    "TrainingFacts",
    "preparing",
]


class Proposals(NamedTuple):
    """The best ``n`` items of one source for each context, best first."""

    item_row: NDArray[np.int32]  # (B, n), NO_ROW where there is nothing more
    score: NDArray[np.float32]  # (B, n), higher is better, 0 beside NO_ROW


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """All that a learner may see: the log and the catalogue, both as of ``now_ms``.

    Every action lies before ``now_ms``, and so do the ``links`` of shoppers and the ``triples``
    of items, where there are any.
    """

    log: ActionLog
    catalogue: Catalogue
    now_ms: int
    links: Links | None = None
    triples: Triples | None = None


@runtime_checkable
class Source(Protocol):
    """Proposes items for contexts, and scores any item the same way.

    Sources do not filter: what the shopper has already, what is sold out and what the shop excludes
    is the policy's to remove. ``NO_ROW`` and rows a source knows nothing of score 0.
    """

    name: str

    def propose(self, context: Context, n: int) -> Proposals:
        """The best ``n`` items for each context."""
        ...

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """This source's score of ``item_row`` (B, n): equal to ``propose``'s where both speak."""
        ...

    def save(self, path: Path) -> None:
        """Write the model into the empty or absent folder ``path``."""
        ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, memory-mapped where it is large."""
        ...


@runtime_checkable
class ExtendingSource(Source, Protocol):
    """A source that can read items it was not fitted on, by what is said of them.

    A running shop gives it what is posted, a moment after each posting, and asks the copy it gets
    from then on: requests still in flight end with the source they began with.
    """

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on: it is told of rows from here on, and of no others."""
        ...

    def extend(self, catalogue_tail: Catalogue) -> Self:
        """A copy that also knows these items; this source stays as it is.

        ``catalogue_tail`` has a row for each item posted or told otherwise, in any order, with gaps
        between; of a row that was told before, what is said now holds. The copy is the same in
        whatever steps items come. A step may cost what its own items do, and not what the whole
        tail does, but where what was told before has changed.
        """
        ...


@runtime_checkable
class EmbeddingSource(Source, Protocol):
    """A source in whose space shoppers who are alike lie near each other."""

    def vectors(self, context: Context) -> NDArray[np.float32]:
        """The vector (B, dim) of each request's shopper; 0 of whom it knows nothing."""
        ...


@runtime_checkable
class ForetellingSource(Source, Protocol):
    """A source whose network may have been taught more than the next item."""

    @property
    def foretells(self) -> bool:
        """Whether it was."""
        ...

    def foretold(self, context: Context) -> NetworkForetold | None:
        """What else it foretells of each request; None where there is nothing of any."""
        ...


class Prepared(ABC):
    """A source that has read a batch of contexts, to be asked about them more than once."""

    __slots__ = ()

    @abstractmethod
    def propose(self, n: int) -> Proposals:
        """As ``Source.propose`` of those contexts."""

    @abstractmethod
    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """Write the scores of ``item_row`` (B, n), a plain array, at ``scores[:, :, place]``."""

    def score(self, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """As ``Source.score`` of those contexts."""
        scores = np.empty((*item_row.shape, 1), np.float32)
        self.fill(plain(item_row, np.int32), scores, 0)
        return scores[:, :, 0]


class PreparingSource(ABC):
    """A source whose proposing and scoring share work: whoever wants both prepares it once.

    It says how it prepares, and has the two methods of a ``Source`` from here.
    """

    @abstractmethod
    def prepare(self, context: Context) -> Prepared:
        """This source, having read the contexts."""

    def propose(self, context: Context, n: int) -> Proposals:
        """The best ``n`` items for each context."""
        return self.prepare(context).propose(n)

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """The score of any items (B, n): equal to ``propose``'s where both speak."""
        return self.prepare(context).score(item_row)


class _Unprepared(Prepared):
    """A source that does the same for the same contexts, however often it is asked."""

    __slots__ = ("_context", "_source")

    def __init__(self, source: Source, context: Context) -> None:
        self._source = source
        self._context = context

    def propose(self, n: int) -> Proposals:
        return self._source.propose(self._context, n)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        scores[:, :, place] = self._source.score(self._context, item_row)


def preparing(source: Source) -> Callable[[Context], Prepared]:
    """How the source reads contexts, whether or not it can share work between questions."""
    return source.prepare if isinstance(source, PreparingSource) else partial(_Unprepared, source)


S_co = TypeVar("S_co", bound="Source", covariant=True)


class Learner(Protocol[S_co]):
    """Fits one source. Never changes itself: ``fit`` returns the model."""

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> S_co:
        """The source learnt from these facts."""
        ...


@runtime_checkable
class ContinuingLearner(Learner[Source], Protocol):
    """A learner that can go on from what it learnt of earlier facts, for less than the whole."""

    def go_on(self, source: Source, facts: TrainingFacts, rng: np.random.Generator) -> Source:
        """The source learnt from these facts, beginning where ``source`` ended.

        ``source`` was learnt from facts of no later moment than these. Begins anew where it cannot
        go on from it.
        """
        ...

    def went_on(self, source: Source) -> bool:
        """Whether a source it learnt began where another had ended."""
        ...
