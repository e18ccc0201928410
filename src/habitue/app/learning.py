"""Training an open shop: facts from its store, a snapshot into its folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from habitue.app.note import read_refusal
from habitue.app.portraying import NORMS, conversions_of
from habitue.app.reading import facts_read
from habitue.app.returning import OUTLOOK, learn_outlook
from habitue.errors import BadInput, SnapshotError
from habitue.portraits import ShopNorms
from habitue.training.dataset import ShopFacts
from habitue.training.snapshots import judged_of, write_snapshot
from habitue.training.train import train
from habitue.training.understood import understood
from habitue.training.warm_start import WARM_START, WarmStart

if TYPE_CHECKING:
    from habitue.app.shop import Progress
    from habitue.app.wiring import Parts
    from habitue.store.snapshots import Snapshot
    from habitue.training.config import TrainingConfig

__all__ = ["REPORT", "facts_of", "train_snapshot"]

REPORT: Final = "report.json"
"""In a snapshot's folder: what it was measured at."""

_BEGINNING: Final = np.iinfo(np.int64).min


def train_snapshot(parts: Parts, *, now_ms: int, seed: int, progress: Progress) -> str:
    """Train on every fact up to now and write a snapshot; its name.

    Raises ``BadInput`` when there is nothing to learn from, ``SnapshotRefused`` when the new one
    does far worse on its held-out span than the active one did on its own.
    """
    facts = facts_of(parts, progress)
    read, config = understood(facts, parts.settings.training_run(), conversions_of(parts))
    last = parts.snapshots.active()
    trained = train(
        read,
        config,
        rng=np.random.default_rng(seed),
        progress=progress,
        off_before=[] if last is None else [one.name for one in judged_of(last.path) if one.off],
        warm=_warm_start(parts, config, last),
    )
    outlook = learn_outlook(parts, facts, trained.columns, seed, progress)
    figures = {} if outlook is None or outlook.measured is None else outlook.measured.figures()
    parts.snapshots.sweep()
    progress("writing the snapshot", 0, 1)
    norms = ShopNorms.of(
        facts.between(_BEGINNING, trained.facts.now_ms),  # as told: portraits read them so
        trained.columns,
        trained.facts.now_ms,
        currency=parts.settings.shop.base_currency,
        config=parts.settings.portraits,
        kinds=conversions_of(parts),
    )
    made = write_snapshot(
        replace(trained, metrics=trained.metrics | figures),
        parts.snapshots,
        now_ms=now_ms,
        lineage=parts.store.stored().lineage,
        last=None if last is None else last.manifest,
        beside={NORMS: norms}
        | ({} if outlook is None else {OUTLOOK: outlook})
        | ({WARM_START: trained.left} if trained.left.in_a_row else {}),
    )
    progress("writing the snapshot", 1, 1)
    return made.manifest.id


def _warm_start(parts: Parts, config: TrainingConfig, last: Snapshot | None) -> WarmStart:
    """What the training goes on from; nothing where it is to begin anew."""
    erased = len(parts.store.erased_shoppers())
    anew = WarmStart(erased=erased)
    if (
        last is None
        or not config.warm_start.enabled
        or last.manifest.lineage != parts.store.stored().lineage
        or read_refusal(parts.snapshots.path) is not None
    ):
        return anew
    try:
        return WarmStart.load(last.path, config, erased=erased)
    except SnapshotError as problem:
        parts.problems.note(problem)
        return anew


def facts_of(parts: Parts, progress: Progress) -> ShopFacts:
    """The facts to learn from; raises ``BadInput`` where there are none."""
    progress("reading facts", 0, 1)
    facts = facts_read(parts)
    progress("reading facts", 1, 1)
    if not len(facts.log):
        raise BadInput("There are no actions to learn from.", remedy="Import or send some first.")
    return facts
