"""Lists generated item by item: what stands in a list is read before its next item is asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Prepared, Proposals
from habitue.candidates.search import ItemSearch, Sought, Without
from habitue.facts import NO_ROW

__all__ = ["Generated", "generate"]

Asked = Callable[[NDArray[np.int32]], NDArray[np.float32]]


def generate(
    asked: Asked, search: ItemSearch, left_out: NDArray[np.int32], slots: int
) -> NDArray[np.int32]:
    """The likeliest item for each place after the other: (B, slots), ``NO_ROW`` where none is left.

    ``asked`` gives the queries (B, dim) for what follows lists (B, K); nothing of ``left_out``
    (B, w) is listed, and nothing twice. A place costs one pass of the network and one search.
    """
    listed = np.empty((len(left_out), 0), np.int32)
    for slot in range(slots):
        without = np.concatenate([left_out, listed], axis=1)
        best = Without(Sought(search, asked(listed)), without).propose(1).item_row
        if slot:
            best = np.where(listed[:, -1:] == NO_ROW, np.int32(NO_ROW), best)
        listed = np.concatenate([listed, best], axis=1)
    return listed


class Generated(Prepared):
    """A generated list, then what another finds in its order."""

    __slots__ = ("_listed", "_others", "_score")

    def __init__(self, others: Prepared, listed: NDArray[np.int32], above: float) -> None:
        """``listed`` is (B, slots), ``NO_ROW`` at its end; no other scores more than ``above``."""
        self._others = others
        self._listed = listed
        place = np.arange(listed.shape[1], 0, -1, dtype=np.float32)
        self._score = np.where(listed == NO_ROW, np.float32(0), np.float32(above) + place)

    def propose(self, n: int) -> Proposals:
        """The list, then the best of the others."""
        rest = Without(self._others, self._listed).propose(n)
        row = np.concatenate([self._listed, rest.item_row], axis=1)
        score = np.concatenate([self._score, rest.score], axis=1)
        place = np.argsort(row == NO_ROW, axis=1, kind="stable")[:, :n]
        return Proposals(
            np.take_along_axis(row, place, axis=1), np.take_along_axis(score, place, axis=1)
        )

    def fill(self, item_row: NDArray[np.int32], scores: NDArray[np.float32], place: int) -> None:
        """The others' scores, and more for what is listed."""
        self._others.fill(item_row, scores, place)
        for slot in range(self._listed.shape[1]):
            here = (item_row == self._listed[:, slot, None]) & (item_row != NO_ROW)
            scores[:, :, place] = np.where(here, self._score[:, slot, None], scores[:, :, place])
