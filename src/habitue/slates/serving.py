"""What answers now: a trained snapshot made servable, tried out, and switched to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from habitue.errors import SnapshotRefused
from habitue.facts import NO_ROW, Context
from habitue.policy.contract import Policy
from habitue.policy.rule_policy import RulePolicy
from habitue.policy.rules import SurfaceRules
from habitue.portraits import ItemColumns, ItemStats
from habitue.slates.counters import Counters
from habitue.slates.ledger import LedgerTable
from habitue.slates.live import Asked, LiveShop
from habitue.slates.pipeline import Pipeline, Slates

__all__ = ["Explained", "Explainer", "Pieces", "Servable", "Switch", "policies_of", "servable_of"]

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
    def usual_gap_days(self) -> NDArray[np.float32]:
        """Usual days between two purchases of each item: (n_items,)."""
        ...

    @property
    def bought(self) -> LedgerTable:
        """What every shopper has bought."""
        ...

    @property
    def refused(self) -> LedgerTable:
        """What every shopper has refused."""
        ...

    def pipeline(
        self, policy: Policy, *, stats: ItemStats | None = None, columns: ItemColumns | None = None
    ) -> Pipeline:
        """The pipeline over live statistics and columns."""
        ...


@dataclass(frozen=True, slots=True)
class Servable:
    """A snapshot as it answers: immutable, so a request that began with it ends with it."""

    name: str  # empty for what answers while nothing has been trained
    pipeline: Pipeline
    policies: Mapping[str, RulePolicy]
    explainer: Explainer | None = None
    watermark: int = 0

    def close(self) -> None:
        """Stop following the shelf; requests still in flight end with what they hold."""
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
    return {
        surface: RulePolicy(one, shop.shelf, due_days=usual_gap_days, row_of=shop.items.row)
        for surface, one in rules.items()
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
) -> Servable:
    """Make a loaded snapshot answer over the running shop, and try it out.

    Its counters are brought up to now and become the shop's; requests meanwhile are answered as
    before. ``counters`` are given where the shop was started on this snapshot's; ``quotas`` and
    ``objectives`` are what the shop's surfaces say otherwise than it was trained with. Raises
    ``SnapshotRefused`` if it fails on a request, and then nothing has changed.
    """
    fresh = counters or shop.prepare(
        Counters.of_snapshot(watermark, pieces.stats, pieces.bought, pieces.refused)
    )
    policies = policies_of(shop, rules, pieces.usual_gap_days)
    first = next(iter(policies.values()))
    try:
        pipeline = pieces.pipeline(first, stats=fresh.stats, columns=shop.columns)
        pipeline = pipeline.on_surfaces(quotas or {}, objectives or {})
        made = Servable(
            name, pipeline, policies, explainer(pipeline) if explainer else None, watermark
        )
        _try(made, shop, now_ms)
    except Exception as problem:
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


def _try(servable: Servable, shop: LiveShop, now_ms: int) -> None:
    """A request of a stranger to each surface must be answered as the shop would answer it."""
    rng = np.random.default_rng(0)
    anchor = [shop.items.id(len(shop.items) - 1)] if len(shop.items) else []
    for surface, policy in servable.policies.items():
        seen = shop.context(Asked(surface, now_ms, anchors=anchor))
        slates = servable.pipeline.recommend(seen.context, _TRIED, rng, policy=policy, rebuy=True)
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
        if servable.explainer is not None:
            servable.explainer.explain(seen.context, slates, shop.items.title)
