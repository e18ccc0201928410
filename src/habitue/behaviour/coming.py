"""What else follows each action: of which kind the next is, and after how long a purchase comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.streams import VISIT_MS, Streams
from habitue.behaviour.survival import EDGES
from habitue.facts import MS_PER_DAY, ActionKind

__all__ = ["Coming", "KindBaseline", "gap_baseline"]

_N_STEPS: Final = len(EDGES) - 1
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Coming:
    """Of each token of streams: what is to be told of the time after it. T tokens."""

    days: NDArray[np.float64]  # (T,) until a purchase on a later visit, or until the log ends
    came: NDArray[np.bool_]  # (T,)
    watched: NDArray[np.float64]  # (T,) days from the token until the log ends

    @classmethod
    def of(cls, streams: Streams, end_ms: int | None = None) -> Self:
        """Read from streams; the log ends at ``end_ms``, after its last action unless said."""
        end = (int(streams.at_ms.max(initial=0)) + 1) if end_ms is None else end_ms
        stream = streams.stream()
        bought = np.flatnonzero(streams.kind == int(ActionKind.purchase))
        width = int(streams.at_ms.max(initial=0)) + VISIT_MS + 2
        key = stream * width + streams.at_ms  # by shopper and time, as tokens stand
        place = np.searchsorted(key[bought], key + VISIT_MS, side="right")
        at = np.full(len(streams), _NEVER)
        some = place < len(bought)
        later = bought[np.minimum(place, max(len(bought) - 1, 0))] if len(bought) else place
        some[some] = stream[later[some]] == stream[some]
        at[some] = streams.at_ms[later[some]]
        until = np.where(some, at, end)
        return cls((until - streams.at_ms) / MS_PER_DAY, some, (end - streams.at_ms) / MS_PER_DAY)

    def steps(self, token: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which steps of time (T, n_steps) were watched whole, and in which a purchase came."""
        step = np.arange(_N_STEPS)
        whole = EDGES[1:] <= self.watched[token, None]
        ends = np.searchsorted(EDGES[1:], self.days[token], side="right")[:, None]
        came = self.came[token, None]
        counted = whole & np.where(came, step <= ends, True)
        return counted, counted & came & (step == ends)


@dataclass(frozen=True, slots=True)
class KindBaseline:
    """The plain answer to which kind comes next: the most frequent after the last one's kind."""

    share: NDArray[np.float64]  # (256, 256) of each kind after each kind

    @classmethod
    def of(cls, streams: Streams) -> Self:
        """The shares that streams show, each kind counted once more than it was seen."""
        first = np.ones(len(streams), np.bool_)
        first[streams.start[:-1]] = False
        to = np.flatnonzero(first)
        count = np.bincount(
            streams.kind[to - 1].astype(np.int64) * 256 + streams.kind[to], minlength=256 * 256
        ).reshape(256, 256)
        known = np.zeros(256)
        known[np.unique(streams.kind)] = 1.0
        seen = count + known
        return cls(seen / seen.sum(axis=1, keepdims=True))

    def told(self, last: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The shares (B, 256) after actions of these kinds (B,)."""
        return np.asarray(self.share[last])


def gap_baseline(streams: Streams, token: NDArray[np.int64]) -> NDArray[np.float64]:
    """The plain answer to how soon: one over the mean gap of the shopper's purchases, per day.

    Up to each token (B,). The gaps of all count as one gap more of each shopper's.
    """
    stream = streams.stream()
    bought = streams.kind == int(ActionKind.purchase)
    new = bought.copy()
    at = np.flatnonzero(bought)
    if len(at) > 1:
        same = (np.diff(streams.at_ms[at]) <= VISIT_MS) & (np.diff(stream[at]) == 0)
        new[at[1:][same]] = False
    count = np.cumsum(new)
    before = np.r_[0, count][streams.start[stream[token]]]
    orders = count[token] - before
    life = (streams.at_ms[token] - streams.at_ms[streams.start[stream[token]]]) / MS_PER_DAY
    usual = max(float(life.sum()) / max(float(orders.sum()), 1.0), 1.0 / 24)
    return np.asarray((orders + 1.0) / (life + usual))
