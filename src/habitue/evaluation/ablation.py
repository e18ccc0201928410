"""What does each source add? The same questions, asked of the pipeline learnt without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from habitue.evaluation.segments import Asking, Segment, values_in
from habitue.metrics import Interval, bootstrap_means, percentile_interval

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = ["Ablation", "Left", "PartOfAblation", "ablation_of", "ablation_tables"]


@dataclass(frozen=True, slots=True)
class PartOfAblation:
    """What leaving a source out changes for some shoppers, or for some items."""

    group: str  # life cycle, platform, items
    segment: str
    n_questions: int
    change: Interval  # without it less with it

    @property
    def label(self) -> str:
        """The segment by a name of its own: shoppers may be new, and items."""
        return f"{self.segment} items" if self.group == "items" else self.segment


@dataclass(frozen=True, slots=True)
class Left:
    """The pipeline with a source left out."""

    name: str
    reached: Interval
    change: Interval  # without it less with it: below 0 where it helps
    parts: list[PartOfAblation]


@dataclass(frozen=True, slots=True)
class Ablation:
    """What each source adds to the learnt pipeline."""

    metric: str
    n_questions: int
    reached: Interval  # with everything
    lines: list[Left]  # the most missed first
    chance: Left | None
    """Nothing left out, learnt again by other lots: a change no larger than this says nothing."""
    cpu_seconds: float = 0.0  # of learning and asking without each

    def telling(self, part: PartOfAblation) -> bool:
        """Whether a change is clear of zero, and larger than what other lots change there."""
        chance = 0.0
        for one in () if self.chance is None else self.chance.parts:
            if (one.group, one.segment) == (part.group, part.segment):
                chance = abs(one.change.estimate)
        return part.change.beyond_zero and abs(part.change.estimate) > chance


def ablation_of(
    asked: Sequence[tuple[Asking, Sequence[Segment]]],
    rng: np.random.Generator,
    *,
    without: Mapping[str, str],
    full: str = "habitue",
    again: str | None = None,
    cpu_seconds: float = 0.0,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Ablation:
    """Hold the lists of the pipeline without each source against those of the ``full`` one.

    ``without`` names the lists of each source's absence, ``again`` those of the full pipeline
    learnt once more. Differences are of NDCG, paired; shoppers are resampled.
    """
    names = list(dict.fromkeys([*without.values(), *([] if again is None else [again])]))
    everything = [(asking, [Segment("", ""), *segments]) for asking, segments in asked]
    places: dict[tuple[str, str], list[tuple[Asking, Segment]]] = {}
    for asking, segments in everything:
        for one in segments:
            places.setdefault((one.group, one.name), []).append((asking, one))
    reached: dict[str, Interval] = {}
    changes: dict[str, list[PartOfAblation]] = {name: [] for name in names}
    metric, n_questions = "", 0
    for (group, segment), parts in places.items():
        metric, who, values = _values(parts, [full, *names])
        if not len(who):
            continue
        means = bootstrap_means(values, rng, n_resamples=n_resamples, group=who)
        mean = values.mean(axis=0)
        for column, name in enumerate([full, *names]):
            if not group:
                n_questions = len(who)
                reached[name] = percentile_interval(float(mean[column]), means[:, column], level)
            if column:
                apart = percentile_interval(
                    float(mean[column] - mean[0]), means[:, column] - means[:, 0], level
                )
                changes[name].append(PartOfAblation(group, segment, len(who), apart))

    def left(name: str, lists: str) -> Left:
        whole, *of_parts = changes[lists]
        return Left(name, reached[lists], whole.change, of_parts)

    lines = [left(name, lists) for name, lists in without.items()]
    return Ablation(
        metric,
        n_questions,
        reached[full],
        sorted(lines, key=lambda one: one.change.estimate),
        None if again is None else left("nothing", again),
        cpu_seconds,
    )


def _values(
    parts: Sequence[tuple[Asking, Segment]], names: Sequence[str]
) -> tuple[str, NDArray[np.int32], NDArray[np.float64]]:
    """The first metric, and who was asked in a segment (L,) with what each got: (L, n_names)."""
    who = np.concatenate([asking.split.shopper_row for asking, _ in parts])
    got = [[values_in(a.split, s, a.lists[name]) for a, s in parts] for name in names]
    metric = next(iter(got[0][0]))
    table = np.column_stack([np.concatenate([one[metric] for one in mine]) for mine in got])
    said = ~np.isnan(table[:, 0])
    return metric, who[said], table[said]


def ablation_tables(found: Ablation) -> Group:
    """What each source adds, over all questions and part by part, for a terminal."""
    from rich.console import Group

    lines = [*found.lines, *([] if found.chance is None else [found.chance])]
    return Group(_whole_table(found, lines), _parts_table(found, lines))


def _whole_table(found: Ablation, lines: Sequence[Left]) -> Table:
    from rich.table import Table

    table = Table(
        title=f"what each source adds: {found.metric} {found.reached} with all of them",
        title_justify="left",
        caption=_caption(found),
        caption_justify="left",
    )
    table.add_column("left out", no_wrap=True)
    for name in (found.metric, "without it less with it"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(line.name, f"{line.reached.estimate:.4f}", change_text(line.change))
    return table


def _caption(found: Ablation) -> str:
    told = f"{found.cpu_seconds:.0f} CPU-seconds for learning and asking without each."
    if found.chance is None:
        return told
    return f"nothing: learnt again by other lots; smaller changes are chance. {told}"


def _parts_table(found: Ablation, lines: Sequence[Left]) -> Table:
    """Each part a column; a star where a change tells something."""
    from rich.table import Table

    table = Table(
        title="for whom, and of what: without it less with it", title_justify="left",
        caption="* clear of zero, and more than chance", caption_justify="left",
    )  # fmt: skip
    table.add_column("left out", no_wrap=True)
    for part in lines[0].parts if lines else ():
        table.add_column(f"{part.label}\n({part.n_questions:,})", justify="right")
    for line in lines:
        cells = [
            f"{part.change.estimate:+.4f}{'*' if found.telling(part) else ' '}"
            for part in line.parts
        ]
        table.add_row(line.name, *cells)
    return table


def change_text(change: Interval) -> str:
    """A difference, signed, with its interval."""
    return f"{change.estimate:+.4f} [{change.low:+.4f}, {change.high:+.4f}]"
