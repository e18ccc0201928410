"""What a request says of a shopper's actions, as the behaviour model reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.behaviour.prices import StepsOf
from habitue.behaviour.said import Said, SaidReader
from habitue.behaviour.streams import GAP_STEPS
from habitue.facts import NO_ROW, ActionKind, Context, Owned

__all__ = ["Read", "RequestReader", "warm"]

_PLAIN: Final[tuple[Literal["C"], Literal["W"]]] = (
    "C",
    "W",
)  # one layout, so that the kernel is compiled once
_ANCHOR_KIND: Final[Mapping[str, ActionKind]] = {"cart": ActionKind.add_to_cart}


@dataclass(frozen=True, slots=True)
class Read:
    """Tokens of a batch of requests, oldest first, filled up at the end: (B, L) each."""

    item_row: NDArray[np.int32]
    kind: NDArray[np.int64]
    gap: NDArray[np.int64]  # steps since the action before; 0 for the first
    age: NDArray[np.int64]  # steps until the request; 0 where nothing stands
    end: NDArray[np.int64]  # (B,) the place of the last token, -1 where there is none
    waiting: NDArray[np.int64]  # (B,) the step of time since then
    said: Said = field(default_factory=dict)  # what the requests say of how they come
    price: NDArray[np.int64] | None = None  # steps of the items' prices, where they are read

    @property
    def had(self) -> NDArray[np.int32]:
        """The items of each request's tokens: (B, L), ``NO_ROW`` where nothing stands."""
        stands = np.arange(self.item_row.shape[1]) <= self.end[:, None]
        return np.where(stands, self.item_row, NO_ROW).astype(np.int32)

    def take(self, rows: NDArray[np.int64]) -> Read:
        """Those requests, in that order."""
        return Read(
            self.item_row[rows], self.kind[rows], self.gap[rows], self.age[rows], self.end[rows],
            self.waiting[rows], {side: column[rows] for side, column in self.said.items()},
            None if self.price is None else self.price[rows],
        )  # fmt: skip


class RequestReader:
    """Reads the latest ``length`` actions of the kinds a model was taught.

    An anchor item is what the shopper looks at or holds right now: an action that ends the stream,
    unless it is there already. Whoever has not allowed personalisation is read by anchors alone.
    """

    def __init__(
        self,
        kinds: Iterable[ActionKind],
        length: int,
        said: SaidReader | None = None,
        prices: StepsOf | None = None,
    ) -> None:
        """Where a model was taught them, ``said`` reads what requests say of how they come.

        ``prices`` tells the steps of the items' prices, where it was taught those.
        """
        self._said, self._prices = said, prices
        self._taught = np.zeros(256, np.bool_)
        self._taught[[int(kind) for kind in kinds]] = True
        self._length = length

    def read(self, context: Context) -> Read:
        """The tokens of each request; O(B L)."""
        n = len(context)
        room = context.recent_item.shape[1] + context.anchor_item.shape[1]
        shape = (n, min(self._length, room))
        item, kind = np.zeros(shape, np.int32), np.zeros(shape, np.int64)
        gap, age = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        end, waiting = np.empty(n, np.int64), np.zeros(n, np.int64)
        personal = context.personal if len(context.personal) else np.ones(n, np.bool_)
        _read(
            np.require(context.recent_item, np.int32, _PLAIN),
            np.require(context.recent_kind, np.uint8, _PLAIN),
            np.require(context.recent_age_days, np.float32, _PLAIN),
            np.require(context.anchor_item, np.int32, _PLAIN),
            np.require(personal, np.bool_, _PLAIN),
            self._taught,
            int(_ANCHOR_KIND.get(context.surface, ActionKind.view_item)),
            item, kind, gap, age, end, waiting,
        )  # fmt: skip
        longest = int(end.max(initial=-1)) + 1
        item, kind, gap, age = (column[:, :longest] for column in (item, kind, gap, age))
        said = {} if self._said is None else self._said.read(context)
        price = None if self._prices is None else self._prices(item)
        return Read(item, kind, gap, age, end, waiting, said, price)


@nb.njit(cache=True, nogil=True)
def _step(days: float) -> int:
    """As ``streams.gap_step``, of days."""
    seconds = max(days * 86400.0, 0.0)
    return min(1 + int(np.floor(np.log2(seconds + 1.0))), GAP_STEPS - 1)


@nb.njit(cache=True, nogil=True)
def _read(
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age_days: NDArray[np.float32],
    anchor_item: NDArray[np.int32],
    personal: NDArray[np.bool_],
    taught: NDArray[np.bool_],
    anchor_kind: int,
    item: NDArray[np.int32],
    kind: NDArray[np.int64],
    gap: NDArray[np.int64],
    age: NDArray[np.int64],
    end: NDArray[np.int64],
    waiting: NDArray[np.int64],
) -> None:
    room = item.shape[1]
    newest_first = np.empty(room, np.int32)  # places: recent ones from 0 on, anchors below 0
    for b in range(item.shape[0]):
        n = 0
        last = -1  # the newest action that is read
        if personal[b]:
            for p in range(recent_item.shape[1]):
                if recent_item[b, p] >= 0 and taught[recent_kind[b, p]]:
                    last = p
                    break
        for a in range(anchor_item.shape[1]):
            row = anchor_item[b, a]
            there = last >= 0 and recent_item[b, last] == row
            if row >= 0 and n < room and not there:
                newest_first[n] = -1 - a
                n += 1
        if last >= 0:
            for p in range(last, recent_item.shape[1]):
                if n == room:
                    break
                if recent_item[b, p] >= 0 and taught[recent_kind[b, p]]:
                    newest_first[n] = p
                    n += 1
        end[b] = n - 1
        before = np.float32(-1.0)
        for x in range(n):
            place = newest_first[n - 1 - x]
            days = np.float32(0.0) if place < 0 else recent_age_days[b, place]
            if place < 0:
                item[b, x] = anchor_item[b, -1 - place]
                kind[b, x] = anchor_kind
            else:
                item[b, x] = recent_item[b, place]
                kind[b, x] = recent_kind[b, place]
            gap[b, x] = 0 if x == 0 else _step(float(before - days))
            age[b, x] = _step(float(days))
            before = days
        waiting[b] = _step(float(before)) if n else 0


def warm() -> None:
    """Compile this module's kernel for the types requests bring, or read it from disk."""
    nobody = np.zeros((1, 1), np.int32)
    context = Context(
        surface="home",
        now_ms=np.zeros(1, np.int64),
        shopper_row=np.zeros(1, np.int32),
        recent_item=nobody,
        recent_kind=np.zeros((1, 1), np.uint8),
        recent_age_days=np.zeros((1, 1), np.float32),
        anchor_item=nobody,
        owned=Owned.nothing(1),
    )
    RequestReader([ActionKind.view_item], 1).read(context)
