"""When a purchase comes after a moment, and the plain answers to what the other heads foretell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.streams import VISIT_MS, Streams, Windows, gap_step
from habitue.behaviour.survival import EDGES
from habitue.facts import MS_PER_DAY, ActionKind

__all__ = ["Coming", "KindBaseline", "Moments", "Purchases", "gap_baseline"]

_N_STEPS: Final = len(EDGES) - 1


@dataclass(frozen=True, slots=True)
class Coming:
    """What is to be told of the time after M moments."""

    days: NDArray[np.float64]  # (M,) until a purchase, or until the log ends
    came: NDArray[np.bool_]  # (M,)
    watched: NDArray[np.float64]  # (M,) days until the log ends

    def steps(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which steps of time (M, n_steps) were watched whole, and in which a purchase came."""
        step = np.arange(_N_STEPS)
        whole = EDGES[1:] <= self.watched[:, None]
        ends = np.searchsorted(EDGES[1:], self.days, side="right")[:, None]
        came = self.came[:, None]
        counted = whole & np.where(came, step <= ends, True)
        return counted, counted & came & (step == ends)


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments at which shoppers are asked about: M of them."""

    windows: Windows  # what is read of each
    waiting: NDArray[np.uint8]  # (M,) steps of time since the last action
    coming: Coming


@dataclass(frozen=True, slots=True)
class Purchases:
    """The purchases of streams, looked up by shopper and time."""

    streams: Streams
    end_ms: int  # the log ends there
    width: int  # more than any time
    key: NDArray[np.int64]  # (T,) of each token: shopper after shopper, oldest first
    bought: NDArray[np.int64]  # tokens

    @classmethod
    def of(cls, streams: Streams, end_ms: int | None = None) -> Self:
        """Of streams whose log ends at ``end_ms``, after its last action unless said. O(T)."""
        end = (int(streams.at_ms.max(initial=0)) + 1) if end_ms is None else end_ms
        width = max(end, int(streams.at_ms.max(initial=0))) + VISIT_MS + 2
        key = streams.stream() * width + streams.at_ms
        bought = np.flatnonzero(streams.kind == int(ActionKind.purchase))
        return cls(streams, end, width, key, bought)

    def after(self, stream: NDArray[np.int64], at_ms: NDArray[np.int64]) -> Coming:
        """What comes of the shoppers at those places of the streams after ``at_ms``: (M,) each."""
        place = np.searchsorted(self.key[self.bought], stream * self.width + at_ms, side="right")
        came = place < len(self.bought)
        later = self.key[self.bought[place[came]]]
        came[came] = later // self.width == stream[came]
        until = np.full(len(at_ms), self.end_ms)
        until[came] = self.streams.at_ms[self.bought[place[came]]]
        return Coming(
            np.maximum(until - at_ms, 0) / MS_PER_DAY, came, (self.end_ms - at_ms) / MS_PER_DAY
        )

    def drawn(self, n: int, length: int, rng: np.random.Generator) -> Moments:
        """``n`` moments by lot from the first action of a shopper on, as days are asked about."""
        streams = self.streams
        life = np.cumsum(self.end_ms - streams.at_ms[streams.start[:-1]])
        lot = (rng.random(n) * life[-1]).astype(np.int64)
        stream = np.searchsorted(life, lot, side="right")
        at_ms = self.end_ms - (life[stream] - lot)
        last = np.searchsorted(self.key, stream * self.width + at_ms, side="right")
        windows = Windows(np.maximum(streams.start[stream], last - length), last)
        waiting = gap_step(at_ms - streams.at_ms[last - 1])
        return Moments(windows, waiting, self.after(stream, at_ms))


@dataclass(frozen=True, slots=True)
class KindBaseline:
    """The plain answer to which kind comes next: the most frequent after the last one's kind."""

    share: NDArray[np.float64]  # (256, 256) of each kind after each kind

    @classmethod
    def of(cls, streams: Streams) -> Self:
        """The shares that streams show, each kind counted once more than it was seen.

        What follows in the same moment, as the lines of an order do, is not counted.
        """
        later = np.zeros(len(streams), np.bool_)
        later[1:] = np.diff(streams.at_ms) > 0
        later[streams.start[:-1]] = False
        to = np.flatnonzero(later)
        return cls.counted(streams.kind[to - 1], streams.kind[to])

    @classmethod
    def counted(cls, last: NDArray[np.uint8], following: NDArray[np.uint8]) -> Self:
        """The shares of what followed (N,) what."""
        count = np.bincount(last.astype(np.int64) * 256 + following, minlength=256 * 256).reshape(
            256, 256
        )
        known = np.zeros(256)
        known[np.union1d(last, following)] = 1.0
        seen = count + known
        return cls(seen / np.maximum(seen.sum(axis=1, keepdims=True), 1.0))

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
