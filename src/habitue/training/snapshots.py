"""From trained pieces to a snapshot in its place, if it is good enough beside the last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from habitue.errors import SnapshotRefused
from habitue.evaluation.report import Judged
from habitue.store.snapshots import Manifest, Snapshot, SnapshotStore
from habitue.training.config import GateConfig
from habitue.training.serving import save_pieces
from habitue.training.train import Trained

__all__ = ["JUDGED", "Saved", "check_gap", "check_gate", "judged_of", "write_snapshot"]


JUDGED: Final = "sources.json"
"""In a snapshot's folder: what each source adds, and which are switched off for it."""


def judged_of(folder: Path) -> list[Judged]:
    """What a snapshot's sources were judged to add; empty where they were not."""
    file = folder / JUDGED
    return msgspec.json.decode(file.read_bytes(), type=list[Judged]) if file.exists() else []


class Saved(Protocol):
    """Something that can be written into a folder."""

    def save(self, path: Path) -> None:
        """Write it into the folder ``path``."""
        ...


def write_snapshot(
    trained: Trained,
    snapshots: SnapshotStore,
    *,
    now_ms: int,
    lineage: str = "",
    last: Manifest | None = None,
    beside: Mapping[str, Saved] | None = None,
) -> Snapshot:
    """Write a snapshot of what was trained; ``last`` is the manifest of the one that serves.

    ``beside`` is what else goes into the folder, by the name of its own folder there.

    Raises ``SnapshotRefused`` when it falls far below ``last`` or has learnt by heart: then nothing
    is written.
    """
    check_gap(trained, trained.config.gate)
    check_gate(trained, last, trained.config.gate)
    parent = last.id if last is not None else None
    with snapshots.draft(
        now_ms=now_ms, watermark=trained.watermark, lineage=lineage, parent=parent
    ) as draft:
        save_pieces(trained, draft.path)
        for name, one in (beside or {}).items():
            one.save(draft.path / name)
        if trained.judged:
            (draft.path / JUDGED).write_bytes(msgspec.json.encode(trained.judged))
        if trained.report is not None:
            (draft.path / "report.json").write_bytes(trained.report.to_json())
        draft.metrics = {**trained.metrics, "questions": _questions(trained)}
        draft.config = trained.config.model_dump(mode="json")
    assert draft.snapshot is not None
    return draft.snapshot


def check_gap(trained: Trained, gate: GateConfig) -> None:
    """Raise ``SnapshotRefused`` where what was learnt is far better on what it was learnt from.

    The lower bound of the gap's interval counts, and nothing is refused where too few questions
    were asked to tell.
    """
    gap = None if trained.report is None else trained.report.gap
    if gap is None or min(gap.n_questions, _questions(trained)) < gate.least_questions:
        return
    if gap.ratio.low > gate.most_gap:
        raise SnapshotRefused(
            f"The new snapshot reaches {gap.metric} {gap.training.estimate:.4f} on what it was "
            f"learnt from and {gap.validation.estimate:.4f} on what was held out: "
            f"{gap.ratio.low:.1f} times as good and more.",
            remedy="It has learnt by heart: use fewer leaves or rounds, or more rows a leaf "
            "(training.ranker); raise training.gate.most_gap to accept.",
        )


def check_gate(trained: Trained, last: Manifest | None, gate: GateConfig) -> None:
    """Raise ``SnapshotRefused`` when the metric of the gate falls too far below the last one's.

    Nothing is refused where either measured too few questions to tell.
    """
    if last is None or _questions(trained) < gate.least_questions:
        return
    before, now = last.metrics.get(gate.metric), trained.metrics.get(gate.metric)
    if before is None or now is None or last.metrics.get("questions", 0) < gate.least_questions:
        return
    if now < gate.least_share * before:
        raise SnapshotRefused(
            f"The new snapshot reaches {gate.metric} {now:.4f}, less than {gate.least_share:.0%} "
            f"of the last one's {before:.4f}.",
            remedy="Look at the data report of the last imports; lower gate.least_share to accept.",
        )


def _questions(trained: Trained) -> int:
    return 0 if trained.report is None else trained.report.n_questions
