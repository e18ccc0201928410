"""When shoppers come by, what they come for, and which items they look at.

Everything is drawn in columns: one row a visit, then one row a look. The choice of an item is a
softmax over the shelf, drawn with Gumbel noise, category by category.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.world.config import WorldConfig
from habitue.world.people import People
from habitue.world.shelves import STYLE_DIM, Shelves
from habitue.world.truth import NOVELTY_DAYS, Truth
from habitue.world.words import PALETTE_SIZE

__all__ = ["Looks", "Visits", "draw_looks", "draw_visits"]

MS_PER_DAY = 86_400_000
_HOURS = np.array(
    [1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 4, 4.5, 5, 5.5, 5, 4.5, 4.5, 5, 5.5, 6.5, 8, 9, 8.5, 6, 3]
)
_WEEKDAYS = np.array([1.05, 0.95, 0.95, 1.0, 0.95, 1.05, 1.3])  # of the history's own seven days


@dataclass(frozen=True, slots=True)
class Visits:
    """N visits in order of time."""

    shopper: NDArray[np.int64]
    day: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    category: NDArray[np.int64]  # what they came for
    second: NDArray[np.int64]  # what else is on their mind
    mood: NDArray[np.float32]  # readiness to buy, in log odds
    searched: NDArray[np.bool_]  # came through the search box

    def __len__(self) -> int:
        return len(self.shopper)


@dataclass(frozen=True, slots=True)
class Looks:
    """M items looked at, in order of visit and then of time."""

    visit: NDArray[np.int64]
    item: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    pull: NDArray[np.float32]  # how much the shopper wants it at that moment, in log odds
    beside: NDArray[np.bool_]  # looked at because it goes with what they came for


def _times(
    people: People, config: WorldConfig, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Shopper and moment (in days) of each visit: Poisson in each spell, thinned by weekday."""
    length = people.spells[:, :, 1] - people.spells[:, :, 0]  # (S, 2)
    expected = people.visits_per_day[:, None] * length * _WEEKDAYS.max()
    count = rng.poisson(expected)
    # Whoever first arrives within the history does so by a visit.
    count[:, 0] = np.maximum(count[:, 0], (people.spells[:, 0, 0] > 0).astype(np.int64))
    spell = np.repeat(np.arange(count.size), count.ravel())
    begin = people.spells[:, :, 0].ravel()[spell]
    moment = begin + rng.random(len(spell)) * length.ravel()[spell]
    day = np.minimum(moment.astype(np.int64), config.days - 1)
    kept = rng.random(len(spell)) < _WEEKDAYS[day % 7] / _WEEKDAYS.max()
    hour = rng.choice(24, len(spell), p=_HOURS / _HOURS.sum()) + rng.random(len(spell))
    return (spell // 2)[kept], (day + hour / 24.0)[kept]


def season_days(shelves: Shelves, start_ms: int, days: int) -> NDArray[np.float32]:
    """How much more each category is wanted on each day: (C, days), in log odds."""
    day_of_year = (np.arange(days) + start_ms / MS_PER_DAY) % 365.2425
    peak = np.array([(c.peak_month - 0.5) * 30.44 for c in shelves.categories])[:, None]
    strength = np.array([c.season for c in shelves.categories])[:, None]
    return np.asarray(strength * np.cos(2 * np.pi * (day_of_year - peak) / 365.2425), np.float32)


def draw_visits(
    shelves: Shelves, people: People, start_ms: int, config: WorldConfig, rng: np.random.Generator
) -> Visits:
    """All visits of the history that begins at ``start_ms``."""
    shopper, moment = _times(people, config, rng)
    order = np.argsort(moment, kind="stable")
    shopper, moment = shopper[order], moment[order]
    day = moment.astype(np.int64)
    season = season_days(shelves, start_ms, config.days)
    fashion = np.cumsum(rng.normal(0, 0.025, season.shape), axis=1).astype(np.float32)
    wish = people.category[shopper] + (season + fashion).T[day]  # (N, C)
    noise = rng.gumbel(size=(len(day), len(season))).astype(np.float32)
    first = np.argmax(wish + noise, axis=1)
    second = np.argmax(wish + rng.permutation(noise), axis=1)
    return Visits(
        shopper=shopper,
        day=day,
        at_ms=(start_ms + moment * MS_PER_DAY).astype(np.int64),
        category=first,
        second=second,
        mood=rng.normal(0, 0.9, len(shopper)).astype(np.float32),
        searched=rng.random(len(shopper)) < 0.24,
    )


def draw_looks(
    shelves: Shelves,
    people: People,
    truth: Truth,
    visits: Visits,
    config: WorldConfig,
    rng: np.random.Generator,
) -> Looks:
    """What is looked at in each visit: mostly what they came for, then what goes with it."""
    count = 1 + rng.negative_binomial(1.4, 1.4 / (1.4 + config.views_per_visit - 1), len(visits))
    visit = np.repeat(np.arange(len(visits)), np.minimum(count, 24))
    place = np.arange(len(visit)) - np.searchsorted(visit, visit)
    category, beside = _shelf_of(shelves, visits, visit, place, rng)
    factor = _mood_of_the_hour(truth, visits, rng)
    whim = rng.random(len(visits))
    item = np.full(len(visit), -1, np.int64)
    pull = np.zeros(len(visit), np.float32)
    for shelf in range(len(shelves.categories)):
        rows = np.flatnonzero(category == shelf)
        stock = np.flatnonzero(shelves.category == shelf)
        if len(rows) and len(stock):
            item[rows], pull[rows] = _choose(
                shelves, people, truth, visits, visit[rows], stock, factor, whim, rng
            )
    seen = item >= 0
    gap_ms = (1000 * rng.gamma(1.2, 38.0, len(visit))).astype(np.int64) + 3000
    running = np.cumsum(gap_ms)
    first = np.searchsorted(visit, np.arange(len(visits)))
    since = running - (running[first] - gap_ms[first])[visit]
    return Looks(
        visit[seen], item[seen], (visits.at_ms[visit] + since)[seen], pull[seen], beside[seen]
    )


def _shelf_of(
    shelves: Shelves,
    visits: Visits,
    visit: NDArray[np.int64],
    place: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The category of each look, and whether it is there to go with the one they came for."""
    with_table = shelves.goes_with()
    width = int(with_table.sum(axis=1).max())
    partner = np.zeros((len(with_table), width), np.int64)
    for at, row in enumerate(with_table):
        partner[at] = np.resize(np.flatnonzero(row), width)
    main = visits.category[visit]
    draw = rng.random(len(visit))
    beside = (draw < 0.2) & (place > 0)
    other = (draw > 0.9) & (place > 0)
    chosen = np.where(beside, partner[main, rng.integers(0, width, len(visit))], main)
    return np.where(other, visits.second[visit], chosen), beside


def _mood_of_the_hour(
    truth: Truth, visits: Visits, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The taste of each visit: the shopper's own, bent by what this visit is about."""
    factor = truth.shopper_factor[visits.shopper, : truth.n_taste].copy()
    factor[:, :STYLE_DIM] += rng.normal(0, 0.7, (len(visits), STYLE_DIM)).astype(np.float32)
    wanted = rng.integers(0, PALETTE_SIZE, len(visits))
    likes = factor[np.arange(len(visits)), STYLE_DIM + wanted] + rng.gumbel(size=len(visits)) > 0
    rows = np.flatnonzero(likes)
    factor[rows, STYLE_DIM + wanted[rows]] += 1.2
    return factor


def _choose(
    shelves: Shelves,
    people: People,
    truth: Truth,
    visits: Visits,
    visit: NDArray[np.int64],
    stock: NDArray[np.int64],
    factor: NDArray[np.float32],
    whim: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """One item of a shelf for each look, by softmax over what is launched that day."""
    shopper, day = visits.shopper[visit], visits.day[visit]
    taste = factor[visit] @ truth.item_factor[stock, : truth.n_taste].T
    age = day[:, None] - shelves.launch_day[stock][None, :]
    novelty = people.novelty[shopper][:, None] * np.exp2(-np.maximum(age, 0) * 3.0 / NOVELTY_DAYS)
    want = (taste + truth.item_bias[stock] + novelty).astype(np.float32)
    kinds, kind = np.unique(shelves.noun[stock], return_inverse=True)
    # Within one visit people compare like with like: mostly one kind of thing a shelf.
    sought = ((whim[visit] + 0.618 * stock[0]) % 1.0 * len(kinds)).astype(np.int64)
    focus = np.where(kind[None, :] == sought[:, None], 1.6, 0.0)
    weight = want + focus + shelves.trend[stock][:, day].T
    weight += np.where(shelves.in_stock[stock][:, day].T, 0.0, -1.5)
    weight[age < 0] = -np.inf
    weight += rng.gumbel(size=weight.shape)
    best = np.argmax(weight, axis=1)
    rows = np.arange(len(visit))
    none = np.isneginf(weight[rows, best])
    return np.where(none, -1, stock[best]), np.where(none, 0.0, want[rows, best]).astype(np.float32)
