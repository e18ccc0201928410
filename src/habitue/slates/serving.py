"""What answers now: a trained snapshot made servable, tried out, and switched to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.content import ContentSource
from habitue.candidates.contract import Source
from habitue.candidates.due import Due
from habitue.errors import SnapshotRefused
from habitue.facts import NO_ROW, Context
from habitue.policy.contract import Policy
from habitue.policy.rule_policy import Merits, RulePolicy
from habitue.policy.rules import SurfaceRules
from habitue.portraits import ItemColumns, ItemStats
from habitue.ranking.contract import Ranker
from habitue.ranking.tied import Path
from habitue.slates.counters import Counters
from habitue.slates.ledger import LedgerTable
from habitue.slates.live import Asked, LiveShop
from habitue.slates.live_sources import LIVE_KINDS, Place, place_of
from habitue.slates.live_tail import LiveTail
from habitue.slates.pipeline import Pipeline, Slates

__all__ = [
    "Explained",
    "Explainer",
    "Pieces",
    "Servable",
    "Switch",
    "places_of",
    "policies_of",
    "servable_of",
]

_NO_RANKERS: Final[Mapping[str, Ranker]] = {}
_TRIED: Final = 12  # slots of the slate a snapshot is tried out with


class Explained(Protocol):
    """Why one slot is there: a sentence for the shopper, and the items it names."""

    @property
    def text(self) -> str:
        """The sentence; empty where there is nothing to say."""
        ...

    @property
    def causes(self) -> Sequence[int]:
        """Rows of the items the sentence names."""
        ...

    @property
    def path(self) -> Path | None:
        """What ties the item to something the shopper has; none where nothing is known to."""
        ...


class Explainer(Protocol):
    """Finds the reasons of slates."""

    def explain(
        self, context: Context, slates: Slates, title: Callable[[int], str]
    ) -> Sequence[Sequence[Explained]]:
        """One reason for each slot of each context; ``title`` names items before a shopper."""
        ...


class Pieces(Protocol):
    """What a snapshot folder holds, loaded."""

    @property
    def stats(self) -> ItemStats:
        """Item statistics as of the watermark."""
        ...

    @property
    def taken(self) -> tuple[str, ...]:
        """Kinds of action that were read as purchases."""
        ...

    @property
    def robots(self) -> NDArray[np.int32]:
        """Rows of the shoppers that training left out as no persons."""
        ...

    @property
    def usual_gap_days(self) -> NDArray[np.float32]:
        """Usual days between two purchases of each item: (n_items,)."""
        ...

    @property
    def due(self) -> Due | None:
        """When things are bought again, as the source of it has learnt; none where it has not."""
        ...

    @property
    def bought(self) -> LedgerTable:
        """What every shopper has bought."""
        ...

    @property
    def refused(self) -> LedgerTable:
        """What every shopper has refused."""
        ...

    @property
    def sources(self) -> Sequence[Source]:
        """The sources as they were fitted."""
        ...

    def pipeline(
        self,
        policy: Policy,
        *,
        sources: Sequence[Source] | None = None,
        stats: ItemStats | None = None,
        columns: ItemColumns | None = None,
    ) -> Pipeline:
        """The pipeline over live sources, statistics and columns."""
        ...


@dataclass(frozen=True, slots=True)
class Servable:
    """A snapshot as it answers: immutable, so a request that began with it ends with it."""

    name: str  # empty for what answers while nothing has been trained
    pipeline: Pipeline
    policies: Mapping[str, RulePolicy]
    explainer: Explainer | None = None
    watermark: int = 0
    places: Mapping[str, Place] = field(default_factory=dict)
    """Surfaces with candidates of their own, by name."""
    tail: LiveTail | None = None
    """What keeps its sources up with the items posted."""

    def recommend(
        self, surface: str, context: Context, n: int, rng: np.random.Generator, policy: Policy
    ) -> Slates:
        """Slates of ``n`` slots, from the surface's own candidates where it has them."""
        place = self.places.get(surface)
        pipeline = self.pipeline if place is None else place.pipeline
        return pipeline.recommend(context, n, rng, policy=policy, rebuy=True)

    def reason(self, surface: str) -> str:
        """What a surface with candidates of its own says of all it shows; else empty."""
        place = self.places.get(surface)
        return "" if place is None else place.reason

    def extend(self, now_ms: int) -> int:
        """Let its sources know what was posted; how many items. Raises as ``LiveTail.catch_up``."""
        return 0 if self.tail is None else self.tail.catch_up(now_ms)

    def close(self) -> None:
        """Stop following shelf and items; requests still in flight end with what they hold."""
        if self.tail is not None:
            self.tail.close()
        for policy in self.policies.values():
            policy.close()


class Switch:
    """Holds what answers now. Reading is one attribute, so a request sees one snapshot whole."""

    def __init__(self, first: Servable) -> None:
        self._lock = threading.Lock()
        self._first = first
        self.current = first

    def activate(self, servable: Servable) -> Servable:
        """Answer from ``servable`` from the next request on; returns what answered until now."""
        with self._lock:
            before, self.current = self.current, servable
            if before is not self._first:
                before.close()
            return before


def policies_of(
    shop: LiveShop,
    rules: Mapping[str, SurfaceRules],
    usual_gap_days: NDArray[np.float32] | None = None,
) -> dict[str, RulePolicy]:
    """The policy of each surface over the shelf of the running shop."""
    seen = shop.impressions
    merits = Merits(lambda: shop.columns.first_seen_ms)
    if seen is not None:
        merits = replace(merits, times_shown=lambda: seen.times_shown)
    return {
        surface: RulePolicy(
            one, shop.shelf, due_days=usual_gap_days, row_of=shop.items.row, merits=merits
        )
        for surface, one in rules.items()
    }


