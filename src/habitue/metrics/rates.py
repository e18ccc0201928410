"""How often does what is shown work? Click-through, conversion, and off-policy estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from habitue.metrics.intervals import Interval

__all__ = ["click_through", "conversion", "ips", "rate", "snips"]


def rate(successes: int, trials: int, level: float = 0.95) -> Interval:
    """``successes / trials`` with Wilson's score interval, which holds near 0 and 1 too.

    Wilson, "Probable inference", JASA 1927. NaN throughout without a trial.

    >>> print(rate(10, 100))
    0.1000 [0.0552, 0.1744]
    """
    if trials == 0:
        return Interval(float("nan"), float("nan"), float("nan"), level)
    z = float(ndtri(0.5 + level / 2.0))
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2))
    return Interval(p, max(0.0, float(centre - half)), min(1.0, float(centre + half)), level)


def click_through(clicked: NDArray[np.bool_], level: float = 0.95) -> Interval:
    """Slots that were clicked, of the slots that were shown (``clicked`` is one flag a slot)."""
    return rate(int(clicked.sum()), clicked.size, level)


def conversion(
    converted: NDArray[np.bool_], slate: NDArray[Any] | None = None, level: float = 0.95
) -> Interval:
    """Slates from which at least one slot led to a conversion, of the slates that were shown.

    ``converted`` is one flag a slot and ``slate`` (same length) says which slate a slot is of;
    without it every slot is its own slate.
    """
    if slate is None:
        return rate(int(converted.sum()), converted.size, level)
    _, code = np.unique(slate, return_inverse=True)
    n_slates = int(code.max(initial=-1)) + 1
    won = np.bincount(code, weights=converted, minlength=n_slates) > 0
    return rate(int(won.sum()), n_slates, level)


def ips(
    reward: NDArray[np.floating], logged: NDArray[np.floating], target: NDArray[np.floating]
) -> float:
    """The mean reward another policy would have got: rewards weighted by ``target / logged``.

    All (N,): the reward of each shown slot, the propensity it was shown with, the probability the
    other policy would have given it. Unbiased where every logged propensity is above 0 and right;
    its variance grows as they shrink. Horvitz and Thompson, JASA 1952.
    """
    _check(logged)
    return float((reward * (target / logged)).mean()) if len(reward) else float("nan")


def snips(
    reward: NDArray[np.floating], logged: NDArray[np.floating], target: NDArray[np.floating]
) -> float:
    """``ips`` divided by the mean weight: a little bias for far less variance.

    Swaminathan and Joachims, "The self-normalized estimator", NeurIPS 2015. NaN when the other
    policy would have shown none of it.
    """
    _check(logged)
    weight = target / logged
    total = float(weight.sum())
    return float((reward * weight).sum() / total) if total > 0 else float("nan")


def _check(logged: NDArray[np.floating]) -> None:
    if (logged <= 0).any():
        raise ValueError("a logged propensity is 0: what was shown had some chance of being shown")
