"""Inner products of a request with items: the loops of vector sources."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.layout import sealed

__all__ = ["dot", "dot_score", "dot_top", "profile_vectors", "warm"]


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def dot(
    a: NDArray[np.float32], at_a: int, b: NDArray[np.float32] | NDArray[np.int8], at_b: int
) -> np.float32:
    """The inner product of ``a[at_a]`` with ``b[at_b]``, which may hold whole numbers.

    A slice for each would be counted and freed: three times as slow as the product.
    """
    total = np.float32(0.0)
    for d in range(a.shape[1]):
        total += a[at_a, d] * np.float32(b[at_b, d])
    return total


@nb.njit(cache=True, nogil=True)
def profile_vectors(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    vectors: NDArray[np.float32],
    tail_vectors: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill the weighted mean vector (B, dim) of each profile (B, P); zero where nothing counts."""
    n_base = vectors.shape[0]
    n_rows = n_base + tail_vectors.shape[0]
    for b in range(items.shape[0]):
        out[b, :] = 0.0
        mass = np.float32(0.0)
        for p in range(items.shape[1]):
            item = items[b, p]
            weight = weights[b, p]
            if item < 0 or item >= n_rows or weight <= 0.0:
                continue
            mass += weight
            if item < n_base:
                for d in range(out.shape[1]):
                    out[b, d] += weight * vectors[item, d]
            else:
                for d in range(out.shape[1]):
                    out[b, d] += weight * tail_vectors[item - n_base, d]
        if mass > 0.0:
            for d in range(out.shape[1]):
                out[b, d] /= mass


@nb.njit(cache=True, nogil=True)
def dot_score(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32] | NDArray[np.int8],
    tail_vectors: NDArray[np.float32],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill the dot products of each query (B, dim) with the ``wanted`` rows (B, n); unknown: 0.

    They stand at ``scores[:, :, place]``.
    """
    n_base = vectors.shape[0]
    n_rows = n_base + tail_vectors.shape[0]
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            if 0 <= j < n_base:
                scores[b, c, place] = dot(query, b, vectors, j)
            elif n_base <= j < n_rows:
                scores[b, c, place] = dot(query, b, tail_vectors, j - n_base)
            else:
                scores[b, c, place] = 0.0


@nb.njit(cache=True, nogil=True)
def dot_top(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32] | NDArray[np.int8],
    tail_vectors: NDArray[np.float32],
    wanted: NDArray[np.int32],
    least: float,
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Keep the best of the ``wanted`` rows and of all tail rows by dot product above ``least``."""
    n_base = vectors.shape[0]
    for b in range(wanted.shape[0]):
        score = out_score[b]
        row = out_row[b]
        n = row.shape[0]
        size = 0
        for c in range(wanted.shape[1]):
            j = wanted[b, c]
            if 0 <= j < n_base:
                s = dot(query, b, vectors, j)
                if s > least and (size < n or s >= score[0]):
                    size = keep_best(score, row, size, s, j)
        for t in range(tail_vectors.shape[0]):
            s = dot(query, b, tail_vectors, t)
            if s > least and (size < n or s >= score[0]):
                size = keep_best(score, row, size, s, n_base + t)
        settle_best(score, row, size)


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    vectors = sealed(np.eye(2), np.float32)
    nobody = np.zeros((1, 1), np.int32)
    query, out = np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32)
    profile_vectors(nobody, out, vectors, vectors, query)
    for items in (vectors, sealed(np.eye(2), np.int8)):
        dot_score(query, items, vectors, nobody, out[:, :, None], 0)
        dot_top(query, items, vectors, nobody, 0.0, np.zeros((1, 1), np.int32), out)
