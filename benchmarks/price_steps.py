"""Prices read beside each action: side by side with the same network that reads none.

    python -m benchmarks.price_steps [--data retail|journey] [--part validation|test] [--seeds 3]
        [--epochs 20] [--only NAME ...]

Online Retail: lines of orders as in ``benchmarks.asked_by``, by what was paid. Complete Journey: a
sample of the lines that 2,075 households bought of 20,902 groceries, by the price on the shelf.
What is told of an item holds its price, too; the rows ``ids alone`` are without anything told.

The last item of each shopper is asked for (``--part validation``: the one before), all items
ranked. NDCG@10 with a 95 % interval by bootstrap over shoppers, and the gain over the same network
without prices, paired.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.asked_by import LEAST, Shop, config, gains, lengths, retail
from benchmarks.leave_one_out import shoppers_of
from habitue.behaviour.config import ScheduleConfig
from habitue.candidates.roster import learner_of, warm
from habitue.candidates.sequence import SequenceSource
from habitue.facts import Catalogue
from habitue.metrics import bootstrap_mean, paired_lift
from tests.needs import data_folder

TRIES: Final[dict[str, dict[str, Any]]] = {
    "no prices": {},
    "16 steps": {"price_steps": 16},
    "8 steps": {"price_steps": 8},
    "64 steps": {"price_steps": 64},
    "ids alone, no prices": {"content": False},
    "ids alone, 16 steps": {"content": False, "price_steps": 16},
}


def journey(seed: int) -> Shop:
    """Lines of baskets of groceries, those of a basket in an order drawn by lot."""
    folder = data_folder() / "complete_journey"
    lines = pl.read_parquet(folder / "transactions_sample.parquet").filter(pl.col("quantity") > 0)
    lines = lines.with_columns(lot=np.random.default_rng(seed).random(lines.height))
    lines = lines.filter(pl.len().over("household_id") >= LEAST)
    lines = lines.sort("household_id", "transaction_timestamp", "lot")
    shelf = pl.sum_horizontal("sales_value", "retail_disc", "coupon_match_disc")
    price = lines.select((shelf / pl.col("quantity") * 1e6).cast(pl.Int64))[:, 0].to_numpy()
    own, item = np.unique(lines["product_id"].to_numpy(), return_inverse=True)
    data = shoppers_of(
        item.astype(np.int32), lengths(lines["household_id"]),
        lines["transaction_timestamp"].dt.epoch("ms").to_numpy(),
    )  # fmt: skip
    rows = pl.DataFrame({"product_id": own, "item_row": np.arange(len(own), dtype=np.int32)})
    told = pl.read_parquet(folder / "products.parquet").select(
        "product_id", "brand", title="product_type", product_type="product_category",
    )  # fmt: skip
    sold = pl.DataFrame({"item_row": item.astype(np.int32), "price_micros": price})

    def catalogue(learnt: NDArray[np.bool_]) -> Catalogue:
        listed = sold.filter(learnt).group_by("item_row").agg(pl.col("price_micros").last())
        frame = rows.join(told, on="product_id", how="left").join(listed, on="item_row", how="left")
        return Catalogue(frame.sort("item_row").drop("product_id"))

    return Shop(data, {}, catalogue, repeats=True, price_micros=price)


SHOPS: Final[dict[str, Callable[[int], Shop]]] = {"retail": retail, "journey": journey}


def compare(
    name: str, part: str, seeds: int, epochs: int, tries: Iterable[str], console: Console
) -> None:
    """Print one shop's rows."""
    schedule = ScheduleConfig(epochs=epochs, first_validation=0.2, validate_every=2)
    rng = np.random.default_rng(1)
    every: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(seeds):
        shop = SHOPS[name](seed)
        shop = replace(shop, data=replace(shop.data, asked=2 if part == "validation" else 1))
        facts = shop.facts()
        for label in tries:
            before = time.process_time()
            said = config(schedule=schedule, **TRIES[label])
            source = learner_of(said).fit(facts, np.random.default_rng(seed))
            assert isinstance(source, SequenceSource)
            took = time.process_time() - before
            every.setdefault(label, []).append(gains(source, shop, ()))
            console.print(
                f"seed {seed}, {label}: {every[label][-1].mean():.4f}, {took:.0f} CPU-s, "
                f"{source.measured['epochs']:.0f} epochs, its own validation "
                f"{source.measured['validation_ndcg@10']:.4f}",
                style="dim",
            )  # fmt: skip
    for label, parts in every.items():
        each = np.concatenate(parts)
        plain = "ids alone, no prices" if label.startswith("ids") else "no prices"
        row = f"{name}, {part}, {seeds} seeds, {label}: {bootstrap_mean(each, rng)}"
        if plain in every and plain != label:
            over = paired_lift(each, np.concatenate(every[plain]), rng)
            row += f", {over.estimate:+.1%} [{over.low:+.1%}, {over.high:+.1%}]"
        console.print(row)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=tuple(SHOPS), default="retail")
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--only", nargs="*", choices=tuple(TRIES), default=tuple(TRIES))
    told = parser.parse_args()
    warm()
    compare(told.data, told.part, told.seeds, told.epochs, told.only, Console(width=140))


if __name__ == "__main__":
    main()
