"""How sure are we? Bootstrap intervals of means and of ratios of means, paired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "bootstrap_mean",
    "bootstrap_means",
    "paired_difference",
    "paired_lift",
    "percentile_interval",
]

_CHUNK = 2_000_000  # resampled groups held at once: 16 MB of counts


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and between what it lies at this level of confidence."""

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.estimate:.4f} [{self.low:.4f}, {self.high:.4f}]"

    @property
    def beyond_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def bootstrap_means(
    values: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    group: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Means of every column of ``values`` (L, M) in ``n_resamples`` resamples of its rows: (R, M).

    All columns see the same resamples, so any difference or ratio of them is a paired comparison.
    With ``group`` (L,), say the shopper of each list, whole groups are drawn: lists of one shopper
    are not independent. NaN cells are left out of their column. Efron and Tibshirani, "An
    introduction to the bootstrap", 1993; Field and Welsh, JRSS B 2007, for groups.
    """
    totals, sizes = _totals(values, group)
    n_groups = len(totals)
    out = np.empty((n_resamples, values.shape[1]))
    step = max(1, _CHUNK // max(n_groups, 1))
    for start in range(0, n_resamples, step):
        n = min(step, n_resamples - start)
        drawn = rng.integers(0, n_groups, (n, n_groups))
        drawn += (np.arange(n) * n_groups)[:, None]
        count = np.bincount(drawn.ravel(), minlength=n * n_groups).reshape(n, n_groups)
        weight = count.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[start : start + n] = (weight @ totals) / (weight @ sizes)
    return out


def bootstrap_mean(
    values: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    group: NDArray[Any] | None = None,
) -> Interval:
    """The mean of ``values`` (L,) and its percentile bootstrap interval."""
    means = bootstrap_means(values[:, None], rng, n_resamples=n_resamples, group=group)
    return percentile_interval(float(_mean(values)), means[:, 0], level)


def paired_lift(
    values: NDArray[np.float64],
    against: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    group: NDArray[Any] | None = None,
) -> Interval:
    """By what share the mean of ``values`` lies above that of ``against``: 0.5 is 50 %.

    Both are (L,), the same lists in the same order; the ratio of the means less one, not the mean
    of the ratios, which a list of zero would make infinite.
    """
    means = _pair(values, against, rng, n_resamples, group)
    with np.errstate(invalid="ignore", divide="ignore"):
        lifts = means[:, 0] / means[:, 1] - 1.0
        estimate = np.float64(_mean(values)) / np.float64(_mean(against)) - 1.0
    return percentile_interval(float(estimate), lifts, level)


def paired_difference(
    values: NDArray[np.float64],
    against: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    group: NDArray[Any] | None = None,
) -> Interval:
    """How far the mean of ``values`` lies above that of ``against``, list by list."""
    means = _pair(values, against, rng, n_resamples, group)
    return percentile_interval(
        float(_mean(values) - _mean(against)), means[:, 0] - means[:, 1], level
    )


def _pair(
    values: NDArray[np.float64],
    against: NDArray[np.float64],
    rng: np.random.Generator,
    n_resamples: int,
    group: NDArray[Any] | None,
) -> NDArray[np.float64]:
    if values.shape != against.shape:
        raise ValueError(f"paired lists differ in number: {values.shape} against {against.shape}")
    both = np.column_stack([values, against])
    return bootstrap_means(both, rng, n_resamples=n_resamples, group=group)


def _totals(
    values: NDArray[np.float64], group: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and numbers of the cells that hold something, a group a row."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    if group is None:
        return filled, known.astype(np.float64)
    _, code = np.unique(group, return_inverse=True)
    n_groups = int(code.max(initial=-1)) + 1
    totals = np.zeros((n_groups, values.shape[1]))
    sizes = np.zeros_like(totals)
    np.add.at(totals, code, filled)
    np.add.at(sizes, code, known)
    return totals, sizes


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def percentile_interval(
    estimate: float, resampled: NDArray[np.float64], level: float = 0.95
) -> Interval:
    """The middle ``level`` of what resampling gave (R,); what is not finite is left out."""
    resampled = resampled[np.isfinite(resampled)]
    if not resampled.size:
        return Interval(estimate, float("nan"), float("nan"), level)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(resampled, [tail, 1.0 - tail])
    return Interval(estimate, float(low), float(high), level)
