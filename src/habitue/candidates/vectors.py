"""Nearest vectors by inner product: FAISS, measured against exact search when it is built.

Up to some tens of thousands of vectors a flat half-precision scan is quickest and exact
enough; beyond, 4-bit codes are scanned and the caller scores the survivors (``products.dot_top``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.candidates.layout import sealed
from habitue.facts import NO_ROW

__all__ = ["VectorConfig", "VectorIndex", "nearest", "nearest_of", "units"]

_SPARE = 16  # asked for beyond the n: what differs less than half precision tells is near the edge


def _faiss() -> Any:
    """FAISS, imported when it is first needed: a shop that starts may do without."""
    import faiss

    faiss.omp_set_num_threads(1)  # a request never fans out: one core, one worker
    return faiss


class VectorConfig(BaseModel):
    """When codes replace vectors, and how many survivors are scored exactly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flat_up_to: int = Field(default=20_000, ge=0, description="vectors scanned in half precision")
    refine_factor: int = Field(
        default=4, ge=1, le=64, description="survivors of the coded scan for each item asked for"
    )
    min_recall: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="recall@100 below which codes give way to the flat scan",
    )
    measured_queries: int = Field(default=200, ge=1, description="queries recall is measured on")


class VectorIndex:
    """Finds candidate rows; ``recall`` is the share of the exact top 100 it finds."""

    def __init__(
        self,
        index: Any | Path,
        row: NDArray[np.int32],
        *,
        coded: bool,
        refine_factor: int,
        recall: float,
    ) -> None:
        """``index`` may be the file it is read from when it is first asked."""
        self._held = index
        self.row = sealed(row, np.int32)
        self.coded = coded
        self.refine_factor = refine_factor if coded else 1
        self.recall = recall

    def __len__(self) -> int:
        return len(self.row)

    @property
    def _index(self) -> Any:
        if isinstance(self._held, Path):
            self._held = _faiss().read_index(str(self._held))
        return self._held

    @classmethod
    def build(
        cls,
        vectors: NDArray[np.float32],
        row: NDArray[np.int32],
        queries: NDArray[np.float32],
        config: VectorConfig,
        *,
        small: bool = False,
    ) -> Self:
        """An index of ``vectors`` (N, dim), which stand for item rows ``row`` (N,).

        ``queries`` (Q, dim) are what recall is measured on: some of those that will be asked. A
        ``small`` flat index takes a byte a component instead of two.
        """
        vectors = np.ascontiguousarray(vectors, np.float32)
        queries = np.ascontiguousarray(queries[: config.measured_queries], np.float32)
        if len(vectors) > config.flat_up_to and vectors.shape[1] % 2 == 0:
            found = cls(
                _coded(vectors), row, coded=True, refine_factor=config.refine_factor, recall=0.0
            )
            found.recall = _recall(found, vectors, queries)
            if found.recall >= config.min_recall:
                return found
        found = cls(_flat(vectors, small), row, coded=False, refine_factor=1, recall=0.0)
        found.recall = _recall(found, vectors, queries)
        return found

    def candidates(self, query: NDArray[np.float32], n: int) -> NDArray[np.int32]:
        """Rows (B, m >= n) among which the best ``n`` are; ``NO_ROW`` where there are fewer.

        They are in no promised order: score them exactly.
        """
        found = self._places(query, n)
        if not len(self.row):
            return np.full(found.shape, NO_ROW, np.int32)
        return np.where(found >= 0, self.row[found], np.int32(NO_ROW))

    def _places(self, query: NDArray[np.float32], n: int) -> NDArray[np.int64]:
        n_asked = min(n * self.refine_factor + _SPARE, len(self.row))
        if n_asked == 0:
            return np.empty((len(query), 0), np.int64)
        _, found = self._index.search(query, n_asked)
        places: NDArray[np.int64] = found
        return places

    def save(self, path: Path) -> None:
        """Write ``path``.faiss; the rows and numbers are the caller's to keep beside it."""
        _faiss().write_index(self._index, str(path))

    @classmethod
    def load(
        cls, path: Path, row: NDArray[np.int32], *, coded: bool, refine_factor: int, recall: float
    ) -> Self:
        """The index written there, read when it is first asked."""
        return cls(path, row, coded=coded, refine_factor=refine_factor, recall=recall)


