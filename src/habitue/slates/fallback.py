"""The answer when something is missing: what sells now, near what the shopper stands before.

It needs no snapshot, only the live counters and the shelf, and it is a source, a ranker and so a
pipeline like any other: the same policy fills its slots and the same record is written of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Proposals
from habitue.errors import SnapshotError
from habitue.facts import NO_ROW, ActionKind, Context
from habitue.policy.contract import Policy
from habitue.policy.shelf import DELETED, SOLD_OUT
from habitue.portraits import CHANNELS
from habitue.slates.live import LiveShop
from habitue.slates.pipeline import Pipeline

__all__ = ["FALLBACKS", "PopularNow", "Ranking", "popular_pipeline"]

FALLBACKS: Final[dict[str, str]] = {
    "no_snapshot": "nothing has been trained yet: popular and fitting items",
    "no_consent": "the shopper has not allowed personalisation: popular and contextual items",
    "unknown_shopper": "nothing is known of this shopper yet: popular and contextual items",
    "unknown_item": "nothing is known of the item that is looked at: popular items",
    "live_state_down": "live state does not answer: popular and contextual items",
    "store_down": "the store does not answer: popular and contextual items",
    "out_of_time": "the time for an answer was used up: popular and fitting items",
    "failed": "the trained pipeline failed on this request: popular and fitting items",
}
"""The marks an answer can bear, and what each means."""

_WEIGHT: Final = {"purchase": 5.0, "cart": 2.0, "view": 1.0}
_HALF_LIFE: Final = 3  # the fourth half-life of the statistics: 28 days by default
_REFRESH_MS: Final = 10_000
_FLOOR: Final = 1e-4
_SAME_CATEGORY: Final = np.float32(3.0)
_SAME_BRAND: Final = np.float32(1.0)
_LATELY: Final = 10  # recent actions that still colour the answer
_AGAINST: Final = [ActionKind.not_interested, ActionKind.remove_from_cart, ActionKind.refund]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What sold best when it was last computed."""

    at_ms: int
    score: NDArray[np.float32]  # (n_items,) log of the share of the best seller's count
    best: NDArray[np.int32]  # (n,) rows, best first
    of_category: dict[int, NDArray[np.int32]]  # the best rows of each category


