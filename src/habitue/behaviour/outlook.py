"""Will this customer buy again soon, and when will they return?

Learnt from moments of the past at which customers stood as they stand now, and what they did next.
No moment knows what came later, and the last weeks, whose end is not known yet, count as far as
they could be watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from habitue.behaviour.moments import COLUMNS, GROUPS, Heat, Standing, standing_of
from habitue.behaviour.rfv import RfvModel
from habitue.behaviour.survival import (
    EDGES,
    HazardConfig,
    HazardModel,
    Periods,
    fit_hazard,
    survival_of,
)
from habitue.errors import SnapshotError
from habitue.facts import CONVERSIONS, MS_PER_DAY, ActionKind, ActionLog
from habitue.metrics import auc, concordance, reliability

__all__ = [
    "Foretold",
    "OutlookConfig",
    "OutlookLearner",
    "OutlookMeasured",
    "OutlookModel",
    "Past",
    "foretold_by",
    "rfv_chances",
]

_NEVER_MS: Final = np.iinfo(np.int64).max


class OutlookConfig(BaseModel):
    """How outlooks are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: bool = Field(True, description="Learn when customers come back.")
    horizon_days: float = Field(
        30.0, ge=1, le=180, description="Days within which a customer buys or does not."
    )
    every_days: PositiveFloat = Field(7.0, description="Days between the moments learnt from.")
    moments: PositiveInt = Field(52, description="Moments learnt from, at most: the latest.")
    history_days: NonNegativeFloat = Field(
        90.0, description="Days of log before the first moment, but no more than half the log."
    )
    customers: PositiveInt = Field(
        20_000, description="Customers learnt from, at most; drawn by lot."
    )
    rows: PositiveInt = Field(
        400_000, description="Steps of time learnt from, at most; drawn by lot."
    )
    half_life_days: PositiveFloat = Field(
        120.0, description="Age at which what happened counts half."
    )
    level_days: PositiveFloat = Field(
        28.0, description="The latest days, to whose level all chances are raised or lowered."
    )
    level_prior: NonNegativeFloat = Field(
        20.0, description="Returns that are believed in before the latest days are counted."
    )
    least_returns: PositiveInt = Field(
        100, description="Returns that must have been seen before anything is foretold."
    )
    hazard: HazardConfig = Field(HazardConfig(), description="How hazards are learnt.")


