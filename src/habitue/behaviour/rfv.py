"""The plain answer everything is held against: recency, frequency and value by a logistic curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from habitue.behaviour.moments import Standing

__all__ = ["RfvModel"]

_PENALTY: Final = 1e-4


@dataclass(frozen=True, slots=True)
class RfvModel:
    """Weights of the logs of recency, frequency and value. Fader and Hardie call it RFM."""

    mean: NDArray[np.float64]  # (3,)
    scale: NDArray[np.float64]  # (3,)
    weight: NDArray[np.float64]  # (4,) the constant first

    @classmethod
    def fit(cls, standing: Sequence[Standing], bought: Sequence[NDArray[np.bool_]]) -> Self | None:
        """Learnt from customers at several moments; None where all or none ``bought``."""
        x = np.concatenate([_columns(one) for one in standing])
        y = np.concatenate(bought).astype(np.float64)
        if not 0 < y.sum() < len(y):
            return None
        mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
        z = np.column_stack([np.ones(len(x)), (x - mean) / scale])

        def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            odds = z @ weight
            held = np.r_[0.0, weight[1:]]
            value = np.mean(np.logaddexp(0, odds) - y * odds) + _PENALTY * held @ held
            return float(value), z.T @ (expit(odds) - y) / len(y) + 2 * _PENALTY * held

        found = minimize(loss, np.zeros(4), jac=True, method="L-BFGS-B")
        return cls(mean, scale, found.x)

    def chance(self, standing: Standing) -> NDArray[np.float64]:
        """The chance (S,) of each."""
        z = (_columns(standing) - self.mean) / self.scale
        return np.asarray(expit(self.weight[0] + z @ self.weight[1:]))


def _columns(standing: Standing) -> NDArray[np.float64]:
    return np.column_stack(
        [
            np.log1p(standing.since_days),
            np.log(np.maximum(standing.orders, 1)),
            np.log1p(np.maximum(standing.value_minor, 0)),
        ]
    )
