"""Does a score tell how likely a slot is right? Scores as probabilities, and those judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from habitue.metrics import auc, brier, logloss, reliability

__all__ = ["Chances", "chances_of", "told_by_others"]

_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Chances:
    """How well the chances foretold for slots came true."""

    n_slots: int
    base_rate: float  # the share of slots that were right
    auc: float  # of the scores: how well they part right slots from wrong
    brier: float
    brier_of_base: float  # of whoever says the base rate of every slot
    logloss: float
    error: float  # expected calibration error
    said: list[float]  # the reliability diagram: bins of equally many slots
    happened: list[float]
    count: list[int]


def chances_of(
    score: NDArray[np.floating],
    hit: NDArray[np.bool_],
    shopper_row: NDArray[np.int32],
    rng: np.random.Generator,
    *,
    n_bins: int = 10,
) -> Chances | None:
    """Judge scores (B, n) as chances that their slots are right; None without hits and misses.

    A score becomes a probability by the monotone curve that fits what became of the scores of
    *other* shoppers (``told_by_others``), so that nobody's outcome says its own chance. Empty slots
    have a score of ``-inf`` or NaN and are left out.
    """
    filled = np.isfinite(score)
    flat, label = score[filled].astype(np.float64), hit[filled]
    if not label.any() or label.all():
        return None
    who = np.broadcast_to(shopper_row[:, None], score.shape)[filled]
    said = told_by_others(flat, label, who, rng)
    drawn = reliability(label, said, n_bins)
    base = float(label.mean())
    return Chances(
        len(label),
        base,
        auc(label, flat),
        brier(label, said),
        base * (1 - base),
        logloss(label, said, 1e-6),
        drawn.error,
        drawn.said.tolist(),
        drawn.happened.tolist(),
        drawn.count.tolist(),
    )


def told_by_others(
    score: NDArray[np.float64],
    label: NDArray[np.bool_],
    shopper_row: NDArray[np.int32],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The chance of each score (N,), by isotonic regression on the scores of other shoppers.

    Shoppers are dealt into five; each fifth is told by the other four. Zadrozny and Elkan,
    "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.
    """
    _, person = np.unique(shopper_row, return_inverse=True)
    deal = rng.permutation(int(person.max()) + 1) % _FOLDS
    fold = deal[person]
    out = np.full(len(score), label.mean())
    for k in range(_FOLDS):
        here = fold == k
        there = np.flatnonzero(~here)
        if not len(there):
            continue
        order = there[np.argsort(score[there], kind="stable")]
        values, start, count = np.unique(score[order], return_index=True, return_counts=True)
        rate = np.add.reduceat(label[order].astype(np.float64), start) / count
        curve = isotonic_regression(rate, weights=count.astype(np.float64)).x
        out[here] = np.interp(score[here], values, curve)
    return out
