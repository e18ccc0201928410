"""How good is a probability, or a score that should part two classes?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reliability", "auc", "brier", "logloss", "reliability"]


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


def brier(label: NDArray[np.bool_], probability: NDArray[np.floating]) -> float:
    """The mean squared distance between a probability and what happened, 0 or 1; 0 is perfect.

    NaN when there is nothing to judge. Brier, Monthly Weather Review 1950.

    >>> brier(np.array([True, False]), np.array([0.75, 0.25]))
    0.0625
    """
    if len(label) == 0:
        return float("nan")
    return float(np.mean((probability.astype(np.float64) - label) ** 2))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Said and happened, bin by bin of equally many judged: the points of a reliability diagram."""

    said: NDArray[np.float64]  # (n_bins,) the mean probability
    happened: NDArray[np.float64]  # (n_bins,) the share that came true
    count: NDArray[np.int64]  # (n_bins,) how many were judged

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of said and happened."""
        if not len(self.count):
            return float("nan")
        return float(np.average(np.abs(self.said - self.happened), weights=self.count))


def reliability(
    label: NDArray[np.bool_], probability: NDArray[np.floating], n_bins: int = 10
) -> Reliability:
    """How often what was said with each probability came true.

    ``label`` and ``probability`` are (N,). Bins hold equally many, as far as equal probabilities
    stay together, so that rare chances are told apart too; bins left empty are left out. Naeini,
    Cooper and Hauskrecht, "Obtaining well calibrated probabilities", AAAI 2015.

    >>> reliability(np.array([False, True, True, True]), np.array([0.2, 0.2, 0.8, 0.8]), 2).happened
    array([0.5, 1. ])
    """
    p = probability.astype(np.float64)
    edges = np.unique(np.quantile(p, np.arange(1, n_bins) / n_bins)) if len(p) else p
    place = np.searchsorted(edges, p, side="left")
    count = np.bincount(place, minlength=len(edges) + 1)
    filled = count > 0
    said = np.bincount(place, weights=p, minlength=len(count))[filled] / count[filled]
    came = np.bincount(place, weights=label, minlength=len(count))[filled] / count[filled]
    return Reliability(said, came, count[filled])
