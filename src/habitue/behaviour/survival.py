"""How likely somebody comes in each span of days to come, given that they have not come before.

A hazard for each of a few steps of time, by a logistic regression and by boosted trees over the
same columns, their log odds averaged. Whoever has not come yet when the log ends is not a loss:
each step counts that could be watched whole. Singer and Willett, "It's about time: using
discrete-time survival analysis", J. Educational Statistics 1993; Cox, JRSS B 1972.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.special import expit, logit

from habitue.errors import SnapshotError

__all__ = ["EDGES", "HazardConfig", "HazardModel", "Periods", "fit_hazard", "survival_of"]

EDGES: Final = np.array([0.0, 3.0, 7.0, 14.0, 21.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0])
"""Days at which the steps of time begin and end."""

_N_STEPS: Final = len(EDGES) - 1
_CENTRE: Final = np.log((EDGES[1:] + EDGES[:-1]) / 2)
_LATER: Final = (_CENTRE - _CENTRE.mean()) / _CENTRE.std()
_FLOOR: Final = 1e-6
_NEWTON: Final = 25
_CLOSE: Final = 1e-6
_SHORTEST: Final = 1e-3
_UNKNOWN: Final = 0.05
_MOST_LEVEL: Final = 3.0


class HazardConfig(BaseModel):
    """How hazards are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ridge: PositiveFloat = Field(
        300.0, description="Penalty on the weights of the logistic regression."
    )
    trees: int = Field(100, ge=0, description="Boosted trees; 0 leaves them out.")
    tree_rows: PositiveInt = Field(
        100_000, description="Steps from which on trees join in: with fewer they say too little."
    )
    leaves: int = Field(5, ge=2, le=256, description="Leaves of each tree.")
    learning_rate: PositiveFloat = Field(0.1, description="Weight of each tree.")
    min_leaf_rows: PositiveInt = Field(3000, description="Steps a leaf must hold at least.")
    feature_share: float = Field(0.2, gt=0, le=1, description="Columns each tree may use.")
    row_share: float = Field(0.3, gt=0, le=1, description="Steps each tree is shown.")
    l2: NonNegativeFloat = Field(10.0, description="Penalty on the leaves' values.")


