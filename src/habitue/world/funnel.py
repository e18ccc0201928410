"""From looks to actions: carts, orders, refills, ratings, and the facts they leave behind.

One frame a step, each a selection of the one before, so that the funnel is in order by
construction: nothing is bought that was not in the cart, nothing in the cart that was not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.world.people import People
from habitue.world.shelves import Shelves
from habitue.world.visits import MS_PER_DAY, Looks, Visits
from habitue.world.words import REVIEWS

__all__ = ["ActedOut", "act_out"]

CART_BIAS = -2.65
CART_SLOPE = 0.5
ORDER_BIAS = 0.5


@dataclass(frozen=True, slots=True)
class ActedOut:
    """The frames of a history; ``at_ms`` is never before the item's launch nor after the end."""

    looks: pl.DataFrame  # visit, shopper, item, at_ms, pull, surface
    carts: pl.DataFrame  # the looks that went to the cart, and when
    orders: pl.DataFrame  # order lines: shopper, item, at_ms, pull, order, quantity, visit
    dropped: pl.DataFrame  # taken out of the cart again
    refills: pl.DataFrame  # order lines of things bought again because they were used up
    opinions: pl.DataFrame  # shopper, item, at_ms, rating, text
    waves: pl.DataFrame  # shopper, item, at_ms, kind: wishes and refusals


def _logistic(x: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-x.astype(np.float64))), np.float64)


def act_out(
    shelves: Shelves,
    people: People,
    visits: Visits,
    looks: Looks,
    start_ms: int,
    end_ms: int,
    rng: np.random.Generator,
) -> ActedOut:
    """What everybody does with what they look at, from ``start_ms`` until before ``end_ms``."""
    frame = _looked(shelves, visits, looks, end_ms, rng)
    frame = _bought_once(frame)
    carts = frame.filter("carted").with_columns(
        at_ms=pl.col("at_ms") + pl.Series(rng.integers(4_000, 40_000, int(frame["carted"].sum())))
    )
    orders, dropped = _checked_out(carts, end_ms, rng)
    refills = _refilled(orders, shelves, people, start_ms, end_ms, rng)
    bought = pl.concat([orders.select(refills.columns), refills])
    return ActedOut(
        looks=frame,
        carts=carts.filter(pl.col("at_ms") < end_ms),
        orders=orders,
        dropped=dropped,
        refills=refills,
        opinions=_opinions(bought, shelves, end_ms, rng),
        waves=_waves(frame, rng),
    )


def _looked(
    shelves: Shelves, visits: Visits, looks: Looks, end_ms: int, rng: np.random.Generator
) -> pl.DataFrame:
    """The looks as a frame, and which of them would go to the cart and on to the till."""
    visit = looks.visit
    there = shelves.in_stock[looks.item, visits.day[visit]]
    consumable = shelves.cycle_days[looks.item] > 0
    mood = visits.mood[visit] + 0.35 * looks.beside + 0.5 * consumable
    spread = max(float(looks.pull.std()), 1e-6)
    pull = (looks.pull - float(looks.pull.mean())) / spread
    carted = rng.random(len(visit)) < _logistic(CART_BIAS + 2 * CART_SLOPE * pull + mood)
    ready = rng.random(len(visits)) < _logistic(ORDER_BIAS + 0.6 * visits.mood)
    first = np.r_[True, visit[1:] != visit[:-1]] if len(visit) else np.empty(0, np.bool_)
    surface = np.where(
        looks.beside, "item", np.where(first & ~visits.searched[visit], "home", "category")
    )
    return pl.DataFrame(
        {
            "visit": visit,
            "shopper": visits.shopper[visit],
            "item": looks.item,
            "at_ms": looks.at_ms,
            "pull": pull.astype(np.float32),
            "surface": np.where(visits.searched[visit] & ~looks.beside, "search", surface),
            "carted": carted & there,
            "ordered": carted & there & ready[visit],
            "consumable": consumable,
        }
    ).filter(pl.col("at_ms") < end_ms)


def _bought_once(frame: pl.DataFrame) -> pl.DataFrame:
    """Durable things are rarely looked at again once bought, and not put in the cart twice."""
    pair = ["shopper", "item"]
    owned = (pl.col("ordered").cum_sum().shift(1, fill_value=0) > 0).over(pair)
    held = (pl.col("carted").cum_sum().shift(1, fill_value=0) > 0).over([*pair, "visit"])
    frame = frame.with_columns(owned=owned & ~pl.col("consumable"), held=held)
    return frame.filter(~pl.col("owned")).with_columns(
        carted=pl.col("carted") & ~pl.col("held"), ordered=pl.col("ordered") & ~pl.col("held")
    )


