"""What a validation asks, as requests are read: to judge what serves, whatever it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.requests import Read
from habitue.behaviour.streams import Streams, Windows, gap_step
from habitue.metrics.ranks import mean_rank, ndcg_of_rank

__all__ = ["HeldOut"]

_AT_ONCE: Final = 1024  # shoppers ranked in one product


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The last action of W shoppers, and what each did before."""

    tokens: Read  # (W, L)
    target: NDArray[np.int32]  # (W,)
    had: tuple[NDArray[np.int64], NDArray[np.int32]]
    """Shoppers and items (P,) that do not compete, sorted by shopper; none where all do."""

    @classmethod
    def of(cls, judged: Streams, length: int, most: int, *, without_seen: bool) -> Self:
        """The last action of ``most`` of the ``judged``, by lot; the ``length`` before are read."""
        windows = judged.ends(1, length)
        if len(windows) > most:
            some = np.random.default_rng(0).permutation(len(windows))[:most]
            windows = windows.take(np.sort(some))
        at = windows.last
        none = (np.empty(0, np.int64), np.empty(0, np.int32))
        had = _pasts(judged, at) if without_seen else none
        return cls(_read(judged, windows), judged.item_row[at], had)

    def ndcg(self, query: NDArray[np.float32], items: NDArray[np.float32]) -> float:
        """NDCG@10 of the targets among all ``items`` (n_items, dim), by queries (W, dim)."""
        total = 0.0
        shopper, item = self.had
        for first in range(0, len(query), _AT_ONCE):
            last = min(first + _AT_ONCE, len(query))
            score, target = query[first:last] @ items.T, self.target[first:last]
            begin, end = np.searchsorted(shopper, [first, last])
            own = score[np.arange(len(target)), target].copy()
            score[shopper[begin:end] - first, item[begin:end]] = -np.inf
            score[np.arange(len(target)), target] = own
            total += float(ndcg_of_rank(mean_rank(score, target), 10).sum())
        return total / max(len(query), 1)


def _read(streams: Streams, windows: Windows) -> Read:
    """Stretches as requests would tell them at the moment of what came next: (W, L)."""
    length = windows.length
    shape = (len(windows), int(length.max(initial=0)))
    place = np.arange(shape[1])
    there = place < length[:, None]
    token = np.where(there, windows.first[:, None] + place, 0)
    gap = np.where(there & (place > 0), streams.gaps()[token], 0)  # before the first: not told
    at = windows.last
    age = gap_step(streams.at_ms[at][:, None] - streams.at_ms[token])
    waiting = gap_step(streams.at_ms[at] - streams.at_ms[at - 1])
    return Read(
        np.where(there, streams.item_row[token], 0).astype(np.int32),
        np.where(there, streams.kind[token], 0).astype(np.int64),
        gap.astype(np.int64),
        np.where(there, age, 0).astype(np.int64),
        length - 1,
        waiting.astype(np.int64),
        {} if streams.said is None else streams.said.at(at),
        np.where(there, streams.prices(token), 0).astype(np.int64),
    )


def _pasts(
    streams: Streams, upto: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """All that each shopper did before the tokens ``upto`` (W,), one shopper after the other."""
    begin = streams.start[np.searchsorted(streams.start, upto, side="right") - 1]
    count = upto - begin
    row = np.repeat(np.arange(len(upto)), count)
    back = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, streams.item_row[np.repeat(begin, count) + back]
