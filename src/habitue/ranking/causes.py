"""The causes a request holds, the request without each of them, and which of them counts most.

Compiled code fills arrays that are made outside: one that it returns costs a microsecond more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import plain
from habitue.facts import NO_ROW, ActionKind, Context, Owned, Rated

__all__ = ["KINDS", "UNWANTED", "Trials", "newcomers", "strongest", "take_away"]

KINDS: Final = ("looked", "carted", "bought", "brand", "category", "again", "anchors")
"""What may be taken away, by code: an item of the past, a habit, the place."""

_LOOKED, _CARTED, _BOUGHT, _BRAND, _CATEGORY, _AGAIN, _ANCHORS = range(7)
_PURCHASE: Final = int(ActionKind.purchase)
_ADD_TO_CART: Final = int(ActionKind.add_to_cart)
_REFUSED: Final = int(ActionKind.not_interested)
_OUT_OF_CART: Final = int(ActionKind.remove_from_cart)
_REFUNDED: Final = int(ActionKind.refund)
UNWANTED: Final = (_REFUSED, _OUT_OF_CART, _REFUNDED)
"""Kinds of action on an item that are no reason for another."""

Codes = NDArray[np.int32]


class Trials(NamedTuple):
    """What is to be tried of a single request: its causes, and the request as it is and without."""

    code: Codes  # (C,) into KINDS
    named: Codes  # (C,) an item row, a brand or category code, or NO_ROW
    variants: Context  # (1 + C,) as it is, then without each cause
    variant: Codes  # (P,) rising: a cause is tried on the items it may be named of,
    place: Codes  # (P,) and these are their places among the items


def take_away(
    context: Context, items: Codes, brand: Codes, category: Codes, n_recents: int
) -> Trials:
    """The causes of a single request for these items (n,), its ``n_recents`` last among them."""
    owned = context.owned
    recent, anchor = plain(context.recent_item, np.int32), plain(context.anchor_item, np.int32)
    n = n_recents + 5
    causes = np.empty((2, n), np.int32)
    pairs = np.empty((2, n * len(items)), np.int32)
    item, anchors = (
        np.empty((n, recent.shape[1]), np.int32),
        np.empty((n, anchor.shape[1]), np.int32),
    )
    kind, age = np.empty(item.shape, np.uint8), np.empty(item.shape, np.float32)
    indptr, held = np.empty(n + 1, np.int64), np.empty(n * len(owned.item), np.int32)
    amounts = np.empty((3, len(held)), np.float32)
    c, left, p = _take_away(
        recent, plain(context.recent_kind, np.uint8), plain(context.recent_age_days, np.float32),
        plain(owned.item, np.int32), plain(owned.count, np.float32),
        plain(owned.age_days, np.float32), plain(owned.first_age_days, np.float32), anchor, items,
        brand, category, n_recents, causes, pairs, item, kind, age, anchors, indptr, held, amounts,
    )  # fmt: skip
    n = c + 1
    now, shopper = np.empty(n, np.int64), np.empty(n, np.int32)
    now[:], shopper[:] = context.now_ms[0], context.shopper_row[0]
    personal = context.personal
    variants = Context(
        context.surface, now, shopper, item[:n], kind[:n], age[:n], anchors[:n],
        Owned(indptr[: n + 1], held[:left], *amounts[:, :left]),
        context.device * n, context.locale * n, context.query * n,
        np.repeat(personal, n) if len(personal) else personal,
        platform=context.platform * n, rated=_ratings_left(context, causes[:, :c]),
    )  # fmt: skip
    return Trials(causes[0, :c], causes[1, :c], variants, pairs[0, :p], pairs[1, :p])


def _ratings_left(context: Context, causes: Codes) -> Rated | None:
    """What is left of the ratings in each variant: an item taken away takes its own along."""
    rated = context.rated
    if rated is None or not len(rated.item):
        return None
    code, named = causes
    gone = (code[:, None] <= _BOUGHT) & (rated.item[None, :] == named[:, None])  # (C, R)
    left = np.concatenate([np.ones((1, len(rated.item)), np.bool_), ~gone])
    at = np.nonzero(left)[1]
    indptr = np.concatenate([[0], np.cumsum(left.sum(axis=1))])
    return Rated(indptr, rated.item[at], rated.rating[at], rated.age_days[at])


@nb.njit(cache=True, nogil=True)
def _take_away(
    recent: Codes,
    kind: NDArray[np.uint8],
    age: NDArray[np.float32],
    owned: Codes,
    count: NDArray[np.float32],
    owned_age: NDArray[np.float32],
    owned_first: NDArray[np.float32],
    anchor: Codes,
    items: Codes,
    brand: Codes,
    category: Codes,
    n_recents: int,
    causes: Codes,
    pairs: Codes,
    out_item: Codes,
    out_kind: NDArray[np.uint8],
    out_age: NDArray[np.float32],
    out_anchor: Codes,
    indptr: NDArray[np.int64],
    held: Codes,
    amounts: NDArray[np.float32],
) -> tuple[int, int, int]:
    """Fill all of it; how many causes, possessions in all and pairs there are."""
    code, named = causes
    n = _causes(
        recent[0], kind[0], owned, anchor[0], items, brand, category, n_recents, code, named
    )
    code, named = code[:n], named[:n]
    left = _without(
        code, named, recent[0], kind[0], age[0], owned, count, owned_age, owned_first, anchor[0],
        items, brand, category, out_item, out_kind, out_age, out_anchor, indptr, held, amounts,
    )  # fmt: skip
    return n, left, _concerned(code, named, items, owned, brand, category, pairs[0], pairs[1])


@nb.njit(cache=True, nogil=True)
def _causes(
    recent: Codes,
    kind: NDArray[np.uint8],
    owned: Codes,
    anchor: Codes,
    items: Codes,
    brand: Codes,
    category: Codes,
    n_recents: int,
    code: Codes,
    named: Codes,
) -> int:
    """Fill the causes and what they name; how many there are."""
    n = 0
    for x in range(len(recent)):
        if n == n_recents:
            break
        if recent[x] < 0 or _unwanted(kind[x]) or _among(recent[x], named[:n]):
            continue
        code[n] = _LOOKED
        if kind[x] == _PURCHASE:
            code[n] = _BOUGHT
        elif kind[x] == _ADD_TO_CART:
            code[n] = _CARTED
        named[n] = recent[x]
        n += 1
    for which in (_BRAND, _CATEGORY):
        own = brand if which == _BRAND else category
        most = _most_common(recent, kind, own)
        for x in range(len(items)):
            if most >= 0 and items[x] < len(own) and own[items[x]] == most:
                code[n], named[n] = which, most
                n += 1
                break
    for x in range(len(items)):
        if _among(items[x], owned):
            code[n], named[n] = _AGAIN, NO_ROW
            n += 1
            break
    if len(anchor) and anchor.max() >= 0:
        code[n], named[n] = _ANCHORS, anchor[np.argmax(anchor >= 0)]
        n += 1
    return n


@nb.njit(cache=True, nogil=True)
def _without(
    code: Codes,
    named: Codes,
    recent: Codes,
    kind: NDArray[np.uint8],
    age: NDArray[np.float32],
    owned: Codes,
    count: NDArray[np.float32],
    owned_age: NDArray[np.float32],
    owned_first: NDArray[np.float32],
    anchor: Codes,
    items: Codes,
    brand: Codes,
    category: Codes,
    out_item: Codes,
    out_kind: NDArray[np.uint8],
    out_age: NDArray[np.float32],
    out_anchor: Codes,
    indptr: NDArray[np.int64],
    held: Codes,
    amounts: NDArray[np.float32],
) -> int:
    """Fill what is left of actions, anchors and possessions, as they are and without each cause.

    Returns how many possessions are left in all.
    """
    n, length, n_owned = len(code) + 1, len(recent), len(owned)
    out_item[:], out_kind[:], out_age[:], out_anchor[:] = NO_ROW, 0, 0.0, NO_ROW
    indptr[0] = 0
    at = 0
    for v in range(n):
        which = -1 if v == 0 else code[v - 1]
        what = np.int32(NO_ROW) if v == 0 else named[v - 1]
        left = 0
        for x in range(length):
            i = recent[x]
            if i < 0:
                break
            if 0 <= which <= _BOUGHT:
                gone = i == what
            elif which == _BRAND:
                gone = i < len(brand) and brand[i] == what
            elif which == _CATEGORY:
                gone = i < len(category) and category[i] == what
            else:
                gone = which == _AGAIN and kind[x] == _PURCHASE and _among(i, items)
            if not gone:
                out_item[v, left], out_kind[v, left], out_age[v, left] = i, kind[x], age[x]
                left += 1
        for e in range(n_owned):
            gone = 0 <= which <= _BOUGHT and owned[e] == what
            if not gone and not (which == _AGAIN and _among(owned[e], items)):
                held[at] = owned[e]
                amounts[0, at], amounts[1, at] = count[e], owned_age[e]
                amounts[2, at] = owned_first[e]
                at += 1
        indptr[v + 1] = at
        if which != _ANCHORS:
            out_anchor[v] = anchor
    return at


@nb.njit(cache=True, nogil=True)
def _concerned(
    code: Codes,
    named: Codes,
    items: Codes,
    owned: Codes,
    brand: Codes,
    category: Codes,
    variant: Codes,
    place: Codes,
) -> int:
    """Fill which causes may be named of which items, variants from 1 on; how many pairs."""
    n = 0
    for c in range(len(code)):
        which, what = code[c], named[c]
        for x in range(len(items)):
            i = items[x]
            if which == _BRAND:
                may = i < len(brand) and brand[i] == what
            elif which == _CATEGORY:
                may = i < len(category) and category[i] == what
            elif which == _AGAIN:
                may = _among(i, owned)
            else:
                may = which == _ANCHORS or i != what  # an item is no reason for itself
            if may:
                variant[n], place[n] = c + 1, x
                n += 1
    return n


@nb.njit(cache=True, nogil=True)
def strongest(
    code: Codes,
    variant: Codes,
    place: Codes,
    as_it_is: NDArray[np.float32],
    without: NDArray[np.float32],
    unwanted: NDArray[np.float32],
    share: NDArray[np.float64],
    least: float,
) -> tuple[Codes, NDArray[np.float32]]:
    """The cause (C,) that counts most for each item (n,), and the score lost without it.

    A cause counts its ``share`` (len(KINDS),) of a drop above ``least``. Where there is none, the
    cause is C if the item is lower as ``unwanted`` (n,), C + 1 if there is nothing to say.
    """
    n, n_causes = len(as_it_is), len(code)
    best = np.full(n, n_causes + 1, np.int32)
    drop, most = np.zeros(n, np.float32), np.zeros(n)
    for p in range(len(variant)):
        x, c = place[p], variant[p] - 1
        lost = as_it_is[x] - without[p]
        told = lost * share[code[c]]
        if lost > least and (best[x] > n_causes or told > most[x]):
            best[x], drop[x], most[x] = c, lost, told
    for x in range(n):
        lost = as_it_is[x] - unwanted[x]
        if best[x] > n_causes and lost > least:
            best[x], drop[x] = n_causes, lost
    return best, drop


@nb.njit(cache=True, nogil=True)
def newcomers(
    best: Codes,
    n_causes: int,
    items: Codes,
    owned: Codes,
    first_ms: NDArray[np.int64],
    young_ms: float,
) -> NDArray[np.int64]:
    """Places of the items without a personal cause that are new to the shop and to the shopper."""
    place = np.empty(len(items), np.int64)
    n = 0
    for x in range(len(items)):
        i = items[x]
        young = i < len(first_ms) and first_ms[i] >= young_ms
        if best[x] >= n_causes and young and not _among(i, owned):
            place[n] = x
            n += 1
    return place[:n]


@nb.njit(cache=True, nogil=True)
def _unwanted(kind: np.uint8) -> bool:
    return bool(kind in (_REFUSED, _OUT_OF_CART, _REFUNDED))


@nb.njit(cache=True, nogil=True)
def _among(row: np.int32, rows: Codes) -> bool:
    for one in rows:  # noqa: SIM110  compiled: a loop, not a generator
        if one == row:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _most_common(recent: Codes, kind: NDArray[np.uint8], code: Codes) -> int:
    """The code most recent actions share, if two do; ``NO_ROW`` otherwise."""
    best, most = NO_ROW, 1
    for x in range(len(recent)):
        i = recent[x]
        if i < 0 or i >= len(code) or code[i] < 0 or _unwanted(kind[x]):
            continue
        same = 0
        for y in range(len(recent)):
            j = recent[y]
            if 0 <= j < len(code) and code[j] == code[i] and not _unwanted(kind[y]):
                same += 1
        if same > most:
            best, most = code[i], same
    return best
