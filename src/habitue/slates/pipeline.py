"""How a slate is made: sources propose, the ranker orders, the policy fills the slots.

Serving, training and evaluation call this same code, for one request or for a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source
from habitue.candidates.panel import Asked, Panel
from habitue.errors import BadSetting
from habitue.facts import Context
from habitue.policy.contract import Policy
from habitue.ranking.contract import Ranker
from habitue.ranking.lambdamart import FeatureRanker
from habitue.slates.union import PINNED, proposers, union

__all__ = ["PINNED", "Candidates", "Pipeline", "Slates", "gather", "gather_proposed"]


_Quota = tuple[tuple[int, int], ...]  # (place of the source, how many it may propose)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What could be shown to each context, and the first source that said so."""

    item_row: NDArray[np.int32]  # (B, m), NO_ROW padding on the right
    source: NDArray[np.uint8]  # (B, m), PINNED beside padding
    length: NDArray[np.int64]  # (B,) how many are no padding
    asked: Asked  # all sources, having read the contexts

    def scores(self) -> NDArray[np.float32]:
        """Every source's score of every candidate: (B, m, n_sources), 0 beside ``NO_ROW``."""
        return self.asked.scores(self.item_row)


@dataclass(frozen=True, slots=True)
class Slates:
    """The slots filled for each context, in order, and where each came from."""

    item_row: NDArray[np.int32]  # (B, n), NO_ROW where nothing could be shown
    score: NDArray[np.float32]  # (B, n)
    propensity: NDArray[np.float32]  # (B, n)
    source: NDArray[np.uint8]  # (B, n) into ``source_names``; PINNED where none
    source_names: tuple[str, ...]
    n_candidates: NDArray[np.int64]  # (B,) how many were ranked
    stage_seconds: Mapping[str, float]  # empty unless a stopwatch was given
    norms: NDArray[np.float32] | None = None  # (B, n_sources, 3) what reasons are measured with
    more: NDArray[np.bool_] | None = None  # (B,) whether anything is left for another page

    def source_name(self, b: int, slot: int) -> str:
        """The name of the source behind a slot: ``"pinned"`` where there was none."""
        number = int(self.source[b, slot])
        return self.source_names[number] if number < len(self.source_names) else "pinned"


def gather(
    sources: Sequence[Source],
    quota: Mapping[str, int],
    context: Context,
    *,
    barred: NDArray[np.bool_] | None = None,
    rebuy: bool = False,
) -> Candidates:
    """Every source's proposals, as many as its quota, each item once.

    ``barred`` (n_items,) marks rows that may not be shown. Unless ``rebuy`` what a shopper owns is
    left out; the anchors always are.
    """
    asked = Panel(sources).ask(context)
    return _gather(asked, _numbered(sources, quota), context, barred, rebuy=rebuy)


def gather_proposed(
    sources: Sequence[Source], quota: Mapping[str, int], context: Context, *, rebuy: bool
) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """``gather``'s candidates (B, m), and who proposed each: bit ``s`` for the source at ``s``."""
    numbered = _numbered(sources, quota)
    numbers = tuple(s for s, _ in numbered)
    proposals = Panel(sources).ask(context).propose(numbered)
    item_row, _, _ = union(
        proposals,
        numbers=numbers,
        owned=None if rebuy else context.owned,
        anchors=context.anchor_item,
    )
    return item_row, proposers(item_row, proposals, numbers)


def _numbered(sources: Sequence[Source], quota: Mapping[str, int]) -> _Quota:
    """A quota by the places of its sources, those that propose nothing left out."""
    by_place = ((s, quota.get(source.name, 0)) for s, source in enumerate(sources))
    return tuple((s, n) for s, n in by_place if n > 0)


def _gather(
    asked: Asked,
    quota: _Quota,
    context: Context,
    barred: NDArray[np.bool_] | None,
    *,
    rebuy: bool,
) -> Candidates:
    item_row, origin, length = union(
        asked.propose(quota),
        numbers=tuple([s for s, _ in quota]),
        barred=barred,
        owned=None if rebuy else context.owned,
        anchors=context.anchor_item,
    )
    return Candidates(item_row, origin, length, asked)


