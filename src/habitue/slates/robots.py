"""Shoppers at rates no person has, found as their actions arrive, one shopper a few numbers.

The same bounds as in training and imports, but for the items of a day (a set for every shopper
would be too much): a moment is a second in which a page was asked for. Pace is counted over whole
spans, so that who is found here is found by training too; it may take a span longer. Actions told
late say nothing.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.facts.cleaning.robots import NO_PAGES, RobotConfig
from habitue.store.contract import ActionColumns
from habitue.store.pages import pages

__all__ = ["LiveRobots"]

_PAGE: Final = np.ones(256, np.bool_)
_PAGE[[int(kind) for kind in NO_PAGES]] = False
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600


_LAST, _BEGUN, _SPAN, _MOMENTS, _DAY, _HOURS, _FOUND = range(7)
"""Columns of what is held of a shopper: the second of the last moment (0 before the first), that in
which the stretch without a pause began, the span whose moments are counted, these moments, the day
whose hours are marked, a bit for each such hour, and whether it is no person: 28 bytes."""


class LiveRobots:
    """Who acts as no person does. What they do counts for nobody, from when they are found on."""

    def __init__(
        self, config: RobotConfig | None = None, known: NDArray[np.int32] | None = None
    ) -> None:
        """``known`` are the rows of those whom training has found."""
        config = config or RobotConfig()
        self._bounds = np.array(
            [
                config.minutes * 60,
                int(config.per_minute * config.minutes),
                config.hours_a_day,
                int(config.longest_hours * _HOUR_S),
                int(config.pause_minutes * 60),
            ],
            np.int64,
        )
        self._rates = pages((0, 7), np.uint32)
        self.n_found = 0
        if known is not None and len(known):
            self._reach(int(known.max()) + 1)
            self._rates[known, _FOUND] = 1
            self.n_found = len(np.unique(known))

    def observe(self, actions: ActionColumns) -> NDArray[np.bool_]:
        """Take in actions, each once; which of them (N,) are a robot's."""
        out = np.zeros(len(actions), np.bool_)
        if len(actions):
            self._reach(int(actions.shopper_row.max()) + 1)
            self.n_found += _observe(
                actions.at_ms,
                actions.kind,
                actions.shopper_row,
                _PAGE,
                self._bounds,
                self._rates,
                out,
            )
        return out

    def found(self, shopper_row: int) -> bool:
        """Whether this shopper is one."""
        return 0 <= shopper_row < len(self._rates) and bool(self._rates[shopper_row, _FOUND])

    def forget(self, shopper_row: int) -> None:
        """Drop what is held of a shopper."""
        if 0 <= shopper_row < len(self._rates):
            self.n_found -= int(self._rates[shopper_row, _FOUND])
            self._rates[shopper_row] = 0

    def held_bytes(self) -> int:
        """Memory of all that is held."""
        return self._rates.nbytes

    def _reach(self, n_shoppers: int) -> None:
        if n_shoppers > len(self._rates):
            bigger = pages((n_shoppers * 5 // 4 + 256, 7), np.uint32)
            bigger[: len(self._rates)] = self._rates
            self._rates = bigger


@nb.njit(cache=True, nogil=True)
def _observe(
    at_ms: NDArray[np.int64],
    kind: NDArray[np.uint8],
    shopper: NDArray[np.int32],
    page: NDArray[np.bool_],
    bounds: NDArray[np.int64],  # (5,)
    rates: NDArray[np.uint32],  # (cap, 7)
    out: NDArray[np.bool_],
) -> int:
    """Mark the actions of robots; how many more were found."""
    span_s, most, hours_a_day, longest_s, pause_s = bounds
    n_found = 0
    for e in range(len(at_ms)):
        if shopper[e] < 0:
            continue
        mine = rates[shopper[e]]
        if mine[_FOUND]:
            out[e] = True
            continue
        second, last = at_ms[e] // 1000, np.int64(mine[_LAST])
        if not page[kind[e]] or second <= last:
            continue
        if last == 0 or second - last > pause_s:
            mine[_BEGUN] = second
        mine[_LAST] = second
        if second // span_s != mine[_SPAN]:
            mine[_SPAN], mine[_MOMENTS] = second // span_s, 0
        mine[_MOMENTS] += 1
        if second // _DAY_S != mine[_DAY]:
            mine[_DAY], mine[_HOURS] = second // _DAY_S, 0
        mine[_HOURS] |= 1 << (second % _DAY_S // _HOUR_S)
        over = mine[_MOMENTS] >= most or second - np.int64(mine[_BEGUN]) >= longest_s
        if over or _n_bits(mine[_HOURS]) >= hours_a_day:
            mine[_FOUND] = 1
            out[e] = True
            n_found += 1
    return n_found


@nb.njit(cache=True, nogil=True)
def _n_bits(bits: int) -> int:
    n = 0
    while bits:
        bits &= bits - 1
        n += 1
    return n
