"""What a shopper's ratings say of all items: the one step from ratings to what is foretold.

A shopper's ratings are read as a Gaussian process over what was rated and when (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006): two ratings go together as far as their
items share factors and sides, as all of one shopper's do, and as they were given in one mood, a few
minutes apart. So what is foretold is a sum over the shopper's own ratings, and each has its part.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.best import keep_best, settle_best
from habitue.candidates.cholesky import factorise, solve
from habitue.candidates.layout import sealed

__all__ = [
    "Numbers",
    "Tables",
    "foretell_pairs",
    "read_all",
    "read_ratings",
    "score_rows",
    "shares",
    "top_rows",
    "warm",
    "weigh_ratings",
]

Floats = NDArray[np.float64]


class Tables(NamedTuple):
    """Items and known shoppers as the step reads them; ratings in standard units."""

    item: NDArray[np.float32]  # (n_items, factors + 1), the last is the bias
    variance: NDArray[np.float32]  # (n_items, factors + 1) how unsure that is
    said: NDArray[np.float32]  # (n_items, factors + 1) what having rated it says of a shopper
    side_indptr: NDArray[np.int64]  # (n_items + 1,)
    side: NDArray[np.int32]
    side_value: NDArray[np.float32]
    rated_indptr: NDArray[np.int64]  # (n_shoppers + 1,) what the model was fitted on
    rated_item: NDArray[np.int32]
    rated_value: NDArray[np.float32]
    rated_at_ms: NDArray[np.int64]
    prior: Floats  # (factors + 1,) variance of a shopper's factors
    blank: Floats  # (factors + 1,) mean square of an item's: what one nobody knows may be


class Numbers(NamedTuple):
    """The numbers of a model."""

    mean: float
    scale: float
    noise: float
    mood: float  # variance of a mood
    mood_days: float  # and how long it lasts
    taste: float  # variance of the taste for an item's sides
    most_rated: int


@nb.njit(cache=True, nogil=True)
def read_ratings(
    shopper: int,
    now_ms: int,
    tables: Tables,
    numbers: Numbers,
    item: NDArray[np.int32],
    rating: NDArray[np.float32],
    age_days: NDArray[np.float32],
    seen: NDArray[np.int64],
    mark: int,
) -> tuple[NDArray[np.int32], Floats, Floats]:
    """Items, ratings in standard units and ages of one shopper, the latest first.

    What the context says goes before what the model was fitted on. ``seen`` (n_items,) holds no
    ``mark`` before.
    """
    own, end = 0, 0
    if 0 <= shopper < tables.rated_indptr.shape[0] - 1:
        own, end = tables.rated_indptr[shopper], tables.rated_indptr[shopper + 1]
    most = item.shape[0] + end - own
    row, value, age = np.empty(most, np.int32), np.empty(most), np.empty(most)
    n = 0
    for x in range(item.shape[0]):
        i = item[x]
        if 0 <= i < seen.shape[0] and seen[i] != mark:
            seen[i] = mark
            row[n], age[n] = i, age_days[x]
            value[n] = (rating[x] - numbers.mean) / numbers.scale
            n += 1
    for x in range(end - 1, own - 1, -1):
        i = tables.rated_item[x]
        if seen[i] != mark:
            seen[i] = mark
            row[n], age[n] = i, (now_ms - tables.rated_at_ms[x]) / 86_400_000.0
            value[n] = (tables.rated_value[x] - numbers.mean) / numbers.scale
            n += 1
    order = np.argsort(age[:n], kind="mergesort")[: numbers.most_rated]
    return row[order], value[order], age[order]


@nb.njit(cache=True, nogil=True)
def weigh_ratings(
    row: NDArray[np.int32],
    value: Floats,
    age: Floats,
    tables: Tables,
    numbers: Numbers,
    factor: Floats,
    taste: Floats,
    weight: Floats,
) -> tuple[float, Floats]:
    """Fill what a shopper's ratings come to: factors (dim,), taste by side, a weight each rating.

    Returns how their mood now moves everything, and the factorised matrix of how ratings go
    together. ``factor`` is filled with what the shopper is drawn to where nothing was rated.
    """
    n, dim = row.shape[0], factor.shape[0]
    last = dim - 1
    factor[:] = 0.0
    taste[:] = 0.0
    for x in range(n):
        for d in range(dim):
            factor[d] += tables.said[row[x], d]
    for d in range(dim):
        factor[d] /= np.sqrt(max(n, 1))
    together = np.empty((n, n))
    for x in range(n):
        i = row[x]
        for s in range(tables.side_indptr[i], tables.side_indptr[i + 1]):
            taste[tables.side[s]] = tables.side_value[s] * numbers.taste
        for y in range(x + 1):
            j = row[y]
            total = tables.prior[last]
            for d in range(last):
                total += tables.item[i, d] * tables.item[j, d] * tables.prior[d]
            for s in range(tables.side_indptr[j], tables.side_indptr[j + 1]):
                total += taste[tables.side[s]] * tables.side_value[s]
            if numbers.mood > 0.0:
                total += numbers.mood * np.exp(-abs(age[x] - age[y]) / numbers.mood_days)
            together[x, y] = total
        for s in range(tables.side_indptr[i], tables.side_indptr[i + 1]):
            taste[tables.side[s]] = 0.0
        unsure = numbers.noise + tables.variance[i, last]
        told = tables.item[i, last] + factor[last]
        for d in range(last):
            told += tables.item[i, d] * factor[d]
            unsure += tables.variance[i, d] * (tables.prior[d] + factor[d] ** 2)
        together[x, x] += unsure
        weight[x] = value[x] - told
    factorise(together, len(together))
    solve(together, weight, len(weight))
    mood = 0.0
    for x in range(n):
        i = row[x]
        for d in range(last):
            factor[d] += weight[x] * tables.item[i, d] * tables.prior[d]
        factor[last] += weight[x] * tables.prior[last]
        for s in range(tables.side_indptr[i], tables.side_indptr[i + 1]):
            taste[tables.side[s]] += weight[x] * tables.side_value[s] * numbers.taste
        if numbers.mood > 0.0:
            mood += weight[x] * numbers.mood * np.exp(-abs(age[x]) / numbers.mood_days)
    return mood, together


@nb.njit(cache=True, nogil=True)
def _told(i: int, tables: Tables, numbers: Numbers, factor: Floats, taste: Floats) -> np.float32:
    """The rating foretold of one item, on the shop's scale; ``factor`` ends with bias and mood."""
    last = tables.item.shape[1] - 1
    total = tables.item[i, last] + factor[last]
    for d in range(last):
        total += tables.item[i, d] * factor[d]
    for s in range(tables.side_indptr[i], tables.side_indptr[i + 1]):
        total += taste[tables.side[s]] * tables.side_value[s]
    return np.float32(numbers.mean + numbers.scale * total)


