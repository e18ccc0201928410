"""Facts up to a watermark and a config become sources, rankers and what serving needs beside them.

The past is cut into spans. At each cut sources are fitted on what lay before; what came after
teaches the ranker how far to trust them. The last span is held out first and the pipeline measured
on it; then the ranker learns from it too, and sources are fitted once more on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from operator import itemgetter
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from habitue.candidates.contract import Source, TrainingFacts
from habitue.candidates.roster import learner_of
from habitue.errors import BadInput
from habitue.evaluation.replay import lists_of, through
from habitue.evaluation.report import (
    Choice,
    EvaluationConfig,
    Judged,
    Measured,
    Report,
    gap_of,
    measure_lists,
    report_of,
)
from habitue.evaluation.splits import Split, by_time
from habitue.facts import MS_PER_DAY
from habitue.policy.best_first import BestFirst
from habitue.policy.rebuy import usual_gap_days
from habitue.portraits import ItemColumns, ItemStats, ShopperIndex
from habitue.ranking.lambdamart import LambdaMartRanker, RankingSet
from habitue.slates.pipeline import Pipeline
from habitue.training.best_source import best_source, by_source
from habitue.training.config import TrainingConfig
from habitue.training.dataset import ShopFacts
from habitue.training.moments import at_cut, beside_carts, beside_items, in_visits
from habitue.training.orders import learn_orders
from habitue.training.pruning import judge_sources
from habitue.training.serving import pipeline_of
from habitue.training.shown import at_slates
from habitue.training.silence import says_nothing, unheard
from habitue.training.together import together
from habitue.training.warm_start import WarmStart, continuing
from habitue.training.windows import Moments, Window, lessons, window_of

__all__ = [
    "BestFirst",
    "Progress",
    "Trained",
    "fit_sources",
    "lessons_of",
    "span_cuts",
    "train",
]

_ASKED = 500  # moments of each kind at which a source may show that it has something to say

Progress = Callable[[str, float, float], None]
"""Told (step, done, total) as work goes on."""


def _silent(step: str, done: float, total: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Everything a snapshot holds."""

    config: TrainingConfig
    sources: tuple[Source, ...]
    rankers: dict[str, LambdaMartRanker]  # by surface; none where there was too little to learn
    stats: ItemStats
    columns: ItemColumns
    usual_gap_days: NDArray[np.float32]  # (n_items,)
    facts: TrainingFacts
    watermark: int
    report: Report | None
    metrics: dict[str, float]
    lessons: list[dict[str, RankingSet]] = field(default_factory=list)
    """Of each span, by surface, where they were to be kept; of those ``judged`` off, too."""
    judged: list[Judged] = field(default_factory=list)
    """What each source adds, where ``config.prune`` asks; ``config`` is without those off."""
    silent: list[str] = field(default_factory=list)
    """Sources that had nothing to say; ``config`` is without them."""
    robots: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """Rows of those who were left out, for no person keeps up with them."""
    choice: Choice | None = None  # what home goes by; none where nothing was to be chosen
    left: WarmStart = field(default_factory=WarmStart)  # what the next training may go on from


