"""How far from the ratings given are those foretold?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mae", "rmse"]

Ratings = NDArray[np.floating]


def rmse(rating: Ratings, foretold: Ratings) -> float:
    """The root of the mean squared error: a large miss counts more than two of half its size.

    Both are (N,); NaN without any. The measure of the Netflix prize (Bennett and Lanning, KDD Cup
    2007).

    >>> rmse(np.array([4.0, 2.0]), np.array([1.0, 2.0])).__round__(3)
    2.121
    """
    if not len(rating):
        return float("nan")
    return float(np.sqrt(np.mean(_error(rating, foretold) ** 2)))


def mae(rating: Ratings, foretold: Ratings) -> float:
    """The mean distance between a rating and what was foretold, in steps of the scale.

    Both are (N,); NaN without any. Willmott and Matsuura, Climate Research 2005, on why to show it
    beside ``rmse``.

    >>> mae(np.array([4.0, 2.0]), np.array([1.0, 2.0]))
    1.5
    """
    return float(np.mean(np.abs(_error(rating, foretold)))) if len(rating) else float("nan")


def _error(rating: Ratings, foretold: Ratings) -> NDArray[np.float64]:
    if rating.shape != foretold.shape:
        raise ValueError(f"{len(foretold)} ratings were foretold of {len(rating)}")
    return rating.astype(np.float64) - foretold
