"""What ties a chosen item to its cause: a path over the item graph, and the words for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.layout import plain
from habitue.candidates.paths import Paths, PathSource
from habitue.facts import NO_ROW, Context
from habitue.facts.triples import REVERSED
from habitue.portraits import pick
from habitue.ranking.causes import KINDS, UNWANTED, Trials
from habitue.ranking.contract import Explainable, Known

__all__ = ["Path", "Tied"]

Rows = NDArray[np.int32]

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
    """Finds the paths of the items of a request."""

    def __init__(self, graph: PathSource) -> None:
        """A path is told where its side adds to the graph's own score of the item."""
        self._graph = graph
        self.name = graph.name

    def of_causes(
        self, context: Context, known: Known, trials: Trials, best: Rows, own: NDArray[np.float32]
    ) -> dict[int, Path]:
        """The paths, by place among the items, from the causes of a single request to its items.

        ``best`` (n,) is each item's cause, among those of the trials; ``own`` (n,) the graph's own
        score. An item that is a cause is tied by any relation, a habit by what it is a habit of.
        """
        found: dict[int, Path] = {}
        for cause in np.unique(best[best < len(trials.code)]).tolist():
            kind = KINDS[trials.code[cause]]
            if kind == "again":
                continue
            of = _OF_KIND.get(kind, ())
            from_row = trials.named[None, cause : cause + 1]
            if of:
                from_row = _wanted(context)
            place = np.flatnonzero(best == cause)
            paths, told = self._asked(context, from_row, known.item_row[place], own[place])
            for x in told:
                path = self._path(paths, x)
                if not of or path.relation in of:
                    found[int(place[x])] = path
        return found

    def of_taste(
        self,
        context: Context,
        ranker: Explainable,
        known: Known,
        place: NDArray[np.int64],
        score: NDArray[np.float32],
        own: int,
    ) -> dict[int, tuple[Path, float]]:
        """Paths of the items at ``place`` from what was acted on, and what the items lose without.

        Taken out of the items' scores is what the side adds to the graph's, the source ``own`` of
        those that ``score`` (n, n_sources) holds: so it is tried for shoppers whose past lies in
        what was learnt of them too.
        """
        paths, told = self._asked(
            context, _wanted(context), known.item_row[place], score[place, own]
        )
        if not len(told):
            return {}
        without = np.stack([score, score])
        without[1, place, own] -= paths.adds[0]
        at = place[told].astype(np.int32)
        twice = pick(context, np.zeros(2, np.int64))
        lower, _ = ranker.without(known, twice, without, np.ones(len(at), np.int32), at)
        lost = known.score[at] - lower
        return {
            x: (self._path(paths, t), drop)
            for t, x, drop in zip(told.tolist(), at.tolist(), lost.tolist(), strict=True)
        }

    def _asked(
        self, context: Context, from_row: Rows, items: Rows, own: NDArray[np.float32]
    ) -> tuple[Paths, NDArray[np.int64]]:
        """The paths of these items (n,), and which of them are to be told."""
        paths = self._graph.paths(context, plain(from_row, np.int32), items[None, :])
        return paths, np.flatnonzero((own > 0) & (paths.adds[0] > 0))

    def _path(self, paths: Paths, x: int) -> Path:
        side = self._graph.side(int(paths.side[0, x]))
        return Path(int(paths.from_row[0, x]), *side)


def _wanted(context: Context) -> Rows:
    """What was acted on lately (1, L), without what was refused or given back."""
    if len(context.personal) and not context.personal[0]:
        return np.full((1, 1), NO_ROW, np.int32)
    unwanted = np.isin(context.recent_kind, UNWANTED)
    return np.where(unwanted, np.int32(NO_ROW), context.recent_item).astype(np.int32)


def _plainly(relation: str) -> str:
    """A relation in words: the last step of its name, or of both where it is one behind another.

    >>> _plainly("^film.film.directed_by")
    'directed by'
    >>> _plainly("film.director/born_in")
    'director born in'
    """
    if relation in _OF_KIND["category"]:
        return "category"
    steps = relation.removeprefix(REVERSED).split("/")
    said = " ".join(step.rpartition(".")[2] for step in steps)
    return said.replace("_", " ").strip().lower()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
