"""All that an evaluation found, in one value: for the terminal, as JSON, as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from habitue.behaviour.outlook import OutlookMeasured
from habitue.evaluation.ablation import Ablation, ablation_tables
from habitue.evaluation.chances import Chances
from habitue.evaluation.outcomes import Rates, rates_table
from habitue.evaluation.ratings import RatingReport
from habitue.evaluation.report import Report
from habitue.evaluation.segments import SegmentLine
from habitue.metrics import Interval

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = [
    "Cost",
    "CurvePoint",
    "Evaluated",
    "LearningCurve",
    "enough_of",
    "outlook_rows",
    "segment_table",
    "share_text",
]

_ENOUGH = 0.02


@dataclass(frozen=True, slots=True)
class Cost:
    """What a recommender takes to answer, measured while it was asked."""

    name: str
    cpu_seconds_per_1000: float
    price_per_1000: float  # in the shop's currency


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What was reached with a share of the data."""

    share: float
    n_shoppers: int  # learnt from
    n_actions: int
    cpu_seconds: float  # of training
    reached: Interval
    short: Interval  # by what share it lies above all the data's figure, paired: below 0


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """What more data was worth."""

    by: str  # shoppers, time
    metric: str
    points: list[CurvePoint]
    enough: float | None
    """The smallest share after which more was worth less than 2 %; None where more still helps."""


def enough_of(points: Sequence[CurvePoint], within: float = _ENOUGH) -> float | None:
    """The smallest share that, like all above it, reaches all the data's figure but for ``within``.

    None where only all of the data does: then more is likely to help.
    """
    chosen: float | None = None
    for point in reversed(sorted(points, key=lambda one: one.share)[:-1]):
        if not point.short.estimate >= -within:  # NaN where nothing was reached at all
            break
        chosen = point.share
    return chosen


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How right the shop's recommendations were: on held-out actions, and on slates it showed."""

    report: Report
    shown: list[Rates] = field(default_factory=list)  # by surface; empty where none was shown
    segments: list[SegmentLine] = field(default_factory=list)
    chances: Chances | None = None
    ratings: RatingReport | None = None
    curve: LearningCurve | None = None
    costs: list[Cost] = field(default_factory=list)
    training_cpu_seconds: float = 0.0
    currency: str = "EUR"
    shop: str = ""
    settings: dict[str, Any] = field(default_factory=dict)  # what was trained with
    ablation: Ablation | None = None
    outlook: OutlookMeasured | None = None

    def to_json(self) -> str:
        """All of it as JSON."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=float)).decode()

    def to_html(self) -> str:
        """All of it as one page that asks for nothing from elsewhere."""
        from habitue.evaluation.page import evaluated_page

        return evaluated_page(self)

    def to_table(self) -> Group:
        """All of it as tables for the terminal."""
        from rich.console import Group

        tables: list[Any] = [self.report.table()]
        if self.segments:
            tables.append(segment_table(self.segments))
        if self.ablation is not None:
            tables.append(ablation_tables(self.ablation))
        if self.ratings is not None:
            tables.append(_rating_table(self.ratings))
        if self.outlook is not None:
            tables.append(_outlook_table(self.outlook))
        if self.curve is not None:
            tables.append(_curve_table(self.curve))
        if self.costs:
            tables.append(_cost_table(self.costs, self.currency))
        if self.shown:
            tables.append(rates_table(self.shown, "surface"))
        return Group(*tables)


def segment_table(lines: Sequence[SegmentLine]) -> Table:
    """Segments as a table for a terminal."""
    from rich.table import Table

    metrics = list(dict.fromkeys(name for line in lines for name in line.intervals))
    table = Table(title="by segment", title_justify="left")
    for name in ("", "segment", "who"):
        table.add_column(name)
    for name in ("questions", *metrics, "lift"):
        table.add_column(name, justify="right")
    before = ""
    for line in lines:
        group, before = "" if line.group == before else line.group, line.group
        cells = [
            f"{one.estimate:.4f} ±{(one.high - one.low) / 2:.4f}"
            for one in (line.intervals[name] for name in metrics)
        ]
        lift = "" if line.lift is None else share_text(line.lift)
        table.add_row(group, line.segment, line.name, f"{line.n_questions:,}", *cells, lift)
    return table


def share_text(interval: Interval) -> str:
    """A lift as a signed share with its interval; a dash over nothing."""
    if not math.isfinite(interval.estimate):
        return "–"
    low, high = interval.low, interval.high
    return f"{interval.estimate:+.1%} [{low:+.1%}, {high:+.1%}]"


def _rating_table(ratings: RatingReport) -> Table:
    from rich.table import Table

    table = Table(
        "foretold by", "RMSE", "MAE", title=f"{ratings.n_held:,} ratings held out",
        title_justify="left",
    )  # fmt: skip
    for line in ratings.lines:
        table.add_row(line.name, str(line.rmse), str(line.mae))
    return table


def outlook_rows(found: OutlookMeasured) -> list[tuple[str, str, str, str]]:
    """Outlooks beside recency, frequency and value: name, AUC, concordance, calibration error."""

    def text(figure: float | None) -> str:
        return "–" if figure is None else f"{figure:.4f}"

    return [
        ("outlook", text(found.auc), text(found.concordance), text(found.calibration_error)),
        ("recency, frequency, value", text(found.rfv_auc), text(found.rfv_concordance), ""),
    ]


def _outlook_table(found: OutlookMeasured) -> Table:
    from rich.table import Table

    table = Table(
        title=f"{found.customers:,} customers, of whom {found.bought:.0%} bought within "
        f"{found.horizon_days:.0f} days",
        title_justify="left",
    )
    for name in ("told by", "AUC", "concordance", "calibration error"):
        table.add_column(name)
    for row in outlook_rows(found):
        table.add_row(*row)
    return table


def _curve_table(curve: LearningCurve) -> Table:
    from rich.table import Table

    table = Table(title=f"learning from part of the {curve.by}", title_justify="left")
    for name in ("share", "shoppers", "actions", curve.metric, "short of all", "CPU-seconds"):
        table.add_column(name, justify="right")
    for point in curve.points:
        table.add_row(
            f"{point.share:.0%}",
            f"{point.n_shoppers:,}",
            f"{point.n_actions:,}",
            str(point.reached),
            share_text(point.short) if point.share < 1 else "",
            f"{point.cpu_seconds:.1f}",
        )
    return table


def _cost_table(costs: Sequence[Cost], currency: str) -> Table:
    from rich.table import Table

    table = Table(title="cost of 1,000 recommendations", title_justify="left")
    for name in ("", "CPU-seconds", currency):
        table.add_column(name, justify="right" if name else "left")
    for one in costs:
        table.add_row(one.name, f"{one.cpu_seconds_per_1000:.3f}", f"{one.price_per_1000:.2g}")
    return table
