"""Evaluation of an open shop: train on the past, ask what came after."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from habitue.app.asking import (
    cost_of,
    parts_of_questions,
    pipeline_trained,
    timed_lists,
    with_breadth,
)
from habitue.app.learning import facts_of
from habitue.app.lesser import CurveBy, learning_curve
from habitue.app.portraying import conversions_of
from habitue.app.returning import measure_outlook
from habitue.errors import BadInput
from habitue.evaluation.ablation import Ablation, ablation_of
from habitue.evaluation.chances import Chances, chances_of
from habitue.evaluation.evaluated import Cost, Evaluated
from habitue.evaluation.outcomes import outcomes_of, rates_by
from habitue.evaluation.ratings import measure_ratings
from habitue.evaluation.replay import Lister, by_score, lists_of, through
from habitue.evaluation.report import (
    Choice,
    EvaluationConfig,
    Gap,
    Judged,
    Measured,
    measure_lists,
    pooled,
    report_of,
)
from habitue.evaluation.segments import (
    Asking,
    Segment,
    by_novelty,
    segment_lines,
)
from habitue.evaluation.splits import Split, by_time, k_fold, leave_last_out, rolling
from habitue.facts import MS_PER_DAY, ActionKind
from habitue.metrics import hits_of
from habitue.training.dataset import NEVER_MS, ShopFacts
from habitue.training.orders import learn_without
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst, Trained, train
from habitue.training.understood import kinds_read, understood

if TYPE_CHECKING:
    from habitue.app.shop import Progress
    from habitue.app.wiring import Parts
    from habitue.training.config import TrainingConfig, TrainingSettings


__all__ = ["Protocol", "evaluate_shop", "held_out_span"]

Protocol = Literal["by-time", "leave-last-out", "k-fold", "rolling"]

_BEGINNING: Final = np.iinfo(np.int64).min
_WITHOUT: Final = "without "  # before the name of the source that is left out


@dataclass(frozen=True, slots=True)
class _Task:
    """One split, what may be learnt from for it, and up to when."""

    held: Split
    known: ShopFacts
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Answered:
    """A split with what everyone answered to it."""

    asking: Asking
    measured: dict[str, Measured]
    score: NDArray[np.float32]  # (B, n) of the whole pipeline
    segments: list[Segment]
    gap: Gap | None
    choice: Choice | None
    training_seconds: float
    asking_seconds: dict[str, float]
    without: Asking | None = None  # what was answered without each source, where that was asked
    without_seconds: float = 0.0
    judged: list[Judged] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def evaluate_shop(
    parts: Parts,
    *,
    split: str,
    rebuy: bool,
    n: int,
    seed: int,
    folds: int,
    curve: str,
    ablate: bool = False,
    progress: Progress,
) -> Evaluated:
    """Train on the past, ask what came after, and beside it what shown slates earned."""
    _check_choice("split", split, get_args(Protocol))
    _check_choice("curve", curve, get_args(CurveBy))
    told = facts_of(parts, progress)
    settings = parts.settings
    facts, config = understood(told, settings.training_run(), conversions_of(parts))
    changes = {"evaluate": False, "rebuy": rebuy}
    if ablate:  # orders are compared that are all learnt
        changes["best_source"] = False
    config = config.model_copy(update=changes)
    kinds = kinds_read(conversions_of(parts), config.taken)
    rng, drawn, dealt = np.random.default_rng(seed).spawn(3)
    judged = EvaluationConfig(n=n, length=config.recent_length)
    tasks = _tasks(facts, split, kinds, rebuy, config, folds, dealt)
    with_gap = config.model_copy(update={"evaluate": True})
    answered = [
        _answer(
            parts, task, with_gap if task is tasks[-1] else config, judged, stream, progress,
            ablate=ablate,
        )
        for task, stream in zip(tasks, rng.spawn(len(tasks)), strict=True)
    ]  # fmt: skip
    measured = [pooled([one.measured[name] for one in answered]) for name in answered[0].measured]
    first = f"ndcg@{n}"
    best = max(measured[1:], key=lambda one: float(np.nanmean(one.per_question[first]))).name
    report = report_of(answered[0].asking.split, measured, drawn, judged, against=(best,))
    last = answered[-1]
    report = replace(
        report, gap=last.gap, choice=last.choice, judged=last.judged, silent=last.silent
    )
    outcomes = outcomes_of(parts.store, conversions=conversions_of(parts))
    learnt = None
    if curve != "none":
        asked = tasks[-1]
        learnt = learning_curve(
            asked.held, asked.known, asked.until_ms, config, curve, judged, drawn, progress
        )
    return Evaluated(
        report,
        shown=rates_by(outcomes, "surface", drawn) if outcomes.height else [],
        segments=segment_lines(
            [(one.asking, one.segments) for one in answered],
            drawn,
            names=("habitue",),
            against=best,
        ),
        chances=_chances(answered, drawn),
        outlook=measure_outlook(parts, facts, seed, progress),
        ratings=measure_ratings(
            facts.between(_BEGINNING, _ended(facts)),
            drawn,
            settings.evaluation.ratings,
            item_name=_titles(facts).__getitem__,
        ),
        curve=learnt,
        ablation=_ablation(answered, drawn) if ablate else None,
        costs=_costs([one.asking_seconds for one in answered], settings.evaluation.cpu_hour_price),
        training_cpu_seconds=sum(one.training_seconds for one in answered),
        currency=settings.shop.base_currency,
        shop=settings.shop.name,
        settings=config.model_dump(mode="json"),
    )


def _ablation(answered: Sequence[_Answered], rng: np.random.Generator) -> Ablation:
    """What each source adds, over all splits."""
    asked = [
        (one.without, [*one.segments, *by_novelty(one.without.split)])
        for one in answered
        if one.without is not None
    ]
    left = [name.removeprefix(_WITHOUT) for name in asked[0][0].lists if name.startswith(_WITHOUT)]
    return ablation_of(
        asked,
        rng,
        without={name: _WITHOUT + name for name in left if name},
        again=_WITHOUT,
        cpu_seconds=sum(one.without_seconds for one in answered),
    )


def _chances(answered: Sequence[_Answered], rng: np.random.Generator) -> Chances | None:
    """How well the pipeline's scores tell which slots are right, over all splits."""
    splits = [one.asking.split for one in answered]
    hits = [
        hits_of(one.asking.lists["habitue"], held.relevant.indptr, held.relevant.item)
        for one, held in zip(answered, splits, strict=True)
    ]
    return chances_of(
        np.concatenate([one.score for one in answered]),
        np.concatenate(hits),
        np.concatenate([held.shopper_row for held in splits]),
        rng,
    )


