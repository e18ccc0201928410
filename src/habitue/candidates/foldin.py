"""Giving a shopper a factor from what she did, without training again."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.cholesky import factorise, solve
from habitue.candidates.layout import sealed
from habitue.candidates.profile import weigh_profile

__all__ = ["confidences", "fold_in", "priors", "vectors_now", "warm"]


@nb.njit(cache=True, nogil=True)
def priors(
    shopper_row: NDArray[np.int32],
    personal: NDArray[np.bool_],
    now_ms: NDArray[np.int64],
    shopper_factors: NDArray[np.float32],
    fitted_until_ms: int,
    out: NDArray[np.float32],
    newer_than_days: NDArray[np.float32],
) -> None:
    """Fill each shopper's fitted factor, 0 for strangers, and the age below which actions are new.

    To a stranger, and to a shopper who had done nothing when the model was fitted, all are new.
    """
    for b in range(shopper_row.shape[0]):
        shopper = shopper_row[b]
        out[b, :] = 0.0
        newer_than_days[b] = np.inf
        if not 0 <= shopper < shopper_factors.shape[0]:
            continue
        if personal.shape[0] > 0 and not personal[b]:
            continue
        for d in range(out.shape[1]):
            out[b, d] = shopper_factors[shopper, d]
            if out[b, d] != 0.0:
                newer_than_days[b] = max((now_ms[b] - fitted_until_ms) / 86_400_000.0, 0.0)


@nb.njit(cache=True, nogil=True)
def confidences(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    n_anchors: int,
    age_days: NDArray[np.float32],
    newer_than_days: NDArray[np.float32],
    n_items: int,
    alpha: float,
    logarithmic: bool,
    out: NDArray[np.float32],
) -> None:
    """Fill ``1 + alpha * f(weight)`` at each item's first place (B, P), 0 at all others.

    The weights of one item are added up first. Recent actions (those behind the anchors) count only
    where they are younger than the row's ``newer_than_days``.
    """
    for b in range(items.shape[0]):
        for p in range(items.shape[1]):
            out[b, p] = 0.0
            item = items[b, p]
            if item < 0 or item >= n_items or weights[b, p] <= 0.0:
                continue
            if p >= n_anchors and age_days[b, p - n_anchors] >= newer_than_days[b]:
                continue
            at = p
            for earlier in range(p):
                if items[b, earlier] == item and out[b, earlier] > 0.0:
                    at = earlier
                    break
            out[b, at] += weights[b, p]
        for p in range(items.shape[1]):
            if out[b, p] > 0.0:
                value = np.log1p(out[b, p]) if logarithmic else out[b, p]
                out[b, p] = 1.0 + alpha * value


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def fold_in(
    prior: NDArray[np.float32],
    items: NDArray[np.int32],
    confidence: NDArray[np.float32],
    factors: NDArray[np.float32],
    gram: NDArray[np.float64],
    inverse: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill each shopper's factor (B, dim) after actions of these confidences (B, P), 0 for none.

    Minimises ``sum_i c_i (p_i - x y_i)^2 + penalty |x|^2`` over the new actions from ``prior`` on:
    exactly for a stranger (prior 0), by one Newton step from the fitted factor for a known shopper.
    ``gram`` is ``Y'Y + penalty`` and ``inverse`` its inverse. P new actions cost P dim^2
    multiplications a shopper while they are few, and P dim^2 / 2 + dim^3 / 6 where they are many.
    """
    dim = gram.shape[0]
    a = np.empty((dim, dim))
    y = np.empty((dim, dim))
    x = np.empty(dim)
    for b in range(items.shape[0]):
        new = 0
        for p in range(items.shape[1]):
            new += confidence[b, p] > 0.0
        out[b, :] = prior[b, :]
        if 2 * new > dim:
            _fold_many(prior, items, confidence, b, factors, gram, a, x, out)
        elif new > 0:
            _fold_few(prior, items, confidence, b, factors, inverse, a, y, x, out)


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _fold_many(
    prior: NDArray[np.float32],
    items: NDArray[np.int32],
    confidence: NDArray[np.float32],
    b: int,
    factors: NDArray[np.float32],
    gram: NDArray[np.float64],
    a: NDArray[np.float64],
    x: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Solve ``(gram + sum_i (c_i - 1) y_i y_i') x = sum_i pull_i y_i`` and step by ``x``."""
    dim = gram.shape[0]
    a[:, :] = gram
    x[:] = 0.0
    for p in range(items.shape[1]):
        c = confidence[b, p]
        if c <= 0.0:
            continue
        item = items[b, p]
        already = 0.0
        for d in range(dim):
            already += prior[b, d] * factors[item, d]
        pull = c - (c - 1.0) * already
        for d in range(dim):
            x[d] += pull * factors[item, d]
            scaled = (c - 1.0) * factors[item, d]
            for e in range(d + 1):
                a[d, e] += scaled * factors[item, e]
    factorise(a, dim)
    solve(a, x, dim)
    for d in range(dim):
        out[b, d] += x[d]


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _fold_few(
    prior: NDArray[np.float32],
    items: NDArray[np.int32],
    confidence: NDArray[np.float32],
    b: int,
    factors: NDArray[np.float32],
    inverse: NDArray[np.float64],
    a: NDArray[np.float64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """The same by Woodbury's identity, which solves for the actions instead of the factors.

    With ``s_i = sqrt(c_i - 1)`` and ``y_i`` times the inverse, ``w = s t`` where
    ``(1 + s_i y_i inverse y_j' s_j) t = pull / s``, and the step is ``sum_i w_i y_i inverse``.
    """
    dim = inverse.shape[0]
    n = 0
    for p in range(items.shape[1]):
        c = confidence[b, p]
        if c <= 0.0:
            continue
        item = items[b, p]
        root = np.sqrt(max(c - 1.0, 1e-9))
        already = 0.0
        for d in range(dim):
            already += prior[b, d] * factors[item, d]
        x[n] = (c - root * root * already) / root
        for e in range(dim):
            y[n, e] = 0.0
        for d in range(dim):
            scaled = root * factors[item, d]
            for e in range(dim):
                y[n, e] += scaled * inverse[d, e]
        earlier = 0
        for q in range(p + 1):
            if confidence[b, q] > 0.0:
                along = 0.0
                for d in range(dim):
                    along += y[n, d] * factors[items[b, q], d]
                a[n, earlier] = along * np.sqrt(max(confidence[b, q] - 1.0, 1e-9))
                earlier += 1
        a[n, n] += 1.0
        n += 1
    factorise(a, n)
    solve(a, x, n)
    for i in range(n):
        for d in range(dim):
            out[b, d] += x[i] * y[i, d]


@nb.njit(cache=True, nogil=True)
def vectors_now(
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age_days: NDArray[np.float32],
    anchor_item: NDArray[np.int32],
    personal: NDArray[np.bool_],
    shopper_row: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    kind_weight: NDArray[np.float32],
    half_life_days: float,
    anchor_weight: float,
    max_actions: int,
    alpha: float,
    logarithmic: bool,
    shopper_factors: NDArray[np.float32],
    fitted_until_ms: int,
    item_factors: NDArray[np.float32],
    gram: NDArray[np.float64],
    inverse: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill the factor (B, dim) of each request's shopper as of now: all steps in one call."""
    n_requests, n_anchors = anchor_item.shape
    items = np.empty((n_requests, n_anchors + recent_item.shape[1]), np.int32)
    weights = np.empty(items.shape, np.float32)
    weigh_profile(
        recent_item, recent_kind, recent_age_days, anchor_item, personal, kind_weight, 1.0,
        half_life_days, 1.0, 0.0, anchor_weight, 1.0, max_actions, items, weights,
    )  # fmt: skip
    prior = np.empty(out.shape, np.float32)
    newer_than = np.empty(n_requests, np.float32)
    priors(shopper_row, personal, now_ms, shopper_factors, fitted_until_ms, prior, newer_than)
    confidence = np.empty(items.shape, np.float32)
    n_items = item_factors.shape[0]
    confidences(
        items, weights, n_anchors, recent_age_days, newer_than, n_items, alpha, logarithmic,
        confidence,
    )  # fmt: skip
    fold_in(prior, items, confidence, item_factors, gram, inverse, out)


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    items, one = np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32)
    factors = sealed(one, np.float32)
    vectors_now(
        items, np.zeros((1, 1), np.uint8), one, items, np.empty(0, np.bool_), items[0],
        np.zeros(1, np.int64), np.ones(256, np.float32), 1.0, 1.0, 1, 1.0, True, factors, 0,
        factors, np.eye(1), np.eye(1), np.empty((1, 1), np.float32),
    )  # fmt: skip
