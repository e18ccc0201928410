"""A table of each item's nearest items, and the questions asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.candidates.contract import Prepared, Proposals
from habitue.candidates.gather import (
    EDGE,
    gather_like,
    gather_score,
    gather_top,
    recall,
)
from habitue.candidates.growing import Growing
from habitue.candidates.layout import scratch, sealed

__all__ = ["NeighbourTable", "Walk", "strongest", "warm"]


def _edges(neighbour: NDArray[np.int32], strength: NDArray[np.float32]) -> NDArray[np.void]:
    edge = np.empty(len(neighbour), EDGE)
    edge["item"] = neighbour
    edge["strength"] = strength
    return _held(edge)


def _held(edge: NDArray[np.void]) -> NDArray[np.void]:
    """Read-only, and still mapped if it was."""
    whole = np.ascontiguousarray(edge)[...]
    whole.setflags(write=False)
    return whole


@dataclass(frozen=True, slots=True)
class NeighbourTable:
    """Neighbours of item ``i`` are ``edge[indptr[i]:indptr[i + 1]]``, strongest first.

    Strengths are positive; in a ``signed`` table some speak against an item, and what sums to 0 or
    less is not proposed. A live tail of items newer than the table may stand behind it. A table may
    lead from and to rows of other kinds (items to shoppers): then it says how many ``n_targets``
    there are.
    """

    indptr: NDArray[np.int64]  # (n_items + 1,)
    edge: NDArray[np.void]  # (nnz,) of EDGE
    tail_indptr: Growing  # (n_tail + 1,) of int64
    tail_edge: Growing  # of EDGE
    n_targets: int = 0
    signed: bool = False

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], *, n_targets: int = 0, signed: bool = False
    ) -> Self:
        """The table whose ``arrays()`` were saved; if they are mapped, they stay so."""
        indptr, edge = sealed(arrays["indptr"], np.int64), _held(arrays["edge"])
        no_tail, no_edge = Growing(np.zeros(1, np.int64)), Growing(np.empty(0, EDGE))
        return cls(indptr, edge, no_tail, no_edge, n_targets, signed)

    @classmethod
    def of_csr(
        cls,
        indptr: NDArray[np.int64],
        neighbour: NDArray[np.int32],
        strength: NDArray[np.float32],
        *,
        n_targets: int = 0,
        signed: bool = False,
    ) -> Self:
        """The table of these rows, already strongest first."""
        edge = _edges(neighbour, strength)
        arrays = {"indptr": indptr, "edge": edge}
        return cls.of_arrays(arrays, n_targets=n_targets, signed=signed)

    @classmethod
    def of_edges(
        cls,
        item: NDArray[np.int32],
        neighbour: NDArray[np.int32],
        strength: NDArray[np.float32],
        *,
        n_items: int,
        n_targets: int = 0,
    ) -> Self:
        """The table of these edges; those without a positive strength are left out."""
        kept = strength > 0
        item, neighbour, strength = item[kept], neighbour[kept], strength[kept]
        order = np.lexsort((neighbour, -strength, item))
        indptr = np.zeros(n_items + 1, np.int64)
        np.cumsum(np.bincount(item, minlength=n_items), out=indptr[1:])
        return cls.of_csr(indptr, neighbour[order], strength[order], n_targets=n_targets)

    @classmethod
    def of_parts(cls, parts: Sequence[NeighbourTable], *, n_targets: int) -> Self:
        """The table whose rows are those of ``parts``, one part after the other."""
        count = np.concatenate([np.diff(part.indptr) for part in parts])
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
        edge = np.concatenate([part.edge for part in parts])
        return cls.of_arrays({"indptr": indptr, "edge": edge}, n_targets=n_targets)

    @property
    def n_items(self) -> int:
        """Items the table was fitted on."""
        return len(self.indptr) - 1

    @property
    def n_rows(self) -> int:
        """Items the table knows, its tail included."""
        return self.n_items + len(self.tail_indptr) - 1

    @property
    def width(self) -> int:
        """Rows that one accumulator needs."""
        return max(self.n_rows, self.n_targets)

    def with_more_tail(self, neighbour: NDArray[np.int32], strength: NDArray[np.float32]) -> Self:
        """This table with these rows (n, width) behind all it has; no strength, no edge.

        Costs what the rows do, however long the tail.
        """
        kept = strength > 0
        length = len(self.tail_edge) + np.cumsum(kept.sum(axis=1))
        more = _edges(neighbour[kept], strength[kept])
        return replace(
            self,
            tail_indptr=self.tail_indptr.append(length),
            tail_edge=self.tail_edge.append(more),
        )

    def with_other_tail(
        self, at: NDArray[np.int64], neighbour: NDArray[np.int32], strength: NDArray[np.float32]
    ) -> Self:
        """This table with these rows (n, width) in place of those ``at`` (n,) in its tail.

        Reads the whole tail.
        """
        indptr, edge = self.tail_indptr.rows, self.tail_edge.rows
        row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        stays, kept = ~np.isin(row, at), strength > 0
        every_row = np.concatenate([row[stays], np.repeat(at, kept.sum(axis=1))])
        every = np.concatenate([edge[stays], _edges(neighbour[kept], strength[kept])])
        order = np.argsort(every_row, kind="stable")
        begins = np.searchsorted(every_row[order], np.arange(len(indptr)))
        return replace(
            self,
            tail_indptr=Growing(begins.astype(np.int64)),
            tail_edge=Growing(every[order]),
        )

    def head(self, n_items: int) -> Self:
        """This table without the rows from ``n_items`` on; a tail is not taken along."""
        indptr = self.indptr[: n_items + 1]
        arrays = {"indptr": indptr, "edge": self.edge[: indptr[-1]]}
        return self.of_arrays(arrays, n_targets=self.n_targets, signed=self.signed)

    def of(self, item_row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The neighbours of one item and their strengths, strongest first."""
        edge = self.edge[:0]
        if 0 <= item_row < self.n_items:
            edge = self.edge[self.indptr[item_row] : self.indptr[item_row + 1]]
        elif 0 <= item_row < self.n_rows:
            at = item_row - self.n_items
            indptr = self.tail_indptr.rows
            edge = self.tail_edge.rows[indptr[at] : indptr[at + 1]]
        return edge["item"], edge["strength"]

    def top(self, items: NDArray[np.int32], weights: NDArray[np.float32], n: int) -> Proposals:
        """The ``n`` rows with the largest weighted sum of strengths, for each profile (B, P)."""
        row = np.empty((len(items), n), np.int32)
        score = np.empty((len(items), n), np.float32)
        self.walk(items, weights, row, score)
        return Proposals(row, score)

    def walk(
        self,
        items: NDArray[np.int32],
        weights: NDArray[np.float32],
        row: NDArray[np.int32],
        score: NDArray[np.float32],
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Fill ``top`` into ``row`` and ``score`` (B, n).

        Returns all that the last profile reached and how strongly, in no order.
        """
        space = scratch.of(self.width)
        return gather_top(items, weights, *self.columns(), self.signed, *space, row, score)

    def score(
        self,
        items: NDArray[np.int32],
        weights: NDArray[np.float32],
        item_row: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """The same sum for the given rows (B, n); 0 for rows the profile does not reach."""
        return Walk(self, items, weights).score(item_row)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is saved: the fitted arrays by name, without the tail."""
        return {"indptr": self.indptr, "edge": self.edge}

    def columns(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.void], NDArray[np.int64], NDArray[np.void]]:
        """The table and its tail as kernels read them."""
        return self.indptr, self.edge, self.tail_indptr.rows, self.tail_edge.rows


