"""A simulated shop with known truth, told to Habitué as facts through its public interface only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.facts import Action, Fact, Item, Link, Shopper
from habitue.world.config import WorldConfig
from habitue.world.funnel import act_out
from habitue.world.ledger import ACTION_COLUMNS, write_ledger
from habitue.world.people import People, gather_people
from habitue.world.shelves import Shelves, stock_shelves
from habitue.world.truth import Truth, reveal
from habitue.world.visits import MS_PER_DAY, draw_looks, draw_visits

__all__ = ["Ingests", "Slate", "World", "build_world"]


class Ingests(Protocol):
    """All that a world needs of a shop: somewhere to tell its facts."""

    def ingest(self, facts: Sequence[Fact]) -> object:
        """Take in facts."""
        ...


@dataclass(frozen=True, slots=True)
class Slate:
    """What a simulated visitor is shown: item ids in slot order, on a surface."""

    shopper: str
    items: Sequence[str]
    surface: str = "home"
    id: str | None = None

    def answer(self, kind: str, slot: int, at_ms: int) -> Action:
        """An action on one slot of the slate."""
        return Action(
            kind=kind,
            shopper=self.shopper,
            item=self.items[slot],
            at=at_ms,
            surface=self.surface,
            slate_id=self.id,
            slot=slot,
        )


@dataclass(frozen=True, slots=True)
class World:
    """A shop's people, shelves and half a year of history, and the truth behind them."""

    config: WorldConfig
    shelves: Shelves
    people: People
    truth: Truth
    start_ms: int
    now_ms: int
    action_table: pl.DataFrame
    """All actions in order of time: the fields of ``Action`` that occur, ids as text, ``at_ms``."""

    def items(self) -> Iterator[Item]:
        """Every version of every item, in order of the time it became valid."""
        yield from sorted(_versions(self), key=lambda item: int(_ms(item.valid_from)))

    def shoppers(self) -> Iterator[Shopper]:
        """Everyone who ever came by, as of their first visit."""
        first = dict(self.action_table.group_by("shopper").agg(pl.col("at_ms").min()).iter_rows())
        for row in self.people.frame.iter_rows(named=True):
            if row["id"] in first:
                yield Shopper(
                    id=row["id"],
                    at=first[row["id"]],
                    country=row["country"],
                    locale=row["locale"],
                    traits={"newsletter": row["newsletter"]},
                )

    def links(self) -> Iterator[Link]:
        """Who is whose friend, said by both."""
        names = self.people.frame["id"]
        for head, tail in self.people.friends.tolist():
            yield Link(kind="friend", head=names[head], tail=names[tail], at=self.start_ms)
            yield Link(kind="friend", head=names[tail], tail=names[head], at=self.start_ms)

    def actions(self) -> Iterator[Action]:
        """The rows of ``action_table`` as facts, for shops that take no columns."""
        for frame in self.action_table.iter_slices(20_000):
            for row in frame.iter_rows(named=True):
                at = row.pop("at_ms")
                yield Action(
                    at=at, **{key: value for key, value in row.items() if value is not None}
                )

    def facts(self) -> Iterator[Fact]:
        """The whole history: items, shoppers and links first, then all actions."""
        yield from self.items()
        yield from self.shoppers()
        yield from self.links()
        yield from self.actions()

    def pour(self, shop: Ingests, *, batch: int = 5_000) -> int:
        """Tell the whole history to a shop, fact by fact; returns how many were told."""
        told, waiting = 0, []
        for fact in self.facts():
            waiting.append(fact)
            if len(waiting) == batch:
                shop.ingest(waiting)
                told += len(waiting)
                waiting = []
        if waiting:
            shop.ingest(waiting)
        return told + len(waiting)

    def item_index(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Places of item ids in the columns of the truth; raises ``KeyError`` for a stranger."""
        place = {name: at for at, name in enumerate(self.shelves.frame["id"])}
        return np.array([place[name] for name in ids], np.int64)

    def shopper_index(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Places of shopper ids in the rows of the truth; raises ``KeyError`` for a stranger."""
        place = {name: at for at, name in enumerate(self.people.frame["id"])}
        return np.array([place[name] for name in ids], np.int64)

    def click_probability(self, shopper: str, items: Sequence[str]) -> NDArray[np.float64]:
        """The known chance that ``shopper`` clicks each item of a slate, in slot order."""
        chance = self.truth.click_probability(
            self.shopper_index([shopper]), self.item_index(items)[None, :], np.arange(len(items))
        )
        return np.asarray(chance[0], np.float64)

    def step(self, slate: Slate, rng: np.random.Generator, *, at_ms: int) -> list[Action]:
        """How a visitor answers a slate: the clicks, and the carts that follow from them.

        The chance of each click is ``click_probability``; what is clicked goes to the cart with
        the logistic of its utility.
        """
        if not slate.items:
            return []
        clicked = rng.random(len(slate.items)) < self.click_probability(slate.shopper, slate.items)
        row = self.shopper_index([slate.shopper])
        wanted = self.truth.utility(row, self.item_index(slate.items))[0]
        carted = rng.random(len(slate.items)) < 1.0 / (1.0 + np.exp(2.0 - 0.6 * wanted))
        answered: list[Action] = []
        for slot in np.flatnonzero(clicked).tolist():
            at = at_ms + 20_000 * len(answered)
            answered.append(slate.answer("select_item", slot, at))
            answered.append(slate.answer("view_item", slot, at + 500))
            if carted[slot]:
                answered.append(slate.answer("add_to_cart", slot, at + 9_000))
        return answered


def _ms(when: object) -> int:
    if isinstance(when, datetime):
        return int(when.astimezone(UTC).timestamp() * 1000)
    return int(when) if isinstance(when, int) else 0


def _versions(world: World) -> Iterator[Item]:
    """An item's first version, and one more for each day its price or stock changed."""
    shelves, days = world.shelves, world.config.days
    price, there = shelves.price_minor, shelves.in_stock
    changed = np.ones(price.shape, np.bool_)
    changed[:, 1:] = (price[:, 1:] != price[:, :-1]) | (there[:, 1:] != there[:, :-1])
    launch = shelves.launch_day.astype(np.int64)
    begin = np.maximum(launch, 0)
    changed &= np.arange(days)[None, :] >= begin[:, None]
    changed[np.arange(len(begin)), begin] = True
    usual = np.median(price, axis=1)
    for row, words in enumerate(shelves.frame.iter_rows(named=True)):
        published = world.start_ms + int(launch[row]) * MS_PER_DAY
        for day in np.flatnonzero(changed[row]).tolist():
            since = world.start_ms + day * MS_PER_DAY if day > launch[row] and day else published
            asked, full = int(price[row, day]), int(usual[row])
            on_sale = asked < 0.9 * full
            yield Item(
                id=words["id"],
                title=words["title"],
                description=words["description"],
                brand=words["brand"],
                product_type=words["product_type"],
                color=words["color"],
                material=words["material"],
                size=words["size"],
                item_group_id=words["group"],
                condition="new",
                price_micros=(full if on_sale else asked) * 10_000,
                sale_price_micros=asked * 10_000 if on_sale else None,
                currency=world.config.currency,
                availability="in_stock" if there[row, day] else "out_of_stock",
                published_at=published,
                valid_from=since,
                attributes={"style": words["style"]},
            )


def build_world(now_ms: int, *, seed: int = 7, config: WorldConfig | None = None) -> World:
    """The world of this seed, with a history that ends just before ``now_ms``.

    The same seed and config give the same people, shelves and actions; ``now_ms`` only moves them
    in time (and with it the seasons).
    """
    config = config or WorldConfig()
    rng = np.random.default_rng(seed)
    start_ms = now_ms - config.days * MS_PER_DAY
    shelves = stock_shelves(config, rng)
    people = gather_people(shelves, config, rng)
    truth = reveal(shelves, people)
    visits = draw_visits(shelves, people, start_ms, config, rng)
    looks = draw_looks(shelves, people, truth, visits, config, rng)
    acted = act_out(shelves, people, visits, looks, start_ms, now_ms, rng)
    table = write_ledger(shelves, people, visits, acted, config.currency, now_ms, start_ms, rng)
    assert table.columns == list(ACTION_COLUMNS)
    return World(config, shelves, people, truth, start_ms, now_ms, table)
