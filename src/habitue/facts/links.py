"""Who knows whom: ties between shoppers, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Links"]


@dataclass(frozen=True, slots=True)
class Links:
    """L ties: ``shopper_row`` listens to ``known_row``. A friendship stands once each way."""

    shopper_row: NDArray[np.int32]  # (L,)
    known_row: NDArray[np.int32]  # (L,)
    weight: NDArray[np.float32]  # (L,) above 0
    at_ms: NDArray[np.int64]  # (L,) since when

    def __len__(self) -> int:
        return len(self.shopper_row)

    def before(self, until_ms: int) -> Links:
        """The ties that stood before that moment."""
        stood = self.at_ms < until_ms
        return Links(
            self.shopper_row[stood], self.known_row[stood], self.weight[stood], self.at_ms[stood]
        )
