"""Online Retail, day by day: the source ``sequence`` begun anew, and gone on with from yesterday.

    python -m benchmarks.warm_start [--part test|validation] [--days N] [--replay 1.0] ...

On each trading day the source is trained on everything before it, anew and going on from the source
of the day before (the first day's is the same for both). Asked is what every known customer who
buys within the next seven days takes that is new to them, NDCG@10, ranked by the source alone;
paired over customers and days, customers resampled. Settings were chosen on ``validation``, which
ends before the test begins.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.online_retail import day_ms, facts_of_parquet
from habitue.behaviour.config import BehaviourConfig, LossConfig, ScheduleConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.sequence import SequenceConfig, SequenceLearner, SequenceSource
from habitue.evaluation.replay import Asked, lists_of
from habitue.evaluation.report import measure_lists
from habitue.evaluation.splits import Split, by_time
from habitue.facts import MS_PER_DAY
from habitue.metrics import bootstrap_mean
from habitue.training.dataset import ShopFacts
from tests.needs import data_folder

PARTS = {"validation": day_ms(2011, 9, 5), "test": day_ms(2011, 10, 31)}
HORIZON_DAYS = 7
BEHAVIOUR = BehaviourConfig(
    kinds=("purchase",), dim=64, length=50, content=False, loss=LossConfig(negatives=256),
    schedule=ScheduleConfig(epochs=12, tokens=2500),
)  # fmt: skip


@dataclass
class Line:
    """One way to train, day after day."""

    name: str
    config: SequenceConfig
    goes_on: bool
    source: SequenceSource | None = None
    cpu_seconds: list[float] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    found: list[NDArray[np.float64]] = field(default_factory=list)

    def learn(self, facts: TrainingFacts, day: int) -> None:
        """The source as of a day's morning."""
        learner, rng = SequenceLearner(self.config), np.random.default_rng([day, 7])
        began = time.process_time()
        if self.source is None or not self.goes_on:
            self.source = learner.fit(facts, rng)
        else:
            self.source = learner.go_on(self.source, facts, rng)
        self.cpu_seconds.append(time.process_time() - began)
        self.passes.append(self.source.measured["epochs"])

    def ask(self, split: Split) -> None:
        """Judge what it says of everybody who is asked."""
        assert self.source is not None
        lists = lists_of(split, _lister(self.source), 10, np.random.default_rng(0))
        self.found.append(measure_lists(split, self.name, lists).per_question["ndcg@10"])


def _lister(
    source: SequenceSource,
) -> Callable[[Asked, int, np.random.Generator], NDArray[np.int32]]:
    def best(asked: Asked, n: int, _: np.random.Generator) -> NDArray[np.int32]:
        rows = np.flatnonzero(asked.available).astype(np.int32)
        score = source.score(asked.context, np.broadcast_to(rows, (len(asked.context), len(rows))))
        column = np.full(len(asked.available), -1)
        column[rows] = np.arange(len(rows))
        who = np.repeat(np.arange(len(score)), np.diff(asked.excluded.indptr))
        out = column[asked.excluded.item]
        score = np.array(score)
        score[who[out >= 0], out[out >= 0]] = -np.inf
        return rows[np.argsort(-score, axis=1, kind="stable")[:, :n]]

    return best


def trading_days(facts: ShopFacts, first_ms: int, n: int) -> list[int]:
    """The first moments of ``n`` days on which anything was sold."""
    days = np.unique(facts.log.at_ms // MS_PER_DAY) * MS_PER_DAY
    return [int(day) for day in days[days >= first_ms][:n]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, default="test")
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--replay", type=float, nargs="*")
    parser.add_argument("--passes", type=int)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    facts = facts_of_parquet(data_folder() / "online_retail" / "online_retail.parquet")
    told = {"further_epochs": arguments.passes, "further_rate": arguments.rate}
    said = {name: value for name, value in told.items() if value is not None}
    lines = [Line("anew every day", SequenceConfig(behaviour=BEHAVIOUR), False)]
    for replay in arguments.replay or [BEHAVIOUR.schedule.further_replay]:
        schedule = BEHAVIOUR.schedule.model_copy(update={**said, "further_replay": replay})
        behaviour = BEHAVIOUR.model_copy(update={"schedule": schedule})
        lines.append(
            Line(f"going on, replay {replay:g}", SequenceConfig(behaviour=behaviour), True)
        )
    who = []
    for place, day in enumerate(trading_days(facts, PARTS[arguments.part], arguments.days)):
        known = facts.as_of(day)
        split = by_time(facts.log, day, day + HORIZON_DAYS * MS_PER_DAY)
        who.append(split.shopper_row)
        for line in lines:
            if place == 0 and line.goes_on:
                line.source = copy(lines[0].source)
                line.source.config = line.config  # which tells no more apart than how to go on
            else:
                line.learn(known, day)
            line.ask(split)
        if place:
            show(lines, np.concatenate(who), arguments.part)


def show(lines: list[Line], who: NDArray[np.int32], part: str) -> None:
    """The first day, on which all are the same, is left out."""
    first = len(lines[0].found[0])
    every = [np.concatenate(line.found)[first:] for line in lines]
    table = Table(title=f"Online Retail, {part}: {len(lines[0].found) - 1} days, one after another")
    for name in ("", "CPU-s a day", "passes", "NDCG@10", "last day", "over anew every day"):
        table.add_column(name, justify="left" if not name else "right")
    for line, value in zip(lines, every, strict=True):
        lead = bootstrap_mean(value - every[0], np.random.default_rng(0), group=who[first:])
        spent = line.cpu_seconds if line.goes_on else line.cpu_seconds[1:]
        table.add_row(
            line.name, f"{np.mean(spent):.1f}", f"{np.mean(line.passes[-len(spent):]):.1f}",
            f"{value.mean():.4f}", f"{line.found[-1].mean():.4f}",
            "" if line is lines[0] else f"{lead.estimate:+.4f} [{lead.low:+.4f}, {lead.high:+.4f}]",
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
