"""What may be learnt from, what is asked, and what would be right: the two ways to part a log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from habitue.errors import BadInput
from habitue.facts import CONVERSIONS, ActionKind, ActionLog

__all__ = ["Ragged", "Split", "by_time", "k_fold", "leave_last_out", "rolling"]

_LOW = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Ragged:
    """Item rows of each of B questions: those of ``b`` are ``item[indptr[b]:indptr[b + 1]]``."""

    indptr: NDArray[np.int64]  # (B + 1,)
    item: NDArray[np.int32]  # (nnz,) ascending within a question

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def count(self) -> NDArray[np.int64]:
        """How many items each question has: (B,)."""
        return np.diff(self.indptr)

    def between(self, start: int, stop: int) -> Ragged:
        """The questions ``start`` to ``stop``."""
        first, last = self.indptr[start], self.indptr[stop]
        return Ragged(self.indptr[start : stop + 1] - first, self.item[first:last])

    def take(self, which: NDArray[np.int64]) -> Ragged:
        """Some of the questions, in this order."""
        count = self.count[which]
        indptr = np.zeros(len(which) + 1, np.int64)
        np.cumsum(count, out=indptr[1:])
        entry = np.repeat(self.indptr[which] - indptr[:-1], count) + np.arange(indptr[-1])
        return Ragged(indptr, self.item[entry])


@dataclass(frozen=True, slots=True)
class Split:
    """A log parted in two: what may be seen, and B questions whose answers were held out."""

    name: str
    train: ActionLog  # all that a learner may see
    history: ActionLog  # all that a request may see; a request reads only what lies before its now
    shopper_row: NDArray[np.int32]  # (B,) who is asked about
    now_ms: NDArray[np.int64]  # (B,) as of when
    relevant: Ragged  # what would be right
    excluded: Ragged  # what must not be shown: had before
    available: NDArray[np.bool_]  # (n_items,) the catalogue as of the cut
    rebuy: bool  # whether what was bought before may be shown, and be right

    def __len__(self) -> int:
        return len(self.shopper_row)

    @property
    def n_items(self) -> int:
        """How many item rows there are."""
        return len(self.available)

    def sample(self, n: int, rng: np.random.Generator) -> Split:
        """At most ``n`` of the questions, drawn by lot, in their order."""
        if len(self) <= n:
            return self
        drawn = np.sort(rng.choice(len(self), n, replace=False))
        return replace(
            self,
            shopper_row=self.shopper_row[drawn],
            now_ms=self.now_ms[drawn],
            relevant=self.relevant.take(drawn),
            excluded=self.excluded.take(drawn),
        )

    def buyers(self, kinds: Iterable[ActionKind] = CONVERSIONS) -> NDArray[np.int64]:
        """How many shoppers of the training part took each item: (n_items,)."""
        return np.bincount(_pairs(self.train.of_kinds(kinds)) & _LOW, minlength=self.n_items)


def by_time(
    log: ActionLog,
    cut_ms: int,
    until_ms: int,
    *,
    kinds: Iterable[ActionKind] = CONVERSIONS,
    repurchase: bool = False,
) -> Split:
    """Learn from what lies before ``cut_ms``; ask what known shoppers take before ``until_ms``.

    A shopper is known who took something (an action of ``kinds``) before the cut. An item is
    available that anybody took before it. Right is what the shopper took from the cut on and,
    unless ``repurchase``, never before; then what was taken before is excluded too. Shoppers for
    whom nothing is right are not asked. Every question is asked at the cut, so nothing that happens
    later is seen: Ji et al., "A critical study on data leakage in recommender system offline
    evaluation", TOIS 2023.
    """
    kinds = frozenset(kinds)
    train = log.before(cut_ms)
    before = _pairs(train.of_kinds(kinds))
    after = _pairs(log.between(cut_ms, until_ms).of_kinds(kinds))
    available = np.zeros(log.n_items, np.bool_)
    available[before & _LOW] = True
    known = np.zeros(log.n_shoppers, np.bool_)
    known[before >> 32] = True
    right = after[known[after >> 32] & available[after & _LOW]]
    if not repurchase:
        right = np.setdiff1d(right, before, assume_unique=True)
    asked = np.unique(right >> 32)
    return Split(
        f"by time, {'re-purchases counted' if repurchase else 'new items only'}",
        train,
        train,
        asked.astype(np.int32),
        np.full(len(asked), cut_ms, np.int64),
        _rows_of(right, asked),
        _rows_of(before[:0] if repurchase else before, asked),
        available,
        repurchase,
    )


def leave_last_out(
    log: ActionLog,
    *,
    which: Literal["test", "validation"] = "test",
    kinds: Iterable[ActionKind] = CONVERSIONS,
) -> Split:
    """Hold out the last item of each shopper for the test, the one before it for validation.

    An item counts when the shopper first took it (an action of ``kinds``); shoppers with fewer than
    three are learnt from and not asked. Learners see what each shopper did before the validation
    item; a test request sees what they did before the test item. All items of the log are ranked,
    but for those the shopper had. Kang and McAuley, "Self-attentive sequential recommendation",
    ICDM 2018, over the full catalogue. Learners see what others did later: where that matters, use
    ``by_time``.
    """
    taken = _firsts(log, frozenset(kinds))
    shopper = log.shopper_row[taken].astype(np.int64)
    size = np.bincount(shopper, minlength=log.n_shoppers)
    end = np.cumsum(size)
    asked = np.flatnonzero(size >= 3)
    last, last_but_one = taken[end[asked] - 1], taken[end[asked] - 2]
    target = last if which == "test" else last_but_one
    train = _up_to(log, asked, last_but_one)
    history = train if which == "validation" else _up_to(log, asked, last)
    had = _pairs(history.of_kinds(kinds))
    available = np.zeros(log.n_items, np.bool_)
    available[log.item_row[taken]] = True
    return Split(
        f"leave last out, {which}",
        train,
        history,
        asked.astype(np.int32),
        log.at_ms[target],
        Ragged(np.arange(len(asked) + 1, dtype=np.int64), log.item_row[target]),
        _rows_of(had, asked),
        available,
        rebuy=False,
    )


def rolling(
    log: ActionLog,
    until_ms: int,
    length_ms: int,
    n: int,
    *,
    kinds: Iterable[ActionKind] = CONVERSIONS,
    repurchase: bool = False,
) -> list[Split]:
    """``by_time`` again and again: ``n`` spans of one length in a row, up to ``until_ms``.

    Each is asked of what was learnt before it, so that the last answers do not rest on one lucky
    month. Oldest first. Tashman, "Out-of-sample tests of forecasting accuracy", International
    Journal of Forecasting 2000.
    """
    if n < 1 or length_ms < 1:
        raise BadInput("A rolling split needs one span and more, each of some length.")
    cuts = [until_ms - length_ms * k for k in range(n, 0, -1)]
    return [by_time(log, cut, cut + length_ms, kinds=kinds, repurchase=repurchase) for cut in cuts]


def k_fold(
    log: ActionLog,
    k: int,
    rng: np.random.Generator,
    *,
    kinds: Iterable[ActionKind] = CONVERSIONS,
) -> list[Split]:
    """What each shopper took, dealt into ``k``; each part is held out once, the rest learnt from.

    Only what was taken (an action of ``kinds``) is learnt from and seen: of the items looked at and
    not taken, a look would say that they are wrong. Every question is asked after the log's end.
    Every fold asks every shopper of whom something is held out and something is left. Learners see
    what happened later than what is asked: where that matters, use ``rolling``. Stone,
    "Cross-validatory choice", JRSS B 1974.
    """
    if k < 2:
        raise BadInput("A k-fold split needs two folds and more.", field="k")
    taken = log.of_kinds(frozenset(kinds))
    taken = taken.take((taken.item_row >= 0) & (taken.shopper_row >= 0))
    pairs = _pairs(taken)
    fold = _dealt(pairs >> 32, k, rng)
    of_action = fold[np.searchsorted(pairs, _keys(taken, np.arange(len(taken))))]
    ended = int(log.at_ms[-1]) + 1 if len(log) else 0
    available = np.zeros(log.n_items, np.bool_)
    available[pairs & _LOW] = True
    splits = []
    for part in range(k):
        held, left = pairs[fold == part], pairs[fold != part]
        train = taken.take(of_action != part)
        asked = np.intersect1d(held >> 32, left >> 32)
        splits.append(
            Split(
                f"{k}-fold",
                train,
                train,
                asked.astype(np.int32),
                np.full(len(asked), ended, np.int64),
                _rows_of(held, asked),
                _rows_of(left, asked),
                available,
                rebuy=False,
            )
        )
    return splits


def _dealt(owner: NDArray[np.int64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each pair: each owner's are dealt round, in an order and from a fold by lot."""
    order = np.lexsort((rng.random(len(owner)), owner))
    owners, start = np.unique(owner[order], return_index=True)
    size = np.diff(np.append(start, len(owner)))
    first = rng.integers(0, k, len(owners))
    fold = np.empty(len(owner), np.int64)
    fold[order] = (np.arange(len(owner)) - np.repeat(start - first, size)) % k
    return fold