def _check_choice(field: str, said: str, choices: Sequence[str]) -> None:
    if said not in choices:
        raise BadInput(
            f"There is no {field} {said!r}.", remedy=f"Use {' or '.join(choices)}.", field=field
        )


def held_out_span(facts: ShopFacts, config: TrainingSettings) -> tuple[int, int]:
    """The span that is asked about: the last window, a quarter of the log at most."""
    until = _ended(facts)
    length = min(config.window_days * MS_PER_DAY, (until - int(facts.log.at_ms[0])) / 4)
    return int(until - length), until


def _ended(facts: ShopFacts) -> int:
    return int(facts.log.at_ms[-1]) + 1


def _tasks(
    facts: ShopFacts,
    split: str,
    kinds: frozenset[ActionKind],
    rebuy: bool,
    config: TrainingConfig,
    folds: int,
    rng: np.random.Generator,
) -> list[_Task]:
    """What is asked, what may be learnt from, and up to when."""
    cut, until = held_out_span(facts, config)
    standing = facts.between(_BEGINNING, until)
    if split == "by-time":
        held = [by_time(standing, cut, until, kinds=kinds, repurchase=rebuy)]
    elif split == "rolling":
        most = (until - int(facts.log.at_ms[0])) // max(until - cut, 1) - 1
        n = max(1, min(folds, int(most)))
        held = rolling(standing, until, until - cut, n, kinds=kinds, repurchase=rebuy)
    elif split == "k-fold":
        held = k_fold(standing, folds, rng, kinds=kinds)
    else:
        held = [leave_last_out(standing, kinds=kinds)]
    in_time = split in ("by-time", "rolling")
    tasks = [
        _Task(one, facts, int(one.now_ms[0]))
        if in_time
        else _Task(one, _only(facts, one), int(one.now_ms.max()) + 1)
        for one in held
        if len(one)
    ]
    if not tasks:
        raise BadInput(
            "Nobody can be asked: no shopper came back in the span held out.",
            remedy="There is too little history yet; evaluate again when shoppers have returned.",
        )
    return tasks


