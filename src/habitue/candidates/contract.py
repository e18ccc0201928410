"""What a source of candidates is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from habitue.facts import ActionLog, Catalogue, Context

__all__ = ["Learner", "Proposals", "Source", "TrainingFacts"]


@dataclass(frozen=True, slots=True)
class Proposals:
    """The best ``n`` items of one source for each context, best first."""

    item_row: NDArray[np.int32]  # (B, n), NO_ROW where there is nothing more
    score: NDArray[np.float32]  # (B, n), higher is better, 0 beside NO_ROW


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """All that a learner may see: the log and the catalogue, both as of ``now_ms``.

    Every action lies before ``now_ms``.
    """

    log: ActionLog
    catalogue: Catalogue
    now_ms: int


@runtime_checkable
class Source(Protocol):
    """Proposes items for contexts, and scores any item the same way.

    Sources do not filter: what the shopper has already, what is sold out and what the shop excludes
    is the policy's to remove. Rows beyond the ones a source was fitted on score 0.
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


S_co = TypeVar("S_co", bound="Source", covariant=True)


class Learner(Protocol[S_co]):
    """Fits one source. Never changes itself: ``fit`` returns the model."""

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> S_co:
        """The source learnt from these facts."""
        ...
