"""What ties a chosen item to its cause: a path over the item graph, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source
from habitue.candidates.item_graph import Side
from habitue.candidates.layout import plain
from habitue.candidates.paths import PathSource
from habitue.facts import NO_ROW, Context
from habitue.facts.triples import REVERSED
from habitue.ranking.causes import KINDS

__all__ = ["Path", "Tied"]

_LEADING: Final = frozenset({"at", "by", "for", "from", "in", "of", "on", "to", "with"})
_OF_KIND: Final = {
    "brand": ("brand",), "category": ("product_type", "google_product_category"),
}  # fmt: skip
"""Relations a habit is told of by; an item that is a cause may be tied by any."""


class Path(NamedTuple):
    """Both items have ``relation`` to the entity; where it is one of them, the other has."""

    from_row: int  # the item of the shopper's that it begins with
    relation: str
    entity: str  # what it is called
    row: int  # of the item that the entity is, ``NO_ROW`` where it is none

    def words(self, item: int, title: Callable[[int], str]) -> str:
        """The sentence a shopper reads beside ``item``.

        >>> titles = {1: "Alien", 2: "Aliens"}
        >>> Path(1, "director", "Ridley Scott", -1).words(5, titles.get)
        'Same director as Alien: Ridley Scott'
        >>> Path(1, "film.film.directed_by", "Ridley Scott", -1).words(5, titles.get)
        'Directed by Ridley Scott, like Alien'
        >>> Path(1, "sequel", "aliens", 2).words(2, titles.get)
        'Sequel of Alien'
        """
        mine, said = title(self.from_row), _plainly(self.relation)
        entity = self.entity if self.row == NO_ROW else title(self.row)
        leading = said.rpartition(" ")[2] in _LEADING
        if self.row == item:
            return f"{mine}: {said} this" if leading else f"{_capital(said)} of {mine}"
        if self.row == self.from_row:
            return f"{_capital(said)} {mine}" if leading else f"Its {said}: {mine}"
        if self.relation.startswith(REVERSED):
            return f"Shares {entity} with {mine}"
        if leading:
            return f"{_capital(said)} {entity}, like {mine}"
        return f"Same {said} as {mine}: {entity}"


class Tied:
    """Finds the paths of the items of a request to their causes."""

    def __init__(self, graph: PathSource, share: float) -> None:
        """A path is told where the graph's own score falls by ``share`` without the cause."""
        self._graph = graph
        self._share = share

    def paths(
        self,
        context: Context,
        items: NDArray[np.int32],
        code: NDArray[np.int32],
        named: NDArray[np.int32],
        best: NDArray[np.int32],
        sources: Sequence[Source],
        score: NDArray[np.float32],
    ) -> dict[int, Path]:
        """The path of each place among the items (n,) of a single request that has one.

        ``best`` (n,) is the cause of each, into ``code`` and ``named`` (C,), and ``score`` (1 + C,
        n, n_sources) what the sources say of them with all causes and without each.
        """
        own = next((s for s, one in enumerate(sources) if one.name == self._graph.name), None)
        if own is None:
            return {}
        found: dict[int, Path] = {}
        for cause in np.unique(best[best < len(code)]).tolist():
            place = np.flatnonzero(best == cause)
            with_it, without = score[0, place, own], score[cause + 1, place, own]
            place = place[(with_it > 0) & (with_it - without >= self._share * with_it)]
            if len(place):
                kind = KINDS[code[cause]]
                found.update(self._from(context, items, place, kind, int(named[cause])))
        return found

    def _from(
        self,
        context: Context,
        items: NDArray[np.int32],
        place: NDArray[np.int64],
        kind: str,
        cause: int,
    ) -> dict[int, Path]:
        """Paths of the items at ``place`` from a cause: an item, or all that was acted on."""
        from_row = np.array([[cause]], np.int32)
        if kind == "again":
            return {}
        if kind in _OF_KIND:
            from_row = plain(context.recent_item, np.int32)
        paths = self._graph.paths(context, from_row, items[None, place])
        told = zip(place.tolist(), paths.from_row[0].tolist(), paths.side[0].tolist(), strict=True)
        ends = {x: (row, self._graph.side(side)) for x, row, side in told if side != NO_ROW}
        return {x: Path(row, *side) for x, (row, side) in ends.items() if _may(kind, side)}


def _may(kind: str, side: Side) -> bool:
    return kind not in _OF_KIND or side.relation in _OF_KIND[kind]


def _plainly(relation: str) -> str:
    """A relation in words: the last step of its name.

    >>> _plainly("^film.film.directed_by")
    'directed by'
    """
    said = relation.removeprefix(REVERSED).rpartition(".")[2].rpartition("/")[2]
    return said.replace("_", " ").strip().lower()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
