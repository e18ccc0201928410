"""Learning what factors ratings rest on: items and shoppers in turn, or step by step.

Zhou et al., Large-scale Parallel Collaborative Filtering for the Netflix Prize (2008), with the
uncertainty of each side carried to the other (Lim and Teh, Variational Bayesian Approach to Movie
Rating Prediction, 2007) and what a shopper rated at all, whatever the rating, as a sign of taste
(Koren, Factorization Meets the Neighborhood, 2008). Steps are those of Funk (2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numba as nb
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from habitue.facts import ActionLog

__all__ = ["Fitted", "Plan", "RatingTable", "fit_als", "fit_sgd"]

Floats = NDArray[np.float64]

_SETTLED = 2  # rounds before the means of factors are looked for: until then there is nothing
_SOLVES = 8  # steps of a conjugate gradient, which goes on from the round before
_BELIEVED = 4.0  # rows that a variance is believed to rest on before any is seen
_START = 0.1  # variance of a factor at the start, in variances of a rating
_BIAS = 0.25  # and of a bias
_LEAST_NOISE = 0.05  # variance of a rating that nothing explains: people are not machines


class RatingTable(NamedTuple):
    """Who rated what how, and when: the last rating of each shopper for each item."""

    shopper_row: NDArray[np.int32]  # (N,) ascending, in order of time within a shopper
    item_row: NDArray[np.int32]  # (N,)
    rating: NDArray[np.float32]  # (N,)
    at_ms: NDArray[np.int64]  # (N,)

    @classmethod
    def of(cls, log: ActionLog, kind_rating: NDArray[np.float32]) -> Self:
        """The ratings of a log; an action without one counts ``kind_rating`` (256,), NaN: not."""
        rating = np.where(np.isnan(log.rating), kind_rating[log.kind], log.rating)
        place = np.flatnonzero(~np.isnan(rating) & (log.item_row >= 0) & (log.shopper_row >= 0))
        key = log.shopper_row[place].astype(np.int64) << 32 | log.item_row[place]
        _, last = np.unique(key[::-1], return_index=True)
        place = place[::-1][last]
        place = place[np.lexsort((log.at_ms[place], log.shopper_row[place]))]
        return cls(log.shopper_row[place], log.item_row[place], rating[place], log.at_ms[place])

    def __len__(self) -> int:
        return len(self.rating)

    def take(self, which: NDArray[np.bool_]) -> RatingTable:
        """Some of them."""
        return RatingTable(
            self.shopper_row[which], self.item_row[which], self.rating[which], self.at_ms[which]
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How factors are learnt; the encoders are there where factors are pulled towards them."""

    factors: int
    rounds: int
    implicit_pull: float  # 0: what was rated at all says nothing
    item_encoder: sp.csr_matrix | None = None  # (n_items, n_features)
    item_pull: float = 1.0
    portrait: sp.csr_matrix | None = None  # (n_items, n_sides) what a shopper's portrait adds up
    shopper_pull: float = 1.0
    rate: float = 0.01
    regularisation: float = 0.05


@dataclass(frozen=True, slots=True)
class Fitted:
    """Items as they were learnt, and what is usual of shoppers; ratings in standard units.

    A shopper who rated n items is drawn around ``1 / sqrt(n)`` of the sum of their ``said``, with
    precision ``shopper_precision``. The last of the ``factors + 1`` numbers is the bias.
    """

    mean: float
    scale: float
    item: Floats  # (n_items, factors + 1)
    item_variance: Floats  # (n_items, factors + 1)
    said: Floats  # (n_items, factors + 1)
    shopper_precision: Floats  # (factors + 1,)
    noise: float  # variance of a rating around what was foretold
    encoder: Floats  # (n_features, factors + 1) what each feature says of an item; or no rows


