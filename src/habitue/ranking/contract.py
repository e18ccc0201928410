"""What a ranker is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.facts import Context

__all__ = ["Ranker"]


class Ranker(Protocol):
    """Says how good each candidate is for each context; higher is better."""

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``item_row`` (B, n); ``-inf`` beside ``NO_ROW``."""
        ...
