"""Slates shown on the home page: what the shop really offered, for the ranker to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW
from habitue.portraits import ShopperIndex, contexts_as_of
from habitue.store.contract import FactStore
from habitue.training.windows import Moments, answers_after

__all__ = ["SlateLog", "at_slates"]

_BODY: Final = msgspec.json.Decoder(tuple[list[str], list[float], list[float], list[str]])
_ANSWER_MS: Final = 24 * 3_600_000
_SLOTS: Final = 50


@dataclass(frozen=True, slots=True)
class SlateLog:
    """Slates of one surface in order of time."""

    at_ms: NDArray[np.int64]  # (n,)
    shopper_row: NDArray[np.int32]  # (n,)
    item_row: NDArray[np.int32]  # (n, slots), NO_ROW padding on the right

    def __len__(self) -> int:
        return len(self.at_ms)

    @classmethod
    def empty(cls) -> Self:
        """Nothing was shown."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, 1), np.int32))

    @classmethod
    def of_store(
        cls, store: FactStore, until_seq: int, person: NDArray[np.int32], surface: str = "home"
    ) -> Self:
        """The slates in the store that known shoppers saw and that were no fall-back.

        ``person`` (n_shoppers,) is the person behind each shopper row, ``NO_ROW`` for one whose
        past may not be read. Slates of other surfaces do not say what they stood beside.
        """
        row_of = {item: row for row, item in enumerate(store.item_ids())}
        at_ms: list[int] = []
        shopper: list[int] = []
        items: list[list[int]] = []
        columns = ("seq", "at_ms", "shopper_row", "surface", "fallback", "body")
        for table in store.scan("shown", until_seq=until_seq, columns=columns):
            for slate in table.to_pylist():
                row = slate["shopper_row"]
                if slate["surface"] != surface or slate["fallback"] or row is None:
                    continue
                if not 0 <= row < len(person) or person[row] < 0:
                    continue
                at_ms.append(slate["at_ms"])
                shopper.append(int(person[row]))
                named = _BODY.decode(slate["body"])[0][:_SLOTS]
                items.append([row_of.get(item, NO_ROW) for item in named])
        if not items:
            return cls.empty()
        shown = np.full((len(items), max(1, *map(len, items))), NO_ROW, np.int32)
        for at, rows in enumerate(items):
            shown[at, : len(rows)] = rows
        order = np.argsort(np.array(at_ms), kind="stable")
        return cls(
            np.array(at_ms, np.int64)[order], np.array(shopper, np.int32)[order], shown[order]
        )


def at_slates(
    slates: SlateLog,
    index: ShopperIndex,
    cut_ms: int,
    until_ms: int,
    length: int,
    *,
    limit: int,
    rng: np.random.Generator,
) -> Moments:
    """Requests as they were answered: right is what of the slate the next day took up.

    At most ``limit`` slates of the span, drawn by lot.
    """
    first, last = np.searchsorted(slates.at_ms, [cut_ms, until_ms], side="left")
    chosen = np.arange(first, last)
    if len(chosen) > limit:
        chosen = np.sort(rng.choice(chosen, limit, replace=False))
    who, now = slates.shopper_row[chosen], slates.at_ms[chosen]
    context = contexts_as_of(index, who, now, surface="home", length=length)
    until = np.minimum(now + _ANSWER_MS, until_ms)
    return Moments(context, answers_after(index, who, now, until), slates.item_row[chosen])