class Pipeline:
    """One trained snapshot's way from contexts to slates. Holds no state of its own.

    ``quotas`` says for each surface how many items each source may propose (by name; a source not
    named proposes none); ``rankers`` which ranker orders each surface; both fall back to ``home``.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        quotas: Mapping[str, Mapping[str, int]],
        rankers: Mapping[str, Ranker],
        policy: Policy,
        *,
        rebuy: bool = False,
    ) -> None:
        names = {source.name for source in sources}
        unknown = {name for quota in quotas.values() for name in quota} - names
        if unknown:
            raise BadSetting(
                f"Quotas name sources that are not there: {', '.join(sorted(unknown))}.",
                remedy=f"The sources are {', '.join(sorted(names))}.",
                field="quotas",
            )
        if "home" not in quotas or "home" not in rankers:
            raise BadSetting(
                "A pipeline needs quotas and a ranker for the surface 'home'.",
                remedy="Other surfaces fall back to it.",
                field="quotas",
            )
        self.sources = tuple(sources)
        self.quotas = quotas
        self.rankers = rankers
        self.policy = policy
        self.rebuy = rebuy
        self._names = tuple(source.name for source in sources)
        self._panel = Panel(self.sources)
        self._quotas = {name: _numbered(sources, quota) for name, quota in quotas.items()}

    def on_surfaces(
        self,
        quotas: Mapping[str, Mapping[str, int]],
        objectives: Mapping[str, str],
    ) -> Pipeline:
        """This pipeline with a surface's own quotas, and the ranker of another ordering it.

        Raises ``BadSetting`` for a source or a ranker that is not there.
        """
        rankers = dict(self.rankers)
        for surface, objective in objectives.items():
            if objective not in self.rankers:
                raise BadSetting(
                    f"The surface {surface!r} asks for a ranker that is not there: {objective!r}.",
                    remedy=f"The snapshot's rankers are {', '.join(sorted(self.rankers))}.",
                    field=f"surfaces.{surface}.objective",
                )
            rankers[surface] = self.rankers[objective]
        both = {**self.quotas, **quotas}
        return Pipeline(self.sources, both, rankers, self.policy, rebuy=self.rebuy)

    def candidates(
        self,
        context: Context,
        *,
        barred: NDArray[np.bool_] | None = None,
        rebuy: bool | None = None,
    ) -> Candidates:
        """What could be shown on the context's surface: ``gather`` with its quotas."""
        quota = self._quotas.get(context.surface, self._quotas["home"])
        again = self.rebuy if rebuy is None else rebuy
        return _gather(self._panel.ask(context), quota, context, barred, rebuy=again)

    def recommend(
        self,
        context: Context,
        n: int,
        rng: np.random.Generator,
        *,
        barred: NDArray[np.bool_] | None = None,
        rebuy: bool | None = None,
        policy: Policy | None = None,
        stopwatch: Callable[[], float] | None = None,
    ) -> Slates:
        """Fill ``n`` slots for each context.

        ``policy`` stands in for the pipeline's own (a surface's rules, a later page of a slate);
        ``stopwatch`` (seconds) times the stages.
        """
        marks = [stopwatch() if stopwatch else 0.0]
        found = self.candidates(context, barred=barred, rebuy=rebuy)
        ranker = self.ranker(context.surface)
        by_source = None
        if isinstance(ranker, FeatureRanker) and ranker.features.sources == self.sources:
            by_source = found.scores()
        marks.append(stopwatch() if stopwatch else 0.0)
        norms = None
        if isinstance(ranker, FeatureRanker):
            score, norms = ranker.rank(context, found.item_row, by_source)
        else:
            score = ranker.score(context, found.item_row)
        marks.append(stopwatch() if stopwatch else 0.0)
        chosen = (policy or self.policy).choose(context, found.item_row, score, n, rng)
        marks.append(stopwatch() if stopwatch else 0.0)
        stages = {}
        if stopwatch:
            spent = np.diff(marks).tolist()
            stages = dict(zip(("sources", "ranker", "policy"), spent, strict=True))
        return Slates(
            chosen.item_row,
            chosen.score,
            chosen.propensity,
            _origin(chosen.item_row, found),
            self._names,
            found.length,
            stages,
            norms,
            chosen.more,
        )

    def ranker(self, surface: str) -> Ranker:
        """The ranker of a surface, ``home``'s where it has none of its own."""
        return self.rankers.get(surface, self.rankers["home"])


def _origin(item_row: NDArray[np.int32], found: Candidates) -> NDArray[np.uint8]:
    """The source of each chosen item."""
    source = np.empty(item_row.shape, np.uint8)
    _find(item_row, found.item_row, found.source, source)
    return source


@nb.njit(cache=True, nogil=True)
def _find(
    item_row: NDArray[np.int32],
    candidate: NDArray[np.int32],
    candidate_source: NDArray[np.uint8],
    source: NDArray[np.uint8],
) -> None:
    for b in range(item_row.shape[0]):
        for slot in range(item_row.shape[1]):
            row = item_row[b, slot]
            source[b, slot] = PINNED
            for x in range(candidate.shape[1]):
                if row >= 0 and candidate[b, x] == row:
                    source[b, slot] = candidate_source[b, x]
                    break