def units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors (n, dim) at unit length; 0 where they are 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9), np.float32)


def _flat(vectors: NDArray[np.float32], small: bool) -> Any:
    faiss = _faiss()
    kind = faiss.ScalarQuantizer.QT_8bit if small else faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexScalarQuantizer(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    if len(vectors):
        index.train(vectors)
        index.add(vectors)
    return index


def _coded(vectors: NDArray[np.float32]) -> Any:
    dim = vectors.shape[1]
    parts = dim if dim <= 64 else dim // 2
    faiss = _faiss()
    index = faiss.IndexPQFastScan(dim, parts, 4, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:: max(1, len(vectors) // 50_000)])
    index.add(vectors)
    return index


def _recall(
    index: VectorIndex, vectors: NDArray[np.float32], queries: NDArray[np.float32], n: int = 100
) -> float:
    """Share of each query's exact top ``n`` among the index's candidates, averaged."""
    n = min(n, len(vectors))
    if n == 0 or len(queries) == 0:
        return 1.0
    exact = np.argpartition(-(queries @ vectors.T), n - 1, axis=1)[:, :n]
    found = index._places(queries, n)
    hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True)]
    return float(np.mean(hits)) / n


def nearest_of(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Each query's ``n`` nearest vectors by inner product: places and products (Q, n), exactly."""
    n = min(n, len(vectors))
    if n == 0 or len(queries) == 0:
        return np.empty((len(queries), 0), np.int32), np.empty((len(queries), 0), np.float32)
    faiss = _faiss()
    product, place = faiss.knn(
        np.ascontiguousarray(queries, np.float32),
        np.ascontiguousarray(vectors, np.float32),
        n,
        metric=faiss.METRIC_INNER_PRODUCT,
    )
    return place.astype(np.int32), product


def nearest(
    vectors: NDArray[np.float32], n: int, rng: np.random.Generator, *, exact_up_to: int = 20_000
) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
    """Each vector's ``n`` nearest others by inner product: places and products (N, n), and recall.

    A place of -1 marks that there are fewer. Up to ``exact_up_to`` vectors all are compared;
    beyond, those in the nearest of about sqrt(N) cells, and recall is measured on a sample.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    n_vectors, dim = vectors.shape
    n = min(n, max(n_vectors - 1, 0))
    if n == 0:
        return np.empty((n_vectors, 0), np.int64), np.empty((n_vectors, 0), np.float32), 1.0
    faiss = _faiss()
    index = faiss.IndexFlatIP(dim)
    if n_vectors > exact_up_to:
        cells = int(np.sqrt(n_vectors))
        index = faiss.IndexIVFFlat(index, dim, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = int(rng.integers(2**31 - 1))
        index.nprobe = max(8, cells // 32)
        index.train(vectors)
    index.add(vectors)
    product, place = index.search(vectors, n + 1)
    others = place != np.arange(n_vectors)[:, None]
    others[others.all(axis=1), -1] = False  # itself not found: the last one gives way
    place, product = place[others].reshape(-1, n), product[others].reshape(-1, n)
    recall = 1.0
    if n_vectors > exact_up_to:
        sample = np.sort(rng.permutation(n_vectors)[:200])
        exact = vectors[sample] @ vectors.T
        exact[np.arange(len(sample)), sample] = -np.inf
        best = np.argpartition(-exact, n - 1, axis=1)[:, :n]
        hits = [len(np.intersect1d(a, b)) for a, b in zip(best, place[sample], strict=True)]
        recall = float(np.mean(hits)) / n
    return place, product, recall
