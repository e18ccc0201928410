"""What a search for better settings found: in one value, for the terminal, as JSON, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from habitue.evaluation.evaluated import share_text
from habitue.metrics import Interval

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["Changed", "Tuned"]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Changed:
    """One setting that differs between what was begun with and what was found."""

    name: str
    before: bool | float
    after: bool | float


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best settings that were tried, and what they are worth on a span nobody chose on."""

    metric: str
    n_chosen_on: int  # questions of the last span but one
    reached: list[float]  # there, by every setting tried, in order; the first is the start
    n_new: int  # tried this time; the others were tried before
    n_reported: int  # questions of the last span, asked once
    chosen: Interval  # of the best over the start, where it was chosen, paired
    start: Interval
    found: Interval
    lift: Interval  # of what was found over the start, on the last span, paired
    changed: list[Changed]
    importance: dict[str, float] = field(default_factory=dict)  # empty with too few tried
    toml: str = ""  # the settings of training, as a file that ``habitue`` reads
    shop: str = ""

    def to_json(self) -> str:
        """All of it as JSON."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()

    def to_html(self) -> str:
        """All of it as one page that asks for nothing from elsewhere."""
        from habitue.evaluation.page import tuned_page

        return tuned_page(self)

    def to_table(self) -> Group:
        """What was found, what it is worth, and what mattered, for a terminal."""
        from rich.console import Group
        from rich.table import Table

        worth = Table("", self.metric, title=self.verdict, title_justify="left")
        worth.add_row("start", str(self.start))
        worth.add_row("found", str(self.found))
        tables = [worth]
        if self.changed:
            changes = Table("setting", "start", "found", title_justify="left", title="what differs")
            for one in self.changed:
                changes.add_row(one.name, _said(one.before), _said(one.after))
            tables.append(changes)
        if self.importance:
            share = Table("setting", "share", title_justify="left", title="what mattered")
            for name, value in list(self.importance.items())[:_SHOWN]:
                share.add_row(name, f"{value:.0%}")
            tables.append(share)
        return Group(*tables)

    @property
    def verdict(self) -> str:
        """What is reported, in a sentence."""
        tried = f"{len(self.reached)} settings tried ({self.n_new} of them now)"
        if not self.changed:
            best = share_text(self.chosen)
            asked = f"{self.n_chosen_on:,} questions of the last span but one"
            return f"{tried}; on {asked} none is surely better than the start: the best is {best}"
        lift = self.lift
        return (
            f"{tried}; on {self.n_reported:,} questions of the last span the best is "
            f"{share_text(lift)} over the start"
        )


def best_so_far(reached: Sequence[float]) -> list[float]:
    """The best up to each try.

    >>> best_so_far([0.1, 0.3, 0.2])
    [0.1, 0.3, 0.3]
    """
    found: list[float] = []
    for one in reached:
        found.append(max(one, found[-1]) if found else one)
    return found


def _said(value: bool | float) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int) else f"{value:.4g}"