def train(
    facts: ShopFacts,
    config: TrainingConfig,
    *,
    rng: np.random.Generator,
    now_ms: int | None = None,
    progress: Progress = _silent,
    keep: Collection[str] = (),
    off_before: Collection[str] = (),
    warm: WarmStart | None = None,
) -> Trained:
    """Train on everything before ``now_ms``; the moment after the last action, unless said.

    The lessons of the surfaces ``keep`` are kept, with who proposed what in them, so that their
    orders can be learnt again without a source. ``off_before`` names the sources that the last
    snapshot had switched off, and ``warm`` holds what of it can be gone on from. Raises
    ``BadInput`` when there are no actions.
    """
    if not len(facts.log):
        raise BadInput("There are no actions to learn from.", remedy="Import or send some first.")
    now = int(facts.log.at_ms[-1]) + 1 if now_ms is None else now_ms
    cuts = span_cuts(int(facts.log.at_ms[0]), now, config)
    seeds = rng.spawn(len(cuts) + 3)
    going_on = rng.spawn(1)[0]
    earlier = warm or WarmStart()
    continued = _continued(facts, cuts, config, going_on, earlier)
    lots, silence = rng.spawn(2)
    spans = list(pairwise([*cuts, now]))
    step = _Counted("spans of the past", len(spans) + 3, progress)
    tracked = (*config.surfaces, "home") if config.prune.enabled else keep

    def look_back(number: int) -> tuple[Window, dict[str, RankingSet]]:
        cut, until = spans[number]
        known = facts.as_of(cut)
        sources = fit_sources(known, config, seeds[number], continued[cut])
        window = window_of(known, sources, config.item_stats)
        taught = lessons_of(facts, window, until, config, seeds[number], tracked)
        step.done()
        return window, taught

    looked = together([partial(look_back, n) for n in range(len(spans))], config.threads)
    taught = [lesson for _, lesson in looked]
    silent: list[str] = []
    if config.prune.silent and looked:
        silent = _unheard_now(facts, looked, now, config, set(continuing(config)), silence)
    if silent:
        config = config.without(silent)
        taught = [{name: one.unsaid(silent) for name, one in span.items()} for span in taught]
        windows = [window.without(silent) for window, _ in looked]
        looked = list(zip(windows, taught, strict=True))
    kept = [{name: one for name, one in span.items() if name in keep} for span in taught]
    judged: list[Judged] = []
    if config.prune.enabled and len(looked) > 2:
        progress("judging the sources", 0, 1)
        judged = _judged(facts, looked[-2][0], spans[-2][1], taught[:-2], config, rng, off_before)
        progress("judging the sources", 1, 1)
    full, taught_all, looked_at = config, taught, [window for window, _ in looked]
    off = [one.name for one in judged if one.off]
    if off:
        config = config.without(off)
        taught = [{name: one.without(off) for name, one in span.items()} for span in taught]
        windows = [window.without(off) for window, _ in looked]
        looked = list(zip(windows, taught, strict=True))

    def hold_out() -> tuple[Choice | None, Report | None]:
        choice = best_source(facts, looked, config, BestFirst(), lots)
        if not config.evaluate or not looked:
            step.done()
            return choice, None
        held = looked[-1][0]
        fresh = window_of(facts.as_of(held.cut_ms), looked_at[-1].sources, config.item_stats)
        beside: dict[str, Pipeline] = {}
        if off:
            everything = _home_of(taught_all[:-1])
            order = learn_orders(everything, full, seeds[-3])
            beside["all sources"] = _asked_of(full, fresh, order)
            fresh = fresh.without(off)
        rankers = learn_orders(_home_of(taught[:-1]), config, seeds[-3])
        before = looked[-2][0] if len(looked) > 1 else None
        going_by = by_source(config, choice)
        report = _measure(facts, fresh, before, rankers, now, going_by, seeds[-3], beside)
        step.done()
        if report is not None:
            report = replace(report, choice=choice, judged=judged, silent=silent)
        return choice, report

    def learn() -> dict[str, LambdaMartRanker]:
        rankers = learn_orders(taught, config, seeds[-2])
        step.done()
        return rankers

    def fit() -> tuple[TrainingFacts, Window]:
        known = facts.as_of(now)
        continued[now] = _continued(facts, [now], config, going_on, earlier, continued)[now]
        sources = fit_sources(known, config, seeds[-1], continued[now])
        window = window_of(known, sources, config.item_stats)
        step.done()
        return known, window

    (choice, report), rankers, (known, last) = together([hold_out, learn, fit], config.threads)
    going_by = by_source(config, choice)
    left = _left(continued, earlier, config)
    return Trained(
        going_by,
        last.sources,
        {name: one for name, one in rankers.items() if name not in going_by.written_down()},
        last.stats,
        last.columns,
        usual_gap_days(known.log, last.columns.category),
        known,
        facts.watermark,
        None if report is None else replace(report, went_on=left.went_on),
        ({} if report is None else report.metrics()) | {"robots": float(facts.n_robots)},
        kept,
        judged,
        silent,
        facts.robots,
        choice,
        left,
    )


class _Counted:
    """Tells how many of a step's parts are done, whichever thread finished one."""

    def __init__(self, step: str, total: int, progress: Progress) -> None:
        self._step, self._total, self._progress = step, total, progress
        self._done = 0
        self._lock = Lock()
        progress(step, 0, total)

    def done(self) -> None:
        """One more is."""
        with self._lock:
            self._done += 1
            self._progress(self._step, self._done, self._total)