class _Columns(NamedTuple):
    """Ratings in standard units, by shopper and by item."""

    shopper: NDArray[np.int32]
    item: NDArray[np.int32]
    target: Floats
    by_shopper: NDArray[np.int64]  # where each shopper's begin
    by_item: NDArray[np.int64]
    item_order: NDArray[np.int64]

    @classmethod
    def of(cls, table: RatingTable, size: tuple[int, int], mean: float, scale: float) -> Self:
        order = np.argsort(table.item_row, kind="stable")
        target = (table.rating.astype(np.float64) - mean) / scale
        return cls(
            table.shopper_row, table.item_row, target, _starts(table.shopper_row, size[0]),
            _starts(table.item_row, size[1]), order,
        )  # fmt: skip


def _starts(rows: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])


def _scale_of(table: RatingTable) -> tuple[float, float]:
    """The mean rating, and what stands for 1 in standard units."""
    rating = table.rating.astype(np.float64)
    spread = float(rating.std()) if len(rating) else 0.0
    return (float(rating.mean()) if len(rating) else 0.0), (spread if spread > 0 else 1.0)


def fit_als(
    table: RatingTable, size: tuple[int, int], plan: Plan, rng: np.random.Generator
) -> Fitted:
    """Solve shoppers and items in turn; variances and noise are learnt with them."""
    mean, scale = _scale_of(table)
    of = _Columns.of(table, size, mean, scale)
    dim = plan.factors + 1
    shopper, item = np.zeros((size[0], dim)), rng.normal(0.0, 0.1, (size[1], dim))
    item[:, -1] = 0.0
    shopper_variance, item_variance = np.zeros(shopper.shape), np.zeros(item.shape)
    start = np.append(np.full(plan.factors, 1.0 / _START), 1.0 / _BIAS)
    precision, item_precision, noise = start, start, 0.65
    drawn_to, item_drawn_to = _DrawnShoppers.of(of, size, plan), _DrawnItems.of(of, size, plan)
    rated, rating = np.diff(of.by_item) > 0, np.diff(of.by_shopper) > 0
    for number in range(plan.rounds):
        _solve(
            of.by_shopper, of.item, of.target, item, item_variance, drawn_to.mean, precision,
            noise, shopper, shopper_variance,
        )  # fmt: skip
        if number >= _SETTLED:
            drawn_to.learn(shopper)
        precision = _precision(shopper - drawn_to.mean, shopper_variance, rating, start)
        _solve(
            of.by_item, of.shopper[of.item_order], of.target[of.item_order], shopper,
            shopper_variance, item_drawn_to.mean, item_precision, noise, item, item_variance,
        )  # fmt: skip
        if number >= _SETTLED:
            item_drawn_to.learn(item)
        item_precision = _precision(item - item_drawn_to.mean, item_variance, rated, start)
        if len(table):
            noise = _noise(
                of.shopper, of.item, of.target, shopper, shopper_variance, item, item_variance
            )
    item[~rated] = item_drawn_to.mean[~rated]
    return Fitted(
        mean, scale, item, item_variance, drawn_to.said(), precision, max(noise, _LEAST_NOISE),
        item_drawn_to.weight,
    )  # fmt: skip


def fit_sgd(
    table: RatingTable, size: tuple[int, int], plan: Plan, rng: np.random.Generator
) -> Fitted:
    """Go down the squared error rating by rating, in an order drawn anew each round."""
    mean, scale = _scale_of(table)
    of = _Columns.of(table, size, mean, scale)
    dim = plan.factors + 1
    shopper, item = rng.normal(0.0, 0.1, (size[0], dim)), rng.normal(0.0, 0.1, (size[1], dim))
    shopper[:, -1] = item[:, -1] = 0.0
    anchor = _DrawnItems.of(of, size, plan)
    for number in range(2 * plan.rounds):
        _descend(
            rng.permutation(len(table)), of.shopper, of.item, of.target, anchor.mean, plan.rate,
            plan.regularisation, shopper, item,
        )  # fmt: skip
        if number >= _SETTLED:
            anchor.learn(item)
    rated, rating = np.diff(of.by_item) > 0, np.diff(of.by_shopper) > 0
    item[~rated] = anchor.mean[~rated]
    start = np.append(np.full(plan.factors, 1.0 / _START), 1.0 / _BIAS)
    nothing, precision, noise = np.zeros(item.shape), start, 0.65
    variance, drawn_to = np.zeros(shopper.shape), _DrawnShoppers.of(of, size, plan)
    for _ in range(2 * _SETTLED if len(table) else 0):  # items stand: what is usual of shoppers?
        _solve(
            of.by_shopper, of.item, of.target, item, nothing, drawn_to.mean, precision, noise,
            shopper, variance,
        )  # fmt: skip
        drawn_to.learn(shopper)
        precision = _precision(shopper - drawn_to.mean, variance, rating, start)
        noise = _noise(of.shopper, of.item, of.target, shopper, variance, item, nothing)
    return Fitted(
        mean, scale, item, nothing, drawn_to.said(), precision, max(noise, _LEAST_NOISE),
        anchor.weight,
    )  # fmt: skip