def _checked_out(
    carts: pl.DataFrame, end_ms: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Order lines, and what was taken out of the cart again before or instead."""
    doubt = rng.random(carts.height)
    carts = carts.with_columns(doubt=pl.Series(doubt), quantity=_quantities(carts, rng))
    leaves = (pl.col("doubt") < 0.12) | (~pl.col("ordered") & (pl.col("doubt") < 0.3))
    dropped = carts.filter(leaves).with_columns(at_ms=pl.col("at_ms") + 45_000)
    orders = (
        carts.filter(pl.col("ordered") & ~leaves)
        .with_columns(at_ms=pl.col("at_ms").max().over("visit") + 150_000)
        .with_columns(order=pl.format("order-{}", pl.col("visit")))
        .filter(pl.col("at_ms") < end_ms)
    )
    return orders, dropped.filter(pl.col("at_ms") < end_ms)


def _quantities(carts: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    many = carts["consumable"].to_numpy() & (rng.random(carts.height) < 0.35)
    return pl.Series(np.where(many, rng.integers(2, 5, carts.height), 1))


def _refilled(
    orders: pl.DataFrame,
    shelves: Shelves,
    people: People,
    start_ms: int,
    end_ms: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Loyal shoppers buy used-up things again, a cycle later, while the shop is in their favour.

    Each round continues the refills of the round before; they run out after a dozen.
    """
    columns = ["shopper", "item", "at_ms", "pull", "order", "quantity"]
    cycle = shelves.cycle_days
    lines = (
        orders.filter("consumable")
        .sort("at_ms", maintain_order=True)
        .unique(["shopper", "item"], keep="last", maintain_order=True)
    )
    shopper, item, at, pull, quantity = (
        lines[name].to_numpy() for name in ("shopper", "item", "at_ms", "pull", "quantity")
    )
    rounds = []
    while len(shopper):
        loyal = rng.random(len(shopper)) < people.loyalty[shopper]
        wait = cycle[item] * np.sqrt(quantity) * rng.lognormal(0.0, 0.22, len(shopper))
        at = at + (np.maximum(wait, 1.0) * MS_PER_DAY).astype(np.int64)
        day = (at - start_ms) / MS_PER_DAY
        spell = people.spells[shopper]  # (n, 2, 2)
        there = ((day[:, None] >= spell[:, :, 0]) & (day[:, None] < spell[:, :, 1])).any(axis=1)
        kept = loyal & there & (at < end_ms)
        stocked = np.zeros(len(shopper), np.bool_)
        stocked[kept] = shelves.in_stock[item[kept], day[kept].astype(np.int64)]
        kept &= stocked
        shopper, item, at, pull, quantity = (
            column[kept] for column in (shopper, item, at, pull, quantity)
        )
        rounds.append(
            pl.DataFrame(
                {"shopper": shopper, "item": item, "at_ms": at, "pull": pull, "quantity": quantity}
            )
        )
    refills = pl.concat(rounds) if rounds else lines.select(columns[:4] + columns[5:])
    # What runs out within the same day is fetched in one go.
    day_of = pl.col("at_ms") // MS_PER_DAY
    return refills.with_columns(
        at_ms=pl.col("at_ms").max().over("shopper", day_of),
        order=pl.format("refill-{}-{}", pl.col("shopper"), day_of),
    ).select(columns)


def _opinions(
    bought: pl.DataFrame, shelves: Shelves, end_ms: int, rng: np.random.Generator
) -> pl.DataFrame:
    """One in eight order lines is rated, half of those in words, once per shopper and item."""
    told = bought.unique(["shopper", "item"], keep="first", maintain_order=True)
    told = told.filter(pl.Series(rng.random(told.height) < 0.13))
    n = told.height
    liking = 3.75 + 0.55 * told["pull"].to_numpy() + 0.5 * shelves.quality[told["item"].to_numpy()]
    rating = np.clip(np.round(liking + rng.normal(0, 0.75, n)), 1, 5)
    later = (rng.gamma(2.0, 3.0, n) * MS_PER_DAY).astype(np.int64) + MS_PER_DAY
    noun = np.array([name.lower() for name in shelves.nouns])[shelves.noun[told["item"].to_numpy()]]
    text = np.where(rng.random(n) < 0.5, _reviews(rating, noun, rng), "")
    return pl.DataFrame(
        {
            "shopper": told["shopper"],
            "item": told["item"],
            "at_ms": told["at_ms"] + pl.Series(later),
            "rating": rating,
            "text": pl.Series(text.astype(object), dtype=pl.String).replace("", None),
        }
    ).filter(pl.col("at_ms") < end_ms)


def _reviews(
    rating: NDArray[np.float64], noun: NDArray[np.str_], rng: np.random.Generator
) -> NDArray[np.str_]:
    """A few words that agree with the stars."""
    if not len(rating):
        return np.empty(0, np.str_)
    band = np.where(rating <= 2, 0, np.where(rating < 4, 1, 2))
    opener = np.array([REVIEWS[b][0] for b in range(3)])[band, rng.integers(0, 4, len(band))]
    detail = np.array([REVIEWS[b][1] for b in range(3)])[band, rng.integers(0, 4, len(band))]
    detail = np.strings.replace(detail, "{noun}", noun)
    return np.asarray(np.strings.add(np.strings.add(opener, " "), detail), np.str_)


def _waves(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Wishes for what pulls strongly, ``not_interested`` for what repels."""
    pull = frame["pull"].to_numpy()
    draw = rng.random(frame.height)
    wish = draw < 0.05 * _logistic(1.5 * pull - 1.0)
    refuse = (draw > 1 - 0.012 * _logistic(-2.0 * pull - 1.0)) & ~frame["carted"].to_numpy()
    kind = np.where(wish, "add_to_wishlist", np.where(refuse, "not_interested", ""))
    return (
        frame.select("visit", "shopper", "item", at_ms=pl.col("at_ms") + 2_500)
        .with_columns(kind=pl.Series(kind))
        .filter(pl.col("kind") != "")
    )
