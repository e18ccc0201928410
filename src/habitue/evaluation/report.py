"""What came out: figures with their intervals, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from habitue.errors import BadInput
from habitue.evaluation.replay import Lister, lists_of
from habitue.evaluation.splits import Split
from habitue.metrics import (
    LIST_METRICS,
    Interval,
    bootstrap_means,
    coverage,
    exposure,
    gini,
    head_share,
    hit_of_rank,
    hits_of,
    ndcg_of_rank,
    novelty,
    paired_lift,
    percentile_interval,
    popularity_percentile,
    reciprocal_of_rank,
)

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "Choice",
    "EvaluationConfig",
    "Gap",
    "Judged",
    "Lift",
    "Line",
    "Measured",
    "Report",
    "evaluate",
    "gap_of",
    "measure_lists",
    "measure_ranks",
    "pooled",
    "report_of",
    "signed",
    "switched_off",
]


TABLE = ("ndcg", "recall", "hit_rate", "mrr", "coverage", "popularity")
"""What a table shows of a report; JSON holds all of it."""


class EvaluationConfig(BaseModel):
    """How recommendations are judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(default=10, ge=1, le=1000, description="Slots of a judged list.")
    length: int = Field(
        default=50, ge=1, le=1000, description="Recent actions a judged request sees."
    )
    surface: str = Field(default="home", description="The surface that is judged.")
    n_resamples: int = Field(
        default=2000, ge=100, le=100_000, description="Resamples of the bootstrap intervals."
    )
    level: float = Field(
        default=0.95, gt=0.5, lt=1.0, description="Confidence of the intervals, as a share."
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What one recommender got: figures for each question, and figures for all its lists."""

    name: str
    per_question: dict[str, NDArray[np.float64]]  # metric -> (B,), NaN where it says nothing
    overall: dict[str, float]
    shopper_row: NDArray[np.int32] | None = None  # (B,) whose questions; without, each another's


@dataclass(frozen=True, slots=True)
class Line:
    """One recommender's line of a report."""

    name: str
    intervals: dict[str, Interval]  # means over questions
    figures: dict[str, float] = field(default_factory=dict)  # of all lists together


@dataclass(frozen=True, slots=True)
class Lift:
    """By what share one recommender's mean lies above another's, question by question."""

    name: str
    against: str
    metric: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class Gap:
    """How much better the span that was learnt from is answered than the one that was held out."""

    metric: str
    n_questions: int  # of the span learnt from
    training: Interval
    validation: Interval
    plain_training: Interval  # of the order that was not learnt: how hard each span was
    plain_validation: Interval
    ratio: Interval
    """Training over validation, less what the plain order fell by; 1 where nothing is lost."""

    def __str__(self) -> str:
        ratio = self.ratio
        return (
            f"{self.metric} on what was learnt from {self.training}, on what was held out "
            f"{self.validation}: {ratio.estimate:.2f} times as good "
            f"[{ratio.low:.2f}, {ratio.high:.2f}], less what the span itself was easier"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a surface goes by its best source rather than by what was learnt, and why.

    Chosen on a span before the one that is reported on, by an order that learnt from neither.
    """

    surface: str
    metric: str
    n_questions: int
    source: str  # the best of the sources by itself
    learnt: Interval
    alone: Interval
    difference: Interval
    """The source less the learnt order; as wide as the number of sources asks."""
    taken: bool
    enough: bool = True  # whether there were questions enough to tell

    def __str__(self) -> str:
        how = (
            f"{self.metric} {self.alone} against {self.learnt} on an earlier span "
            f"({self.n_questions:,} questions), {self.difference.estimate:+.4f} "
            f"[{self.difference.low:+.4f}, {self.difference.high:+.4f}]"
        )
        if self.taken:
            return f"{self.surface} goes by {self.source} alone, above the learnt order: {how}"
        why = "" if self.enough else ", too few to tell"
        return f"{self.surface} goes by the learnt order; {self.source} alone: {how}{why}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What leaving a source out changes, and whether it was switched off for it."""

    name: str
    off: bool
    changes: dict[str, Interval]  # by surface: NDCG@10 without it less with it

    def __str__(self) -> str:
        """Its name, and what is lost where it is missed most."""
        most = min(self.changes.values(), key=lambda one: one.estimate)
        return f"{self.name} ({signed(most)})"


def signed(change: Interval) -> str:
    """A difference with its sign and its interval.

    >>> signed(Interval(-0.0002, -0.0011, 0.0006))
    '−0.0002 [−0.0011, 0.0006]'
    """
    return str(change).replace("-", "−")


def switched_off(judged: Sequence[Judged], silent: Sequence[str] = ()) -> str:
    """What was switched off, in words; empty where nothing was.

    >>> switched_off([], ["viewed_viewed"])
    'switched off: viewed_viewed (says nothing here)'
    """
    off = [str(one) for one in judged if one.off]
    off += [f"{name} (says nothing here)" for name in silent]
    return f"switched off: {', '.join(off)}" if off else ""


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation: what was asked, and how each recommender answered."""

    protocol: str
    n_questions: int
    n_items: int
    lines: list[Line]
    lifts: list[Lift] = field(default_factory=list)
    gap: Gap | None = None  # None where only one span could be asked
    choice: Choice | None = None  # None where nothing could be chosen, or nothing was to be
    judged: list[Judged] = field(default_factory=list)  # empty where sources are not judged
    silent: list[str] = field(default_factory=list)  # sources off, for they had nothing to say
    went_on: list[str] = field(default_factory=list)
    """Sources that began where the last training had ended."""

    def line(self, name: str) -> Line:
        """The line of one recommender; raises ``KeyError``."""
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    def lift(self, name: str, against: str) -> Interval:
        """How far ``name`` lies above ``against``; raises ``KeyError``."""
        for lift in self.lifts:
            if (lift.name, lift.against) == (name, against):
                return lift.interval
        raise KeyError((name, against))

    def metrics(self) -> dict[str, float]:
        """Every estimate as ``"<name>/<metric>"``, and ``gap``, for a manifest."""
        found = {
            f"{line.name}/{metric}": value
            for line in self.lines
            for metric, value in (
                *((metric, interval.estimate) for metric, interval in line.intervals.items()),
                *line.figures.items(),
            )
        }
        return found if self.gap is None else found | {"gap": self.gap.ratio.estimate}

    def to_json(self) -> bytes:
        """The report as JSON; ``from_json`` reads it back."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @classmethod
    def from_json(cls, data: bytes | str) -> Report:
        """The report ``to_json`` wrote."""
        return msgspec.json.decode(data, type=cls)

    def _caption(self) -> str | None:
        told = [
            switched_off(self.judged, self.silent),
            f"went on from the last snapshot: {', '.join(self.went_on)}" if self.went_on else "",
            *(str(one) for one in (self.gap, self.choice) if one),
        ]
        return "\n".join(line for line in told if line) or None

    def table(self, columns: Sequence[str] = TABLE) -> Table:
        """The report as a table for a terminal; ``columns`` names metrics without their cut-off."""
        from rich.table import Table

        table = Table(
            title=f"{self.protocol}: {self.n_questions:,} questions, {self.n_items:,} items",
            title_justify="left",
            caption=self._caption(),
            caption_justify="left",
        )
        names = _names([*line.intervals, *line.figures] for line in self.lines)
        shown = [name for key in columns for name in names if name.partition("@")[0] == key]
        against = _names([lift.against] for lift in self.lifts)
        table.add_column("", no_wrap=True)
        for name in shown:
            table.add_column(name, justify="right")
        for other in against:
            metric = next(lift.metric for lift in self.lifts if lift.against == other)
            table.add_column(f"{metric} over {other}", justify="right")
        for line in self.lines:
            cells = [_cell(line, name) for name in shown]
            cells += [_lift_text(self.lifts, line.name, other) for other in against]
            table.add_row(line.name, *cells)
        return table


def measure_lists(split: Split, name: str, item_row: NDArray[np.int32]) -> Measured:
    """Judge lists (B, n): every list metric, and what the lists as a whole show."""
    n = item_row.shape[1]
    hits = hits_of(item_row, split.relevant.indptr, split.relevant.item)
    count = split.relevant.count
    per_question = {f"{key}@{n}": metric(hits, count) for key, metric in LIST_METRICS.items()}
    buyers = split.buyers()
    n_shoppers = int((np.bincount(split.train.shopper_row + 1)[1:] > 0).sum())
    there = np.flatnonzero(split.available)
    column = np.full(split.n_items, -1, np.int32)
    column[there] = np.arange(len(there))
    shown = np.where(item_row >= 0, column[np.maximum(item_row, 0)], -1)
    overall = {
        f"coverage@{n}": coverage(item_row, split.available),
        f"popularity@{n}": _nanmean(popularity_percentile(shown, buyers[there])),
        f"head share@{n}": head_share(shown, buyers[there]),
        f"gini@{n}": gini(exposure(shown, len(there))),
    }
    per_question[f"novelty@{n}"] = novelty(item_row, buyers, max(n_shoppers, 1))
    finite = {k: v for k, v in overall.items() if np.isfinite(v)}
    return Measured(name, per_question, finite, split.shopper_row)


def pooled(parts: Sequence[Measured]) -> Measured:
    """What one recommender got over several splits: all questions together, the rest on average."""
    first = parts[0]
    return Measured(
        first.name,
        {
            name: np.concatenate([one.per_question[name] for one in parts])
            for name in first.per_question
        },
        {
            name: float(np.mean([one.overall[name] for one in parts if name in one.overall]))
            for name in first.overall
        },
        None
        if first.shopper_row is None
        else np.concatenate([one.shopper_row for one in parts if one.shopper_row is not None]),
    )


def gap_of(
    training: Mapping[str, Measured],
    validation: Mapping[str, Measured],
    metric: str,
    learnt: str,
    plain: str,
    rng: np.random.Generator,
    config: EvaluationConfig,
) -> Gap:
    """How far the learnt order falls from the span it was learnt from to the one held out.

    A span may simply be harder: what the ``plain`` order, which learnt from neither, falls by is
    not counted as lost. The two spans are resampled apart.
    """
    means: list[NDArray[np.float64]] = []
    found: list[list[Interval]] = []
    for span in (training, validation):
        values = np.column_stack([span[name].per_question[metric] for name in (learnt, plain)])
        group = span[learnt].shopper_row
        drawn = bootstrap_means(values, rng, n_resamples=config.n_resamples, group=group)
        found.append(
            [
                percentile_interval(_nanmean(values[:, m]), drawn[:, m], config.level)
                for m in range(2)
            ]
        )
        means.append(drawn)
    (trained, plainly), (valid, plain_valid) = found
    estimate = _lost(*(np.array([one.estimate]) for one in (trained, valid, plainly, plain_valid)))
    ratios = _lost(means[0][:, 0], means[1][:, 0], means[0][:, 1], means[1][:, 1])
    return Gap(
        metric,
        len(training[learnt].per_question[metric]),
        trained,
        valid,
        plainly,
        plain_valid,
        percentile_interval(float(estimate[0]), ratios, config.level),
    )


def _lost(
    training: NDArray[np.float64],
    validation: NDArray[np.float64],
    plain_training: NDArray[np.float64],
    plain_validation: NDArray[np.float64],
) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        harder = np.fmax(plain_training / plain_validation, 1.0)
        return (training / validation) / harder


def measure_ranks(
    name: str, rank: NDArray[np.float64], cut_offs: Sequence[int] = (5, 10)
) -> Measured:
    """Judge the ranks (B,) of the one right item of each question."""
    per_question: dict[str, NDArray[np.float64]] = {}
    for n in cut_offs:
        per_question[f"ndcg@{n}"] = ndcg_of_rank(rank, n)
        per_question[f"recall@{n}"] = hit_of_rank(rank, n)
    per_question["mrr"] = reciprocal_of_rank(rank)
    return Measured(name, per_question, {})


def report_of(
    split: Split,
    measured: Sequence[Measured],
    rng: np.random.Generator,
    config: EvaluationConfig | None = None,
    *,
    against: Sequence[str] = (),
    metric: str | None = None,
) -> Report:
    """Intervals for every line, and the lift of every line over each named in ``against``.

    Intervals are bootstrapped over shoppers: a question is a shopper in both splits. Lifts are of
    ``metric``, the first metric unless named, and paired.
    """
    config = config or EvaluationConfig()
    lines = [_line(one, rng, config) for one in measured]
    by_name = {one.name: one for one in measured}
    missing = set(against) - set(by_name)
    if missing:
        raise BadInput(
            f"Nothing was measured under {', '.join(sorted(missing))}.",
            remedy=f"There are {', '.join(by_name)}.",
        )
    lifts = []
    for other in against:
        chosen = metric or next(iter(by_name[other].per_question))
        for one in measured:
            if one.name != other:
                lift = paired_lift(
                    one.per_question[chosen],
                    by_name[other].per_question[chosen],
                    rng,
                    n_resamples=config.n_resamples,
                    level=config.level,
                    group=one.shopper_row,
                )
                lifts.append(Lift(one.name, other, chosen, lift))
    asked = len(next(iter(measured[0].per_question.values()))) if measured else len(split)
    return Report(split.name, asked, int(split.available.sum()), lines, lifts)


def evaluate(
    split: Split,
    listers: Mapping[str, Lister],
    rng: np.random.Generator,
    config: EvaluationConfig | None = None,
    *,
    against: Sequence[str] = (),
) -> Report:
    """Ask every question of every lister, and report.

    Each lister draws from a stream of its own, so adding one changes no other's lists.
    """
    config = config or EvaluationConfig()
    *streams, last = rng.spawn(len(listers) + 1)
    measured = [
        measure_lists(
            split,
            name,
            lists_of(split, lister, config.n, stream, surface=config.surface, length=config.length),
        )
        for (name, lister), stream in zip(listers.items(), streams, strict=True)
    ]
    return report_of(split, measured, last, config, against=against)


def _line(one: Measured, rng: np.random.Generator, config: EvaluationConfig) -> Line:
    names = list(one.per_question)
    values = np.column_stack([one.per_question[name] for name in names])
    if not len(values):
        return Line(one.name, {}, one.overall)
    means = bootstrap_means(values, rng, n_resamples=config.n_resamples, group=one.shopper_row)
    return Line(
        one.name,
        {
            name: percentile_interval(_nanmean(values[:, m]), means[:, m], config.level)
            for m, name in enumerate(names)
        },
        one.overall,
    )


def _nanmean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _names(groups: Iterable[Iterable[str]]) -> list[str]:
    """Every name once, in order of first appearance."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _cell(line: Line, name: str) -> str:
    if name in line.figures:
        return f"{line.figures[name]:.3f}"
    interval = line.intervals.get(name)
    if interval is None:
        return ""
    return f"{interval.estimate:.4f} ±{(interval.high - interval.low) / 2:.4f}"


def _lift_text(lifts: Sequence[Lift], name: str, against: str) -> str:
    for lift in lifts:
        if (lift.name, lift.against) == (name, against):
            low, high = lift.interval.low, lift.interval.high
            return f"{lift.interval.estimate:+.1%} [{low:+.1%}, {high:+.1%}]"
    return ""