@dataclass(slots=True)
class _DrawnShoppers:
    """What shoppers are drawn to: by which items they rated, and by the portrait these make."""

    rated: sp.csr_matrix  # (n_shoppers, n_items [+ n_sides]) each row of unit length
    portrait: sp.csr_matrix | None
    implicit: bool
    pull: float
    n_items: int
    weight: Floats
    mean: Floats  # (n_shoppers, dim)

    @classmethod
    def of(cls, of: _Columns, size: tuple[int, int], plan: Plan) -> Self:
        rated = sp.csr_matrix((np.ones(len(of.item)), (of.shopper, of.item)), size)
        share = sp.diags(1.0 / np.sqrt(np.maximum(np.diff(rated.indptr), 1))) @ rated
        implicit, portrait = plan.implicit_pull > 0, plan.portrait
        pull = plan.implicit_pull if implicit else plan.shopper_pull
        parts = [share] if implicit else []
        if portrait is not None:
            portrait = portrait * np.sqrt(pull / plan.shopper_pull)
            parts.append(share @ portrait)
        whole = sp.hstack(parts).tocsr() if parts else sp.csr_matrix((size[0], 0))
        dim = plan.factors + 1
        return cls(
            whole, portrait, implicit, pull, size[1], np.zeros((whole.shape[1], dim)),
            np.zeros((size[0], dim)),
        )  # fmt: skip

    def learn(self, shopper: Floats) -> None:
        """Find again what explains the shoppers as they are now."""
        if self.rated.shape[1]:
            self.weight = _ridge(self.rated, self.weight, shopper, self.pull)
            self.mean = np.asarray(self.rated @ self.weight)

    def said(self) -> Floats:
        """What it says of a shopper to have rated an item: (n_items, dim)."""
        own = self.n_items if self.implicit else 0
        said = np.zeros((self.n_items, self.mean.shape[1]))
        said[:own] = self.weight[:own]
        if self.portrait is not None:
            said += self.portrait @ self.weight[own:]
        return said


@dataclass(slots=True)
class _DrawnItems:
    """What items are drawn to: what their encoder says of them."""

    encoder: sp.csr_matrix | None
    rated: NDArray[np.bool_]
    pull: float
    weight: Floats
    mean: Floats  # (n_items, dim)

    @classmethod
    def of(cls, of: _Columns, size: tuple[int, int], plan: Plan) -> Self:
        dim = plan.factors + 1
        n = 0 if plan.item_encoder is None else plan.item_encoder.shape[1]
        rated = np.diff(of.by_item) > 0
        return cls(
            plan.item_encoder, rated, plan.item_pull, np.zeros((n, dim)), np.zeros((size[1], dim))
        )

    def learn(self, item: Floats) -> None:
        """Find again what explains the items as they are now."""
        if self.encoder is not None and len(self.weight) and self.rated.any():
            own = self.encoder[self.rated]
            self.weight = _ridge(own, self.weight, item[self.rated], self.pull)
            self.mean = np.asarray(self.encoder @ self.weight)


