"""What was posted after the training, made known to the sources that can read it.

Posting only notes rows; beside requests, whatever was noted meanwhile is read from the store at
once and given to each source, whose longer copy then takes its place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import (
    ExtendingSource,
    Prepared,
    PreparingSource,
    Source,
    preparing,
)
from habitue.candidates.item_graph import Side
from habitue.candidates.paths import Paths, PathSource
from habitue.candidates.roster import load_source
from habitue.errors import SnapshotError
from habitue.facts import Context, Item
from habitue.facts.described import tail_of
from habitue.slates.live_items import LiveItems
from habitue.store.contract import FactStore

__all__ = ["LivePaths", "LiveSource", "LiveTail", "as_they_are"]

_ITEM: Final = msgspec.json.Decoder(Item)
_AT_ONCE: Final = 64  # items of one step: who comes first need not wait for the last of many


class LiveSource(PreparingSource):
    """A source that is replaced by its longer copies, while the pipeline keeps hold of this one."""

    def __init__(self, source: ExtendingSource) -> None:
        self.name = source.name
        self.current = source
        """What answers now. Reading is one attribute: a request sees one source whole."""

    def prepare(self, context: Context) -> Prepared:
        """The source as it is now, having read the contexts."""
        return preparing(self.current)(context)

    def save(self, path: Path) -> None:
        """Write what was fitted into the folder ``path``; the tail is the store's to keep."""
        self.current.save(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The source written there; raises ``SnapshotError`` for one that reads no new items."""
        source = load_source(path)
        if not isinstance(source, ExtendingSource):
            raise SnapshotError(f"The source in {path} cannot read items it was not fitted on.")
        return cls(source)


class LivePaths(LiveSource):
    """One that can also say over what items are tied."""

    def paths(
        self, context: Context, from_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> Paths:
        """The best path to each of the items (B, n) from any of ``from_row`` (B, P)."""
        return self._graph.paths(context, from_row, item_row)

    def side(self, number: int) -> Side:
        """What a side is called."""
        return self._graph.side(number)

    @property
    def _graph(self) -> PathSource:
        return cast("PathSource", self.current)  # asked once, at the start: looking takes 30 us


def as_they_are(sources: Iterable[Source]) -> list[Source]:
    """The sources that answer now, to be asked what only their own kind can say."""
    return [one.current if isinstance(one, LiveSource) else one for one in sources]


def _live(source: ExtendingSource) -> LiveSource:
    return (LivePaths if isinstance(source, PathSource) else LiveSource)(source)


class LiveTail:
    """Follows the items of the running shop for the sources of one snapshot, until ``close``."""

    def __init__(self, sources: Sequence[Source], items: LiveItems, store: FactStore) -> None:
        """Everything beyond what a source was fitted on is due, and then whatever is posted."""
        self._live = [_live(one) for one in sources if isinstance(one, ExtendingSource)]
        by_name = {one.name: one for one in self._live}
        self.sources: tuple[Source, ...] = tuple(by_name.get(one.name, one) for one in sources)
        """The sources as a pipeline is to ask them, in their order."""
        self._items = items
        self._store = store
        self._lock = threading.Lock()  # over what is due
        self._turn = threading.Lock()  # one step after another
        self._due: dict[int, None] = {}  # rows in order of arrival, each once
        self._first = min((one.current.n_fitted for one in self._live), default=0)
        if self._live:
            items.follow(self._note)
            self._note(np.arange(self._first, len(items), dtype=np.int32))

    def close(self) -> None:
        """Let go of the items."""
        self._items.unfollow(self._note)

    def catch_up(self, now_ms: int) -> int:
        """Give the sources all that is due; how many items they were given.

        Raises ``StoreError`` where they cannot be read: they stay due. Raises ``SnapshotError``
        where a source cannot take them: it goes on without.
        """
        n_given = 0
        with self._turn:
            while rows := self._next():
                try:
                    given = self._described(rows, now_ms)
                except BaseException:
                    self._note(np.array(rows, np.int32))
                    raise
                if given:
                    self._give(list(given), list(given.values()))
                n_given += len(given)
        return n_given

    def _note(self, row: NDArray[np.int32]) -> None:
        """Rows were put up, in whatever thread; those that were fitted are nothing new."""
        later = row[row >= self._first].tolist()
        if later:
            with self._lock:
                self._due.update(dict.fromkeys(later))

    def _next(self) -> list[int]:
        with self._lock:
            rows = list(self._due)[:_AT_ONCE]
            for row in rows:
                del self._due[row]
        return rows

    def _described(self, rows: Sequence[int], now_ms: int) -> dict[int, Item]:
        """The version in force of each row that has one.

        A row may have been noted after the caller looked at the clock: what stands, has begun.
        """
        now_ms = max(now_ms, self._items.begun_ms(rows))
        bodies = self._store.items_in_force([self._items.id(row) for row in rows], now_ms)
        told = zip(rows, bodies, strict=True)
        return {row: _ITEM.decode(body) for row, body in told if body is not None}

    def _give(self, rows: Sequence[int], items: Sequence[Item]) -> None:
        tail = tail_of(rows, items)
        failed: dict[str, Exception] = {}
        for source in self._live:
            try:
                source.current = source.current.extend(tail)
            except Exception as problem:  # noqa: BLE001 - whatever it is, the others go on
                failed[source.name] = problem
        if failed:
            name, first = next(iter(failed.items()))
            raise SnapshotError(
                f"The source {name!r} cannot take new items in ({first}).",
                remedy="They are recommended by other sources; train again to include them.",
            ) from first
