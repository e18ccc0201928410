"""What stood before each moment of a stream, as a request at that moment would have read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.streams import Streams, gap_step

__all__ = ["Pasts", "foretold", "pasts_of", "where_moments_begin"]


@dataclass(frozen=True, slots=True)
class Pasts:
    """The tokens before M moments, flat: P of them, each moment's together, oldest first."""

    moment: NDArray[np.int64]  # (P,) which of the moments it stands before
    token: NDArray[np.int64]  # (P,) its place in the streams
    back: NDArray[np.int64]  # (P,) how many stand between it and the moment
    age: NDArray[np.int64]  # (P,) the step of the time between


def where_moments_begin(streams: Streams) -> NDArray[np.int64]:
    """For each token (T,) the first one of its shopper at the same time: what it could not see."""
    place = np.arange(len(streams))
    begins = np.ones(len(streams), np.bool_)
    begins[1:] = np.diff(streams.at_ms) != 0
    begins[streams.start[:-1]] = True
    return np.asarray(np.maximum.accumulate(np.where(begins, place, 0)), np.int64)


def foretold(streams: Streams) -> NDArray[np.int64]:
    """The tokens with something before them, as places in the streams, ascending."""
    return np.flatnonzero(where_moments_begin(streams) > streams.start[streams.stream()])


def pasts_of(
    streams: Streams,
    moment: NDArray[np.int64],
    begin: NDArray[np.int64],
    stream: NDArray[np.int64],
    length: int,
) -> Pasts:
    """The ``length`` tokens at most before each ``moment`` (M,), which are places in the streams.

    ``begin`` (T,) is ``where_moments_begin``, ``stream`` (T,) the streams' own: what is as old as
    the moment itself, such as other lines of an order, is not before it. O(P).
    """
    end = begin[moment]
    first = np.maximum(streams.start[stream[moment]], end - length)
    count = end - first
    which = np.repeat(np.arange(len(moment)), count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    token = first[which] + within
    age = gap_step(streams.at_ms[moment][which] - streams.at_ms[token])
    return Pasts(which, token, count[which] - 1 - within, age.astype(np.int64))