def _ridge(a: sp.csr_matrix, x: Floats, b: Floats, penalty: float) -> Floats:
    """Steps from ``x`` towards the least ``|a x - b|^2 + penalty |x|^2``, column by column."""
    rest = a.T @ (b - a @ x) - penalty * x
    way, length = rest.copy(), (rest**2).sum(axis=0)
    for _ in range(_SOLVES):
        ahead = a.T @ (a @ way) + penalty * way
        step = length / np.maximum((way * ahead).sum(axis=0), 1e-30)
        x, rest = x + step * way, rest - step * ahead
        left = (rest**2).sum(axis=0)
        way = rest + left / np.maximum(length, 1e-30) * way
        length = left
    return x


def _precision(off: Floats, variance: Floats, known: NDArray[np.bool_], start: Floats) -> Floats:
    """One over how far rows lie from what they are drawn to, with a little belief of before."""
    spread = (off[known] ** 2 + variance[known]).sum(axis=0)
    precision: Floats = (known.sum() + _BELIEVED) / (spread + _BELIEVED / start)
    return precision


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _solve(
    start: NDArray[np.int64],
    other: NDArray[np.int32],
    target: Floats,
    factor: Floats,
    variance: Floats,
    drawn_to: Floats,
    precision: Floats,
    noise: float,
    out: Floats,
    out_variance: Floats,
) -> None:
    """Fill the best factors and bias of each row, and their variances, the other side standing."""
    dim = factor.shape[1]
    last = dim - 1
    a, b = np.empty((dim, dim)), np.empty(dim)
    for u in range(start.shape[0] - 1):
        a[:] = 0.0
        for d in range(dim):
            a[d, d] = precision[d]
            b[d] = precision[d] * drawn_to[u, d]
        for x in range(start[u], start[u + 1]):
            j = other[x]
            y = (target[x] - factor[j, last]) / noise
            for d in range(last):
                own = factor[j, d] / noise
                b[d] += factor[j, d] * y
                for e in range(d + 1):
                    a[d, e] += own * factor[j, e]
                a[d, d] += variance[j, d] / noise
                a[last, d] += own
            a[last, last] += 1.0 / noise
            b[last] += y
        for d in range(dim):
            for e in range(d):
                a[e, d] = a[d, e]
        inverse = np.linalg.inv(a)
        for d in range(dim):
            out_variance[u, d] = inverse[d, d]
            total = 0.0
            for e in range(dim):
                total += inverse[d, e] * b[e]
            out[u, d] = total


@nb.njit(cache=True, nogil=True)
def _noise(
    shopper_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    target: Floats,
    shopper: Floats,
    shopper_variance: Floats,
    item: Floats,
    item_variance: Floats,
) -> float:
    """The mean squared error expected under what is uncertain of both sides."""
    last = shopper.shape[1] - 1
    total = 0.0
    for x in range(target.shape[0]):
        u, i = shopper_row[x], item_row[x]
        told = shopper[u, last] + item[i, last]
        unsure = shopper_variance[u, last] + item_variance[i, last]
        for d in range(last):
            told += shopper[u, d] * item[i, d]
            unsure += shopper[u, d] ** 2 * item_variance[i, d]
            unsure += shopper_variance[u, d] * (item[i, d] ** 2 + item_variance[i, d])
        total += (target[x] - told) ** 2 + unsure
    return float(total / max(target.shape[0], 1))


@nb.njit(cache=True, nogil=True)
def _descend(
    order: NDArray[np.int64],
    shopper_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    target: Floats,
    anchor: Floats,
    rate: float,
    regularisation: float,
    shopper: Floats,
    item: Floats,
) -> None:
    """One round of steps, in place."""
    last = shopper.shape[1] - 1
    for x in order:
        u, i = shopper_row[x], item_row[x]
        error = target[x] - shopper[u, last] - item[i, last]
        for d in range(last):
            error -= shopper[u, d] * item[i, d]
        shopper[u, last] += rate * (error - regularisation * shopper[u, last])
        item[i, last] += rate * (error - regularisation * (item[i, last] - anchor[i, last]))
        for d in range(last):
            p, q = shopper[u, d], item[i, d]
            shopper[u, d] += rate * (error * q - regularisation * p)
            item[i, d] += rate * (error * p - regularisation * (q - anchor[i, d]))
