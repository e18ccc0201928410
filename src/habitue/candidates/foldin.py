"""Giving a shopper a factor from what she did, without training again."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["confidences", "fold_in", "priors", "warm"]


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
def _solve_in_place(a: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    """Solve ``a x = x`` for symmetric positive definite ``a``, of which the lower half is read."""
    dim = x.shape[0]
    for i in range(dim):
        for j in range(i + 1):
            total = a[i, j]
            for d in range(j):
                total -= a[i, d] * a[j, d]
            a[i, j] = np.sqrt(total) if i == j else total / a[j, j]
        total = x[i]
        for d in range(i):
            total -= a[i, d] * x[d]
        x[i] = total / a[i, i]
    for i in range(dim - 1, -1, -1):
        x[i] /= a[i, i]
        for d in range(i):
            x[d] -= a[i, d] * x[i]


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def fold_in(
    prior: NDArray[np.float32],
    items: NDArray[np.int32],
    confidence: NDArray[np.float32],
    factors: NDArray[np.float32],
    gram: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill each shopper's factor (B, dim) after actions of these confidences (B, P), 0 for none.

    Minimises ``sum_i c_i (p_i - x y_i)^2 + penalty |x|^2`` over the new actions from ``prior`` on:
    exactly for a stranger (prior 0), by one Newton step from the fitted factor for a known shopper.
    ``gram`` is ``Y'Y + penalty``. Costs P dim^2 / 2 + dim^3 / 6 multiplications a shopper.
    """
    dim = gram.shape[0]
    a = np.empty((dim, dim))
    x = np.empty(dim)
    for b in range(items.shape[0]):
        new = 0
        for p in range(items.shape[1]):
            if confidence[b, p] > 0.0:
                new += 1
        out[b, :] = prior[b, :]
        if new == 0:
            continue
        a[:, :] = gram
        x[:] = 0.0
        for p in range(items.shape[1]):
            c = confidence[b, p]
            if c <= 0.0:
                continue
            y = factors[items[b, p]]
            already = 0.0
            for d in range(dim):
                already += prior[b, d] * y[d]
            pull = c - (c - 1.0) * already
            for d in range(dim):
                x[d] += pull * y[d]
                scaled = (c - 1.0) * y[d]
                for e in range(d + 1):
                    a[d, e] += scaled * y[e]
        _solve_in_place(a, x)
        for d in range(dim):
            out[b, d] += x[d]


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    items = np.zeros((1, 1), np.int32)
    one = np.ones((1, 1), np.float32)
    confidence = np.empty((1, 1), np.float32)
    confidences(items, one, 0, one, np.full(1, np.inf, np.float32), 1, 1.0, True, confidence)
    factors = np.ones((1, 1), np.float32)
    prior = np.empty((1, 1), np.float32)
    nobody, now = np.empty(0, np.bool_), np.zeros(1, np.int64)
    factors.setflags(write=False)
    priors(items[0], nobody, now, factors, 0, prior, np.empty(1, np.float32))
    fold_in(prior, items, confidence, factors, np.eye(1), np.empty((1, 1), np.float32))
