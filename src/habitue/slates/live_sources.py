"""Candidates made of the running shop alone: what is new, what sells, what is due again.

They need no snapshot, so the surfaces that stand on them answer from the first item on, and an
action or an item told now is in the next slate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Proposals
from habitue.candidates.due import Due
from habitue.errors import SnapshotError
from habitue.facts import MS_PER_DAY, NO_ROW, Context
from habitue.policy.contract import Policy
from habitue.policy.rules import SurfaceRules
from habitue.policy.shelf import DELETED, SOLD_OUT
from habitue.portraits import Cycles
from habitue.ranking.contract import Ranker
from habitue.slates.fallback import PopularNow
from habitue.slates.live import LiveShop
from habitue.slates.pipeline import Pipeline

__all__ = [
    "LIVE_KINDS",
    "POPULAR",
    "Acquaintances",
    "BestSellers",
    "DueAgain",
    "Newest",
    "Place",
    "place_of",
]

POPULAR: Final = "Popular now"
_DEPTH: Final = 300
_LEAST_SCORE: Final = np.float32(-1e6)


class LiveSource(ABC):
    """A source, and the ranker that orders by it, over the running shop."""

    name: str
    reason: str

    @abstractmethod
    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """The score of any items (B, n); ``-inf`` where an item does not belong here."""

    @abstractmethod
    def rows(self, context: Context) -> NDArray[np.int32]:
        """All that may be proposed to each request: (B, m), best first, ``NO_ROW`` padded."""

    def propose(self, context: Context, n: int) -> Proposals:
        """The best ``n`` for each request."""
        found = self.rows(context)[:, :n]
        rows = np.full((len(context), n), NO_ROW, np.int32)
        rows[:, : found.shape[1]] = found
        return Proposals(rows, np.where(rows >= 0, self.score(context, rows), np.float32(0)))

    def save(self, path: Path) -> None:
        """It is made of the running shop and cannot be written down."""
        raise SnapshotError(f"{self.name} is made of the running shop, not of a snapshot: {path}.")

    @classmethod
    def load(cls, path: Path) -> Self:
        """It is made of the running shop and cannot be read back."""
        raise SnapshotError(f"{cls.name} is made of the running shop, not of a snapshot: {path}.")


class Newest(LiveSource):
    """Items by when they entered the shop, the last first; scored by minus their age in days."""

    name = "fresh"
    reason = "New in the shop"

    def __init__(self, shop: LiveShop) -> None:
        self._shop = shop
        self._made: tuple[int, int, NDArray[np.int32]] | None = None

    def rows(self, context: Context) -> NDArray[np.int32]:
        """The newest items that can be had."""
        best = self._newest(int(context.now_ms.max(initial=0)))
        return np.broadcast_to(best, (len(context), len(best)))

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Minus the age in days; items nobody knows the age of come last."""
        first = self._shop.columns.first_seen_ms
        known = (item_row >= 0) & (item_row < len(first))
        since = first[np.where(known, item_row, 0)] if len(first) else np.zeros_like(item_row)
        age = (context.now_ms[:, None] - since) / MS_PER_DAY
        score = np.where(known & (since > 0), -np.maximum(age, 0), _LEAST_SCORE)
        return np.where(item_row >= 0, score, -np.inf).astype(np.float32)

    def _newest(self, now_ms: int) -> NDArray[np.int32]:
        shelf, made = self._shop.shelf, self._made
        if made is not None and made[0] == shelf.version and made[1] <= now_ms:
            return made[2]
        version, n = shelf.version, self._shop.n_items
        first = self._shop.columns.first_seen_ms[:n]
        state = shelf.state[: len(first)]
        there = np.flatnonzero((state != DELETED) & (state != SOLD_OUT) & (first <= now_ms))
        if len(there) > _DEPTH:
            there = there[np.argpartition(-first[there], _DEPTH)[:_DEPTH]]
        best = there[np.lexsort((-there, -first[there]))].astype(np.int32)
        self._made = version, now_ms, best
        return best


