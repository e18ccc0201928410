"""For whom, and of what, were the recommendations right? The same lists, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habitue.evaluation.splits import Split
from habitue.facts import MS_PER_DAY
from habitue.metrics import (
    LIST_METRICS,
    Interval,
    bootstrap_means,
    hits_of,
    paired_lift,
    percentile_interval,
)

__all__ = [
    "Asking",
    "Segment",
    "SegmentLine",
    "by_label",
    "by_novelty",
    "by_popularity",
    "segment_lines",
    "values_in",
]

SHOWN = ("ndcg", "recall", "hit_rate")
"""The metrics that are shown of a segment."""

_HEAD = 0.2  # the share of items that is the head, as in ``metrics.head_share``

_NEW_DAYS = 28.0  # how long an item is new, as long as a span of training


@dataclass(frozen=True, slots=True)
class Asking:
    """A split and what was answered to it: lists (B, n) by the name of who answered."""

    split: Split
    lists: Mapping[str, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the questions, or of the items that are right."""

    group: str  # what it is a part of: life cycle, platform, items
    name: str
    question: NDArray[np.bool_] | None = None  # (B,) the questions that count
    item: NDArray[np.bool_] | None = None  # (n_items,) the items that count as right


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """How right one recommender was in one segment."""

    group: str
    segment: str
    name: str
    n_questions: int
    intervals: dict[str, Interval]
    lift: Interval | None = None  # of the first metric, over whom it is measured against


def by_label(split: Split, group: str, label: Sequence[str | None]) -> list[Segment]:
    """A segment for each label (n_shoppers,) of the shoppers asked, the largest first."""
    asked = np.array([label[row] or "" for row in split.shopper_row.tolist()])
    names, count = np.unique(asked[asked != ""], return_counts=True)
    return [
        Segment(group, str(name), question=asked == name)
        for name in names[np.argsort(-count, kind="stable")]
    ]


def by_popularity(split: Split, head: float = _HEAD) -> list[Segment]:
    """The items most taken before, a fifth of them, and all the others."""
    buyers = split.buyers()
    there = np.flatnonzero(split.available)
    ranked = there[np.argsort(-buyers[there], kind="stable")]
    is_head = np.zeros(split.n_items, np.bool_)
    is_head[ranked[: max(1, round(head * len(ranked)))]] = True
    return [Segment("items", "head", item=is_head), Segment("items", "tail", item=~is_head)]


def by_novelty(split: Split, days: float = _NEW_DAYS) -> list[Segment]:
    """The items nobody had done anything with until ``days`` before the questions; none without."""
    train = split.train
    if not len(split) or not len(train):
        return []
    rows, first = np.unique(train.item_row, return_index=True)  # the log is in order of time
    since = int(split.now_ms.max()) - int(days * MS_PER_DAY)
    is_new = split.available.copy()
    is_new[rows[(rows >= 0) & (train.at_ms[first] < since)]] = False
    return [Segment("items", "new", item=is_new)]


def values_in(
    split: Split, segment: Segment, item_row: NDArray[np.int32]
) -> dict[str, NDArray[np.float64]]:
    """The metrics of lists (B, n) in a segment, question by question; NaN outside it."""
    n = item_row.shape[1]
    relevant = split.relevant
    hits = hits_of(item_row, relevant.indptr, relevant.item)
    count = relevant.count
    if segment.item is not None:
        hits = hits & segment.item[np.maximum(item_row, 0)]
        owner = np.repeat(np.arange(len(split)), count)
        count = np.bincount(owner[segment.item[relevant.item]], minlength=len(split))
    values = {f"{key}@{n}": LIST_METRICS[key](hits, count) for key in SHOWN}
    if segment.question is not None:
        for value in values.values():
            value[~segment.question] = np.nan
    return values


def segment_lines(
    asked: Sequence[tuple[Asking, Sequence[Segment]]],
    rng: np.random.Generator,
    *,
    names: Sequence[str],
    against: str,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> list[SegmentLine]:
    """How right each of ``names`` was in every segment, all askings together.

    Shoppers are resampled; lifts over ``against`` are paired. Segments in which nobody was asked
    are left out.
    """
    places: dict[tuple[str, str], list[tuple[Asking, Segment]]] = {}
    for asking, segments in asked:
        for one in segments:
            places.setdefault((one.group, one.name), []).append((asking, one))
    lines: list[SegmentLine] = []
    for (group, segment), parts in places.items():
        shopper = np.concatenate([asking.split.shopper_row for asking, _ in parts])
        values = {
            name: _joined([values_in(a.split, s, a.lists[name]) for a, s in parts])
            for name in dict.fromkeys((*names, against))
        }
        for name in names:
            mine = values[name]
            metrics = list(mine)
            table = np.column_stack([mine[metric] for metric in metrics])
            said = ~np.isnan(table[:, 0])
            if not said.any():
                continue
            who, table = shopper[said], table[said]
            means = bootstrap_means(table, rng, n_resamples=n_resamples, group=who)
            first = metrics[0]
            lines.append(
                SegmentLine(
                    group,
                    segment,
                    name,
                    int(said.sum()),
                    {
                        metric: percentile_interval(
                            float(table[:, m].mean()), means[:, m], level
                        )
                        for m, metric in enumerate(metrics)
                    },
                    None
                    if name == against
                    else paired_lift(
                        mine[first][said], values[against][first][said], rng,
                        n_resamples=n_resamples, level=level, group=who,
                    ),
                )
            )  # fmt: skip
    return lines


def _joined(parts: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
