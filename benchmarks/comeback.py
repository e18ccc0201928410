"""Online Retail: will a customer buy within 30 days, and when will they return?

    python -m benchmarks.comeback [--part test|validation] [--set hazard.trees=100 ...]

Everyone who has bought before is asked about on each of five Wednesdays, the last of which still
has 30 days of log after it; everything is learnt anew from what lay before each. Beside it, in the
same run: a logistic regression on recency, frequency and value, learnt from Wednesdays whose 30
days had ended, and BG/NBD (Fader, Hardie and Lee, Marketing Science 2005) by maximum likelihood.
Times to return are censored where the log ends. Settings were chosen on ``validation``: Wednesdays
whose 30 days end before the first that is tested.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

from benchmarks.online_retail import day_ms, facts_of_parquet
from habitue.behaviour.moments import Standing
from habitue.behaviour.outlook import OutlookConfig, OutlookLearner, Past, rfv_chances
from habitue.facts import MS_PER_DAY, ActionKind, ActionLog
from habitue.metrics import auc, concordance, reliability
from tests.needs import data_folder

HORIZON = 30.0
LAST = day_ms(2011, 11, 9)
FIRST_TEST = LAST - 4 * 7 * MS_PER_DAY
TEST = [LAST - 7 * MS_PER_DAY * k for k in range(4, -1, -1)]
VALIDATION = [
    mark
    for mark in (LAST - 7 * MS_PER_DAY * k for k in range(16, 4, -1))
    if mark + HORIZON * MS_PER_DAY <= FIRST_TEST
]
RESAMPLED = 500


@dataclass(frozen=True)
class Answers:
    """What one model says of everybody asked at one moment."""

    chance: NDArray[np.float64]
    soon: NDArray[np.float64]  # the higher, the sooner


@dataclass(frozen=True)
class Moment:
    """A test moment: who was asked, what came, what each model said."""

    now_ms: int
    shopper: NDArray[np.int32]
    days: NDArray[np.float64]
    came: NDArray[np.bool_]
    said: dict[str, Answers]
    cpu_seconds: float

    @property
    def bought(self) -> NDArray[np.bool_]:
        return self.came & (self.days < HORIZON)


def log_with_refunds(path: Path) -> ActionLog:
    """The purchases of ``online_retail``, and what was cancelled, as refunds."""
    log = facts_of_parquet(path).log
    known = pl.read_parquet(path).filter(
        pl.col("CustomerID").is_not_null(), pl.col("StockCode").str.contains(r"^\d{5}")
    ).with_columns(
        item=pl.col("StockCode").str.to_uppercase(),
        at_ms=pl.col("InvoiceDate").dt.replace_time_zone("UTC").dt.epoch("ms"),
        back=pl.col("InvoiceNo").str.starts_with("C"),
        sold=(pl.col("Quantity") > 0) & (pl.col("UnitPrice") > 0),
    )  # fmt: skip
    sold = known.filter(~pl.col("back"), pl.col("sold")).group_by("CustomerID", "InvoiceNo", "item")
    sold = sold.agg(pl.col("at_ms").max()).sort("at_ms", "InvoiceNo", "item")
    rows = {
        name: dict(zip(codes, range(len(codes)), strict=True))
        for name in ("CustomerID", "item")
        for codes in [sold[name].unique(maintain_order=True).to_list()]
    }
    back = known.filter("back", pl.col("Quantity") < 0).with_columns(
        shopper=pl.col("CustomerID").replace_strict(rows["CustomerID"], default=-1),
        row=pl.col("item").replace_strict(rows["item"], default=-1),
    )
    back = back.filter(pl.col("shopper") >= 0, pl.col("row") >= 0)
    n = back.height
    columns: dict[str, Any] = {
        "at_ms": back["at_ms"].to_numpy(),
        "kind": np.full(n, int(ActionKind.refund), np.uint8),
        "shopper_row": back["shopper"].to_numpy().astype(np.int32),
        "item_row": back["row"].to_numpy().astype(np.int32),
        "order_row": np.full(n, -1, np.int32),
        "quantity": -back["Quantity"].to_numpy().astype(np.float32),
        "price_micros": np.rint(back["UnitPrice"].to_numpy() * 1e6).astype(np.int64),
        "value_minor": np.zeros(n, np.int64),
        "rating": np.full(n, np.nan, np.float32),
    }
    both = {name: np.concatenate([getattr(log, name), new]) for name, new in columns.items()}
    order = np.argsort(both["at_ms"], kind="stable")
    return ActionLog(
        seq=np.arange(1, len(order) + 1),
        **{name: column[order] for name, column in both.items()},
        n_shoppers=log.n_shoppers,
        n_items=log.n_items,
    )


class BgNbd:
    """Buying until one dies: purchases by a gamma-Poisson rate, death after each by a beta."""

    def __init__(self, standing: Standing) -> None:
        repeat, last, life = _history(standing)

        def loss(log_parameters: NDArray[np.float64]) -> float:
            r, alpha, a, b = np.exp(log_parameters)
            some = np.maximum(repeat, 1)
            alive = betaln(a, b + repeat) - betaln(a, b) - (r + repeat) * np.log(alpha + life)
            dead = betaln(a + 1, b + some - 1) - betaln(a, b) - (r + some) * np.log(alpha + last)
            rate = gammaln(r + repeat) - gammaln(r) + r * np.log(alpha)
            return -float(np.mean(rate + np.where(repeat > 0, np.logaddexp(alive, dead), alive)))

        starts = (np.zeros(4), np.array([0.0, 3.0, -1.0, 1.0]), np.array([-0.5, 4.0, -2.0, 1.0]))
        found = [minimize(loss, start, method="L-BFGS-B", bounds=[(-9, 9)] * 4) for start in starts]
        self.parameters = np.exp(min(found, key=lambda one: one.fun).x)

    def chance(self, standing: Standing, days: float = HORIZON) -> NDArray[np.float64]:
        """The chance of a purchase within ``days``: alive, and the next comes before they end."""
        r, alpha, a, b = self.parameters
        repeat, last, life = _history(standing)
        ratio = ((alpha + life) / (alpha + last)) ** (r + repeat)
        dead = np.where(repeat > 0, a / (b + np.maximum(repeat, 1) - 1) * ratio, 0)
        none = ((alpha + life) / (alpha + life + days)) ** (r + repeat)
        return np.asarray((1 - none) / (1 + dead))


def _history(
    standing: Standing,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Repeat purchases (days with one), the age at the last, the age now."""
    life = standing.life_days
    return (standing.days - 1).astype(float), life - standing.since_days, life


