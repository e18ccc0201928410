"""Shoppers' actions one after the other: what is learnt from who did what next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.facts import MS_PER_DAY, ActionKind, ActionLog

__all__ = ["Sequences", "sequences_of"]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Actions sorted by shopper, then time; N rows. ``moment`` rises with each new moment.

    A moment is one order (its lines have no order among themselves) or one instant.
    """

    item: NDArray[np.int32]
    shopper: NDArray[np.int32]
    moment: NDArray[np.int64]
    day: NDArray[np.float64]
    starts: NDArray[np.bool_]  # a tie may start here
    ends: NDArray[np.bool_]  # a tie may lead here
    fade: NDArray[np.float64]  # what an action of this age counts
    say: NDArray[np.float64]  # what an action in a moment of this size counts
    n_items: int


def sequences_of(
    log: ActionLog,
    starts: Sequence[ActionKind],
    ends: Sequence[ActionKind],
    *,
    now_ms: int,
    half_life_days: float | None = None,
    crowd_damping: float = 0.0,
    max_actions_per_shopper: int = 2000,
    repeats: bool = True,
) -> Sequences:
    """Each shopper's actions of these kinds, oldest first, one shopper after the other.

    The most recent of each shopper are read; without ``repeats`` the latest on each item alone.
    """
    log = log.of_kinds(frozenset(starts) | frozenset(ends))
    log = log.take((log.item_row >= 0) & (log.shopper_row >= 0))
    if not repeats:
        log = log.take(_last_of_each_pair(log))
    order = np.argsort(log.shopper_row, kind="stable")  # the log is in order of time
    log = log.take(_latest_of_each(log.shopper_row[order], order, max_actions_per_shopper))
    same_shopper = log.shopper_row[1:] == log.shopper_row[:-1]
    same_order = (log.order_row[1:] == log.order_row[:-1]) & (log.order_row[1:] >= 0)
    same_instant = log.at_ms[1:] == log.at_ms[:-1]
    moment = np.zeros(len(log), np.int64)
    np.cumsum(~(same_shopper & (same_order | same_instant)), out=moment[1:])
    size = np.bincount(moment)[moment] if len(log) else np.empty(0)
    fade = np.ones(len(log))
    if half_life_days is not None:
        fade = 0.5 ** ((now_ms - log.at_ms) / MS_PER_DAY / half_life_days)
    return Sequences(
        item=log.item_row,
        shopper=log.shopper_row,
        moment=moment,
        day=log.at_ms / MS_PER_DAY,
        starts=np.isin(log.kind, [int(kind) for kind in starts]),
        ends=np.isin(log.kind, [int(kind) for kind in ends]),
        fade=fade,
        say=size.astype(np.float64) ** (-crowd_damping / 2),
        n_items=log.n_items,
    )


def _last_of_each_pair(log: ActionLog) -> NDArray[np.int64]:
    """Places of the last action of each shopper on each item, rising."""
    pair = log.shopper_row.astype(np.int64) * max(log.n_items, 1) + log.item_row
    _, first = np.unique(pair[::-1], return_index=True)
    return np.sort(len(log) - 1 - first)


def _latest_of_each(
    shopper: NDArray[np.int32], order: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Of the actions in ``order``, sorted by shopper, the last ``n`` of each."""
    end = np.searchsorted(shopper, shopper, side="right")
    return order[end - np.arange(len(shopper)) <= n]
