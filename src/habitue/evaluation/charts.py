"""Small charts as inline SVG: no library, no script, nothing asked for from elsewhere.

Colours are the page's own (``var(--accent)`` and so on), so that a chart follows light and dark.
Every mark carries its figure as a title, which a pointer or a screen reader finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from habitue.metrics import Interval

__all__ = ["Bar", "bars", "curve", "diagram", "heat_map", "ticks"]

_WIDTH: Final = 720
_ROW: Final = 30
_LABEL: Final = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 14, 46

_BAR: Final = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="16" rx="3"/>')
_WHISKER: Final = Markup(
    '<path class="whisker" d="M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}v8M{:.1f} {:.1f}v8"/>'
)
_POINT: Final = Markup(
    '<circle class="point" cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{}</title></circle>'
)
_CELL: Final = Markup(
    '<rect class="cell" x="{}" y="{}" width="{}" height="{}" style="fill-opacity:{:.3f}">'
    "<title>{}</title></rect>"
)
_UPRIGHT: Final = Markup(
    '<text class="axis" text-anchor="middle" transform="translate(14 {:.1f}) rotate(-90)">{}</text>'
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: an estimate with its interval."""

    label: str
    interval: Interval
    strong: bool = False


def bars(rows: Sequence[Bar], *, unit: str, name: str, share: bool = False) -> Markup:
    """Estimates beside each other, a row each, with their intervals as whiskers.

    Where some lie below zero, bars grow from zero to either side. What is not finite, a lift over
    nothing, is named without a bar.
    """
    known = [row.interval for row in rows if math.isfinite(row.interval.estimate)]
    reach = [v for one in known for v in (one.low, one.estimate, one.high) if math.isfinite(v)]
    low, high = min(0.0, *reach, 0.0), max(0.0, *reach, 0.0)
    marks = ticks(low, high)
    low, high = min(low, marks[0]), max(high, marks[-1])
    wide = _WIDTH - _LABEL - 90

    def x(value: float) -> float:
        return _LABEL + (value - low) / ((high - low) or 1.0) * wide

    def said(value: float) -> str:
        return f"{value:+.1%}" if share else _plain(value)

    height = len(rows) * _ROW + _BOTTOM
    parts = [_grid_line(x(mark), 0, x(mark), len(rows) * _ROW) for mark in marks]
    parts += [_text(x(mark), len(rows) * _ROW + 18, said(mark), "middle", "tick") for mark in marks]
    for place, row in enumerate(rows):
        y = place * _ROW + _ROW / 2
        label = _text(_LABEL - 10, y + 5, row.label, "end", "label")
        if not math.isfinite(row.interval.estimate):
            parts.append(label + _text(x(0.0) + 8, y + 5, "nothing to compare", "start", "tick"))
            continue
        least, most = (
            end if math.isfinite(end) else row.interval.estimate
            for end in (row.interval.low, row.interval.high)
        )
        start, end = sorted((x(0.0), x(row.interval.estimate)))
        told = tuple(map(said, (row.interval.estimate, row.interval.low, row.interval.high)))
        title = f"{row.label}: {told[0]} [{told[1]}, {told[2]}]"
        parts.append(
            Markup("<g><title>{}</title>").format(title)
            + label
            + _BAR.format("bar strong" if row.strong else "bar", start, y - 8, max(end - start, 1))
            + _WHISKER.format(x(least), y, x(most), x(least), y - 4, x(most), y - 4)
            + _text(x(max(most, 0.0)) + 8, y + 5, told[0], "start", "value")
            + Markup("</g>")
        )
    parts.append(_text(_LABEL + wide / 2, height - 6, unit, "middle", "axis"))
    return _svg(_WIDTH, height, name, parts)


def curve(
    xs: Sequence[float],
    ys: Sequence[Interval],
    *,
    x_label: str,
    y_label: str,
    name: str,
) -> Markup:
    """A line through estimates with a band of their intervals; ``xs`` are shares."""
    box = _Box(0.0, 1.0, *_bounds([v for y in ys for v in (y.low, y.high)]))
    parts = box.grid(y_label=y_label, x_label=x_label, shares=True)
    there = [
        (box.x(x), box.y(y.low), box.y(y.high), box.y(y.estimate))
        for x, y in zip(xs, ys, strict=True)
    ]
    upper = " ".join(f"{x:.1f},{high:.1f}" for x, _, high, _ in there)
    lower = " ".join(f"{x:.1f},{low:.1f}" for x, low, _, _ in reversed(there))
    parts.append(Markup('<polygon class="band" points="{} {}"/>').format(upper, lower))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, _, _, y in there)
    parts.append(Markup('<polyline class="line" points="{}"/>').format(line))
    for (x, _, _, y), share, one in zip(there, xs, ys, strict=True):
        parts.append(_POINT.format(x, y, f"{share:.0%}: {one}"))
        parts.append(_text(x, y - 12, _plain(one.estimate), "middle", "value"))
    return _svg(box.width, box.height, name, parts)