@nb.njit(cache=True, nogil=True)
def score_rows(
    factor: Floats,
    taste: Floats,
    tables: Tables,
    numbers: Numbers,
    known: NDArray[np.bool_],
    wanted: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: int,
) -> None:
    """Fill what is foretold of the ``wanted`` rows (B, n) at ``scores[:, :, place]``; unknown: 0.

    ``factor`` is (B, dim) and ``taste`` (B, n_sides), of each request.
    """
    for b in range(wanted.shape[0]):
        for c in range(wanted.shape[1]):
            i = wanted[b, c]
            scores[b, c, place] = 0.0
            if 0 <= i < known.shape[0] and known[i]:
                scores[b, c, place] = _told(i, tables, numbers, factor[b], taste[b])


@nb.njit(cache=True, nogil=True)
def top_rows(
    factor: Floats,
    taste: Floats,
    tables: Tables,
    numbers: Numbers,
    known: NDArray[np.bool_],
    out_row: NDArray[np.int32],
    out_score: NDArray[np.float32],
) -> None:
    """Fill the items with the highest rating foretold for each request, above 0, best first."""
    for b in range(out_row.shape[0]):
        size = 0
        for i in range(known.shape[0]):
            if known[i]:
                score = _told(i, tables, numbers, factor[b], taste[b])
                if score > 0.0:
                    size = keep_best(out_score[b], out_row[b], size, score, i)
        settle_best(out_score[b], out_row[b], size)


@nb.njit(cache=True, nogil=True)
def read_all(
    shopper: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    rating: NDArray[np.float32],
    age_days: NDArray[np.float32],
    tables: Tables,
    numbers: Numbers,
    factor: Floats,
    taste: Floats,
) -> None:
    """Fill ``factor`` (B, dim) and ``taste`` (B, n_sides) of a batch; the mood is in the bias."""
    seen = np.full(tables.item.shape[0], -1, np.int64)
    for b in range(shopper.shape[0]):
        part = slice(indptr[b], indptr[b + 1])
        row, value, age = read_ratings(
            shopper[b], now_ms[b], tables, numbers, item[part], rating[part], age_days[part],
            seen, b,
        )  # fmt: skip
        weight = np.empty(row.shape[0])
        mood, _ = weigh_ratings(
            row, value, age, tables, numbers, factor[b], taste[b], weight
        )  # fmt: skip
        factor[b, -1] += mood