@dataclass(frozen=True, slots=True)
class Periods:
    """Steps of time that were watched whole, until somebody came: P of them."""

    row: NDArray[np.int64]  # (P,) whose
    step: NDArray[np.int64]  # (P,)
    came: NDArray[np.bool_]  # (P,)
    ended_days: NDArray[np.float64]  # (P,) how long ago the step ended
    weight: NDArray[np.float64]  # (P,)

    @classmethod
    def of(
        cls, days: NDArray[np.float64], came: NDArray[np.bool_], watched_days: float, first_row: int
    ) -> Self:
        """The steps of those asked at one moment, ``watched_days`` ago: of ``row`` from there on.

        ``days`` (N,) is the time until each came, or, where not ``came``, until the watching ended.
        """
        whole = int(np.searchsorted(EDGES[1:], watched_days, side="right"))
        ends = np.where(came, np.searchsorted(EDGES[1:], days, side="right"), whole)
        steps = np.minimum(np.where(came, ends + 1, ends), whole)
        row = np.repeat(np.arange(len(days)), steps)
        step = np.arange(len(row)) - np.repeat(np.cumsum(steps) - steps, steps)
        return cls(
            row + first_row,
            step,
            came[row] & (step == ends[row]),
            watched_days - EDGES[step + 1],
            np.ones(len(row)),
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Several as one."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("row", "step", "came", "ended_days", "weight")
            )
        )

    def take(self, which: NDArray[np.int64]) -> Periods:
        """Those steps, in that order."""
        return Periods(
            self.row[which],
            self.step[which],
            self.came[which],
            self.ended_days[which],
            self.weight[which],
        )

    def fading(self, half_life_days: float) -> Periods:
        """The same, each counting half for every half-life since it ended."""
        return replace(self, weight=np.exp2(-self.ended_days / half_life_days))

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True)
class HazardModel:
    """Weights, trees, and how far the level of the last weeks lies above what they say."""

    mean: NDArray[np.float64]  # (F,)
    scale: NDArray[np.float64]  # (F,)
    weight: NDArray[np.float64]  # (2 F + n_steps,) of a column, of it later on, of a step
    booster: Any  # of LightGBM; None without trees
    level: float = 1.0

    def hazards(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """The chance (S, n_steps) to come in each step, of those who have not come before it."""
        n = len(x)
        step = np.tile(np.arange(_N_STEPS), n)
        row = np.repeat(np.arange(n), _N_STEPS)
        return self._raised(self._at(x, row, step)).reshape(n, _N_STEPS)

    def pulls(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each column (S, F) adds to the log odds of who is average, on average over steps."""
        z = (x - self.mean) / self.scale
        half = len(self.mean)
        first, later = self.weight[:half], self.weight[half : 2 * half]
        return np.asarray(z * (first + later * _LATER[:5].mean()))

    def levelled(self, x: NDArray[np.float32], periods: Periods, least: float) -> HazardModel:
        """The same, held to what happened in ``periods``; ``least`` is believed beforehand."""
        if not len(periods):
            return self
        said = replace(self, level=1.0)._at(x, periods.row, periods.step)
        level = (periods.came.sum() + least) / (said.sum() + least)
        return replace(self, level=float(np.clip(level, 1 / _MOST_LEVEL, _MOST_LEVEL)))

    def save(self, path: Path) -> None:
        """Write it into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        np.savez(
            path / "hazard.npz",
            mean=self.mean, scale=self.scale, weight=self.weight, level=np.array(self.level),
        )  # fmt: skip
        if self.booster is not None:
            (path / "trees.txt").write_text(self.booster.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written in ``path``; raises ``SnapshotError`` if it is not there."""
        try:
            with np.load(path / "hazard.npz") as held:
                arrays = {name: held[name] for name in ("mean", "scale", "weight", "level")}
            trees = path / "trees.txt"
            text = trees.read_text(encoding="utf-8") if trees.exists() else None
        except (OSError, ValueError, KeyError) as problem:
            raise SnapshotError(
                f"The outlook in {path} cannot be read: {problem}.",
                remedy="Train again, or activate another snapshot.",
            ) from problem
        booster = None
        if text is not None:
            import lightgbm as lgb

            booster = lgb.Booster(model_str=text)
        return cls(
            arrays["mean"], arrays["scale"], arrays["weight"], booster, float(arrays["level"])
        )

    def _at(
        self, x: NDArray[np.float32], row: NDArray[np.int64], step: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The hazard (P,) of a row's step, by the weights and the trees alike."""
        z = (x - self.mean) / self.scale
        half = len(self.mean)
        first, later = z @ self.weight[:half], z @ self.weight[half : 2 * half]
        odds = first[row] + later[row] * _LATER[step] + self.weight[2 * half :][step]
        if self.booster is None:
            return np.asarray(expit(odds))
        table = np.column_stack([x[row], step.astype(np.float32)])
        by_trees = self.booster.predict(table, num_threads=1)
        return np.asarray(expit((odds + logit(np.clip(by_trees, _FLOOR, 1 - _FLOOR))) / 2))

    def _raised(self, hazard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Proportional hazards: the integrated ones stand in the ratio of the level."""
        return np.asarray(-np.expm1(self.level * np.log1p(-np.clip(hazard, 0, 1 - _FLOOR))))


def survival_of(hazards: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chance (S, n_steps + 1) not to have come by each of ``EDGES``."""
    left = np.ones((len(hazards), hazards.shape[1] + 1))
    np.cumprod(1 - hazards, axis=1, out=left[:, 1:])
    return left


def fit_hazard(
    x: NDArray[np.float32], periods: Periods, config: HazardConfig, rng: np.random.Generator
) -> HazardModel:
    """The hazards that customers (S, F) showed in ``periods``."""
    asked = np.unique(periods.row)
    mean = x[asked].mean(axis=0, dtype=np.float64)
    spread = x[asked].std(axis=0, dtype=np.float64)
    scale = np.where(spread > 1e-9, spread, 1.0)
    z = ((x - mean) / scale).astype(np.float32)
    weight = _logistic(z, periods, config.ridge)
    return HazardModel(mean, scale, weight, _boosted(x, periods, config, rng))


def _logistic(z: NDArray[np.float32], periods: Periods, ridge: float) -> NDArray[np.float64]:
    """The weights of columns, of columns times later, and of steps, by damped steps of Newton's."""
    likelihood = _Likelihood(z, periods, ridge)
    weight = likelihood.start.copy()
    value, slope, curve = likelihood.of(weight)
    for _ in range(_NEWTON):
        change = np.linalg.solve(curve, slope)
        length = 1.0
        after = likelihood.of(weight + change)
        while after[0] < value and length > _SHORTEST:
            length /= 2
            after = likelihood.of(weight + length * change)
        if after[0] - value < _CLOSE * abs(value):
            break
        weight = weight + length * change
        value, slope, curve = after
    return weight


class _Likelihood:
    """The penalised likelihood of weights, its slope and its curvature.

    Steps of time are summed one after the other, so that no wider table is made: O(P F^2).
    """

    def __init__(self, z: NDArray[np.float32], periods: Periods, ridge: float) -> None:
        self.half = z.shape[1]
        self.start = np.zeros(2 * self.half + _N_STEPS)
        self.penalty = np.full(len(self.start), ridge)
        self.penalty[2 * self.half :] = 1.0  # a step's level is hardly held back
        self.steps: list[tuple[int, NDArray[np.float32], NDArray[np.bool_], Any]] = []
        for step in range(_N_STEPS):
            part = np.flatnonzero(periods.step == step)
            came, weight = periods.came[part], periods.weight[part]
            share = np.average(came, weights=weight) if len(part) else _UNKNOWN
            self.start[2 * self.half + step] = logit(np.clip(share, 1e-4, 1 - 1e-4))
            self.steps.append((step, z[periods.row[part]], came, weight))

    def of(
        self, weight: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """The value, (n,), and minus the second derivatives, (n, n)."""
        half = self.half
        first, second = slice(0, half), slice(half, 2 * half)
        off = weight - self.start
        value = -0.5 * float(self.penalty @ off**2)
        slope, curve = -self.penalty * off, np.diag(self.penalty)
        for step, rows, came, counts in self.steps:
            by, level = _LATER[step], 2 * half + step
            pull = (weight[first] + by * weight[second]).astype(np.float32)
            odds = (rows @ pull).astype(np.float64) + weight[level]
            said = expit(odds)
            value += float(counts @ (came * odds - np.logaddexp(0, odds)))
            missed, bend = counts * (came - said), counts * said * (1 - said)
            both = np.column_stack([missed, bend]).astype(np.float32)
            own, across = (rows.T @ both).T
            square = (rows * both[:, 1:]).T @ rows
            slope[first] += own
            slope[second] += by * own
            slope[level] += missed.sum()
            curve[first, first] += square
            curve[first, second] += by * square
            curve[second, second] += by * by * square
            curve[first, level] += across
            curve[second, level] += by * across
            curve[level, level] += bend.sum()
        return value, slope, np.triu(curve) + np.triu(curve, 1).T


def _boosted(
    x: NDArray[np.float32], periods: Periods, config: HazardConfig, rng: np.random.Generator
) -> Any:
    if not config.trees or len(periods) < config.tree_rows:
        return None
    import lightgbm as lgb

    parameters = {
        "objective": "binary",
        "num_threads": 1,
        "verbosity": -1,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.min_leaf_rows,
        "feature_fraction": config.feature_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "seed": int(rng.integers(1 << 31)),
        "deterministic": True,
        "force_row_wise": True,
    }
    table = np.column_stack([x[periods.row], periods.step.astype(np.float32)])
    data = lgb.Dataset(table, periods.came, weight=periods.weight, free_raw_data=True)
    return lgb.train(parameters, data, config.trees)