def span_cuts(first_ms: int, now_ms: int, config: TrainingConfig) -> list[int]:
    """Where the spans begin, oldest first: as many as leave a span's length of history before.

    >>> day = 86_400_000
    >>> [cut // day for cut in span_cuts(0, 100 * day, TrainingConfig(windows=5))]
    [25, 50, 75]
    """
    length = min(config.window_days * MS_PER_DAY, (now_ms - first_ms) / 4)
    n = min(config.windows, int((now_ms - first_ms) / length) - 1)
    return [int(now_ms - length * k) for k in range(n, 0, -1)] if length >= 1 else []


def fit_sources(
    facts: TrainingFacts,
    config: TrainingConfig,
    rng: np.random.Generator,
    fitted: Mapping[str, Source] | None = None,
) -> tuple[Source, ...]:
    """Every source of the config, fitted on these facts; those ``fitted`` already are taken."""
    streams = rng.spawn(len(config.sources))
    done = fitted or {}
    return tuple(
        done[source.name] if source.name in done else learner_of(source).fit(facts, stream)
        for source, stream in zip(config.sources, streams, strict=True)
    )


def _continued(
    facts: ShopFacts,
    cuts: Sequence[int],
    config: TrainingConfig,
    rng: np.random.Generator,
    warm: WarmStart,
    before: Mapping[int, Mapping[str, Source]] | None = None,
) -> dict[int, Mapping[str, Source]]:
    """By cut the sources whose learners go on from one cut to the next, oldest first.

    A network is trained once; what happened until the next cut costs it a few passes more. Where
    an earlier training knows more of what lay before a cut, it is gone on with from there
    (``warm``). ``before`` are those of earlier cuts.
    """
    learners = continuing(config)
    fitted = dict(before or {})
    for cut in cuts:
        known = facts.as_of(cut) if learners else None
        here: dict[str, Source] = {}
        for name, learner in learners.items():
            assert known is not None
            held = (one.latest(name, cut) for one in (WarmStart(fitted), warm))
            last = max((one for one in held if one is not None), key=itemgetter(0), default=None)
            here[name] = (
                learner.fit(known, rng) if last is None else learner.go_on(last[1], known, rng)
            )
        fitted[cut] = here
    return fitted


def _left(
    continued: Mapping[int, Mapping[str, Source]], earlier: WarmStart, config: TrainingConfig
) -> WarmStart:
    """What the next training may go on from; the first of each says whether this one did."""
    first = continued[min(continued)]
    in_a_row = {
        name: earlier.in_a_row.get(name, 0) + 1 if learner.went_on(first[name]) else 0
        for name, learner in continuing(config).items()
    }
    return WarmStart(continued, in_a_row, config.taken, earlier.erased)


def lessons_of(
    facts: ShopFacts,
    window: Window,
    until_ms: int,
    config: TrainingConfig,
    rng: np.random.Generator,
    proposed: Collection[str] = (),
) -> dict[str, RankingSet]:
    """What each surface teaches in the span from the window's cut to ``until_ms``.

    On the surfaces ``proposed`` it is kept who proposed what.
    """
    later = facts.between(window.cut_ms, until_ms)
    taught: dict[str, list[RankingSet]] = {surface: [] for surface in config.surfaces}
    for moments in _moments_of(facts, window.cut_ms, until_ms, config, rng):
        surface = moments.context.surface
        if surface not in taught:
            continue
        taught[surface].append(
            lessons(
                window.copy(),  # its statistics are led on through the span
                moments,
                config.quota(surface),
                rebuy=config.rebuy,
                rng=rng,
                kept=config.kept,
                later=later,
                proposed=surface in proposed,
            )
        )
    return {surface: RankingSet.joined(parts) for surface, parts in taught.items()}


def _moments_of(
    facts: ShopFacts, cut_ms: int, until_ms: int, config: TrainingConfig, rng: np.random.Generator
) -> list[Moments]:
    """When shoppers are asked about between the cut and ``until_ms``, surface by surface."""
    index = ShopperIndex.of(facts.between(np.iinfo(np.int64).min, until_ms))
    span = (index, cut_ms, until_ms, config.recent_length)
    horizon = int(config.visit_days * MS_PER_DAY)
    asked: list[Moments] = [
        at_cut(*span, limit=config.starts, rng=rng),
        in_visits(*span, horizon_ms=horizon, limit=config.visits, rng=rng),
        beside_items(*span, limit=config.visits, rng=rng),
        beside_carts(*span, limit=config.visits, rng=rng),
    ]
    asked += [
        at_slates(slates, *span, limit=config.slates, rng=rng) for slates in facts.slates.values()
    ]
    return asked


