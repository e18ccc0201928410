"""Steps of the item vectors that cost what a batch's own items cost, however many there are.

Adam (Kingma and Ba 2015) moves every row in every step, by what is left of its gradients of before;
at a million items that is nearly all the time there is. Here a row moves when it is in a batch, and
its moments and their correction count its own steps alone, as in lazy Adam. The running mean of a
row that rests is known without a look at it: it nears the row by the same share each step.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

__all__ = ["RowSteps"]

_BETAS: Final = (0.9, 0.98)
_LEAST: Final = 1e-8


class RowSteps:
    """Moves rows of a table (n, dim), in place; ``averaging`` is the share its mean keeps a step.

    ``rows`` gives the vectors of a batch; after the backward pass of its loss ``step`` moves them.
    """

    def __init__(self, table: Tensor, averaging: float) -> None:
        self.table = table.detach()
        self._averaging = averaging
        self._first, self._second = torch.zeros_like(self.table), torch.zeros_like(self.table)
        self._times = torch.zeros(len(table), dtype=torch.int32, device=table.device)
        self._mean = self.table.clone() if averaging else None
        self._known = torch.zeros(len(table), dtype=torch.int32, device=table.device)
        self._now = 0
        self._row = torch.empty(0, dtype=torch.int64, device=table.device)
        self.moving = torch.empty(0, table.shape[1], device=table.device)
        """The vectors of the batch, whose gradient is wanted."""

    def rows(self, row: Tensor) -> Tensor:
        """The vectors (m, dim) of a batch's ``row`` (m,), each once, to take a loss of."""
        self._row = row
        self.moving = self.table.index_select(0, row).requires_grad_()
        return self.moving

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the batch's rows against the gradient of its loss."""
        row, slope = self._row, self.moving.grad
        if slope is None:
            return
        if self._mean is not None:
            self._mean.index_copy_(0, row, self._mean_of(row))
            self._known[row] = self._now
        self._now += 1
        times = self._times[row] + 1
        first = torch.lerp(slope, self._first[row], _BETAS[0])
        second = torch.lerp(slope * slope, self._second[row], _BETAS[1])
        self._times[row] = times
        self._first.index_copy_(0, row, first)
        self._second.index_copy_(0, row, second)
        fair = 1 - torch.pow(torch.tensor(_BETAS, device=row.device)[:, None], times)  # (2, m)
        way = first / fair[0, :, None] / ((second / fair[1, :, None]).sqrt() + _LEAST)
        self.table.index_copy_(0, row, self.moving.detach() - rate * way)

    def _mean_of(self, row: Tensor) -> Tensor:
        """The mean of these rows as of now: the table's rows have rested since they were known."""
        assert self._mean is not None
        kept = self._averaging ** (self._now - self._known[row]).float()
        return torch.lerp(self.table[row], self._mean[row], kept[:, None])

    @torch.no_grad()
    def mean(self) -> Tensor:
        """The running mean of the whole table; the table itself where none is kept."""
        if self._mean is None:
            return self.table
        return self._mean_of(torch.arange(len(self.table), device=self.table.device))

    def state(self) -> dict[str, Any]:
        """All that a training killed on the way needs; ``take_up`` reads it."""
        return {
            "moments": (self._first, self._second), "times": self._times, "mean": self._mean,
            "known": self._known, "now": self._now,
        }  # fmt: skip

    def take_up(self, state: dict[str, Any]) -> None:
        """Stand where ``state`` was told."""
        self._first, self._second = state["moments"]
        self._times, self._mean = state["times"], state["mean"]
        self._known, self._now = state["known"], state["now"]
