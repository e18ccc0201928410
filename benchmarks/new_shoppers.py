"""New shoppers by their context: the source `cold` beside popularity and co-visitation.

    python -m benchmarks.new_shoppers [--validation]

Online Retail: who orders for the first time from November 2011 on (``--validation``: in October),
asked before it with the country as locale and the hour; right are the lines of that order, of the
items known at the cut. YooChoose: sessions of the last day (``--validation``: of the day before),
asked beside the first click; right is the second. Fitted on what lies before; NDCG@10 with 95 %
intervals by bootstrap over shoppers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.clicks import read_clicks, training_facts
from benchmarks.online_retail import END, NOVEMBER, OCTOBER, facts_of_parquet
from habitue.candidates.cold import ColdConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.facts import NO_ROW, Catalogue, Circumstances, Context, Owned, Vocabulary
from habitue.metrics import bootstrap_mean, paired_lift
from tests.needs import data_folder

AT = 10
DISCOUNT = 1 / np.log2(np.arange(2, AT + 2))
Answers = list[NDArray[np.int32]]


def strangers(
    now_ms: NDArray[np.int64], anchors: NDArray[np.int32], locale: tuple[str | None, ...] = ()
) -> Context:
    """Requests (B,) of nobody known, beside ``anchors`` (B, A)."""
    n = len(now_ms)
    none = np.full((n, 1), NO_ROW, np.int32)
    return Context(
        "home", now_ms, none[:, 0], none, none.astype(np.uint8) * 0, none * np.float32(0), anchors,
        Owned.nothing(n), locale=locale,
    )  # fmt: skip


def online_retail(cut: int, until: int) -> tuple[TrainingFacts, Context, Answers]:
    """First orders of the span, each shopper's country as locale."""
    path = data_folder() / "online_retail" / "online_retail.parquet"
    log = facts_of_parquet(path).log
    lines = pl.read_parquet(path).filter(
        ~pl.col("InvoiceNo").str.starts_with("C"),
        pl.col("Quantity") > 0,
        pl.col("UnitPrice") > 0,
        pl.col("CustomerID").is_not_null(),
        pl.col("StockCode").str.contains(r"^\d{5}"),
    )
    country = _countries(lines)
    names, code = np.unique(country, return_inverse=True)
    nothing = np.zeros(len(log), np.int16)
    said = Circumstances(
        nothing, nothing, nothing, (code + 1).astype(np.int16)[log.shopper_row],
        nothing.astype(np.int32), Vocabulary(locale=("", *(str(n).lower() for n in names))),
    )  # fmt: skip
    log = replace(log, circumstances=said)
    known = log.before(cut)
    seen = np.unique(known.shopper_row)
    later = log.between(cut, until)
    first: dict[int, tuple[int, int]] = {}
    right: dict[int, list[int]] = {}
    available = np.bincount(known.item_row, minlength=log.n_items) > 0
    new = ~np.isin(later.shopper_row, seen)
    for who, order, at, item in zip(
        later.shopper_row[new].tolist(), later.order_row[new].tolist(), later.at_ms[new].tolist(),
        later.item_row[new].tolist(), strict=True,
    ):  # fmt: skip
        if first.setdefault(who, (order, at))[0] == order and available[item]:
            right.setdefault(who, []).append(item)
    asked = list(right)
    context = strangers(
        np.array([first[who][1] for who in asked], np.int64),
        np.empty((len(asked), 0), np.int32),
        tuple(str(country[who]) for who in asked),
    )
    rows = pl.DataFrame({"item_row": np.arange(log.n_items, dtype=np.int32)})
    answers = [np.unique(right[who]).astype(np.int32) for who in asked]
    return TrainingFacts(known, Catalogue(rows), cut), context, answers


def _countries(lines: pl.DataFrame) -> NDArray[np.str_]:
    """The country of each shopper row: shoppers in the order the log hands out their rows."""
    ordered = (
        lines.with_columns(item=pl.col("StockCode").str.to_uppercase())
        .group_by("CustomerID", "InvoiceNo", "item")
        .agg(pl.col("InvoiceDate").max(), pl.col("Country").first())
        .sort("InvoiceDate", "InvoiceNo", "item")
    )
    first = ordered.group_by("CustomerID", maintain_order=True).first()
    return first["Country"].to_numpy().astype(str)


