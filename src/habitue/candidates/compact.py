"""Vectors in a fifth of the memory: directions as eight-bit codes, and lengths.

Unit vectors of one space have components of one size, so one step does for all of them. The same
codes are searched and, times the lengths, read: where a source keeps both in full, that is ten
bytes a component with the index, and two here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import sealed

__all__ = ["Compact"]

_MOST: Final = 127


@dataclass(frozen=True, slots=True)
class Compact:
    """Vectors (n, dim), each ``code * step * length``."""

    code: NDArray[np.int8]  # (n, dim)
    step: float  # what one more of a code stands for in a unit vector
    length: NDArray[np.float32]  # (n,)

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Self:
        """These vectors, each component within half a step times its vector's length."""
        length = np.linalg.norm(vectors, axis=1)
        units = vectors / np.maximum(length, 1e-9)[:, None]
        step = max(float(np.abs(units).max(initial=0)), 1e-9) / _MOST
        code = np.rint(units / step).astype(np.int8)
        return cls(sealed(code, np.int8), step, sealed(length, np.float32))

    def __len__(self) -> int:
        return len(self.code)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.code.shape[1])

    def rows(self, row: NDArray[np.integer]) -> NDArray[np.float32]:
        """The vectors of ``row`` (...): (..., dim)."""
        factor = self.length[row] * np.float32(self.step)
        return np.asarray(self.code[row] * factor[..., None], np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is written down; the codes are those of the search."""
        return {"length": self.length}