def _only(facts: ShopFacts, held: Split) -> ShopFacts:
    """The facts with nothing of what was held out."""
    none = np.full(len(held.train), NEVER_MS, np.int64)
    return replace(facts, log=held.train, void_from_ms=none, slates={})


def _answer(
    parts: Parts,
    task: _Task,
    config: TrainingConfig,
    judged: EvaluationConfig,
    rng: np.random.Generator,
    progress: Progress,
    *,
    ablate: bool = False,
) -> _Answered:
    """Train for one split, and ask the pipeline and every source by itself."""
    learn, ask = rng.spawn(2)
    held = task.held
    began = time.process_time()
    trained = train(
        task.known, config, rng=learn, now_ms=task.until_ms, progress=progress,
        keep=("home",) if ablate else (),
    )  # fmt: skip
    training_seconds = time.process_time() - began
    score: list[NDArray[np.float32]] = []
    pipeline = pipeline_trained(trained)
    listers: dict[str, Lister] = {"habitue": through(pipeline)}
    listers |= {source.name: by_score(source) for source in trained.sources}
    lists: dict[str, NDArray[np.int32]] = {}
    seconds: dict[str, float] = {}
    for place, (name, lister) in enumerate(listers.items()):
        stream = ask.spawn(1)[0]
        timed = through(pipeline, score) if name == "habitue" else lister
        lists[name], seconds[name] = timed_lists(held, lister, timed, judged, stream)
        progress("asking", place + 1, len(listers))
    measured = {
        name: with_breadth(measure_lists(held, name, rows), held, rows, trained.columns)
        for name, rows in lists.items()
    }
    left: dict[str, NDArray[np.int32]] = {}
    began = time.process_time()
    if ablate:
        left = _without_each(trained, config, held, judged, ask, progress)
    return _Answered(
        Asking(held, lists),
        measured,
        np.concatenate(score),
        parts_of_questions(parts, held, trained.columns, config.taken),
        None if trained.report is None else trained.report.gap,
        trained.choice,
        training_seconds,
        {name: 1000 * spent / len(held) for name, spent in seconds.items()},
        Asking(held, lists | left) if ablate else None,
        time.process_time() - began,
        trained.judged,
        trained.silent,
    )


def _without_each(
    trained: Trained,
    config: TrainingConfig,
    held: Split,
    judged: EvaluationConfig,
    rng: np.random.Generator,
    progress: Progress,
) -> dict[str, NDArray[np.int32]]:
    """Lists of the pipeline without each source, and of it whole, learnt again by other lots."""
    config = config.without(trained.silent)
    names = [one.name for one in trained.sources if trained.config.can_spare(one.name, "home")]
    off = [one.name for one in trained.judged if one.off]
    lists: dict[str, NDArray[np.int32]] = {}
    for place, name in enumerate([*names, ""]):
        lot = rng.spawn(1)[0]
        left = [*off, name] if name else off
        rankers = learn_without(trained.lessons, config, left, lot)
        sources = [one for one in trained.sources if one.name != name]
        pipeline = pipeline_of(
            config.without(left), sources, rankers, trained.stats, trained.columns, BestFirst()
        )
        lists[_WITHOUT + name] = lists_of(
            held, through(pipeline), judged.n, lot, length=judged.length
        )
        progress("leaving a source out", place + 1, len(names) + 1)
    return lists


def _titles(facts: ShopFacts) -> list[str]:
    """Items by their titles as they are now, by their ids where they have none: (n_items,)."""
    versions = facts.versions
    latest = versions.as_of(NEVER_MS, np.zeros(len(versions.ids), np.int64))
    title = latest.frame["title"].fill_null("").to_list()
    return [said or one for said, one in zip(title, versions.ids, strict=True)]


def _costs(seconds: Sequence[Mapping[str, float]], cpu_hour_price: float) -> list[Cost]:
    """What 1,000 answers took, on average over the splits."""
    mean = {name: float(np.mean([one[name] for one in seconds])) for name in seconds[0]}
    return [cost_of(name, spent, cpu_hour_price) for name, spent in mean.items()]
