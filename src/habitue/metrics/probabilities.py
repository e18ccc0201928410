"""How good is a probability, or a score that should part two classes?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["auc", "logloss"]


def auc(label: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """The chance that a positive scores above a negative, a tie counting half.

    ``label`` and ``score`` are (N,); NaN when either class is absent. By the rank sum of Mann and
    Whitney, 1947; Hanley and McNeil, Radiology 1982.

    >>> auc(np.array([True, False, True]), np.array([0.9, 0.9, 0.1]))
    0.25
    """
    n_positive = int(label.sum())
    n_negative = len(label) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[inverse]
    above = rank[label].sum() - n_positive * (n_positive + 1) / 2.0
    return float(above / (n_positive * n_negative))


def logloss(
    label: NDArray[np.bool_], probability: NDArray[np.floating], floor: float = 1e-15
) -> float:
    """The mean of ``-log`` of the probability given to what happened, in nats.

    Probabilities are kept ``floor`` away from 0 and 1, so that one certain mistake costs much and
    not everything. NaN when there is nothing to judge. Good, "Rational decisions", JRSS B 1952.

    >>> round(logloss(np.array([True, False]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    if len(label) == 0:
        return float("nan")
    p = np.clip(probability.astype(np.float64), floor, 1.0 - floor)
    return float(-np.where(label, np.log(p), np.log1p(-p)).mean())
