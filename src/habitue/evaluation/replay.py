"""Ask every question of a split, in batches, exactly as serving would be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.errors import BadInput
from habitue.evaluation.splits import Ragged, Split
from habitue.facts import NO_ROW, Context
from habitue.metrics import mean_rank
from habitue.portraits import ShopperIndex, contexts_as_of

__all__ = [
    "Asked",
    "Lister",
    "Recommender",
    "Scorer",
    "ask",
    "by_score",
    "lists_of",
    "ranks_of",
    "through",
]

_CELLS = 1 << 23  # scores held at once: 32 MB
_MOST = 1024  # questions held at once


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch of questions: all that an answer may rest on."""

    context: Context
    excluded: Ragged  # what must not be shown
    available: NDArray[np.bool_]  # (n_items,) what there was to show
    rebuy: bool


class Scorer(Protocol):
    """A source, a ranker, or anything else that scores items for contexts."""

    def score(self, context: Context, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``item_row`` (B, n)."""
        ...


class Filled(Protocol):
    """Slots filled for each context."""

    @property
    def item_row(self) -> NDArray[np.int32]:
        """(B, n), ``NO_ROW`` where nothing could be shown."""
        ...

    @property
    def score(self) -> NDArray[np.float32]:
        """(B, n) the scores they were ordered by."""
        ...


class Recommender(Protocol):
    """A whole pipeline: ``slates.Pipeline`` is one."""

    def recommend(
        self,
        context: Context,
        n: int,
        rng: np.random.Generator,
        *,
        barred: NDArray[np.bool_] | None = None,
        rebuy: bool | None = None,
    ) -> Filled:
        """Fill ``n`` slots for each context."""
        ...


Lister = Callable[[Asked, int, np.random.Generator], NDArray[np.int32]]
"""Answers a batch of questions with lists of ``n`` item rows: (B, n), best first."""


def ask(
    split: Split, *, surface: str = "home", length: int = 50, batch: int | None = None
) -> Iterator[Asked]:
    """The questions of a split, in its order. ``length`` is how many recent actions are seen."""
    size = batch or max(1, min(_MOST, _CELLS // max(split.n_items, 1)))
    index = ShopperIndex.of(split.history)
    for start in range(0, len(split), size):
        stop = min(start + size, len(split))
        context = contexts_as_of(
            index,
            split.shopper_row[start:stop],
            split.now_ms[start:stop],
            surface=surface,
            length=length,
        )
        yield Asked(context, split.excluded.between(start, stop), split.available, split.rebuy)


def lists_of(
    split: Split,
    lister: Lister,
    n: int,
    rng: np.random.Generator,
    *,
    surface: str = "home",
    length: int = 50,
    batch: int | None = None,
) -> NDArray[np.int32]:
    """What ``lister`` answers to every question: (B, n) item rows.

    Raises ``BadInput`` when a list holds an item that was not available: it would be measured as
    if the shop could show it.
    """
    out = np.full((len(split), n), NO_ROW, np.int32)
    at = 0
    for asked in ask(split, surface=surface, length=length, batch=batch):
        answer = lister(asked, n, rng)
        out[at : at + len(asked.context), : answer.shape[1]] = answer[:, :n]
        at += len(asked.context)
    unavailable = (out >= 0) & ~split.available[np.maximum(out, 0)]
    if unavailable.any():
        raise BadInput(
            f"{int(unavailable.sum())} slots show items that were not there at the cut, "
            f"item row {int(out[unavailable][0])} first.",
            remedy="Learn from split.train alone, and bar what split.available does not name.",
        )
    return out


def ranks_of(
    split: Split, scorer: Scorer, *, surface: str = "home", length: int = 50
) -> NDArray[np.float64]:
    """The rank of the one right item of every question among all that may be shown: (B,).

    Ties share their mean rank. Raises ``BadInput`` for a split where more than one item is right.
    """
    if (split.relevant.count != 1).any():
        raise BadInput(
            "Ranks are for questions with one right answer.", remedy="Use lists_of for this split."
        )
    ranks = np.empty(len(split))
    at = 0
    for asked in ask(split, surface=surface, length=length):
        n = len(asked.context)
        score = _full_scores(asked, scorer)
        ranks[at : at + n] = mean_rank(score, split.relevant.item[at : at + n])
        at += n
    return ranks


def by_score(scorer: Scorer) -> Lister:
    """Lists by score over the full catalogue; what is excluded or not available left out.

    Equal scores are ordered by lot, drawn anew for every question, so that no answer is right for
    the order of its rows.
    """

    def lister(asked: Asked, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
        score = _full_scores(asked, scorer)
        n = min(n, score.shape[1])
        key = _with_lots(score, rng)
        top = np.argpartition(key, -n, axis=1)[:, -n:]
        order = np.argsort(-np.take_along_axis(key, top, axis=1), axis=1)
        top = np.take_along_axis(top, order, axis=1)
        nothing = np.isneginf(np.take_along_axis(score, top, axis=1))
        return np.where(nothing, NO_ROW, top).astype(np.int32)

    return lister


def _with_lots(score: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """Integers in the order of ``score``, with a lot in the low half where scores are equal."""
    bits = (score + np.float32(0.0)).view(np.int32)  # -0.0 becomes 0.0: they are equal
    ordered = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))  # negative floats count downwards
    lots = rng.integers(0, 1 << 32, score.shape, np.uint32)
    keys: NDArray[np.int64] = ordered.astype(np.int64) << 32 | lots
    return keys


def through(recommender: Recommender, scores: list[NDArray[np.float32]] | None = None) -> Lister:
    """Lists as the whole pipeline fills them: sources, ranker, policy.

    The scores of each batch (B, n), ``-inf`` in slots left empty, are appended to ``scores``, where
    it is given.
    """

    def lister(asked: Asked, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
        filled = recommender.recommend(
            asked.context, n, rng, barred=~asked.available, rebuy=asked.rebuy
        )
        if scores is not None:
            told = np.full((len(filled.item_row), n), -np.inf, np.float32)
            told[:, : filled.item_row.shape[1]] = np.where(
                filled.item_row >= 0, filled.score, -np.inf
            )
            scores.append(told)
        return filled.item_row

    return lister


def _full_scores(asked: Asked, scorer: Scorer) -> NDArray[np.float32]:
    """Scores of the whole catalogue (B, n_items), ``-inf`` for what may not be shown."""
    n = len(asked.context)
    n_items = len(asked.available)
    every = np.tile(np.arange(n_items, dtype=np.int32), (n, 1))
    score = np.array(scorer.score(asked.context, every), np.float32)
    score[:, ~asked.available] = -np.inf
    question = np.repeat(np.arange(n), asked.excluded.count)
    score[question, asked.excluded.item] = -np.inf
    return score