def ask(past: Past, config: OutlookConfig, now_ms: int, end_ms: int) -> Moment:
    """Everyone's answers at one moment, from what was known then."""
    learner = OutlookLearner(config)
    standing = past.standing(now_ms)
    days, came = past.next_orders(standing.shopper_row, now_ms, end_ms)
    began = time.process_time()
    model = learner.fit(past, now_ms, np.random.default_rng(1), measure=False)
    assert model is not None
    spent = time.process_time() - began
    told = model.foretell(standing)
    said = {"Habitué": Answers(told.chance, -told.mean_days)}
    before = {
        mark: past.standing(mark)
        for mark in learner.marks(past, now_ms)
        if mark + HORIZON * MS_PER_DAY <= now_ms
    }
    plain = rfv_chances(past, before, standing, now_ms, HORIZON)
    assert plain is not None
    said["RFV, logistic"] = Answers(plain, plain)
    chance = BgNbd(standing).chance(standing)
    said["BG/NBD"] = Answers(chance, chance)
    return Moment(now_ms, standing.shopper_row, days, came, said, spent)


def pooled(moments: Sequence[Moment], name: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return (
        np.concatenate([one.bought for one in moments]),
        np.concatenate([one.said[name].chance for one in moments]),
    )


def lead(
    moments: Sequence[Moment], against: str, figure: Callable[[Moment, str], float]
) -> tuple[float, float, float]:
    """By how much Habitué's mean over moments lies above, 95 % by resampled customers."""
    rng = np.random.default_rng(3)
    who = np.unique(np.concatenate([one.shopper for one in moments]))
    found = []
    for turn in range(RESAMPLED + 1):
        drawn = np.bincount(rng.integers(len(who), size=len(who)), minlength=len(who))
        mean = []
        for one in moments:
            times = drawn[np.searchsorted(who, one.shopper)] if turn else np.ones(len(one.shopper))
            again = np.repeat(np.arange(len(one.shopper)), times.astype(np.int64))
            part = Moment(
                one.now_ms, one.shopper[again], one.days[again], one.came[again],
                {n: Answers(s.chance[again], s.soon[again]) for n, s in one.said.items()}, 0.0,
            )  # fmt: skip
            mean.append(figure(part, "Habitué") - figure(part, against))
        found.append(np.mean(mean))
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return float(found[0]), float(low), float(high)


def auc_of(moment: Moment, name: str) -> float:
    return auc(moment.bought, moment.said[name].chance)


def concordance_of(moment: Moment, name: str) -> float:
    return concordance(moment.days, moment.came, moment.said[name].soon)


def table(moments: Sequence[Moment]) -> Table:
    shown = Table(title=f"{sum(len(one.shopper) for one in moments):,} questions")
    for head in ("", "AUC", "concordance", "ECE pooled", "ECE mean", "said", "bought"):
        shown.add_column(head)
    for name in moments[0].said:
        label, chance = pooled(moments, name)
        each = [reliability(one.bought, one.said[name].chance).error for one in moments]
        shown.add_row(
            name,
            f"{np.mean([auc_of(one, name) for one in moments]):.4f}",
            f"{np.mean([concordance_of(one, name) for one in moments]):.4f}",
            f"{reliability(label, chance).error:.4f}",
            f"{np.mean(each):.4f}",
            f"{chance.mean():.3f}",
            f"{label.mean():.3f}",
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--every", type=int, default=1, help="take each so many-th moment")
    parser.add_argument("--set", nargs="*", default=[], help="settings, as hazard.trees=100")
    arguments = parser.parse_args()
    console = Console(width=160)
    config = set_of(arguments.set)
    log = log_with_refunds(data_folder() / "online_retail" / "online_retail.parquet")
    past = Past.of(log, currency="GBP")
    test = arguments.part == "test"
    end = int(log.at_ms[-1]) + 1 if test else FIRST_TEST
    moments = []
    for mark in (TEST if test else VALIDATION)[:: arguments.every]:
        moments.append(ask(past, config, mark, end))
        one = moments[-1]
        console.print(
            time.strftime("%Y-%m-%d", time.gmtime(mark / 1000)),
            f"{len(one.shopper):,} customers, learnt in {one.cpu_seconds:.1f} CPU-s;",
            "; ".join(
                f"{name}: AUC {auc_of(one, name):.4f}, concordance {concordance_of(one, name):.4f},"
                f" ECE {reliability(one.bought, one.said[name].chance).error:.4f}"
                for name in one.said
            ),
            highlight=False,
        )
    console.print(table(moments))
    if test:
        for name in ("RFV, logistic", "BG/NBD"):
            for word, figure in (("AUC", auc_of), ("concordance", concordance_of)):
                mean, low, high = lead(moments, name, figure)
                console.print(f"{word} above {name}: {mean:+.4f} [{low:+.4f}, {high:+.4f}]")


def set_of(said: Sequence[str]) -> OutlookConfig:
    """The settings, with those changed that were said."""
    changed: dict[str, Any] = {"hazard": {}}
    for one in said:
        name, value = one.split("=")
        room, _, inner = name.rpartition(".")
        (changed[room] if room else changed)[inner] = float(value)
    return OutlookConfig.model_validate(changed)


if __name__ == "__main__":
    main()
