"""Who comes to the simulated shop: their tastes, and the days they are in favour of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.world.config import WorldConfig
from habitue.world.shelves import STYLE_DIM, Shelves
from habitue.world.words import COLOUR_FAMILIES, PALETTE_SIZE

__all__ = ["People", "gather_people"]


@dataclass(frozen=True, slots=True)
class People:
    """All shoppers as arrays, S people. Tastes are in log odds."""

    frame: pl.DataFrame  # id, country, locale, device, newsletter
    category: NDArray[np.float32]  # (S, C) how often they come for it
    style: NDArray[np.float32]  # (S, STYLE_DIM)
    brand: NDArray[np.float32]  # (S, brands)
    colour: NDArray[np.float32]  # (S, PALETTE_SIZE)
    price_level: NDArray[np.float32]  # (S,) the price level they like best
    novelty: NDArray[np.float32]  # (S,) what a newly launched thing gains with them
    loyalty: NDArray[np.float32]  # (S,) chance that a used-up thing is bought again here
    visits_per_day: NDArray[np.float32]  # (S,) while in favour
    spells: NDArray[np.float32]  # (S, 2, 2) first and second spell in favour: begin, end (days)
    friends: NDArray[np.int32]  # (F, 2) pairs who know each other

    def __len__(self) -> int:
        return len(self.price_level)


def gather_people(shelves: Shelves, config: WorldConfig, rng: np.random.Generator) -> People:
    """Everyone who ever comes by."""
    n = config.n_shoppers
    category = _category_taste(shelves, n, rng)
    family = rng.normal(0, 0.7, (n, max(COLOUR_FAMILIES) + 1))
    colour = family[:, COLOUR_FAMILIES] + rng.normal(0, 0.35, (n, PALETTE_SIZE))
    brand = np.where(rng.random((n, len(shelves.brands))) < 0.06, rng.uniform(0.8, 2.0), 0.0)
    return People(
        frame=_papers(n, rng),
        category=category,
        style=rng.normal(0, 0.75, (n, STYLE_DIM)).astype(np.float32),
        brand=brand.astype(np.float32),
        colour=colour.astype(np.float32),
        price_level=rng.normal(-0.15, 0.85, n).astype(np.float32),
        novelty=rng.gamma(1.5, 0.6, n).astype(np.float32),
        loyalty=(0.85 * rng.beta(2.0, 1.6, n)).astype(np.float32),
        visits_per_day=rng.gamma(1.3, config.visits_per_day / 1.3, n).astype(np.float32),
        spells=_spells(config, rng),
        friends=_friendships(category, config, rng),
    )


def _category_taste(shelves: Shelves, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Each shopper cares for two or three departments, and within them for some categories."""
    departments = [c.department for c in shelves.categories]
    names = sorted(set(departments))
    place = np.array([names.index(d) for d in departments])
    share = rng.dirichlet(np.full(len(names), 0.35), n)  # (S, departments)
    inner = rng.gamma(0.7, 1.0, (n, len(departments)))
    weight = share[:, place] * inner + 0.004
    return np.asarray(np.log(weight / weight.sum(axis=1, keepdims=True)), np.float32)


def _spells(config: WorldConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Days in favour: arrive, drift away after a while, perhaps return once."""
    n, days = config.n_shoppers, config.days
    established = rng.random(n) < config.established_share
    arrive = np.where(established, 0.0, rng.uniform(0, days, n))
    leave = arrive + rng.exponential(config.lifetime_days, n)
    back = leave + rng.exponential(25.0, n) + 10.0
    returns = rng.random(n) < config.return_share
    again = back + rng.exponential(config.lifetime_days / 2, n)
    spells = np.stack(
        [
            np.stack([arrive, leave], axis=1),
            np.stack([np.where(returns, back, days), np.where(returns, again, days)], axis=1),
        ],
        axis=1,
    )
    return np.asarray(np.minimum(spells, days), np.float32)


def _papers(n: int, rng: np.random.Generator) -> pl.DataFrame:
    locale = rng.choice(
        ["en-GB", "de-DE", "fr-FR", "nl-NL", "zh-CN"], n, p=[0.4, 0.25, 0.15, 0.1, 0.1]
    )
    return pl.DataFrame(
        {
            "id": [f"shopper-{at:05d}" for at in range(n)],
            "country": [text[-2:] for text in locale],
            "locale": locale,
            "device": rng.choice(["mobile", "desktop", "tablet"], n, p=[0.56, 0.36, 0.08]),
            "newsletter": rng.random(n) < 0.4,
        }
    )


def _friendships(
    category: NDArray[np.float32], config: WorldConfig, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Pairs of friends: of a dozen people met by chance, those of the most alike taste are kept."""
    n = len(category)
    social = np.flatnonzero(rng.random(n) < config.friend_share)
    if len(social) < 3:
        return np.empty((0, 2), np.int32)
    met = rng.choice(social, (len(social), 12))
    share = np.exp(category)
    alike = np.einsum("sc,smc->sm", share[social], share[met])
    alike[met == social[:, None]] = -1
    kept = rng.integers(1, 4, len(social))
    order = np.argsort(-alike, axis=1)[:, :3]
    ranks = np.arange(3)[None, :] < kept[:, None]
    tail = np.take_along_axis(met, order, axis=1)[ranks]
    head = np.repeat(social, ranks.sum(axis=1))
    pairs = np.sort(np.stack([head, tail], axis=1), axis=1)
    return np.asarray(np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0), np.int32)
