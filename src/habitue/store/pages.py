"""Arrays that outgrow themselves, in memory pages of their own."""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["pages", "pages_like"]


def pages(shape: int | tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """Room for numbers in pages of their own, all 0; pages never written to take no memory.

    Let go, they are the system's again at once. On the heap each larger copy leaves the hole of the
    one before: a million entries held 40 MB that nobody used.
    """
    size = shape if isinstance(shape, int) else math.prod(shape)
    held = mmap.mmap(
        -1, max(size, 1) * np.dtype(kind).itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    return np.frombuffer(held, kind, size).reshape(shape)


def pages_like(array: NDArray[Any]) -> NDArray[Any]:
    """A copy of an array in pages of its own."""
    copy = pages(array.shape, array.dtype)
    copy[...] = array
    return copy
