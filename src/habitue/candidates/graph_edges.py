"""Actions as edges between shoppers and items, and what stands around each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.behaviour.streams import Streams, streams_of
from habitue.candidates.contract import TrainingFacts
from habitue.facts import MS_PER_DAY, code_of

__all__ = ["Edges", "edges_of", "normalised", "places_in", "said_by"]


@dataclass(frozen=True, slots=True)
class Edges:
    """The actions of all shoppers, one shopper after the other, oldest first: T edges."""

    streams: Streams
    worth: NDArray[np.float64]  # (T,) by the kind of action
    moment: NDArray[np.int64]  # (T,) how many of its shopper's moments came before
    now_ms: int
    half_life_days: float
    n_shoppers: int

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def shopper_row(self) -> NDArray[np.int32]:
        """Whose each edge is: (T,)."""
        return np.repeat(self.streams.shopper_row, np.diff(self.streams.start))

    def weight(self) -> NDArray[np.float64]:
        """What each counts as of now: (T,)."""
        age_days = (self.now_ms - self.streams.at_ms) / MS_PER_DAY
        return self.worth * 0.5 ** (age_days / self.half_life_days)

    def graph(self) -> sp.csr_matrix:
        """The weights as of now, added up: (n_shoppers, n_items)."""
        return self._matrix(self.weight())

    def profiles(self, position_decay: float) -> sp.csr_matrix:
        """What each shopper stands on as of now, (n_shoppers, n_items): less the longer ago."""
        last = self.moment[self.streams.start[1:] - 1]
        back = np.repeat(last, np.diff(self.streams.start)) - self.moment
        return self._matrix(self.weight() * position_decay**back)

    def _matrix(self, value: NDArray[np.float64]) -> sp.csr_matrix:
        matrix = sp.csr_matrix(
            (value.astype(np.float32), (self.shopper_row, self.streams.item_row)),
            (self.n_shoppers, self.streams.n_items),
        )
        matrix.sum_duplicates()
        return matrix

    def around(
        self,
        edge: NDArray[np.int64],
        *,
        position_decay: float,
        after_weight: float,
        within: int,
    ) -> sp.csr_matrix:
        """The other items of each edge's shopper, less the further off: (E, n_items).

        Up to ``within`` actions before and after it are looked at, and what comes after counts
        ``after_weight``; other actions on the same item are left out.
        """
        streams = self.streams
        stream = np.searchsorted(streams.start, edge, side="right") - 1
        first = np.maximum(streams.start[stream], edge - within)
        last = np.minimum(streams.start[stream + 1], edge + within + 1)
        row, other = places_in(first, last - first)
        centre = edge[row]
        apart = np.abs(self.moment[other] - self.moment[centre])
        days = np.abs(streams.at_ms[other] - streams.at_ms[centre]) / MS_PER_DAY
        value = self.worth[other] * position_decay**apart * 0.5 ** (days / self.half_life_days)
        value = np.where(other > centre, after_weight * value, value)
        kept = (streams.item_row[other] != streams.item_row[centre]) & (value > 0)
        found = sp.csr_matrix(
            (value[kept].astype(np.float32), (row[kept], streams.item_row[other[kept]])),
            (len(edge), streams.n_items),
        )
        found.sum_duplicates()
        return found

    def without(self, edge: NDArray[np.int64]) -> Edges:
        """All but those edges."""
        streams = self.streams.without(edge)
        worth = np.delete(self.worth, edge)
        return replace(self, streams=streams, worth=worth, moment=_moments(streams))


def edges_of(
    facts: TrainingFacts, kind_weight: Mapping[str, float], half_life_days: float
) -> Edges:
    """The edges of a log: its actions of a kind that counts."""
    by_kind = np.zeros(256)
    for name, value in kind_weight.items():
        by_kind[int(code_of(name))] = value
    streams = streams_of(
        facts.log, [code_of(name) for name, value in kind_weight.items() if value > 0]
    )
    n_items = max(facts.log.n_items, len(facts.catalogue))
    return Edges(
        replace(streams, n_items=n_items),
        by_kind[streams.kind],
        _moments(streams),
        facts.now_ms,
        half_life_days,
        facts.log.n_shoppers,
    )


def _moments(streams: Streams) -> NDArray[np.int64]:
    """Moments of its shopper before each action: what was done at once shares one."""
    later = np.ones(len(streams), np.int64)
    later[1:] = np.diff(streams.at_ms) != 0
    first = streams.start[:-1][np.diff(streams.start) > 0]
    later[first] = 0
    upto = np.cumsum(later)
    return upto - np.repeat(upto[first], np.diff(np.append(first, len(streams))))


def places_in(
    first: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of stretches ``first`` on, ``length`` long, and which stretch each is in.

    >>> places_in(np.array([5, 0]), np.array([2, 3]))
    (array([0, 0, 1, 1, 1]), array([5, 6, 0, 1, 2]))
    """
    which = np.repeat(np.arange(len(first)), length)
    begins = np.cumsum(length) - length
    return which, np.arange(len(which)) + (first - begins)[which]


def said_by(wanted: NDArray[np.float64]) -> NDArray[np.float32]:
    """What an action on each item says (n_items,): the less the more it is wanted, at most 1."""
    return np.asarray(1 / np.sqrt(np.maximum(wanted, 1.0)), np.float32)


def normalised(weight: sp.csr_matrix) -> sp.csr_matrix:
    """Each edge over the root of both its ends' weights: ``D_u^-1/2 W D_i^-1/2``."""
    shopper = np.asarray(weight.sum(axis=1), np.float64).ravel()
    item = np.asarray(weight.sum(axis=0), np.float64).ravel()
    shopper = 1 / np.sqrt(np.where(shopper > 0, shopper, 1.0))
    item = 1 / np.sqrt(np.where(item > 0, item, 1.0))
    return (sp.diags(shopper) @ weight @ sp.diags(item)).tocsr().astype(np.float32)
