"""A shop in memory with one simple rule, so that what a page must show can be said by hand.

Home and cart: who did something gets the other items of the last item's category, each "because
you looked at" it, then what is left in order of the catalogue; who did nothing gets that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from habitue.console import Doing, Progress, Regular, Report, Standing
from habitue.errors import Unavailable
from habitue.facts import Action, Catalogue, Fact
from habitue.store.contract import ActionColumns, Appended
from habitue.surfaces import SlateAnswer, Slot, SurfaceRequest

__all__ = ["CornerShop", "catalogue_of"]

MUGS = ("mug-1", "mug-2", "mug-3")


def catalogue_of(rows: Sequence[dict[str, object]]) -> Catalogue:
    """A catalogue of these items."""
    return Catalogue(pl.DataFrame(list(rows), infer_schema_length=None))


def _rows() -> list[dict[str, object]]:
    kinds = (("mug", "Mug", "Table > Cups"), ("lamp", "Lamp", "Living > Lamps"))
    return [
        {
            "id": f"{stem}-{n}",
            "title": f"Harbour {noun} No. {n}",
            "description": f"A {noun.lower()} for every day.",
            "brand": "Tallowmere" if n % 2 else "Vessandine",
            "product_type": path,
            "color": ("Moss", "Rust", "Denim", "Honey", "Plum")[n % 5],
            "price_micros": 10_000_000 + n * 900_000,
            "sale_price_micros": 9_000_000 if n == 2 else None,
            "currency": "EUR",
            "availability": "out_of_stock" if n == 14 else "in_stock",
            "deleted": False,
        }
        for stem, noun, path in kinds
        for n in range(1, 21)
    ]


class CornerShop:
    """Implements ``habitue.console.Shop``."""

    name = "The corner shop"
    currency = "EUR"

    def __init__(self, rows: list[dict[str, object]] | None = None) -> None:
        self.shelf = catalogue_of(_rows() if rows is None else rows)
        self.told: list[Action] = [
            Action(kind="view_item", shopper="ada", item="lamp-3", at=1_000, id="before")
        ]
        self.state = Standing({"action": 1, "item": 40}, 41, "", Progress("fitting ALS", 0.4))
        self.asked: list[SurfaceRequest] = []
        self.broken = False

    async def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        if self.broken:
            raise Unavailable("The store does not answer.", remedy="Try again.")
        self.told += [fact for fact in facts if isinstance(fact, Action)]
        self.state = replace(self.state, seq=self.state.seq + len(facts))
        nothing = np.empty(0, np.int64)
        columns = ActionColumns(*(nothing.astype(np.int64) for _ in range(8)))  # type: ignore[arg-type]
        return Appended(len(facts), 0, 0, self.state.seq, (), columns)

    def recommend(self, request: SurfaceRequest, *, now_ms: int) -> SlateAnswer:
        self.asked.append(request)
        frame = self.shelf.frame
        ids, titles = frame["id"].to_list(), dict(zip(frame["id"], frame["title"], strict=True))
        paths = dict(zip(frame["id"], frame["product_type"], strict=True))
        mine = [one.item for one in self.told if one.shopper == request.shopper and one.item]
        cause = request.items[0] if request.items else mine[-1] if mine else None
        near = [i for i in ids if cause in paths and paths[i] == paths[cause] and i != cause]
        rest = [i for i in ids if i not in near and i != cause]
        slots = [
            Slot(
                item,
                1.0 - at / 100,
                1.0,
                "covisit" if item in near else "popular",
                f"because you looked at {titles.get(str(cause))}" if item in near else "",
                [str(cause)] if item in near else [],
            )
            for at, item in enumerate((near + rest)[: request.n])
        ]
        return SlateAnswer(
            "slate-1", request.surface, slots, self.state.snapshot, "all", self.state.seq, "", None
        )

    def catalogue(self) -> Catalogue:
        return self.shelf

    def doings(self, shopper: str, n: int) -> list[Doing]:
        mine = [one for one in self.told if one.shopper == shopper and one.item]
        return [Doing(one.kind, str(one.item), int(one.at or 0)) for one in mine[::-1][:n]]  # type: ignore[arg-type]

    def regulars(self, n: int) -> list[Regular]:
        return [Regular("ada", 1), Regular("ben", 0)][:n]

    def standing(self) -> Standing:
        return self.state

    def report(self) -> Report | None:
        if not self.state.snapshot:
            return None
        rows = (("habitue", ("0.178", "0.241")), ("popular", ("0.105", "0.162")))
        return Report("By time, 500 shoppers", ("NDCG@10", "recall@10"), rows, "ε = 0")
