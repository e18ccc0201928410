"""The one layout arrays have where kernels read them, and the work space they share.

A kernel is compiled once for each layout it meets: models hold ``sealed`` arrays, requests bring
``plain`` ones, and no call brings a third.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scratch", "plain", "scratch", "sealed"]

T = TypeVar("T", bound=np.generic)


def sealed(array: NDArray[Any], dtype: type[T]) -> NDArray[T]:
    """A read-only plain array: what models hold, so that a kernel is compiled for one type only.

    A memory-mapped array stays mapped; only its wrapper changes.
    """
    whole = np.ascontiguousarray(array, dtype)[...]
    whole.setflags(write=False)
    return whole


def plain(array: NDArray[Any], dtype: type[T]) -> NDArray[T]:
    """A writeable, contiguous array: what requests bring, copied only where it is neither."""
    if array.flags.carray and array.dtype.type is dtype:
        return array
    whole = np.ascontiguousarray(array, dtype)
    return whole if whole.flags.writeable else whole.copy()


class Scratch(threading.local):
    """Work space of one thread, shared by all sources: it stays in the processor's cache."""

    def __init__(self) -> None:
        self.total: NDArray[np.float32] = np.zeros(0, np.float32)
        self.touched: NDArray[np.int32] = np.zeros(0, np.int32)

    def of(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """A zeroed accumulator and a list, both for more than ``n`` item rows."""
        if len(self.total) <= n:
            self.total = np.zeros(n + n // 4 + 1, np.float32)
            self.touched = np.empty(n + n // 4 + 1, np.int32)
        return self.total, self.touched


scratch = Scratch()
