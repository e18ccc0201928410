"""Values far from an item's own others: a price ten times the usual, an order of 80,995 pieces."""

from __future__ import annotations

import polars as pl

__all__ = ["robust_score"]

_MAD_TO_SD = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its standard deviation."""


def robust_score(value: pl.Expr, item: pl.Expr, least_rows: int, least_spread: float) -> pl.Expr:
    """How many robust standard deviations ``log(value)`` lies from the median of its item.

    Median and MAD instead of mean and deviation, so that the outlier cannot hide itself (Iglewicz
    and Hoaglin 1993). ``least_spread`` is the least deviation assumed, in logarithms: an item that
    always cost the same is not an outlier at one per cent more. Zero for items of fewer than
    ``least_rows`` rows and for values that are not positive.
    """
    log = pl.when(value > 0).then(value.log())
    off = (log - log.median().over(item)).abs()
    spread = pl.max_horizontal(off.median().over(item) * _MAD_TO_SD, pl.lit(least_spread))
    enough = log.count().over(item) >= least_rows
    return pl.when(enough).then(off / spread).otherwise(0.0).fill_null(0.0)
