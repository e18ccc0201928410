"""When requests were, or could have been, made: the moments the ranker learns from.

A shopper's actions fall into visits: half an hour of silence, or another order, begins a new one.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from habitue.facts import NO_ROW, ActionKind
from habitue.portraits import ShopperIndex, contexts_as_of
from habitue.training.windows import Moments, answers_after

__all__ = ["at_cut", "beside_carts", "beside_items", "in_visits"]

Row = TypeVar("Row", np.int32, np.int64)

_SILENCE_MS: Final = 30 * 60_000
_VISIT_MS: Final = 24 * 3_600_000
_LARGEST_CART: Final = 6


def at_cut(
    index: ShopperIndex,
    cut_ms: int,
    until_ms: int,
    length: int,
    *,
    limit: int,
    rng: np.random.Generator,
) -> Moments:
    """Shoppers who came between the cut and ``until_ms``, asked at the cut; ``limit`` at most."""
    n = len(index.indptr) - 1
    everyone = np.arange(n, dtype=np.int32)
    since, until = np.full(n, cut_ms, np.int64), np.full(n, until_ms, np.int64)
    came = index.before(everyone, until) > index.before(everyone, since)
    who = np.sort(_at_most(everyone[came], limit, rng))
    since, until = since[: len(who)], until[: len(who)]
    context = contexts_as_of(index, who, since, surface="home", length=length)
    context = index.as_came(context, index.before(who, since))  # the first they do from the cut on
    return Moments(context, answers_after(index, who, since, until))


def in_visits(
    index: ShopperIndex,
    cut_ms: int,
    until_ms: int,
    length: int,
    *,
    horizon_ms: int,
    limit: int,
    rng: np.random.Generator,
) -> Moments:
    """One moment of each visit, asked just before an action of it; ``limit`` visits at most."""
    visit = _visits(index)
    wanted = (index.at_ms >= cut_ms) & (index.at_ms < until_ms)
    entry = np.flatnonzero(wanted)
    if not len(entry):
        return _nothing("home", index, length)
    drawn = _one_of_each(visit[entry], rng)
    entry = _in_time(index, _at_most(entry[drawn], limit, rng))
    who, now = _shoppers(index)[entry], index.at_ms[entry]
    until = np.minimum(now + horizon_ms, until_ms)
    context = contexts_as_of(index, who, now, surface="home", length=length)
    context = index.as_came(context, entry)
    return Moments(context, answers_after(index, who, now, until))


def beside_items(
    index: ShopperIndex,
    cut_ms: int,
    until_ms: int,
    length: int,
    *,
    limit: int,
    rng: np.random.Generator,
) -> Moments:
    """An item looked at or bought, asked then; right is what else the next day brought."""
    entry = np.flatnonzero((index.at_ms >= cut_ms) & (index.at_ms < until_ms) & _opens(index.kind))
    if not len(entry):
        return _nothing("item", index, length)
    entry = entry[_one_of_each(_visits(index)[entry], rng)]
    entry = _in_time(index, _at_most(entry, limit, rng))
    who, now = _shoppers(index)[entry], index.at_ms[entry]
    anchors = index.item_row[entry][:, None]
    context = contexts_as_of(index, who, now, surface="item", length=length, anchors=anchors)
    context = index.as_came(context, entry)
    return Moments(context, answers_after(index, who, now, np.minimum(now + _VISIT_MS, until_ms)))


def beside_carts(
    index: ShopperIndex,
    cut_ms: int,
    until_ms: int,
    length: int,
    *,
    limit: int,
    rng: np.random.Generator,
) -> Moments:
    """A part of an order, asked before it was placed; right is the rest of it."""
    bought = (index.kind == int(ActionKind.purchase)) & (index.order_row >= 0)
    entry = np.flatnonzero((index.at_ms >= cut_ms) & (index.at_ms < until_ms) & bought)
    _, place, size = np.unique(index.order_row[entry], return_inverse=True, return_counts=True)
    large = np.flatnonzero(size >= 2)
    if not len(large):
        return _nothing("cart", index, length)
    large = large[rng.permutation(len(large))[:limit]]
    line = np.argsort(place, kind="stable")
    first = np.concatenate([[0], np.cumsum(size)])
    anchors = np.full((len(large), _LARGEST_CART), NO_ROW, np.int32)
    start = np.empty(len(large), np.int64)
    for row, which in enumerate(large.tolist()):
        lines = entry[line[first[which] : first[which + 1]]]
        start[row] = lines[np.argmin(index.at_ms[lines])]
        held = int(rng.integers(1, min(_LARGEST_CART, len(lines) - 1) + 1))
        anchors[row, :held] = index.item_row[rng.permutation(lines)[:held]]
    in_time = np.argsort(index.at_ms[start], kind="stable")
    start, anchors = start[in_time], anchors[in_time]
    who, now = _shoppers(index)[start], index.at_ms[start]
    context = contexts_as_of(index, who, now, surface="cart", length=length, anchors=anchors)
    context = index.as_came(context, start)
    return Moments(context, answers_after(index, who, now, np.minimum(now + _VISIT_MS, until_ms)))


def _opens(kind: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Kinds after which a shopper stands before the item."""
    kinds = (ActionKind.view_item, ActionKind.select_item, ActionKind.purchase)
    return np.isin(kind, [int(one) for one in kinds])


def _shoppers(index: ShopperIndex) -> NDArray[np.int32]:
    return np.repeat(np.arange(len(index.indptr) - 1, dtype=np.int32), np.diff(index.indptr))


def _visits(index: ShopperIndex) -> NDArray[np.int64]:
    """The number of the visit each action belongs to: (N,)."""
    if not len(index.at_ms):
        return np.empty(0, np.int64)
    shopper = _shoppers(index)
    new = np.ones(len(shopper), np.bool_)
    new[1:] = (shopper[1:] != shopper[:-1]) | (np.diff(index.at_ms) > _SILENCE_MS)
    new[1:] |= (index.order_row[1:] != index.order_row[:-1]) & (np.diff(index.at_ms) > 0)
    return np.cumsum(new)


def _one_of_each(group: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A place drawn from each group."""
    shuffled = rng.permutation(len(group))
    _, first = np.unique(group[shuffled], return_index=True)
    return shuffled[first]


def _at_most(entry: NDArray[Row], limit: int, rng: np.random.Generator) -> NDArray[Row]:
    return entry if len(entry) <= limit else rng.choice(entry, limit, replace=False)


def _in_time(index: ShopperIndex, entry: NDArray[np.int64]) -> NDArray[np.int64]:
    return entry[np.argsort(index.at_ms[entry], kind="stable")]


def _nothing(surface: str, index: ShopperIndex, length: int) -> Moments:
    nobody, never = np.empty(0, np.int32), np.empty(0, np.int64)
    context = contexts_as_of(index, nobody, never, surface=surface, length=length)
    return Moments(context, answers_after(index, nobody, never, never))