def diagram(
    said: Sequence[float], happened: Sequence[float], count: Sequence[int], *, name: str
) -> Markup:
    """A reliability diagram: what was said against what happened; on the diagonal both agree."""
    high = ticks(0.0, max(*said, *happened, 1e-6))[-1]
    box = _Box(0.0, high, 0.0, high)
    parts = box.grid(y_label="came true", x_label="chance foretold", shares=True)
    parts.append(
        Markup('<path class="ideal" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(
            box.x(0), box.y(0), box.x(high), box.y(high)
        )
    )
    places = [(box.x(a), box.y(b)) for a, b in zip(said, happened, strict=True)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(Markup('<polyline class="line" points="{}"/>').format(points))
    for (x, y), a, b, n in zip(places, said, happened, count, strict=True):
        title = f"said {a:.2%}, came true {b:.2%}, of {n:,} slots"
        parts.append(_POINT.format(x, y, title))
    return _svg(box.width, box.height, name, parts)


def heat_map(
    value: Sequence[Sequence[float]],
    dots: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    low: float,
    high: float,
    *,
    name: str,
) -> Markup:
    """A cell for each value, stronger the higher; ``dots`` mark cells and add to their titles."""
    side, left, top = 22, 110, 130
    span = (high - low) or 1.0
    parts: list[Markup] = []
    for y, (line, marks) in enumerate(zip(value, dots, strict=True)):
        parts.append(_text(left - 8, top + y * side + 15, rows[y], "end", "tick"))
        for x, (one, mark) in enumerate(zip(line, marks, strict=True)):
            depth = max(0.0, min(1.0, (one - low) / span))
            title = f"{rows[y]}, {columns[x]}: {one:.2f}{mark and ' · ' + mark}"
            cell = _CELL.format(left + x * side, top + y * side, side - 1, side - 1, depth, title)
            parts.append(cell)
            if mark:
                parts.append(
                    Markup('<circle class="dot" cx="{}" cy="{}" r="2.4"/>').format(
                        left + x * side + side / 2 - 0.5, top + y * side + side / 2 - 0.5
                    )
                )
    for x, label in enumerate(columns):
        parts.append(
            Markup('<text class="tick" transform="translate({} {}) rotate(-55)">{}</text>').format(
                left + x * side + 14, top - 8, label
            )
        )
    width, height = left + len(columns) * side + 60, top + len(rows) * side + 6
    return _svg(width, height, name, parts)


class _Box:
    """A plane to draw in, with its axes."""

    width, height = 560, 340

    def __init__(self, x_low: float, x_high: float, y_low: float, y_high: float) -> None:
        self._x, self._y = (x_low, x_high), (y_low, y_high)

    def x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / ((high - low) or 1.0) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self._y
        tall = self.height - _TOP - _BOTTOM
        return _TOP + tall - (value - low) / ((high - low) or 1.0) * tall

    def grid(self, *, x_label: str, y_label: str, shares: bool) -> list[Markup]:
        floor = self.height - _BOTTOM
        parts: list[Markup] = []
        for mark in ticks(*self._y):
            parts.append(_grid_line(_LEFT, self.y(mark), self.width - _RIGHT, self.y(mark)))
            parts.append(_text(_LEFT - 8, self.y(mark) + 4, _plain(mark), "end", "tick"))
        for mark in ticks(*self._x):
            label = f"{mark:.4g}" if not shares else f"{100 * mark:.4g} %"
            parts.append(_text(self.x(mark), floor + 18, label, "middle", "tick"))
        middle = (_LEFT + self.width - _RIGHT) / 2
        parts.append(_text(middle, self.height - 6, x_label, "middle", "axis"))
        parts.append(_UPRIGHT.format((_TOP + floor) / 2, y_label))
        return parts


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """About ``n`` round numbers from ``low`` to ``high`` or just beyond.

    >>> ticks(0.0, 0.083)
    [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]
    """
    high = high if high > low else low + 1.0
    raw = (high - low) / n
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * size >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds the values and ends on round numbers."""
    marks = ticks(min(values), max(values))
    return marks[0], marks[-1]


def _plain(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1 else f"{value:,.4g}"


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, text
    )


def _grid_line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<path class="grid" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(x1, y1, x2, y2)


def _svg(width: float, height: float, name: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" '
        'style="max-width:{:.0f}px">{}</svg>'
    ).format(width, height, name, width, Markup("").join(parts))
