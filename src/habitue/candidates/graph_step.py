"""One step over the shopper–item graph: a shopper's vector from the items acted on."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.foldin import priors
from habitue.candidates.layout import sealed
from habitue.candidates.profile import weigh_profile

__all__ = ["shoppers_now", "warm"]

_MS_PER_DAY = 86_400_000.0


@nb.njit(cache=True, nogil=True)
def shoppers_now(
    recent_item: NDArray[np.int32],
    recent_kind: NDArray[np.uint8],
    recent_age_days: NDArray[np.float32],
    anchor_item: NDArray[np.int32],
    personal: NDArray[np.bool_],
    shopper_row: NDArray[np.int32],
    now_ms: NDArray[np.int64],
    kind_weight: NDArray[np.float32],
    position_decay: float,
    half_life_days: float,
    anchor_weight: float,
    max_actions: int,
    carried: NDArray[np.float32],
    fitted_until_ms: int,
    read: NDArray[np.float32],
    tail_read: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill the unit vector (B, dim) of each request's shopper as of now; 0 where nothing is known.

    ``carried`` (n_shoppers, dim) is what each shopper's actions summed up to when the model was
    fitted; since then it has faded by the half-life, and by ``position_decay`` for each moment in
    which something was done since. Newer actions come on top.
    """
    n_requests, n_anchors = anchor_item.shape
    n_base = read.shape[0]
    n_rows = n_base + tail_read.shape[0]
    items = np.empty((n_requests, n_anchors + recent_item.shape[1]), np.int32)
    weights = np.empty(items.shape, np.float32)
    weigh_profile(
        recent_item, recent_kind, recent_age_days, anchor_item, personal, kind_weight,
        position_decay, half_life_days, 1.0, 0.0, anchor_weight, 1.0, max_actions, items, weights,
    )  # fmt: skip
    newer_than = np.empty(n_requests, np.float32)
    priors(shopper_row, personal, now_ms, carried, fitted_until_ms, out, newer_than)
    for b in range(n_requests):
        kept = np.exp2(-max(now_ms[b] - fitted_until_ms, 0) / _MS_PER_DAY / half_life_days)
        kept *= position_decay ** _moments_since(
            recent_age_days[b], weights[b, n_anchors:], newer_than[b]
        )
        for d in range(out.shape[1]):
            out[b, d] *= kept
        for p in range(items.shape[1]):
            item, weight = items[b, p], weights[b, p]
            if item < 0 or item >= n_rows or weight <= 0.0:
                continue
            if p >= n_anchors and recent_age_days[b, p - n_anchors] >= newer_than[b]:
                continue
            if item < n_base:
                for d in range(out.shape[1]):
                    out[b, d] += weight * read[item, d]
            else:
                for d in range(out.shape[1]):
                    out[b, d] += weight * tail_read[item - n_base, d]
        length = 0.0
        for d in range(out.shape[1]):
            length += np.float64(out[b, d]) ** 2
        if length > 0.0:
            length = np.sqrt(length)
            for d in range(out.shape[1]):
                out[b, d] /= length


@nb.njit(cache=True, nogil=True)
def _moments_since(
    age_days: NDArray[np.float32], weights: NDArray[np.float32], newer_than_days: float
) -> int:
    """Moments of one shopper's actions (L,), most recent first, that are newer than that age."""
    n, last_age = 0, np.float32(-1.0)
    for p in range(age_days.shape[0]):
        if (
            weights[p] > 0.0
            and age_days[p] < newer_than_days
            and (n == 0 or age_days[p] != last_age)
        ):
            n += 1
            last_age = age_days[p]
    return n


def warm() -> None:
    """Compile this module's kernels for the types requests bring, or read them from disk."""
    items, one = np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32)
    vectors = sealed(one, np.float32)
    shoppers_now(
        items, np.zeros((1, 1), np.uint8), one, items, np.empty(0, np.bool_), items[0],
        np.zeros(1, np.int64), np.ones(256, np.float32), 1.0, 1.0, 1.0, 1, vectors, 0, vectors,
        vectors, np.empty((1, 1), np.float32),
    )  # fmt: skip