@nb.njit(cache=True, nogil=True)
def shares(
    wanted: NDArray[np.int32],
    wanted_age: Floats,
    row: NDArray[np.int32],
    age: Floats,
    weight: Floats,
    together: Floats,
    factor: Floats,
    taste: Floats,
    tables: Tables,
    numbers: Numbers,
    scratch: Floats,
    alike: Floats,
    mood: Floats,
    told: Floats,
    variance: Floats,
) -> None:
    """Fill what is foretold of each wanted item, in standard units, and what it is made of.

    ``alike`` (m, n): how far each item rated goes together with the item by the factors and sides
    that both have. ``mood``, ``told`` and ``variance`` are (m,). Of row -1 nothing is known; others
    must be rows there are. An item stands at its own age, as
    if rated then. ``scratch`` (n_sides,) is 0, before and after.
    """
    last = tables.item.shape[1] - 1
    n = row.shape[0]
    pulled = np.empty(n)
    for m in range(wanted.shape[0]):
        i = wanted[m]
        total = factor[last]
        own = numbers.noise + numbers.mood + tables.prior[last]
        if i >= 0:
            total += tables.item[i, last]
            own += tables.variance[i, last]
            first_side, end_side = tables.side_indptr[i], tables.side_indptr[i + 1]
        else:
            own += tables.blank[last]
            first_side, end_side = np.int64(0), np.int64(0)
        for d in range(last):
            if i >= 0:
                total += tables.item[i, d] * factor[d]
                own += tables.prior[d] * (tables.item[i, d] ** 2 + tables.variance[i, d])
            else:
                own += tables.prior[d] * tables.blank[d]
        for s in range(first_side, end_side):
            scratch[tables.side[s]] = tables.side_value[s] * numbers.taste
            total += taste[tables.side[s]] * tables.side_value[s]
            own += tables.side_value[s] ** 2 * numbers.taste
        mood[m] = 0.0
        for x in range(n):
            j = row[x]
            both = 0.0
            for d in range(last if i >= 0 else 0):
                both += tables.item[i, d] * tables.item[j, d] * tables.prior[d]
            for s in range(tables.side_indptr[j], tables.side_indptr[j + 1]):
                both += scratch[tables.side[s]] * tables.side_value[s]
            alike[m, x] = both
            pulled[x] = both + tables.prior[last]
            if numbers.mood > 0.0:
                apart = abs(wanted_age[m] - age[x])
                close = numbers.mood * np.exp(-apart / numbers.mood_days)
                pulled[x] += close
                mood[m] += weight[x] * close
        told[m] = total + mood[m]
        for s in range(first_side, end_side):
            scratch[tables.side[s]] = 0.0
        for x in range(n):  # what is known of it: forward through the factorised matrix
            known = pulled[x]
            for d in range(x):
                known -= together[x, d] * pulled[d]
            pulled[x] = known / together[x, x]
            own -= pulled[x] ** 2
        variance[m] = max(own, numbers.noise)


@nb.njit(cache=True, nogil=True)
def foretell_pairs(
    shopper: NDArray[np.int32],
    item: NDArray[np.int32],
    at_ms: NDArray[np.int64],
    tables: Tables,
    numbers: Numbers,
    n_sides: int,
    told: Floats,
    variance: Floats,
) -> None:
    """Fill what is foretold of pairs (N,), each as of its own moment, shoppers ascending."""
    seen = np.full(tables.item.shape[0], -1, np.int64)
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    factor, taste = np.empty(tables.item.shape[1]), np.empty(n_sides)
    scratch = np.zeros(n_sides)
    first = 0
    while first < shopper.shape[0]:
        end = first
        while end < shopper.shape[0] and shopper[end] == shopper[first]:
            end += 1
        now = at_ms[first]
        row, value, age = read_ratings(
            shopper[first], now, tables, numbers, nothing[0], nothing[1], nothing[1], seen, first
        )
        weight = np.empty(row.shape[0])
        _, together = weigh_ratings(row, value, age, tables, numbers, factor, taste, weight)
        wanted_age = (now - at_ms[first:end]) / 86_400_000.0
        alike, mood = np.empty((end - first, row.shape[0])), np.empty(end - first)
        shares(
            item[first:end], wanted_age, row, age, weight, together, factor, taste, tables, numbers,
            scratch, alike, mood, told[first:end], variance[first:end],
        )  # fmt: skip
        first = end


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    one = sealed(np.ones((1, 1)), np.float32)
    empty = sealed(np.empty(0), np.float32)
    row, begins = sealed(np.empty(0), np.int32), sealed(np.zeros(2), np.int64)
    tables = Tables(
        one, one, one, begins, row, empty, begins, row, empty, sealed(np.empty(0), np.int64),
        np.ones(1), np.ones(1),
    )  # fmt: skip
    numbers = Numbers(0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
    nobody, now, starts = np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros(2, np.int64)
    factor, taste, known = np.zeros((1, 1)), np.zeros((1, 0)), sealed(np.ones(1), np.bool_)
    rated, rating = np.empty(0, np.int32), np.empty(0, np.float32)
    read_all(nobody, now, starts, rated, rating, rating, tables, numbers, factor, taste)
    wanted, out = np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32)
    score_rows(factor, taste, tables, numbers, known, wanted, out[:, :, None], 0)
    top_rows(factor, taste, tables, numbers, known, wanted, out)
