"""Snapshots as a shop meets them: listed, loaded, made to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from habitue.candidates.paths import PathSource
from habitue.errors import SnapshotError, SnapshotRefused, StoreError
from habitue.facts.meaning import participle
from habitue.ranking.reasons import Reasons
from habitue.slates.counters import Counters
from habitue.slates.live import LiveShop
from habitue.slates.serving import Servable, servable_of
from habitue.store.snapshots import Manifest, Snapshot, SnapshotStore
from habitue.training.serving import Pieces, load_pieces

if TYPE_CHECKING:
    from habitue.settings import Settings

__all__ = ["Loaded", "SnapshotInfo", "load", "make_servable", "open_active"]


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One trained snapshot, as it is listed."""

    name: str
    active: bool
    watermark: int  # the last seq it was trained on
    made_at_ms: int
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest, active: str | None) -> SnapshotInfo:
        """What a manifest says; ``active`` is the name of the snapshot that answers."""
        numbers = {
            name: float(value)
            for name, value in manifest.metrics.items()
            if isinstance(value, int | float)
        }
        return cls(
            manifest.id,
            manifest.id == active,
            manifest.watermark,
            manifest.created_at_ms,
            numbers,
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A verified snapshot in memory."""

    manifest: Manifest
    pieces: Pieces

    def counters(self) -> Counters:
        """What it has counted, as of its watermark."""
        pieces = self.pieces
        return Counters.of_snapshot(
            self.manifest.watermark,
            pieces.stats,
            pieces.bought,
            pieces.refused,
            pieces.taken,
            pieces.robots,
        )


def load(snapshot: Snapshot, lineage: str) -> Loaded:
    """Load a snapshot's pieces; refuse one whose rows are another store's."""
    manifest = snapshot.manifest
    if manifest.lineage and manifest.lineage != lineage:
        raise SnapshotRefused(
            f"Snapshot {manifest.id} is refused: it was trained on another store.",
            remedy="Its rows mean other items here. Train on this store.",
        )
    return Loaded(manifest, load_pieces(snapshot.path))


def open_active(
    snapshots: SnapshotStore, lineage: str, note: Callable[[Exception], object]
) -> Loaded | None:
    """The active snapshot; ``None``, and noted, where it cannot be used."""
    try:
        active = snapshots.active_id()
        return None if active is None else load(snapshots.verify(active), lineage)
    except (SnapshotError, StoreError) as problem:
        note(problem)
        return None


def make_servable(
    loaded: Loaded,
    live: LiveShop,
    settings: Settings,
    now_ms: int,
    note: Callable[[Exception], object] | None = None,
    *,
    started: bool = False,
) -> Servable | None:
    """Make a snapshot answer over the running shop, which was ``started`` on it or goes over to it.

    A refusal is noted and ``None`` returned; without ``note`` it is raised.
    """
    surfaces = settings.surfaces.by_name()
    rules = {name: one.rules for name, one in surfaces.items()}
    try:
        return servable_of(
            loaded.manifest.id,
            loaded.manifest.watermark,
            loaded.pieces,
            live,
            rules,
            now_ms=now_ms,
            counters=live.counters if started else None,
            explainer=lambda pipeline: Reasons(
                pipeline.rankers,
                bought=participle(loaded.pieces.taken),
                graph=next((one for one in pipeline.sources if isinstance(one, PathSource)), None),
            ),
            quotas={name: one.sources for name, one in surfaces.items() if one.sources},
            objectives={name: one.objective for name, one in surfaces.items() if one.objective},
            kinds=settings.surfaces.kinds(),
        )
    except SnapshotError as problem:
        if note is None:
            raise
        note(problem)
        return None