def _firsts(log: ActionLog, kinds: frozenset[ActionKind]) -> NDArray[np.int64]:
    """Places in the log where a shopper first took an item: by shopper, then in the log's order."""
    place = _places(log, kinds)
    _, first = np.unique(_keys(log, place), return_index=True)
    place = np.sort(place[first])
    ordered: NDArray[np.int64] = place[np.argsort(log.shopper_row[place], kind="stable")]
    return ordered


def _up_to(log: ActionLog, shopper: NDArray[np.int64], place: NDArray[np.int64]) -> ActionLog:
    """The log without what each of these shoppers did at or after a place in it."""
    stop = np.full(log.n_shoppers + 1, len(log), np.int64)  # the last stands for "no shopper"
    stop[shopper] = place
    return log.take(np.arange(len(log)) < stop[log.shopper_row])


def _places(log: ActionLog, kinds: frozenset[ActionKind]) -> NDArray[np.int64]:
    if not kinds:
        raise BadInput("No kind of action is counted.", remedy="Name one, such as purchase.")
    wanted = np.zeros(256, np.bool_)
    wanted[[int(kind) for kind in kinds]] = True
    return np.flatnonzero(wanted[log.kind] & (log.item_row >= 0) & (log.shopper_row >= 0))


def _keys(log: ActionLog, place: NDArray[np.int64]) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = log.shopper_row[place].astype(np.int64) << 32 | log.item_row[place]
    return keys


def _pairs(log: ActionLog) -> NDArray[np.int64]:
    """Who took what, once each, ascending: ``shopper_row << 32 | item_row``."""
    kept = np.flatnonzero((log.item_row >= 0) & (log.shopper_row >= 0))
    return np.unique(_keys(log, kept))


def _rows_of(pairs: NDArray[np.int64], shopper: NDArray[np.int64]) -> Ragged:
    """The items of each of these shoppers among ascending pairs."""
    start = np.searchsorted(pairs, shopper << 32)
    stop = np.searchsorted(pairs, (shopper + 1) << 32)
    indptr = np.zeros(len(shopper) + 1, np.int64)
    np.cumsum(stop - start, out=indptr[1:])
    entry = np.repeat(start - indptr[:-1], stop - start) + np.arange(indptr[-1])
    return Ragged(indptr, (pairs[entry] & _LOW).astype(np.int32))
