"""Training and evaluation of an open shop: facts from its store, snapshots into its folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import numpy as np

from habitue.app.portraying import NORMS, conversions_of
from habitue.errors import BadInput
from habitue.evaluation import Report
from habitue.evaluation.outcomes import Rates, outcomes_of, rates_by, rates_table
from habitue.evaluation.replay import by_score, lists_of, through
from habitue.evaluation.report import EvaluationConfig, measure_lists, report_of
from habitue.evaluation.splits import Split, by_time, leave_last_out
from habitue.facts import MS_PER_DAY, ActionKind, code_of
from habitue.portraits import ShopNorms
from habitue.training.dataset import ShopFacts, facts_of_store
from habitue.training.serving import pipeline_of
from habitue.training.snapshots import write_snapshot
from habitue.training.train import BestFirst, Trained, train

if TYPE_CHECKING:
    from rich.console import Group

    from habitue.app.shop import Progress
    from habitue.app.wiring import Parts
    from habitue.training.config import TrainingConfig

__all__ = ["REPORT", "Evaluated", "Protocol", "evaluate_shop", "train_snapshot"]

REPORT: Final = "report.json"
"""In a snapshot's folder: what it was measured at."""

Protocol = Literal["by-time", "leave-last-out"]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How right the shop's recommendations were: on held-out actions, and on slates it showed."""

    report: Report
    shown: list[Rates] = field(default_factory=list)  # by surface; empty where none was shown

    def to_json(self) -> str:
        """Both as JSON."""
        both = {"report": msgspec.Raw(self.report.to_json()), "shown": self.shown}
        return msgspec.json.format(msgspec.json.encode(both, enc_hook=float)).decode()

    def to_table(self) -> Group:
        """Both as tables for the terminal."""
        from rich.console import Group

        tables: list[Any] = [self.report.table()]
        if self.shown:
            tables.append(rates_table(self.shown, "surface"))
        return Group(*tables)


def train_snapshot(parts: Parts, *, now_ms: int, seed: int, progress: Progress) -> str:
    """Train on every fact up to now and write a snapshot; its name.

    Raises ``BadInput`` when there is nothing to learn from, ``SnapshotRefused`` when the new one
    does far worse on its held-out span than the active one did on its own.
    """
    facts = _facts(parts, progress)
    trained = train(
        facts, parts.settings.training, rng=np.random.default_rng(seed), progress=progress
    )
    last = parts.snapshots.active()
    parts.snapshots.sweep()
    progress("writing the snapshot", 0, 1)
    norms = ShopNorms.of(
        trained.facts.log,
        trained.columns,
        trained.facts.now_ms,
        currency=parts.settings.shop.base_currency,
        config=parts.settings.portraits,
        kinds=conversions_of(parts),
    )
    made = write_snapshot(
        trained,
        parts.snapshots,
        now_ms=now_ms,
        lineage=parts.store.stored().lineage,
        last=None if last is None else last.manifest,
        beside={NORMS: norms},
    )
    progress("writing the snapshot", 1, 1)
    return made.manifest.id


def evaluate_shop(
    parts: Parts, *, split: str, rebuy: bool, n: int, seed: int, progress: Progress
) -> Evaluated:
    """Train on the past, ask what came after, and beside it what shown slates earned."""
    if split not in get_args(Protocol):
        raise BadInput(
            f"There is no split {split!r}.", remedy="Use by-time or leave-last-out.", field="split"
        )
    facts = _facts(parts, progress)
    config = parts.settings.training.model_copy(update={"evaluate": False, "rebuy": rebuy})
    kinds = frozenset(code_of(name) for name in parts.settings.shop.conversions)
    held, known = _split(facts, split, kinds, rebuy, config)
    rng, drawn = np.random.default_rng(seed).spawn(2)
    until = int(held.now_ms.max()) + 1 if split == "leave-last-out" else int(held.now_ms[0])
    trained = train(known, config, rng=rng, now_ms=until, progress=progress)
    report = _report(held, trained, config, n, drawn, progress)
    outcomes = outcomes_of(parts.store, conversions=kinds)
    return Evaluated(report, rates_by(outcomes, "surface", drawn) if outcomes.height else [])


def _facts(parts: Parts, progress: Progress) -> ShopFacts:
    progress("reading facts", 0, 1)
    config = parts.settings.training
    facts = facts_of_store(
        parts.store,
        allowed_unless_said=parts.settings.privacy.default_consent,
        robots=config.robots if config.leave_out_robots else None,
    )
    progress("reading facts", 1, 1)
    if not len(facts.log):
        raise BadInput("There are no actions to learn from.", remedy="Import or send some first.")
    return facts


def _split(
    facts: ShopFacts,
    split: str,
    kinds: frozenset[ActionKind],
    rebuy: bool,
    config: TrainingConfig,
) -> tuple[Split, ShopFacts]:
    """What is asked, and what may be learnt from."""
    until = int(facts.log.at_ms[-1]) + 1
    standing = facts.between(np.iinfo(np.int64).min, until)
    if split == "by-time":
        length = min(config.window_days * MS_PER_DAY, (until - int(facts.log.at_ms[0])) / 4)
        held, known = (
            by_time(standing, int(until - length), until, kinds=kinds, repurchase=rebuy),
            facts,
        )
    else:
        held = leave_last_out(standing, kinds=kinds)
        none = np.full(len(held.train), np.iinfo(np.int64).max, np.int64)
        known = replace(facts, log=held.train, void_from_ms=none, slates={})
    if not len(held):
        raise BadInput(
            "Nobody can be asked: no shopper came back in the span held out.",
            remedy="There is too little history yet; evaluate again when shoppers have returned.",
        )
    return held, known


def _report(
    held: Split,
    trained: Trained,
    config: TrainingConfig,
    n: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Report:
    pipeline = pipeline_of(
        config, trained.sources, trained.rankers, trained.stats, trained.columns, BestFirst()
    )
    listers = {"habitue": through(pipeline)}
    listers |= {source.name: by_score(source) for source in trained.sources}
    judged = EvaluationConfig(n=n, length=config.recent_length)
    *streams, last = rng.spawn(len(listers) + 1)
    measured = []
    for (name, lister), stream in zip(listers.items(), streams, strict=True):
        rows = lists_of(held, lister, n, stream, length=judged.length)
        measured.append(measure_lists(held, name, rows))
        progress("asking", len(measured), len(listers))
    best = max(measured[1:], key=lambda one: float(one.per_question[f"ndcg@{n}"].mean()))
    return report_of(held, measured, last, judged, against=(best.name,))