def places_of(
    shop: LiveShop,
    policies: Mapping[str, RulePolicy],
    kinds: Mapping[str, str],
    usual_gap_days: NDArray[np.float32] | None = None,
    rankers: Mapping[str, Ranker] = _NO_RANKERS,
    due: Due | None = None,
) -> dict[str, Place]:
    """The surfaces whose candidates are made of the running shop; ``rankers`` order some of them.

    ``kinds`` says of each surface by name which of the house's it works like.
    """
    return {
        name: place_of(
            kind,
            shop,
            policies[name].rules,
            policies[name],
            usual_gap_days=usual_gap_days,
            due=due,
            ranker=rankers.get(name),
        )
        for name, kind in kinds.items()
        if kind in LIVE_KINDS and name in policies
    }


def servable_of(
    name: str,
    watermark: int,
    pieces: Pieces,
    shop: LiveShop,
    rules: Mapping[str, SurfaceRules],
    *,
    now_ms: int,
    counters: Counters | None = None,
    explainer: Callable[[Pipeline], Explainer] | None = None,
    quotas: Mapping[str, Mapping[str, int]] | None = None,
    objectives: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Servable:
    """Make a loaded snapshot answer over the running shop, and try it out.

    Its counters are brought up to now and become the shop's, and its sources learn of what was
    posted since they were fitted; requests meanwhile are answered as before. ``counters`` are given
    where the shop was started on this snapshot's; ``quotas`` and ``objectives`` are what the shop's
    surfaces say otherwise than it was trained with, ``kinds`` which of the house's surfaces each
    works like. Raises ``SnapshotRefused`` if it fails on a request, and then nothing has changed.
    """
    fresh = counters or shop.prepare(
        Counters.of_snapshot(
            watermark, pieces.stats, pieces.bought, pieces.refused, pieces.taken, pieces.robots
        )
    )
    policies = policies_of(shop, rules, pieces.usual_gap_days)
    first = next(iter(policies.values()))
    tail = LiveTail(pieces.sources, shop.items, shop.store)
    try:
        tail.catch_up(now_ms)
        pipeline = pieces.pipeline(
            first, sources=tail.sources, stats=fresh.stats, columns=shop.columns
        )
        kinds, objectives, quotas = kinds or {}, objectives or {}, quotas or {}
        pipeline = pipeline.on_surfaces(*_as_their_kinds(pipeline, kinds, quotas, objectives))
        _compare_by_content(pieces.sources, policies)
        own = {name: kind for name, kind in kinds.items() if name not in quotas}
        rankers = {name: pipeline.rankers[name] for name in objectives}
        made = Servable(
            name,
            pipeline,
            policies,
            explainer(pipeline) if explainer else None,
            watermark,
            places_of(shop, policies, own, pieces.usual_gap_days, rankers, pieces.due),
            tail,
        )
        _try(made, shop, now_ms)
    except Exception as problem:
        tail.close()
        for policy in policies.values():
            policy.close()
        if isinstance(problem, SnapshotRefused):
            raise
        raise SnapshotRefused(
            f"Snapshot {name} is refused: it failed on a trial request ({problem}).",
            remedy="Train again, or activate another one (`habitue snapshots`).",
        ) from problem
    if fresh is not shop.counters:
        shop.adopt(fresh, now_ms)
    return made


def _as_their_kinds(
    pipeline: Pipeline,
    kinds: Mapping[str, str],
    quotas: Mapping[str, Mapping[str, int]],
    objectives: Mapping[str, str],
) -> tuple[dict[str, Mapping[str, int]], dict[str, str]]:
    """Quotas and objectives with those of their kind for surfaces that say none of their own."""
    all_quotas, all_objectives = dict(quotas), dict(objectives)
    for name, kind in kinds.items():
        if name != kind and kind in pipeline.quotas:
            all_quotas.setdefault(name, pipeline.quotas[kind])
        if name != kind and kind in pipeline.rankers and name not in pipeline.rankers:
            all_objectives.setdefault(name, kind)
    return all_quotas, all_objectives


def _compare_by_content(sources: Sequence[Source], policies: Mapping[str, RulePolicy]) -> None:
    """Let policies that spread a page tell items apart by what is said of them."""
    for source in sources:
        if isinstance(source, ContentSource):
            for policy in policies.values():
                policy.compare_by(source.item_vectors)
            return


def _try(servable: Servable, shop: LiveShop, now_ms: int) -> None:
    """A request of a stranger to each surface must be answered as the shop would answer it."""
    rng = np.random.default_rng(0)
    anchor = [shop.items.id(len(shop.items) - 1)] if len(shop.items) else []
    for surface, policy in servable.policies.items():
        seen = shop.context(Asked(surface, now_ms, anchors=anchor))
        slates = servable.recommend(surface, seen.context, _TRIED, rng, policy)
        rows = slates.item_row[slates.item_row != NO_ROW]
        if len(rows) != len(np.unique(rows)) or rows.max(initial=0) >= max(len(shop.items), 1):
            raise SnapshotRefused(
                f"Snapshot {servable.name} is refused: its {surface} slate names items twice, "
                "or items this shop has never had.",
                remedy="It may belong to another store; train on this one.",
            )
        if not np.isfinite(slates.score).all():
            raise SnapshotRefused(
                f"Snapshot {servable.name} is refused: its {surface} ranker gives scores that "
                "are no numbers.",
                remedy="Train again.",
            )
        if servable.explainer is not None and surface not in servable.places:
            servable.explainer.explain(seen.context, slates, shop.items.title)