class Walk(Prepared):
    """Profiles followed along a table; what a single one reached is kept for scoring."""

    __slots__ = ("_items", "_reached", "_table", "_weights")

    def __init__(
        self, table: NeighbourTable, items: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> None:
        """``items`` and ``weights`` are (B, P)."""
        self._table = table
        self._items = items
        self._weights = weights
        self._reached: tuple[NDArray[np.int32], NDArray[np.float32]] | None = None

    def propose(self, n: int) -> Proposals:
        """The ``n`` items most strongly tied to each profile."""
        row = np.empty((len(self._items), n), np.int32)
        score = np.empty(row.shape, np.float32)
        reached = self._table.walk(self._items, self._weights, row, score)
        if len(row) == 1:
            self._reached = reached
        return Proposals(row, score)

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """How strongly any items are tied to each profile."""
        table = self._table
        total, touched = scratch.of(table.width)
        if self._reached is not None:
            recall(*self._reached, total, item_row, scores, place)
            return
        gather_score(
            self._items, self._weights, *table.columns(), table.signed, total, touched, item_row,
            scores, place,
        )  # fmt: skip


def strongest(matrix: sp.csr_matrix, n: int) -> NeighbourTable:
    """A table from rows to their ``n`` largest columns."""
    entries = matrix.tocoo()
    order = np.lexsort((entries.col, -entries.data, entries.row))
    row = entries.row[order]
    kept = order[np.arange(len(row)) - np.searchsorted(row, row, side="left") < n]
    return NeighbourTable.of_edges(
        entries.row[kept].astype(np.int32),
        entries.col[kept].astype(np.int32),
        entries.data[kept].astype(np.float32),
        n_items=matrix.shape[0],
        n_targets=matrix.shape[1],
    )


def warm() -> None:
    """Compile the kernels that read a table for the types requests bring, or read them back."""
    table = NeighbourTable.of_edges(
        np.array([0], np.int32), np.array([1], np.int32), np.array([1], np.float32), n_items=2
    )
    items, weights = np.zeros((2, 1), np.int32), np.zeros((2, 1), np.float32)
    table.top(items, weights, 2)
    walk = Walk(table, items[:1], weights[:1])
    walk.propose(2)
    walk.score(items[:1])
    table.score(items[:1], weights[:1], items[:1])
    vectors = sealed(np.eye(2), np.float32)
    row, score = np.empty((1, 1), np.int32), np.empty((1, 1), np.float32)
    gather_like(
        items[:1], weights[:1], *table.columns(), *scratch.of(2), np.zeros((1, 2), np.float32),
        vectors, vectors, 1, row, score,
    )  # fmt: skip
