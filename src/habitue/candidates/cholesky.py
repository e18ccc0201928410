"""Small symmetric systems, solved in place: a request's fold-in has one."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["factorise", "solve"]

_MANY: Final = 96  # unknowns from which LAPACK is quicker: 500 in 4 ms instead of 35


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def factorise(a: NDArray[np.float64], n: int) -> None:
    """Cholesky of the first ``n`` rows of a positive ``a``, in place, in its lower half."""
    if n > _MANY:
        whole = np.empty((n, n))
        for i in range(n):
            for j in range(i + 1):
                whole[i, j] = whole[j, i] = a[i, j]
        a[:n, :n] = np.linalg.cholesky(whole)
        return
    for i in range(n):
        for j in range(i + 1):
            total = a[i, j]
            for d in range(j):
                total -= a[i, d] * a[j, d]
            a[i, j] = np.sqrt(total) if i == j else total / a[j, j]


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def solve(a: NDArray[np.float64], x: NDArray[np.float64], n: int) -> None:
    """Solve for the first ``n`` of ``x``, in place, with what ``factorise`` left in ``a``."""
    for i in range(n):
        total = x[i]
        for d in range(i):
            total -= a[i, d] * x[d]
        x[i] = total / a[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= a[i, i]
        for d in range(i):
            x[d] -= a[i, d] * x[i]
