"""Slates shown on a surface: what the shop really offered, for the ranker to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.facts import NO_ROW, ShownBody
from habitue.portraits import ShopperIndex, contexts_as_of
from habitue.store.contract import FactStore
from habitue.training.windows import Moments, answers_after

__all__ = ["SlateLog", "at_slates"]

_BODY: Final = msgspec.json.Decoder(ShownBody)
_ANSWER_MS: Final = 24 * 3_600_000
_SLOTS: Final = 50
_ANCHORS: Final = 10
_COLUMNS: Final = ("seq", "at_ms", "shopper_row", "surface", "fallback", "body")


@dataclass(frozen=True, slots=True)
class SlateLog:
    """Slates of one surface in order of time."""

    surface: str
    at_ms: NDArray[np.int64]  # (n,)
    shopper_row: NDArray[np.int32]  # (n,)
    item_row: NDArray[np.int32]  # (n, slots), NO_ROW padding on the right
    anchor_row: NDArray[np.int32]  # (n, anchors), what each stood beside, NO_ROW padding

    def __len__(self) -> int:
        return len(self.at_ms)

    @classmethod
    def by_surface(
        cls, store: FactStore, until_seq: int, person: NDArray[np.int32]
    ) -> dict[str, Self]:
        """The slates in the store that known shoppers saw and that were no fall-back.

        ``person`` (n_shoppers,) is the person behind each shopper row, ``NO_ROW`` for one whose
        past may not be read. Memory and time grow with the slates so read: about 10 us each.
        """
        known = np.append(person, np.int32(NO_ROW))  # the last stands for nobody
        frames = []
        for table in store.scan("shown", until_seq=until_seq, columns=_COLUMNS):
            frame = pl.DataFrame(pl.from_arrow(table.select(_COLUMNS[1:])))
            row = frame["shopper_row"].fill_null(NO_ROW).to_numpy()
            row = known[np.where((row >= 0) & (row < len(person)), row, NO_ROW)]
            frame = frame.with_columns(shopper_row=pl.Series(row, dtype=pl.Int32))
            kept = (pl.col("shopper_row") >= 0) & (pl.col("fallback").fill_null("") == "")
            frames.append(frame.filter(kept).drop("fallback"))
        if not frames:
            return {}
        every = pl.concat(frames).sort("at_ms", maintain_order=True)
        row_of = {item: row for row, item in enumerate(store.item_ids())}
        return {
            surface: cls._of(surface, every.filter(pl.col("surface") == surface), row_of)
            for surface in every["surface"].unique().sort()
        }

    @classmethod
    def _of(cls, surface: str, frame: pl.DataFrame, row_of: Mapping[str, int]) -> Self:
        bodies = list(map(_BODY.decode, frame["body"]))
        return cls(
            surface,
            frame["at_ms"].to_numpy(),
            frame["shopper_row"].to_numpy(),
            _rows([body.items for body in bodies], row_of.get, 1, _SLOTS),
            _rows([body.anchors for body in bodies], row_of.get, 0, _ANCHORS),
        )


def _rows(
    named: Sequence[Sequence[str]],
    row_of: Callable[[str, int], int],
    least: int,
    most: int,
) -> NDArray[np.int32]:
    """Lists of item ids as rows, (n, the longest): between ``least`` and ``most`` of each."""
    size = np.minimum([len(ids) for ids in named], most)
    out = np.full((len(named), max(least, int(size.max(initial=0)))), NO_ROW, np.int32)
    kept = chain.from_iterable(ids[:most] for ids in named)
    out[np.arange(out.shape[1]) < size[:, None]] = [row_of(one, NO_ROW) for one in kept]
    return out


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
    anchors = slates.anchor_row[chosen]
    context = contexts_as_of(
        index, who, now, surface=slates.surface, length=length, anchors=anchors
    )
    until = np.minimum(now + _ANSWER_MS, until_ms)
    return Moments(context, answers_after(index, who, now, until), slates.item_row[chosen])
