"""Two recommenders asked the same: what each got, how far they differ, and who gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitue.evaluation.evaluated import Cost, share_text
from habitue.evaluation.report import EvaluationConfig, Line, Measured, report_of
from habitue.evaluation.segments import Asking, Segment, values_in
from habitue.metrics import (
    Interval,
    bootstrap_mean,
    overlap,
    paired_difference,
    paired_lift,
)

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["Comparison", "Difference", "SegmentDifference", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the second lies above the first in one metric, question by question."""

    metric: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class SegmentDifference:
    """How far the second lies above the first in one segment."""

    group: str
    segment: str
    n_questions: int
    metric: str
    first: float
    second: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two recommenders, the first as it was and the second that might take its place."""

    protocol: str
    how: str  # what exactly was asked of what
    n_questions: int
    n_items: int
    first: Line
    second: Line
    differences: list[Difference]
    lift: Interval  # of the first metric
    overlap: Interval  # the share of a list that both show
    segments: list[SegmentDifference]
    costs: list[Cost] = field(default_factory=list)
    currency: str = "EUR"

    @property
    def verdict(self) -> str:
        """What the main metric says, in words."""
        main = self.differences[0]
        if not main.interval.beyond_zero:
            return f"No difference in {main.metric} that chance would not make."
        better = self.second.name if main.interval.estimate > 0 else self.first.name
        return f"{better} is better in {main.metric}: {share_text(self.lift)} of the first."

    def to_json(self) -> str:
        """All of it as JSON."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=float)).decode()

    def to_html(self) -> str:
        """All of it as one page that asks for nothing from elsewhere."""
        from habitue.evaluation.page import comparison_page

        return comparison_page(self)

    def to_table(self) -> Group:
        """All of it as tables for the terminal."""
        from rich.console import Group
        from rich.table import Table

        metrics = Table(
            title=f"{self.protocol}: {self.n_questions:,} questions, {self.n_items:,} items",
            title_justify="left",
            caption=self.how,
            caption_justify="left",
        )
        metrics.add_column("metric")
        for name in (self.first.name, self.second.name, "difference"):
            metrics.add_column(name, justify="right", overflow="fold")
        for one in self.differences:
            metrics.add_row(
                one.metric,
                f"{self.first.intervals[one.metric].estimate:.4f}",
                f"{self.second.intervals[one.metric].estimate:.4f}",
                _difference_text(one.interval),
            )
        for name, value in self.first.figures.items():
            other = self.second.figures.get(name)
            if other is not None:
                metrics.add_row(name, f"{value:.3f}", f"{other:.3f}", f"{other - value:+.3f}")
        parts = Table(title="who gains and who loses", title_justify="left")
        for name in ("", "segment"):
            parts.add_column(name)
        for name in ("questions", self.first.name, self.second.name, "difference"):
            parts.add_column(name, justify="right", overflow="fold")
        for part in self.segments:
            parts.add_row(
                part.group,
                part.segment,
                f"{part.n_questions:,}",
                f"{part.first:.4f}",
                f"{part.second:.4f}",
                _difference_text(part.difference),
            )
        told = f"{self.overlap.estimate:.0%} of a list is shown by both. {self.verdict}"
        return Group(metrics, parts, told)


def compare(
    asking: Asking,
    measured: tuple[Measured, Measured],
    segments: Sequence[Segment],
    rng: np.random.Generator,
    config: EvaluationConfig,
    *,
    how: str,
    costs: Sequence[Cost] = (),
    currency: str = "EUR",
) -> Comparison:
    """Hold what two recommenders answered to one split against each other, question by question.

    ``asking.lists`` and ``measured`` are of the first and then of the second. Both are judged on
    the same resamples of shoppers, so that what makes a shopper hard for both blurs nothing.
    """
    a, b = measured
    report = report_of(asking.split, measured, rng, config)
    first, second = report.lines
    who = asking.split.shopper_row

    def differ(x: NDArray[np.float64], y: NDArray[np.float64]) -> Interval:
        both = ~(np.isnan(x) | np.isnan(y))
        return paired_difference(
            y[both], x[both], rng, group=who[both],
            n_resamples=config.n_resamples, level=config.level,
        )  # fmt: skip

    metrics = [name for name in a.per_question if name in b.per_question]
    main = metrics[0]
    lists = [asking.lists[one.name] for one in measured]
    parts: list[SegmentDifference] = []
    for segment in segments:
        x, y = (values_in(asking.split, segment, rows)[main] for rows in lists)
        n = int((~np.isnan(x)).sum())
        if n:
            parts.append(
                SegmentDifference(
                    segment.group,
                    segment.name,
                    n,
                    main,
                    float(np.nanmean(x)),
                    float(np.nanmean(y)),
                    differ(x, y),
                )
            )
    return Comparison(
        report.protocol,
        how,
        report.n_questions,
        report.n_items,
        first,
        second,
        [Difference(name, differ(a.per_question[name], b.per_question[name])) for name in metrics],
        paired_lift(
            b.per_question[main], a.per_question[main], rng, group=who,
            n_resamples=config.n_resamples, level=config.level,
        ),
        bootstrap_mean(
            overlap(*lists), rng, group=who, n_resamples=config.n_resamples, level=config.level
        ),
        parts,
        list(costs),
        currency,
    )  # fmt: skip


def _difference_text(interval: Interval) -> str:
    mark = "" if not interval.beyond_zero else " ▲" if interval.estimate > 0 else " ▼"
    return f"{interval.estimate:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]{mark}"
