"""The items whose vectors have the largest products with a query, found the quickest way there is.

Where lengths differ much, a descent down the lengths is exact and quickest; else FAISS finds
candidates, which are scored exactly. Vectors of items that came later stand in a tail that is
always looked at whole.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.compact import Compact
from habitue.candidates.contract import Prepared, Proposals
from habitue.candidates.descent import Descent
from habitue.candidates.layout import plain, sealed
from habitue.candidates.products import dot_score, dot_top
from habitue.candidates.vectors import VectorConfig, VectorIndex
from habitue.facts import NO_ROW

__all__ = ["ItemSearch", "Sought", "Without"]

_ASKED: Final = 64  # queries a descent is tried with
_DESCEND_SHARE: Final = 0.4  # of the items looked at, up to which descending beats FAISS


class ItemSearch:
    """Item vectors, those of them that are searched, and how."""

    def __init__(
        self,
        vectors: NDArray[np.float32] | NDArray[np.int8],
        index: VectorIndex,
        asked: NDArray[np.float32],
        step: float = 1.0,
    ) -> None:
        """``vectors`` (n_items, dim), of which ``index`` finds some; ``asked``: sample queries.

        Vectors may be whole numbers of ``step``.
        """
        self.vectors: NDArray[Any] = sealed(vectors, vectors.dtype.type)
        self.step = np.float32(step)
        self.index = index
        self.asked = asked[:: max(1, len(asked) // _ASKED)]
        self.tail = sealed(np.empty((0, vectors.shape[1]), np.float32), np.float32)
        """Vectors (n_tail, dim) of the item rows after those."""
        self._descent = None
        if not self.compact:
            descent = Descent(self.vectors, index.row, self.asked)
            self._descent = descent if descent.share <= _DESCEND_SHARE else None

    @classmethod
    def build(
        cls,
        vectors: NDArray[np.float32],
        row: NDArray[np.int32],
        asked: NDArray[np.float32],
        config: VectorConfig,
        compact: Compact | None = None,
    ) -> Self:
        """A search of the item rows ``row``; recall is measured with the queries ``asked``.

        ``vectors`` (n_items, dim) are kept as they are, or by the codes of their directions.
        """
        small = compact is not None
        index = VectorIndex.build(vectors[row], row, asked, config, small=small)
        if compact is None:
            return cls(vectors, index, asked)
        return cls(compact.code, index, asked, compact.step)

    @property
    def compact(self) -> bool:
        """Whether vectors are kept by their codes."""
        return self.vectors.dtype == np.int8

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    @property
    def measured(self) -> dict[str, float]:
        """How well it finds what an exact search finds."""
        return {"recall_at_100": self.index.recall, "items": float(len(self.index))}

    def everything(self) -> NDArray[np.float32]:
        """All vectors in full: (n_items, dim)."""
        return np.asarray(self.vectors * self.step, np.float32)

    def compacted(self, length: NDArray[np.float32]) -> Compact:
        """The vectors of these lengths (n_items,) whose directions are searched by codes."""
        return Compact(self.vectors, float(self.step), sealed(length, np.float32))

    def with_tail(self, tail: NDArray[np.float32]) -> Self:
        """The same search with these vectors (n_tail, dim) after the others; shares all else."""
        longer = copy(self)
        longer.tail = sealed(tail / self.step, np.float32)
        return longer

    def top(self, query: NDArray[np.float32], n: int) -> Proposals:
        """The ``n`` items with the largest positive product with each query (B, dim)."""
        if self._descent is not None:
            found = self._descent.top(query, n)
            if not len(self.tail):
                return found
            wanted = found.item_row
        else:
            wanted = self.index.candidates(query, n)
        row = np.empty((len(query), n), np.int32)
        score = np.empty((len(query), n), np.float32)
        dot_top(query * self.step, self.vectors, self.tail, wanted, 0.0, row, score)
        return Proposals(row, score)

    def fill(
        self,
        query: NDArray[np.float32],
        item_row: NDArray[np.int32],
        scores: NDArray[np.float32],
        place: int,
    ) -> None:
        """Write the products of ``item_row`` (B, n) at ``scores[:, :, place]``; 0: unknown."""
        dot_score(query * self.step, self.vectors, self.tail, item_row, scores, place)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is written down beside the index."""
        found = {"item": self.vectors, "indexed": self.index.row, "asked": self.asked}
        return found | ({"step": np.array([self.step])} if self.compact else {})

    def numbers(self) -> dict[str, int]:
        """The numbers that go with them."""
        return {"coded": int(self.index.coded), "refine_factor": self.index.refine_factor}

    def save(self, path: Path) -> None:
        """Write the index into the folder ``path``; arrays and numbers are the caller's."""
        path.mkdir(parents=True, exist_ok=True)
        self.index.save(path / "items.faiss")

    @classmethod
    def load(
        cls, path: Path, arrays: dict[str, NDArray[Any]], numbers: dict[str, int], recall: float
    ) -> Self:
        """The search written there, its vectors memory-mapped."""
        index = VectorIndex.load(
            path / "items.faiss",
            arrays["indexed"],
            coded=bool(numbers["coded"]),
            refine_factor=numbers["refine_factor"],
            recall=recall,
        )
        step = float(arrays["step"][0]) if "step" in arrays else 1.0
        return cls(arrays["item"], index, arrays["asked"], step)


class Sought(Prepared):
    """What the queries of a batch find."""

    __slots__ = ("_query", "_search")

    def __init__(self, search: ItemSearch, query: NDArray[np.float32]) -> None:
        """``query`` is (B, dim), 0 where nothing is known."""
        self._search = search
        self._query = plain(query, np.float32)

    def propose(self, n: int) -> Proposals:
        """The ``n`` items with the largest positive product."""
        return self._search.top(self._query, n)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The product for any items."""
        self._search.fill(self._query, item_row, scores, place)


class Without(Prepared):
    """What another finds, without items of which it has learnt nothing: they score 0."""

    __slots__ = ("_left_out", "_others")

    def __init__(self, others: Prepared, left_out: NDArray[np.int32]) -> None:
        """``left_out`` is (B, w), ``NO_ROW`` where nothing stands."""
        self._others = others
        self._left_out = left_out

    def propose(self, n: int) -> Proposals:
        """The ``n`` best of the others."""
        found = self._others.propose(n + self._left_out.shape[1])
        out = self._among(found.item_row)
        place = np.argsort(out, axis=1, kind="stable")[:, :n]
        row = np.where(out, NO_ROW, found.item_row).astype(np.int32)
        score = np.where(out, 0, found.score).astype(np.float32)
        return Proposals(
            np.take_along_axis(row, place, axis=1), np.take_along_axis(score, place, axis=1)
        )

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The others' scores, 0 for what is left out."""
        self._others.fill(item_row, scores, place)
        scores[:, :, place][self._among(item_row)] = 0

    def _among(self, item_row: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of the items (B, n) are left out: one search in all that are, sorted."""
        if not item_row.size or not self._left_out.size:
            return np.zeros(item_row.shape, np.bool_)
        request = np.arange(len(item_row))[:, None] << 32
        out = np.sort((request + self._left_out)[self._left_out != NO_ROW])
        if not len(out):
            return np.zeros(item_row.shape, np.bool_)
        asked = request + item_row
        at = np.minimum(np.searchsorted(out, asked), len(out) - 1)
        return np.asarray((out[at] == asked) & (item_row != NO_ROW))
