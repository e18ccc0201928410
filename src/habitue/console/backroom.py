"""The running shop as the console reads it: its catalogue, its people and its standing.

Items are read from the store's log and kept up with it, so that a page shows an item as soon as it
is told of, whoever told it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from habitue.app import RunningShop
from habitue.app.clock import clock_ms
from habitue.app.note import read_note
from habitue.console.contract import Doing, Progress, Regular, Report, Standing
from habitue.errors import HabitueError
from habitue.facts import NAMES, NO_ROW, Catalogue, Fact, Item
from habitue.store.contract import Appended, FactStore
from habitue.surfaces import SlateAnswer, SurfaceRequest

__all__ = ["Backroom", "report_of"]

_ITEM: Final = msgspec.json.Decoder(Item)
_COLUMNS: Final = dict.fromkeys(
    ("id", "title", "description", "brand", "product_type", "color", "material", "size"), pl.String
) | {
    "price_micros": pl.Int64,
    "sale_price_micros": pl.Int64,
    "currency": pl.String,
    "availability": pl.String,
    "image_link": pl.String,
    "deleted": pl.Boolean,
    "since_ms": pl.Int64,
}
_REGULARS_SECONDS: Final = 60.0
_SHOWN: Final = {"ndcg": "NDCG", "recall": "recall", "hit_rate": "hits", "coverage": "coverage"}


class Backroom:
    """What stands behind the pages of a running shop."""

    def __init__(self, running: RunningShop, *, clock_ms: Callable[[], int] = clock_ms) -> None:
        self._clock_ms = clock_ms
        self.name = running.name
        self.currency = running.currency
        self._running = running
        self._shelves = _Shelves(running.parts.store)
        self._regulars: tuple[float, Sequence[Regular]] = (-_REGULARS_SECONDS, ())

    async def append(self, facts: Sequence[Fact], *, received_at_ms: int) -> Appended:
        """Store facts; on return they are durable and live state knows them."""
        return await self._running.append(facts, received_at_ms=received_at_ms)

    def recommend(self, request: SurfaceRequest, *, now_ms: int) -> SlateAnswer:
        """Make and log one slate."""
        return self._running.recommend(request, now_ms=now_ms)

    def catalogue(self) -> Catalogue:
        """The items as they are now; the same object while nothing has changed."""
        return self._shelves.now(self._clock_ms())

    def doings(self, shopper: str, n: int) -> Sequence[Doing]:
        """The shopper's last item actions, most recent first; empty for a stranger."""
        parts = self._running.parts
        named = shopper if parts.pseudonyms is None else parts.pseudonyms.of(shopper)
        row = int(parts.store.shopper_rows([named])[0])
        if row == NO_ROW:
            return ()
        table = parts.store.history(row, n)
        items = self._shelves.ids(table["item_row"].to_numpy())
        kinds, times = table["kind"].to_pylist(), table["at_ms"].to_pylist()
        return [
            Doing(NAMES[kind], item, at) for kind, item, at in zip(kinds, items, times, strict=True)
        ]

    def regulars(self, n: int) -> Sequence[Regular]:
        """Shoppers of whom something is known: from very much down to a little.

        The same ones as long as there are enough, without whoever was erased; counted anew every
        minute at most. With pseudonyms at rest nobody can be named here.
        """
        parts = self._running.parts
        if parts.pseudonyms is not None:
            return ()
        counted_at, known = self._regulars
        rows = parts.store.shopper_rows([regular.id for regular in known])
        known = [one for one, row in zip(known, rows.tolist(), strict=True) if row != NO_ROW]
        if len(known) < n and time.monotonic() - counted_at >= _REGULARS_SECONDS:
            known = _regulars(parts.store, n)
            self._regulars = (time.monotonic(), known)
        return known[:n]

    def standing(self) -> Standing:
        """What is stored, which snapshot answers, and how far training is."""
        parts = self._running.parts
        problem = ""
        training = read_note(parts.settings.snapshots.path)
        try:
            stored = parts.store.stored()
        except HabitueError as failed:
            return Standing(problem=failed.message, snapshot=parts.switch.current.name)
        if parts.problems:
            problem = parts.problems[-1]
        return Standing(
            facts={str(kind): count for kind, count in stored.facts.items()},
            seq=stored.seq,
            robots=self._running.n_robots(),
            snapshot=parts.switch.current.name,
            progress=Progress(*training) if training else None,
            problem=problem,
        )

    def report(self) -> Report | None:
        """The evaluation of the active snapshot; None while there is none."""
        active = next((one for one in self._running.snapshots() if one.active), None)
        return report_of(active.metrics) if active is not None else None