class BestSellers(LiveSource):
    """Items by decayed purchases, carts and views, whoever asks."""

    name = "popular"
    reason = POPULAR

    def __init__(self, shop: LiveShop) -> None:
        self._popular = PopularNow(shop, depth=_DEPTH)

    def rows(self, context: Context) -> NDArray[np.int32]:
        """The best sellers that can be had."""
        best = self._popular.ranking(int(context.now_ms.max(initial=0))).best
        return np.broadcast_to(best, (len(context), len(best)))

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Log of the share of the best seller's count."""
        score = self._popular.ranking(int(context.now_ms.max(initial=0))).score
        known = (item_row >= 0) & (item_row < len(score))
        told = score[np.where(known, item_row, 0)] if len(score) else np.zeros_like(item_row)
        return np.where(known, told, -np.inf).astype(np.float32)


class DueAgain(LiveSource):
    """What each shopper bought, the likeliest to be in the next order first."""

    name = "again"
    reason = "Time to buy it again"

    def __init__(self, due: Due) -> None:
        self._due = due

    def rows(self, context: Context) -> NDArray[np.int32]:
        """All a shopper owns, best first."""
        owned = context.owned
        count = np.diff(owned.indptr)
        rows = np.full((len(context), int(count.max(initial=0))), NO_ROW, np.int32)
        asker = np.repeat(np.arange(len(context)), count)
        score = self._due.log_odds(owned)
        order = np.lexsort((-score, asker))
        rows[asker, np.arange(len(asker)) - owned.indptr[asker]] = owned.item[order]
        return rows

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """The log-odds that the next order holds it (``candidates/due.py``)."""
        owned = context.owned
        score = np.full(item_row.shape, -np.inf, np.float32)
        worth = self._due.log_odds(owned)
        for b in range(len(context)):
            mine = slice(owned.indptr[b], owned.indptr[b + 1])
            held = owned.item[mine]
            if len(held):
                at = np.minimum(np.searchsorted(held, item_row[b]), len(held) - 1)
                score[b] = np.where(held[at] == item_row[b], worth[mine][at], -np.inf)
        return score


class Acquaintances(LiveSource):
    """Persons and groups by common friends and shared taste."""

    name = "people"
    reason = "Near to your friends and your taste"

    def __init__(self, shop: LiveShop) -> None:
        self._shop = shop

    def rows(self, context: Context) -> NDArray[np.int32]:
        """Whom a shopper does not know yet, the nearest first."""
        item, score = self._shop.ties.best(context)
        order = np.lexsort((np.broadcast_to(item, score.shape), -score))[:, :_DEPTH]
        there = np.take_along_axis(score, order, axis=1) > -np.inf
        return np.where(there, item[order], NO_ROW).astype(np.int32)

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """How near each is; ``-inf`` for the shopper, whom they know, and what is nobody."""
        item, score = self._shop.ties.best(context)
        if not len(item):
            return np.full(item_row.shape, -np.inf, np.float32)
        at = np.minimum(np.searchsorted(item, item_row), len(item) - 1)
        told = np.take_along_axis(score, at, axis=1)
        return np.where(item[at] == item_row, told, np.float32(-np.inf))


LIVE_KINDS: Final = ("fresh", "popular", "rebuy", "people")
"""Surfaces whose candidates are made of the running shop, unless sources are named for them."""

_CYCLE_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A surface with candidates of its own, and what it says of all it shows."""

    pipeline: Pipeline
    reason: str


def place_of(
    kind: str,
    shop: LiveShop,
    rules: SurfaceRules,
    policy: Policy,
    *,
    usual_gap_days: NDArray[np.float32] | None = None,
    due: Due | None = None,
    ranker: Ranker | None = None,
) -> Place:
    """A surface of one of the ``LIVE_KINDS``; ordered by its own source where no ranker is named.

    ``usual_gap_days`` (n_items,) is the usual time between two purchases of an item, NaN where none
    is known: what is due again goes by it, unless ``due`` was learnt.
    """
    source: LiveSource
    match kind:
        case "fresh":
            source = Newest(shop)
        case "popular":
            source = BestSellers(shop)
        case "people":
            source = Acquaintances(shop)
        case _:
            gaps = np.zeros(0, np.float32) if usual_gap_days is None else usual_gap_days
            usual = Cycles.told(gaps, rules.rebuy_days or _CYCLE_DAYS)
            source = DueAgain(due or Due.unlearnt(usual))
    pipeline = Pipeline(
        (source,), {"home": {source.name: _DEPTH}}, {"home": ranker or source}, policy, rebuy=True
    )
    return Place(pipeline, source.reason)
