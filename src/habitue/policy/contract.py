"""What a policy is: which candidates are shown, with what probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.facts import Context

__all__ = ["Chosen", "Policy"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The slots filled for each context, in order."""

    item_row: NDArray[np.int32]  # (B, n), NO_ROW where nothing could be shown
    score: NDArray[np.float32]  # (B, n) the ranker's score
    propensity: NDArray[np.float32]  # (B, n) given the earlier slots; 1 for a pinned one
    more: NDArray[np.bool_] | None = None  # (B,) whether anything is left for another page


class Policy(Protocol):
    """Fills slots from scored candidates."""

    def choose(
        self,
        context: Context,
        item_row: NDArray[np.int32],
        score: NDArray[np.float32],
        n: int,
        rng: np.random.Generator,
    ) -> Chosen:
        """Fill ``n`` slots for each context from its candidates (B, m)."""
        ...