class _Shelves:
    """The newest version of every item, read from the log once and then kept up with it.

    It holds them once: as the frame that pages are made from.
    """

    def __init__(self, store: FactStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._ids: list[str] = []
        self._seq = 0
        self._coming = pl.DataFrame(schema=_COLUMNS)  # valid only from a later time
        self._catalogue = Catalogue(pl.DataFrame(schema=_COLUMNS))

    def now(self, now_ms: int) -> Catalogue:
        """The catalogue, with what was told since the last call."""
        with self._lock:
            until = self._store.stored().seq
            fresh = self._read(until) if until > self._seq else []
            versions = pl.concat([self._coming, *fresh])
            begun = pl.col("since_ms") <= now_ms
            due, self._coming = versions.filter(begun), versions.filter(~begun)
            if due.height:
                self._catalogue = Catalogue(_newest(pl.concat([self._catalogue.frame, due])))
            self._seq = max(self._seq, until)
            return self._catalogue

    def _read(self, until: int) -> Iterable[pl.DataFrame]:
        columns = ["id", "valid_from_ms", "deleted", "body"]
        for table in self._store.scan(
            "item", since_seq=self._seq, until_seq=until, columns=columns
        ):
            since, deleted = table["valid_from_ms"].to_pylist(), table["deleted"].to_pylist()
            items = [_ITEM.decode(body) for body in table["body"].to_pylist()]
            rows = map(_fields, items, since, deleted)
            yield pl.DataFrame(list(rows), schema=_COLUMNS, orient="row")

    def ids(self, rows: np.ndarray[Any, Any]) -> list[str]:
        """The ids of item rows; new rows are looked up as they appear."""
        with self._lock:
            if len(rows) and int(rows.max()) >= len(self._ids):
                self._ids += self._store.item_ids(len(self._ids))
            return [self._ids[row] for row in rows.tolist()]


def _newest(versions: pl.DataFrame) -> pl.DataFrame:
    """Of each item the version that began last, or of several the last, in the place of the first.

    >>> versions = pl.DataFrame({"id": ["a", "b", "a"], "since_ms": [1, 5, 3]})
    >>> _newest(versions).rows()
    [('a', 3), ('b', 5)]
    """
    placed = versions.with_row_index("_place").with_columns(
        _first=pl.col("_place").min().over("id")
    )
    newest = placed.sort("since_ms", "_place").unique("id", keep="last", maintain_order=True)
    return newest.sort("_first").drop("_first", "_place")


def _fields(item: Item, since_ms: int, deleted: bool) -> tuple[object, ...]:
    """What pages show of an item, in the order of the columns."""
    return (
        item.id,
        item.title,
        item.description,
        item.brand,
        item.product_type or item.google_product_category,
        item.color,
        item.material,
        item.size,
        item.price_micros,
        item.sale_price_micros,
        item.currency,
        "out_of_stock" if item.stock == 0 else item.availability,
        item.image_link,
        deleted or item.deleted,
        since_ms,
    )


def _regulars(store: FactStore, n: int) -> list[Regular]:
    """``n`` shoppers spread over how much is known of them, none of the loudest hundredth."""
    counts = np.zeros(0, np.int64)
    for table in store.scan("action", columns=["shopper_row", "item_row"]):
        rows = table["shopper_row"].to_numpy()[table["item_row"].to_numpy() != NO_ROW]
        some = np.bincount(rows[rows >= 0], minlength=len(counts))
        some[: len(counts)] += counts
        counts = some
    known = np.flatnonzero(counts >= min(5, counts.max(initial=0)))
    known = known[counts[known] > 0]
    if not len(known):
        return []
    order = known[np.argsort(-counts[known], kind="stable")]
    places = np.unique((np.linspace(0.01, 0.6, n) * (len(order) - 1)).astype(np.int64))
    picked = order[places].astype(np.int32)
    names = store.ids_of_shoppers(picked)
    return [
        Regular(name, n_actions)
        for name, n_actions in zip(names, counts[picked].tolist(), strict=True)
        if name is not None
    ]


def report_of(metrics: Mapping[str, float]) -> Report | None:
    """The table of a manifest's metrics, named ``model/metric``; None where it has none.

    >>> report_of({"habitue/ndcg@10": 0.178, "popular/ndcg@10": 0.105}).rows
    (('habitue', ('0.178',)), ('popular', ('0.105',)))
    """
    cells: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        model, _, metric = name.rpartition("/")
        if model and metric.partition("@")[0] in _SHOWN:
            cells.setdefault(model, {})[metric] = value
    found = {metric for row in cells.values() for metric in row}
    order = list(_SHOWN)
    columns = sorted(found, key=lambda metric: (order.index(metric.partition("@")[0]), metric))
    if not columns:
        return None
    cuts = {metric.partition("@")[2] for metric in columns}
    rows = tuple(
        (model, tuple(f"{row[metric]:.3f}" if metric in row else "" for metric in columns))
        for model, row in cells.items()
    )
    told = "Measured on what came after the training data"
    if len(cuts) > 1:
        return Report(told, tuple(columns), rows)
    names = tuple(_SHOWN[metric.partition("@")[0]] for metric in columns)
    return Report(f"{told}, lists of {cuts.pop()}", names, rows)