def yoochoose(train: str, test: str) -> tuple[TrainingFacts, Context, Answers]:
    """The first click of each asked session, and the second."""
    data = read_clicks(train, test)
    start = np.flatnonzero(np.r_[True, data.asked_session[1:] != data.asked_session[:-1]])
    start = start[start + 1 < len(data.asked_session)]
    start = start[data.asked_session[start + 1] == data.asked_session[start]]
    context = strangers(data.asked_at_ms[start], data.asked_item[start][:, None])
    answers = [data.asked_item[at : at + 1] for at in start + 1]
    return training_facts(data), context, answers


def ndcg(found: NDArray[np.int32], context: Context, answers: Answers) -> NDArray[np.float64]:
    """NDCG@10 of each request, the items it stands beside left out of its list."""
    gains = np.zeros(len(found))
    for b, (row, right) in enumerate(zip(found, answers, strict=True)):
        shown = row[~np.isin(row, context.anchor_item[b]) & (row != NO_ROW)][:AT]
        ideal = DISCOUNT[: min(len(right), AT)].sum()
        gains[b] = DISCOUNT[: len(shown)][np.isin(shown, right[right >= 0])].sum() / ideal
    return gains


def sources(kind: str, half_life: float | None) -> dict[str, SourceConfig]:
    """What is compared."""
    looks = ProfileConfig(kind_weight={kind: 1.0}, position_decay=0.5)
    tied = {"kinds_from": (kind,), "kinds_to": (kind,), "profile": looks}
    return {
        "popularity": PopularConfig(kinds=(kind,)),
        "popularity, fading as cold": PopularConfig(kinds=(kind,), half_life_days=half_life),
        "viewed_viewed": CovisitConfig(**tied),
        "viewed_viewed, undamped": CovisitConfig(damping_from=0.0, damping_to=0.0, **tied),
        "cold": ColdConfig(
            kinds=(kind,), half_life_days=half_life, validation_days=30.0 if kind == "purchase"
            else 1.0, ties=CovisitConfig(damping_from=0.0, damping_to=0.0, neighbours=200, **tied),
        ),
    }  # fmt: skip


def compare(
    title: str,
    shop: tuple[TrainingFacts, Context, Answers],
    compared: dict[str, SourceConfig],
    console: Console,
) -> None:
    """Print one shop's table."""
    facts, context, answers = shop
    found = {}
    for name, config in compared.items():
        model = learner_of(config).fit(facts, np.random.default_rng(0))
        found[name] = ndcg(model.propose(context, AT + 1).item_row, context, answers)
        if name == "cold":
            measured = getattr(model, "measured", {})
            console.print({k: v for k, v in measured.items() if np.isfinite(v)})
    table = Table(title=f"{title}: {len(answers):,} new shoppers")
    for column in ("source", "NDCG@10", "over popularity", "cold over it"):
        table.add_column(column)
    for name, each in found.items():
        rng = np.random.default_rng(1)
        over = paired_lift(each, found["popularity"], rng)
        cold = paired_lift(found["cold"], each, rng)
        table.add_row(
            name, str(bootstrap_mean(each, rng)),
            *(f"{x.estimate:+.1%} [{x.low:+.1%}, {x.high:+.1%}]" if np.isfinite(x.estimate)
              else "-" for x in (over, cold)),
        )  # fmt: skip
    console.print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--half-life", type=float, nargs=2, help="days: Online Retail, YooChoose")
    said = parser.parse_args()
    console = Console(width=110)
    retail, clicks = said.half_life or (None, 0.5)  # by --validation
    span = (OCTOBER, NOVEMBER) if said.validation else (NOVEMBER, END)
    compare("Online Retail", online_retail(*span), sources("purchase", retail), console)
    files = ("train_tr", "train_valid") if said.validation else ("train_full", "test")
    compare("YooChoose", yoochoose(*files), sources("view_item", clicks), console)


if __name__ == "__main__":
    main()