@dataclass(frozen=True, slots=True)
class Past:
    """A log with the times at which its lines were taken back, and what is known of items."""

    log: ActionLog
    void_from_ms: NDArray[np.int64]  # (N,) the largest int64 if never
    category: NDArray[np.int32]  # (n_items,) -1 for none
    currency: str
    kinds: frozenset[ActionKind] = CONVERSIONS

    @classmethod
    def of(
        cls,
        log: ActionLog,
        *,
        currency: str,
        category: NDArray[np.int32] | None = None,
        kinds: Iterable[ActionKind] = CONVERSIONS,
    ) -> Self:
        """A log of which nothing was taken back."""
        never = np.full(len(log), _NEVER_MS)
        none = np.empty(0, np.int32)
        return cls(log, never, none if category is None else category, currency, frozenset(kinds))

    def at(self, now_ms: int) -> ActionLog:
        """What had happened and stood at a moment."""
        n = int(np.searchsorted(self.log.at_ms, now_ms, side="left"))
        stands = self.void_from_ms[:n] >= now_ms
        return self.log.take(slice(0, n) if stands.all() else np.flatnonzero(stands))

    def standing(self, now_ms: int, heat: Heat | None = None) -> Standing:
        """Where customers stood at a moment."""
        log = self.at(now_ms)
        return standing_of(
            log,
            now_ms,
            Heat.of(log, now_ms, self.kinds) if heat is None else heat,
            currency=self.currency,
            category=self.category,
            kinds=self.kinds,
        )

    def heat(self, now_ms: int) -> Heat:
        """How sought items were at a moment."""
        return Heat.of(self.at(now_ms), now_ms, self.kinds)

    def of_shoppers(self, kept: NDArray[np.bool_]) -> Past:
        """The same of the shoppers (n_shoppers,) that are ``kept``."""
        theirs = np.flatnonzero((self.log.shopper_row >= 0) & kept[self.log.shopper_row])
        return replace(self, log=self.log.take(theirs), void_from_ms=self.void_from_ms[theirs])

    def next_orders(
        self, shopper_row: NDArray[np.int32], now_ms: int, until_ms: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Days until each next bought, and whether they did before ``until_ms``: (S,) each."""
        n = int(np.searchsorted(self.log.at_ms, until_ms, side="left"))
        later = np.flatnonzero((self.void_from_ms[:n] >= until_ms) & (self.log.at_ms[:n] >= now_ms))
        bought = self.log.take(later).of_kinds(self.kinds)
        bought = bought.take((bought.shopper_row >= 0) & (bought.item_row >= 0))
        at = np.full(max(self.log.n_shoppers, int(shopper_row.max(initial=-1)) + 1), _NEVER_MS)
        np.minimum.at(at, bought.shopper_row, bought.at_ms)
        came = at[shopper_row] < _NEVER_MS
        until = np.where(came, at[shopper_row], until_ms)
        return (until - now_ms) / MS_PER_DAY, came


class OutlookMeasured(msgspec.Struct, frozen=True):
    """How right outlooks were that were made a horizon ago of what was known then."""

    horizon_days: float
    customers: int
    bought: float
    """The share who did buy within the horizon."""
    auc: float | None
    """Of the chance to buy within the horizon."""
    rfv_auc: float | None
    """The same of a logistic regression on recency, frequency and value."""
    calibration_error: float
    concordance: float | None
    """Of the time until customers returned."""
    rfv_concordance: float | None

    def figures(self) -> dict[str, float]:
        """The figures that are known, by name."""
        said = msgspec.structs.asdict(self)
        return {
            f"outlook/{name}": float(value) for name, value in said.items() if value is not None
        }


@dataclass(frozen=True, slots=True)
class Foretold:
    """What is expected of S customers."""

    chance: NDArray[np.float64]  # (S,) to buy within the horizon
    left: NDArray[np.float64]  # (S, len(EDGES)) the chance not to have come back by then

    def within(self, days: float) -> NDArray[np.float64]:
        """The chance (S,) to have come back after so many days, 180 at most."""
        place = int(np.clip(np.searchsorted(EDGES, days, side="right") - 1, 0, len(EDGES) - 2))
        share = min((days - EDGES[place]) / (EDGES[place + 1] - EDGES[place]), 1.0)
        log = np.log(np.maximum(self.left[:, place : place + 2], 1e-12))
        return np.asarray(-np.expm1(log[:, 0] + share * (log[:, 1] - log[:, 0])))

    def days_until(self, share: float) -> NDArray[np.float64]:
        """Days (S,) after which so many of such customers are back; NaN where 180 do not do."""
        came = 1 - self.left
        n, last = np.arange(len(came)), len(EDGES) - 1
        place = np.clip((came < share).sum(axis=1), 1, last)
        low, high = came[n, place - 1], came[n, place]
        width = EDGES[place] - EDGES[place - 1]
        within = np.clip((share - low) / np.maximum(high - low, 1e-12), 0, 1)
        return np.where(came[:, last] < share, np.nan, EDGES[place - 1] + within * width)

    @property
    def mean_days(self) -> NDArray[np.float64]:
        """The mean time (S,) until they return, counted up to 180 days."""
        return np.asarray(((self.left[:, 1:] + self.left[:, :-1]) / 2 * np.diff(EDGES)).sum(axis=1))


class OutlookLearner:
    """Learns when customers come back."""

    def __init__(self, config: OutlookConfig | None = None) -> None:
        self.config = config or OutlookConfig()

    def fit(
        self, past: Past, now_ms: int, rng: np.random.Generator, *, measure: bool = True
    ) -> OutlookModel | None:
        """What was shown before ``now_ms``, measured on its last horizon.

        None where fewer returns than ``least_returns`` were seen.
        """
        draw, learn, judge = rng.spawn(3)
        some = self._drawn(past, now_ms, draw)
        stood = self._stood(past, some, now_ms)
        hazard = self._hazard(some, stood, now_ms, learn)
        if hazard is None:
            return None
        measured = self._measured(some, stood, now_ms, judge) if measure else None
        return OutlookModel(self.config, hazard, past.heat(now_ms), measured)

    def measure(self, past: Past, now_ms: int, rng: np.random.Generator) -> OutlookMeasured | None:
        """How right outlooks were that were made a horizon before ``now_ms``, or a little earlier.

        None where too little had been seen then.
        """
        draw, _, judge = rng.spawn(3)
        some = self._drawn(past, now_ms, draw)
        return self._measured(some, self._stood(past, some, now_ms), now_ms, judge)

    def marks(self, past: Past, now_ms: int) -> list[int]:
        """The moments learnt from, oldest first."""
        config = self.config
        if not len(past.log):
            return []
        first = int(past.log.at_ms[0])
        history = min(config.history_days * MS_PER_DAY, (now_ms - first) / 2)
        step = config.every_days * MS_PER_DAY
        n = min(config.moments, int((now_ms - first - history) // step))
        return [int(now_ms - step * k) for k in range(n, 0, -1)]

    def _drawn(self, past: Past, now_ms: int, rng: np.random.Generator) -> Past:
        """The customers learnt from."""
        bought = past.log.before(now_ms).of_kinds(past.kinds).shopper_row
        who = np.unique(bought[bought >= 0])
        if len(who) <= self.config.customers:
            return past
        kept = np.zeros(past.log.n_shoppers, np.bool_)
        kept[rng.permutation(who)[: self.config.customers]] = True
        return past.of_shoppers(kept)

    def _stood(self, past: Past, some: Past, now_ms: int) -> dict[int, Standing]:
        """Where they stood at each of the moments."""
        return {
            mark: some.standing(mark, None if some is past else past.heat(mark))
            for mark in self.marks(past, now_ms)
        }

    def _measured(
        self, past: Past, stood: dict[int, Standing], now_ms: int, rng: np.random.Generator
    ) -> OutlookMeasured | None:
        """What was learnt before the last moment whose horizon has ended, asked at that moment."""
        horizon = self.config.horizon_days
        ended = [mark for mark in stood if mark + horizon * MS_PER_DAY <= now_ms]
        if not ended or not len(stood[ended[-1]]):
            return None
        cut = ended.pop()
        before = {mark: stood[mark] for mark in ended}
        hazard = self._hazard(past, before, cut, rng)
        if hazard is None:
            return None
        standing = stood[cut]
        told = foretold_by(hazard, standing, horizon)
        days, came = past.next_orders(standing.shopper_row, cut, now_ms)
        within = came & (days < horizon)
        plain = rfv_chances(past, before, standing, cut, horizon)
        return OutlookMeasured(
            horizon,
            len(standing),
            float(within.mean()),
            _known(auc(within, told.chance)),
            None if plain is None else _known(auc(within, plain)),
            reliability(within, told.chance).error,
            _known(concordance(days, came, -told.mean_days)),
            None if plain is None else _known(concordance(days, came, plain)),
        )

    def _hazard(
        self, past: Past, stood: dict[int, Standing], now_ms: int, rng: np.random.Generator
    ) -> HazardModel | None:
        """What was seen by ``now_ms`` of those who stood somewhere before."""
        config = self.config
        parts: list[Periods] = []
        first = 0
        for mark, standing in stood.items():
            days, came = past.next_orders(standing.shopper_row, mark, now_ms)
            parts.append(Periods.of(days, came, (now_ms - mark) / MS_PER_DAY, first))
            first += len(standing)
        if sum(int(part.came.sum()) for part in parts) < config.least_returns:
            return None
        x = np.concatenate([standing.x for standing in stood.values()])
        periods = Periods.joined(parts)
        learnt = periods.fading(config.half_life_days)
        if len(periods) > config.rows:
            learnt = learnt.take(np.sort(rng.permutation(len(periods))[: config.rows]))
        hazard = fit_hazard(x, learnt, config.hazard, rng)
        began = periods.ended_days + np.diff(EDGES)[periods.step]
        late = periods.take(np.flatnonzero(began <= config.level_days))
        return hazard.levelled(x, late, config.level_prior)


def rfv_chances(
    past: Past, before: Mapping[int, Standing], asked: Standing, now_ms: int, horizon_days: float
) -> NDArray[np.float64] | None:
    """What recency, frequency and value alone say of customers at ``now_ms``: (S,).

    Learnt from those who stood somewhere ``before`` and whose horizon had ended; None without any.
    """
    ended = {
        mark: one for mark, one in before.items() if mark + horizon_days * MS_PER_DAY <= now_ms
    }
    bought = []
    for mark, one in ended.items():
        days, came = past.next_orders(one.shopper_row, mark, now_ms)
        bought.append(came & (days < horizon_days))
    model = RfvModel.fit(list(ended.values()), bought) if ended else None
    return None if model is None else model.chance(asked)


def foretold_by(hazard: HazardModel, standing: Standing, horizon_days: float) -> Foretold:
    """What hazards say of customers who stand there."""
    told = Foretold(np.empty(0), survival_of(hazard.hazards(standing.x)))
    return replace(told, chance=told.within(horizon_days))


@dataclass(frozen=True, slots=True)
class OutlookModel:
    """What customers who stand somewhere do next."""

    config: OutlookConfig
    hazard: HazardModel
    heat: Heat  # of items when it was learnt
    measured: OutlookMeasured | None

    def foretell(self, standing: Standing) -> Foretold:
        """What is expected of customers who stand there."""
        return foretold_by(self.hazard, standing, self.config.horizon_days)

    def pulls(self, standing: Standing) -> dict[str, NDArray[np.float64]]:
        """What each group of columns adds to the log odds of coming, beside the average: (S,)."""
        pull = self.hazard.pulls(standing.x)
        return {
            group: pull[:, [COLUMNS.index(name) for name in names]].sum(axis=1)
            for group, names in GROUPS.items()
        }

    def save(self, path: Path) -> None:
        """Write it into the folder ``path``."""
        self.hazard.save(path)
        np.save(path / "warm.npy", self.heat.warm)
        np.save(path / "popular.npy", self.heat.popular)
        said = {
            "columns": list(COLUMNS),
            "config": self.config.model_dump(mode="json"),
            "measured": self.measured,
        }
        (path / "outlook.json").write_bytes(msgspec.json.format(msgspec.json.encode(said)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written in ``path``; raises ``SnapshotError`` if it cannot be read."""
        remedy = "Train again, or activate another snapshot."
        try:
            said = msgspec.json.decode((path / "outlook.json").read_bytes(), type=_Said)
            heat = Heat(np.load(path / "warm.npy"), np.load(path / "popular.npy"))
        except (OSError, ValueError, msgspec.MsgspecError) as problem:
            raise SnapshotError(
                f"The outlook in {path} cannot be read: {problem}.", remedy=remedy
            ) from problem
        if said.columns != list(COLUMNS):
            raise SnapshotError(
                f"The outlook in {path} was learnt from other columns than this Habitué reads.",
                remedy=remedy,
            )
        config = OutlookConfig.model_validate(said.config)
        return cls(config, HazardModel.load(path), heat, said.measured)


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else figure


class _Said(msgspec.Struct):
    """What ``outlook.json`` holds."""

    columns: list[str]
    config: dict[str, object]
    measured: OutlookMeasured | None