def _unheard_now(
    facts: ShopFacts,
    looked: Sequence[tuple[Window, Mapping[str, RankingSet]]],
    now_ms: int,
    config: TrainingConfig,
    continued: Collection[str],
    rng: np.random.Generator,
) -> list[str]:
    """The sources that had nothing to say in any span, and have nothing to say now.

    Only those not heard in the spans are fitted for it. Networks that are ``continued`` are not.
    """
    window = looked[-1][0]
    names = unheard([taught for _, taught in looked], window.sources, config, continued)
    if not names:
        return []
    fitting, drawing = rng.spawn(2)
    heard = [one.name for one in config.sources if one.name not in names]
    fitted = fit_sources(facts.as_of(now_ms), config.without(heard), fitting)
    few = config.model_copy(update={"starts": _ASKED, "visits": _ASKED, "slates": 0})
    moments = _moments_of(facts, window.cut_ms, now_ms, few, drawing)
    asked = [one.context for one in moments if len(one.context)]
    return [one.name for one in fitted if asked and says_nothing(one, asked)]


def _judged(
    facts: ShopFacts,
    window: Window,
    until_ms: int,
    taught: Sequence[Mapping[str, RankingSet]],
    config: TrainingConfig,
    rng: np.random.Generator,
    off_before: Collection[str],
) -> list[Judged]:
    """Sources judged on requests of the span of a window, each with all its candidates."""
    drawn, judging = rng.spawn(2)
    n = config.prune.questions
    said = {"starts": n, "visits": n, "slates": 0, "kept": np.iinfo(np.int32).max}
    asked = config.model_copy(update=said)
    questions = lessons_of(facts, window, until_ms, asked, drawn, config.surfaces)
    return judge_sources(taught, questions, window.sources, config, judging, off_before)


def _home_of(taught: Sequence[Mapping[str, RankingSet]]) -> list[dict[str, RankingSet]]:
    return [{"home": span["home"]} for span in taught if "home" in span]


def _asked_of(
    config: TrainingConfig, window: Window, rankers: Mapping[str, LambdaMartRanker]
) -> Pipeline:
    """The pipeline of a window, answering with the best and nothing else."""
    return pipeline_of(config, window.sources, rankers, window.stats, window.columns, BestFirst())


def _measure(
    facts: ShopFacts,
    window: Window,
    before: Window | None,
    rankers: dict[str, LambdaMartRanker],
    until_ms: int,
    config: TrainingConfig,
    rng: np.random.Generator,
    beside: Mapping[str, Pipeline],
) -> Report | None:
    """How the pipeline answers the held-out span, and the one ``before`` it that it learnt from.

    ``beside`` it others are asked the same.
    """
    judged = EvaluationConfig(length=config.recent_length)
    *streams, last = rng.spawn(3 + len(beside))
    split, measured = _ask(facts, window, rankers, until_ms, config, judged, streams, beside)
    if not len(split):
        return None
    against = ("untrained", *beside)
    report = report_of(split, list(measured.values()), last, judged, against=against)
    if before is None or not rankers:
        return report
    learnt, answered = _ask(facts, before, rankers, window.cut_ms, config, judged, streams, {})
    if not len(learnt):
        return report
    metric = f"ndcg@{judged.n}"
    gap = gap_of(answered, measured, metric, "home", "untrained", last, judged)
    return replace(report, gap=gap)


def _ask(
    facts: ShopFacts,
    window: Window,
    rankers: dict[str, LambdaMartRanker],
    until_ms: int,
    config: TrainingConfig,
    judged: EvaluationConfig,
    streams: Sequence[np.random.Generator],
    beside: Mapping[str, Pipeline],
) -> tuple[Split, dict[str, Measured]]:
    """What the pipeline, and the same without what was learnt, answer to the span of a window."""
    log = facts.between(np.iinfo(np.int64).min, until_ms)
    split = by_time(log, window.cut_ms, until_ms, repurchase=config.rebuy)
    asked = {
        "home": _asked_of(config, window, rankers),
        "untrained": _asked_of(config, window, {}),
        **beside,
    }
    listers = {name: through(pipeline) for name, pipeline in asked.items()}
    measured = {
        name: measure_lists(
            split, name, lists_of(split, lister, judged.n, stream, length=judged.length)
        )
        for (name, lister), stream in zip(listers.items(), streams, strict=False)
    }
    return split, measured
