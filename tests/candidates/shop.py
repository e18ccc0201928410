"""Two tiny shops whose truth is known, and the requests that come to them.

Half the shoppers like tea, half like coffee, and nobody looks at the other shelf. One shop has more
shoppers than items, the other more items than shoppers: whoever swaps the two is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.candidates import TrainingFacts
from habitue.facts import (
    MS_PER_DAY,
    NO_ROW,
    ActionKind,
    ActionLog,
    Catalogue,
    Context,
    Links,
    Owned,
    Rated,
    Triples,
)

VIEW, CART, BUY, RATE = (
    int(ActionKind.view_item),
    int(ActionKind.add_to_cart),
    int(ActionKind.purchase),
    int(ActionKind.rate),
)
NOW_MS = 400 * MS_PER_DAY


def log_of(
    rows: Sequence[tuple[float, int, int, int, int]], *, n_shoppers: int = 0, n_items: int = 0
) -> ActionLog:
    """A log of (day, kind, shopper, item, order), in any order."""
    rows = sorted(rows, key=lambda row: row[0])
    day, kind, shopper, item, order = (
        np.array([row[c] for row in rows], np.float64) for c in range(5)
    )
    n = len(rows)
    return ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=(day * MS_PER_DAY).astype(np.int64),
        kind=kind.astype(np.uint8),
        shopper_row=shopper.astype(np.int32),
        item_row=item.astype(np.int32),
        order_row=order.astype(np.int32),
        quantity=np.ones(n, np.float32),
        price_micros=np.zeros(n, np.int64),
        value_minor=np.zeros(n, np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=max(n_shoppers, int(shopper.max(initial=-1)) + 1),
        n_items=max(n_items, int(item.max(initial=-1)) + 1),
    )


def catalogue_of(n_items: int, **columns: Sequence[object]) -> Catalogue:
    """A catalogue of ``n_items`` rows with these columns."""
    rows = np.arange(n_items, dtype=np.int32)
    ids = [f"item-{row}" for row in range(n_items)]
    return Catalogue(pl.DataFrame({"item_row": rows, "id": ids, **columns}, strict=False))


def facts_of(log: ActionLog, catalogue: Catalogue | None = None) -> TrainingFacts:
    """What a learner may see, as of ``NOW_MS``."""
    return TrainingFacts(log, catalogue or catalogue_of(log.n_items), NOW_MS)


def requests(
    recent: Sequence[Sequence[tuple[int, int, float]]],
    *,
    shoppers: Sequence[int] | None = None,
    anchors: Sequence[Sequence[int]] | None = None,
    owned: Sequence[Sequence[tuple[int, float, float]]] | None = None,
    personal: Sequence[bool] = (),
    rated: Sequence[Sequence[tuple[int, float, float]]] | None = None,
) -> Context:
    """Requests from recent (item, kind, age in days), most recent first, of strangers by default.

    ``owned`` is (item, orders, days since the last) of each, thirty days between orders; ``rated``
    is (item, rating, days since).
    """
    n = len(recent)
    length = max((len(row) for row in recent), default=0)
    item = np.full((n, length), NO_ROW, np.int32)
    kind = np.zeros((n, length), np.uint8)
    age = np.zeros((n, length), np.float32)
    for b, row in enumerate(recent):
        for p, action in enumerate(row):
            item[b, p], kind[b, p], age[b, p] = action
    anchors = anchors or [()] * n
    anchor = np.full((n, max((len(row) for row in anchors), default=0)), NO_ROW, np.int32)
    for b, given in enumerate(anchors):
        anchor[b, : len(given)] = given
    return Context(
        surface="home" if anchor.shape[1] == 0 else "item",
        now_ms=np.full(n, NOW_MS),
        shopper_row=np.array(shoppers if shoppers is not None else [NO_ROW] * n, np.int32),
        recent_item=item,
        recent_kind=kind,
        recent_age_days=age,
        anchor_item=anchor,
        owned=_owned(owned or [()] * n),
        personal=np.array(personal, np.bool_),
        rated=None if rated is None else _rated(rated),
    )


def _rated(given: Sequence[Sequence[tuple[int, float, float]]]) -> Rated:
    lines = [line for row in given for line in row]
    return Rated(
        indptr=np.cumsum([0, *(len(row) for row in given)]).astype(np.int64),
        item=np.array([line[0] for line in lines], np.int32),
        rating=np.array([line[1] for line in lines], np.float32),
        age_days=np.array([line[2] for line in lines], np.float32),
    )


def _owned(bought: Sequence[Sequence[tuple[int, float, float]]]) -> Owned:
    lines = [line for row in bought for line in sorted(row)]
    return Owned(
        indptr=np.cumsum([0, *(len(row) for row in bought)]).astype(np.int64),
        item=np.array([line[0] for line in lines], np.int32),
        count=np.array([line[1] for line in lines], np.float32),
        age_days=np.array([line[2] for line in lines], np.float32),
        first_age_days=np.array([line[2] + 30 * (line[1] - 1) for line in lines], np.float32),
    )


def _owned_by(owned: Owned, b: int) -> Owned:
    lines = slice(owned.indptr[b], owned.indptr[b + 1])
    return Owned(
        np.array([0, lines.stop - lines.start], np.int64),
        owned.item[lines],
        owned.count[lines],
        owned.age_days[lines],
        owned.first_age_days[lines],
    )


def one(context: Context, b: int) -> Context:
    """Request ``b`` of a batch alone."""
    rows = slice(b, b + 1)
    return Context(
        surface=context.surface,
        now_ms=context.now_ms[rows],
        shopper_row=context.shopper_row[rows],
        recent_item=context.recent_item[rows],
        recent_kind=context.recent_kind[rows],
        recent_age_days=context.recent_age_days[rows],
        anchor_item=context.anchor_item[rows],
        owned=_owned_by(context.owned, b),
        personal=context.personal[rows],
        rated=None if context.rated is None else context.rated.take(np.array([b])),
    )


@dataclass(frozen=True)
class TwoTastes:
    """A shop of tea (even items) and coffee (odd items); even shoppers drink tea."""

    n_shoppers: int
    n_items: int
    facts: TrainingFacts

    def likes(self, shopper: int) -> set[int]:
        """The items on the shelf this shopper looks at."""
        return set(range(shopper % 2, self.n_items, 2))

    def contexts(self) -> Context:
        """A tea drinker and a coffee drinker whom everybody knows, and who looked around today."""
        return requests(
            [[(0, VIEW, 1.5), (2, BUY, 2.0)], [(1, VIEW, 1.5), (3, BUY, 2.0)]],
            shoppers=[0, 1],
            owned=[[(2, 1, 2.0), (4, 3, 50.0)], [(3, 1, 2.0), (1, 1, 60.0)]],
        )


def two_tastes(n_shoppers: int, n_items: int) -> TwoTastes:
    """Everyone looks at most of the items on one shelf, and buys half of those together."""
    rng = np.random.default_rng(5)
    rows = []
    for shopper in range(n_shoppers):
        shelf = rng.permutation(np.arange(shopper % 2, n_items, 2))
        looked_at = shelf[: max(2, len(shelf) * 2 // 3)]
        start = 1.0 + 396.0 * shopper / (n_shoppers - 1)
        rows += [(start + p / 24, VIEW, shopper, int(i), -1) for p, i in enumerate(looked_at)]
        rows += [(start + 1.5, BUY, shopper, int(i), shopper) for i in looked_at[::2]]
    tea, coffee = "green tea pot", "espresso coffee grinder"
    catalogue = catalogue_of(
        n_items,
        title=[f"{(tea, coffee)[i % 2]} {i}" for i in range(n_items)],
        brand=[("Leaf", "Bean")[i % 2] for i in range(n_items)],
        product_type=[("Kitchen > Tea", "Kitchen > Coffee")[i % 2] for i in range(n_items)],
        price_micros=[10_000_000 + 1_000_000 * (i % 5) for i in range(n_items)],
    )
    log = log_of(rows, n_shoppers=n_shoppers, n_items=n_items)
    return TwoTastes(n_shoppers, n_items, facts_of(log, catalogue))


def with_ratings(shop: TwoTastes) -> TwoTastes:
    """The same shop where everyone has rated: 4 or 5 what they like, 1 or 2 some of the rest."""
    rng = np.random.default_rng(6)
    facts, n_items = shop.facts, shop.n_items
    rows, ratings = [], []
    for shopper in range(shop.n_shoppers):
        for item in rng.permutation(n_items)[: max(6, n_items // 2)].tolist():
            liked = item in shop.likes(shopper)
            rows.append((397.0 + len(rows) / 10_000, RATE, shopper, item, -1))
            ratings.append(float(rng.integers(4, 6) if liked else rng.integers(1, 3)))
    rated = replace(
        log_of(rows, n_shoppers=shop.n_shoppers, n_items=n_items), rating=np.array(ratings, "f4")
    )
    return replace(shop, facts=facts_of(joined(facts.log, rated), facts.catalogue))


def with_friends(shop: TwoTastes) -> TwoTastes:
    """The same shop where everyone knows the next two of their taste."""
    one = np.repeat(np.arange(shop.n_shoppers), 2)
    other = (one + np.tile([2, 4], shop.n_shoppers)) % (shop.n_shoppers // 2 * 2)
    return replace(shop, facts=replace(shop.facts, links=friends(one, other)))


def friends(
    one: Sequence[int] | NDArray[np.int64], other: Sequence[int] | NDArray[np.int64]
) -> Links:
    """Friendships, both ways, that have stood all along."""
    pairs = np.stack([one, other], axis=1) if len(one) else np.empty((0, 2), np.int64)
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    both = both[both[:, 0] != both[:, 1]]
    return Links(
        both[:, 0].astype(np.int32), both[:, 1].astype(np.int32),
        np.ones(len(both), np.float32), np.zeros(len(both), np.int64),
    )  # fmt: skip


def triples(*told: tuple[int, str, str], rows: Mapping[str, int] | None = None) -> Triples:
    """Triples of (item, relation, entity) that have held all along; ``rows`` of which are items."""
    relations = sorted({relation for _, relation, _ in told})
    entities = sorted({entity for *_, entity in told})
    return Triples(
        np.array([item for item, *_ in told], np.int32),
        np.array([relations.index(relation) for _, relation, _ in told], np.int32),
        np.array([entities.index(entity) for *_, entity in told], np.int32),
        np.ones(len(told), np.float32), np.zeros(len(told), np.int64),
        tuple(relations), tuple(entities),
        np.array([(rows or {}).get(entity, NO_ROW) for entity in entities], np.int32),
    )  # fmt: skip


def tail(first_row: int, *titles: str, **columns: Sequence[object]) -> Catalogue:
    """Items posted after the fit, in the columns of a catalogue."""
    rows = np.arange(first_row, first_row + len(titles), dtype=np.int32)
    return Catalogue(pl.DataFrame({"item_row": rows, "title": titles, **columns}, strict=False))


def joined(earlier: ActionLog, later: ActionLog) -> ActionLog:
    """Two logs as one, the later behind the earlier."""
    columns = {
        f.name: np.concatenate([getattr(earlier, f.name), getattr(later, f.name)])
        for f in fields(ActionLog)
        if f.name not in ("n_shoppers", "n_items", "circumstances", "seq")
    }
    return replace(earlier, seq=np.arange(1, len(earlier) + len(later) + 1), **columns)


def rows_of(row: NDArray[np.int32]) -> list[int]:
    """The filled slots of one proposal."""
    return [int(item) for item in row if item != NO_ROW]