class PopularNow:
    """A source and a ranker over live counters: decayed purchases, carts and views.

    Items of the category and brand of the anchors, and less so of the latest actions, come first.
    ``refresh`` is called from time to time beside the requests, which only read.
    """

    name = "popular"

    def __init__(self, shop: LiveShop, *, depth: int = 300) -> None:
        """``depth`` is how many items are held ready, over all and for each category."""
        self._shop = shop
        self._shelf = shop.shelf
        self._depth = depth
        self._ranking: Ranking | None = None

    def refresh(self, now_ms: int) -> None:
        """Count again, at most every ten seconds unless items were added."""
        held = self._ranking
        if held and now_ms - held.at_ms < _REFRESH_MS and len(held.score) >= self._shelf.n_items:
            return
        self._ranking = self._rank(now_ms)

    def _rank(self, now_ms: int) -> Ranking:
        n = self._shelf.n_items
        stats = self._shop.stats
        half_life = stats.config.half_life_days
        days = half_life[min(_HALF_LIFE, len(half_life) - 1)]
        count = np.zeros(n)
        for channel in CHANNELS:
            told = stats.count(channel, days, now_ms)[:n] * _WEIGHT.get(channel, 0.0)
            count[: len(told)] += told
        most = count.max(initial=0.0)
        score = np.log(count / most + _FLOOR) if most > 0 else np.full(n, np.log(_FLOOR))
        state, category = self._shelf.state[:n], self._shelf.category[:n]
        there = np.flatnonzero((state != DELETED) & (state != SOLD_OUT)).astype(np.int32)
        # Newest first where nothing tells them apart: a shop without actions shows what came last.
        order = there[np.lexsort((-there, -score[there]))]
        grouped = order[np.argsort(category[order], kind="stable")]
        codes, start = np.unique(category[grouped], return_index=True)
        parts = np.split(grouped, start[1:]) if len(grouped) else []
        of_category = {
            int(code): part[: self._depth].copy()
            for code, part in zip(codes, parts, strict=True)
            if code >= 0
        }
        return Ranking(now_ms, score.astype(np.float32), order[: self._depth].copy(), of_category)

    def ranking(self, now_ms: int) -> Ranking:
        """What sells best, counted at most ten seconds ago."""
        self.refresh(now_ms)
        assert self._ranking is not None
        return self._ranking

    def propose(self, context: Context, n: int) -> Proposals:
        """The best sellers of the categories at hand, then of the whole shop."""
        self._ready(context)
        rows = np.full((len(context), n), NO_ROW, np.int32)
        for b in range(len(context)):
            found = self._near(context, b, n)[:n]
            rows[b, : len(found)] = found
        score = self.score(context, rows)
        return Proposals(rows, np.where(rows >= 0, score, np.float32(0)))

    def _near(self, context: Context, b: int, n: int) -> NDArray[np.int32]:
        ranking = self._ready(context)
        rows = self._at_hand(context, b)
        codes = dict.fromkeys(self._shelf.category[rows].tolist())
        near = [
            ranking.of_category[code][: n // 2] for code in codes if code in ranking.of_category
        ]
        both = np.concatenate([*near[:3], ranking.best])
        _, first = np.unique(both, return_index=True)
        return np.asarray(both[np.sort(first)])

    def _at_hand(self, context: Context, b: int) -> NDArray[np.int32]:
        """Anchors and latest items of a request."""
        liked = ~np.isin(context.recent_kind[b, :_LATELY], _AGAINST)
        rows = np.concatenate([context.anchor_item[b], context.recent_item[b, :_LATELY][liked]])
        return rows[(rows >= 0) & (rows < self._shelf.n_items)]

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Log of popularity, more for category and brand at hand; ``-inf`` beside ``NO_ROW``."""
        ranking = self._ready(context)
        held = len(ranking.score)
        known = (item_row >= 0) & (item_row < held)
        where = np.where(known, item_row, 0)
        least = np.float32(np.log(_FLOOR))
        score = (
            np.where(known, ranking.score[where], least)
            if held
            else np.full(item_row.shape, least, np.float32)
        )
        brand, category = self._shelf.brand, self._shelf.category
        for b in range(len(context)):
            rows = self._at_hand(context, b)
            if len(rows):
                score[b] += _SAME_CATEGORY * _shares(category, item_row[b], rows)
                score[b] += _SAME_BRAND * _shares(brand, item_row[b], rows)
        score[item_row < 0] = -np.inf
        return score.astype(np.float32)

    def _ready(self, context: Context) -> Ranking:
        if self._ranking is None:
            self.refresh(int(context.now_ms[0]))
        assert self._ranking is not None
        return self._ranking

    def save(self, path: Path) -> None:
        """It is made of the running shop and cannot be written down."""
        raise SnapshotError(f"What sells now is not part of a snapshot: {path}.")

    @classmethod
    def load(cls, path: Path) -> Self:
        """It is made of the running shop and cannot be read back."""
        raise SnapshotError(f"What sells now is not part of a snapshot: {path}.")


def _shares(
    code: NDArray[np.int32], item_row: NDArray[np.int32], rows: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Whether each item has a code in common with any of ``rows``."""
    mine = code[np.clip(item_row, 0, len(code) - 1)]
    return (mine >= 0) & np.isin(mine, code[rows])


def popular_pipeline(popular: PopularNow, policy: Policy) -> Pipeline:
    """The pipeline of a shop that has no snapshot."""
    return Pipeline((popular,), {"home": {"popular": 300}}, {"home": popular}, policy, rebuy=True)
