"""Online Retail by time: the whole pipeline beside tuned peers, paired over customers, in one run.

    python -m benchmarks.online_retail [--variant new|again|both] [--retune]

Fit to 2011-10-31, test after. Known customers; relevant is what they buy from the cut on, of what
was sold before it: new to them (``new``), or anything (``again``). Every setting was chosen on
October. Cleaned of cancellations and non-product codes. Sources are fitted on earlier data than the
ranker's labels; each span's facts end at its cut.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
import polars as pl
from rich.console import Console

from benchmarks.online_retail_peers import CHOSEN, PEERS, lister_of, tune
from habitue.candidates.again import AgainConfig
from habitue.candidates.als import AlsConfig
from habitue.candidates.content import ContentConfig
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.evaluation.replay import Lister, through
from habitue.evaluation.report import EvaluationConfig, Report, evaluate
from habitue.evaluation.splits import by_time
from habitue.facts import ActionKind, ActionLog, Item
from habitue.training.config import TrainingConfig
from habitue.training.dataset import NEVER_MS, ItemVersions, ShopFacts
from habitue.training.serving import pipeline_of
from habitue.training.train import BestFirst, Trained, train
from tests.needs import data_folder

BUYS: Any = {"kinds_from": ("purchase",), "kinds_to": ("purchase",)}
ONLY_BUYS = {"purchase": 1.0}
LONG = ProfileConfig(
    kind_weight=ONLY_BUYS, position_decay=1.0, half_life_days=60.0, max_actions=200
)
SHORT = LONG.model_copy(update={"half_life_days": 30.0})
SOURCES = (
    PopularConfig(name="popular_now", half_life_days=7.0),
    PopularConfig(name="new_buyers", counts="new_buyers", window_days=7.0),
    CovisitConfig(
        name="bought_bought",
        half_life_days=120.0,
        profile=ProfileConfig(kind_weight=ONLY_BUYS),
        **BUYS,
    ),
    CovisitConfig(
        name="same_order",
        window_moments=0,
        half_life_days=60.0,
        crowd_damping=0.5,
        damping_from=1.0,
        damping_to=0.0,
        profile=SHORT,
        **BUYS,
    ),
    CovisitConfig(
        name="same_order_cosine",
        window_moments=0,
        half_life_days=60.0,
        damping_from=0.5,
        damping_to=0.5,
        profile=LONG,
        **BUYS,
    ),
    AlsConfig(factors=128, regularisation=20.0),
    ContentConfig(),
)
QUOTA = {
    "popular_now": 120, "new_buyers": 120, "bought_bought": 60, "same_order": 60,
    "same_order_cosine": 60, "als": 60, "content": 40,
}  # fmt: skip
NEW = TrainingConfig(
    sources=SOURCES,
    quotas={"home": QUOTA},
    rebuy=False,
    recent_length=200,
    window_days=30.5,
    visits=0,
    kept=500,
    surfaces=("home",),
    evaluate=False,
)
AGAIN = NEW.model_copy(
    update={
        "sources": (*SOURCES, AgainConfig(half_life_days=200.0)),
        "quotas": {"home": {**QUOTA, "again": 150}},
        "rebuy": True,
        "window_fade": 1.0,
    }
)
SETTINGS = {"new": NEW, "again": AGAIN}
"""The pipeline's settings, chosen on October like the peers'."""


def day_ms(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


OCTOBER, NOVEMBER, END = day_ms(2011, 10, 1), day_ms(2011, 11, 1), day_ms(2012, 1, 1)


def facts_of_parquet(path: Path) -> ShopFacts:
    """Order lines as facts: one action an order and item, prices and titles as versions."""
    lines = pl.read_parquet(path).filter(
        ~pl.col("InvoiceNo").str.starts_with("C"),
        pl.col("Quantity") > 0,
        pl.col("UnitPrice") > 0,
        pl.col("CustomerID").is_not_null(),
        pl.col("StockCode").str.contains(r"^\d{5}"),
    )
    lines = (
        lines.with_columns(
            item=pl.col("StockCode").str.to_uppercase(),
            at_ms=pl.col("InvoiceDate").dt.replace_time_zone("UTC").dt.epoch("ms"),
        )
        .group_by("CustomerID", "InvoiceNo", "item")
        .agg(
            pl.col("at_ms").max(),
            pl.col("Quantity").sum(),
            pl.col("UnitPrice").mean(),
            pl.col("Description").last(),
        )
        .sort("at_ms", "InvoiceNo", "item")
    )

    first = lines.group_by("item", maintain_order=True).first()
    n = lines.height
    price, quantity = lines["UnitPrice"].to_numpy(), lines["Quantity"].to_numpy()
    shopper, item = _dense(lines, "CustomerID"), _dense(lines, "item")
    log = ActionLog(
        seq=np.arange(1, n + 1),
        at_ms=lines["at_ms"].to_numpy(),
        kind=np.full(n, int(ActionKind.purchase), np.uint8),
        shopper_row=shopper,
        item_row=item,
        order_row=_dense(lines, "InvoiceNo"),
        quantity=quantity.astype(np.float32),
        price_micros=np.rint(price * 1e6).astype(np.int64),
        value_minor=np.rint(price * quantity * 100).astype(np.int64),
        rating=np.full(n, np.nan, np.float32),
        n_shoppers=int(shopper.max()) + 1,
        n_items=int(item.max()) + 1,
    )
    bodies = [
        msgspec.json.encode(Item(id=code, title=title)).decode()
        for code, title in zip(first["item"], first["Description"], strict=True)
    ]
    versions = ItemVersions(
        np.arange(len(first), dtype=np.int32),
        first["at_ms"].to_numpy() - 1,
        np.zeros(len(first), np.bool_),
        bodies,
        first["item"].to_list(),
    )
    return ShopFacts(log, np.full(n, NEVER_MS, np.int64), versions, n)


def _dense(lines: pl.DataFrame, name: str) -> np.ndarray:
    """Rows in order of first appearance, as the store hands them out."""
    known = lines[name].unique(maintain_order=True)
    codes = pl.Series(np.arange(len(known), dtype=np.int32))
    return lines[name].replace_strict(known, codes, return_dtype=pl.Int32).to_numpy()


def run(facts: ShopFacts, variant: str, *, retune: bool, console: Console) -> Report:
    """The pipeline and its peers on November, settings from October."""
    rebuy = variant == "again"
    config = SETTINGS[variant]
    october = by_time(facts.log, OCTOBER, NOVEMBER, repurchase=rebuy)
    november = by_time(facts.log, NOVEMBER, END, repurchase=rebuy)
    chosen = CHOSEN[variant]
    if retune:
        chosen = {}
        for name in CHOSEN[variant]:
            chosen[name], found = tune(october, name)
            console.print(f"{variant}: {name} {chosen[name]}: NDCG@10 {found:.4f} on October")
    began, cpu = time.perf_counter(), time.process_time()
    trained = train(facts, config, rng=np.random.default_rng(1), now_ms=NOVEMBER)
    console.print(
        f"{variant}: trained in {time.perf_counter() - began:.1f} s "
        f"({time.process_time() - cpu:.1f} CPU-seconds)"
    )
    listers: dict[str, Lister] = {"Habitué": lister(trained)}
    for name, setting in chosen.items():
        listers[name] = lister_of(november, PEERS[name].score(november, **setting))
    judged = EvaluationConfig(length=config.recent_length)
    return evaluate(november, listers, np.random.default_rng(2), judged, against=tuple(chosen))


def lister(trained: Trained) -> Lister:
    """The whole pipeline with ε = 0 and no rules of a shop."""
    return through(
        pipeline_of(
            trained.config, trained.sources, trained.rankers, trained.stats, trained.columns,
            BestFirst(),
        )
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=("new", "again", "both"), default="both")
    parser.add_argument("--retune", action="store_true", help="choose the peers' settings anew")
    arguments = parser.parse_args()
    console = Console(width=200)
    facts = facts_of_parquet(data_folder() / "online_retail" / "online_retail.parquet")
    for variant in ("new", "again") if arguments.variant == "both" else (arguments.variant,):
        report = run(facts, variant, retune=arguments.retune, console=console)
        console.print(report.table(("ndcg", "recall", "hit_rate", "mrr", "coverage")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak {peak:,.0f} MB, peers included")


if __name__ == "__main__":
    main()
