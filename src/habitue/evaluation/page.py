"""An evaluation, or a comparison, as one HTML page: styles and charts within, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from habitue.evaluation.ablation import Ablation, change_text
from habitue.evaluation.charts import Bar, bars, curve, diagram, heat_map
from habitue.evaluation.comparison import Comparison
from habitue.evaluation.evaluated import Evaluated, outlook_rows, share_text
from habitue.evaluation.ratings import HeatMap
from habitue.evaluation.report import switched_off
from habitue.evaluation.segments import SegmentLine
from habitue.evaluation.tuned import Tuned, best_so_far
from habitue.metrics import Interval

__all__ = ["comparison_page", "evaluated_page", "tuned_page"]

_MOST: Final = 15  # knobs shown
_LONG: Final = 20  # letters of an item's name

_PAGES: Final = Path(__file__).with_name("pages")


def evaluated_page(found: Evaluated) -> str:
    """The page of an evaluation."""
    report = found.report
    main = next(iter(report.lines[0].intervals), "")
    best = report.lines[0]
    return _render(
        "evaluated.html",
        found=found,
        main=main,
        best=best,
        switched_off=switched_off(report.judged),
        metrics=_names(line.intervals for line in report.lines),
        figures=_names(line.figures for line in report.lines),
        ranking=bars(
            [
                Bar(line.name, line.intervals[main], strong=place == 0)
                for place, line in enumerate(report.lines)
            ],
            unit=f"{main}, mean over {report.n_questions:,} questions",
            name=f"{main} of every recommender",
        ),
        segments=_segment_bars(found.segments),
        chances=_chances(found),
        curve=_curve(found),
        ablation=_ablation(found.ablation) if found.ablation is not None else "",
        heat_map=_heat_map(found.ratings.heat_map) if found.ratings is not None else "",
        costs=_costs(found),
        outlook=() if found.outlook is None else outlook_rows(found.outlook),
        settings=list(_flat(found.settings)),
    )


def comparison_page(found: Comparison) -> str:
    """The page of a comparison."""
    return _render(
        "comparison.html",
        found=found,
        differences=bars(
            [
                Bar(one.metric, _over(one.interval, found.first.intervals[one.metric].estimate))
                for one in found.differences
                if found.first.intervals[one.metric].estimate
            ],
            unit=f"{found.second.name} over {found.first.name}, as a share of the first",
            name="difference in every metric",
            share=True,
        ),
        gains=bars(
            [Bar(f"{one.group}: {one.segment}", one.difference) for one in found.segments],
            unit=f"difference in {found.differences[0].metric}",
            name="who gains and who loses",
        )
        if found.segments
        else "",
    )


def tuned_page(found: Tuned) -> str:
    """The page of a search for better settings."""
    level = found.start.level
    return _render(
        "tuned.html",
        found=found,
        worth=bars(
            [Bar("start", found.start), Bar("found", found.found, strong=True)],
            unit=f"{found.metric}, mean over {found.n_reported:,} questions",
            name="what the settings are worth",
        ),
        importance=bars(
            [
                Bar(name, Interval(share, share, share, level))
                for name, share in list(found.importance.items())[:_MOST]
            ],
            unit="share explained",
            name="what mattered",
            share=True,
        )
        if found.importance
        else "",
        tries=curve(
            [(place + 1) / len(found.reached) for place in range(len(found.reached))],
            [Interval(one, one, one, level) for one in best_so_far(found.reached)],
            x_label=f"share of {len(found.reached)} tries",
            y_label=f"best {found.metric} so far",
            name="the search",
        ),
    )


def _render(page: str, **told: Any) -> str:
    return _environment().get_template(page).render(**told)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": _plain,
        "interval": _interval,
        "share": share_text,
        "change": change_text,
    }
    return environment


def _segment_bars(lines: Iterable[SegmentLine]) -> list[tuple[str, Markup]]:
    """A chart for each way the questions were parted: the lift in every part."""
    groups: dict[str, list[SegmentLine]] = {}
    for line in lines:
        if line.lift is not None:
            groups.setdefault(line.group, []).append(line)
    return [
        (
            group,
            bars(
                [Bar(line.segment, line.lift) for line in told if line.lift is not None],
                unit="above whom it is measured against",
                name=f"lift by {group}",
                share=True,
            ),
        )
        for group, told in groups.items()
    ]


def _chances(found: Evaluated) -> Markup:
    one = found.chances
    if one is None:
        return Markup("")
    return diagram(one.said, one.happened, one.count, name="reliability diagram")


def _curve(found: Evaluated) -> Markup:
    learnt = found.curve
    if learnt is None:
        return Markup("")
    return curve(
        [point.share for point in learnt.points],
        [point.reached for point in learnt.points],
        x_label=f"share of the {learnt.by} learnt from",
        y_label=learnt.metric,
        name=f"learning curve by {learnt.by}",
    )


def _ablation(found: Ablation) -> Markup:
    lines = [*found.lines, *([] if found.chance is None else [found.chance])]
    return bars(
        [
            Bar(f"without {line.name}", line.change, strong=line.change.beyond_zero)
            for line in lines
        ],
        unit=f"{found.metric} without it less with it",
        name="what leaving each source out changes",
    )


def _heat_map(found: HeatMap) -> Markup:
    dots = [
        [
            "" if said is None else f"said {said:g}{', held out' if held else ''}"
            for said, held in zip(given, hidden, strict=True)
        ]
        for given, hidden in zip(found.given, found.held, strict=True)
    ]
    return heat_map(
        found.foretold,
        dots,
        [f"shopper {place + 1}" for place in range(len(found.foretold))],
        [name if len(name) <= _LONG else name[: _LONG - 1] + "…" for name in found.items],
        found.low,
        found.high,
        name="foretold ratings of shoppers for items",
    )


def _costs(found: Evaluated) -> list[tuple[str, float, float, str]]:
    """Of every recommender its cost beside what it is worth."""
    gain = {lift.name: lift for lift in found.report.lifts}
    return [
        (
            one.name,
            one.cpu_seconds_per_1000,
            one.price_per_1000,
            f"{share_text(gain[one.name].interval)} over {gain[one.name].against}"
            if one.name in gain
            else "",
        )
        for one in found.costs
    ]


def _over(interval: Interval, base: float) -> Interval:
    low, high = interval.low / base, interval.high / base
    return Interval(interval.estimate / base, low, high, interval.level)


def _names(groups: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for place, one in enumerate(value):
                yield from _flat(one, f"{prefix}{name}[{place}].")
        else:
            yield prefix + name, "none" if value is None else str(value)


def _plain(value: float) -> str:
    return f"{value:,.4g}"


def _interval(one: Interval | None) -> str:
    if one is None:
        return ""
    return f"{one.estimate:.4f} ±{(one.high - one.low) / 2:.4f}"
