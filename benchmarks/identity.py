"""What it is worth to know that a person on the web and one in the app are the same.

    python -m benchmarks.identity [--seeds 3]

A made-up shop's people make each visit on the web or in an app, under another name there. Four
shops are told of it and trained as they come: one sees the web only; one sees both and does not
know who is who; one is told by aliases; one was given one name all along. Each is asked for a home
slate of ten for the same people by their web names. The truth is known, so a slate is worth the
clicks it will get. Intervals are paired bootstraps over people, all seeds together.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import habitue
from habitue.facts import Alias
from habitue.metrics import bootstrap_mean, paired_lift
from habitue.world import World, WorldConfig, build_world
from habitue.world.platforms import on_two_platforms

NOW_MS = 1_790_000_000_000
CONFIG = WorldConfig(n_items=600, n_shoppers=1500, days=90, visits_per_day=0.1)
APP_SHARE = 0.7
ASKED = 400
TRAINING = {
    "training.windows": 2,
    "training.surfaces": ["home"],
    "training.evaluate": False,
}


def clicks(
    world: World, table: pl.DataFrame, aliases: Sequence[Alias], asked: list[str]
) -> NDArray[np.float64]:
    """The clicks each person's slate will get from a shop that was told this: (len(asked),)."""
    with (
        tempfile.TemporaryDirectory() as folder,
        habitue.open(Path(folder) / "shop.db", overrides=TRAINING) as shop,
    ):
        shop.ingest([*world.items()])
        shop.ingest(table)
        shop.ingest(list(aliases))
        shop.train(seed=0)
        worth = []
        for seed, shopper in enumerate(asked):
            slate = shop.recommend(shopper, n=10, now_ms=NOW_MS, seed=seed)
            chances = world.click_probability(shopper, [slot.item for slot in slate.items])
            worth.append(chances.sum())
    return np.array(worth)


def one_world(seed: int) -> dict[str, NDArray[np.float64]]:
    """The worth of every person's slate, by what the shop was told."""
    world = build_world(NOW_MS, seed=seed, config=CONFIG)
    parted = on_two_platforms(world, np.random.default_rng(seed), app_share=APP_SHARE)
    both = sorted({one.shopper for one in parted.aliases} & set(parted.on_web["shopper"]))
    asked = np.random.default_rng(seed).permutation(both)[:ASKED].tolist()
    told: dict[str, tuple[pl.DataFrame, list[Alias]]] = {
        "web only": (parted.on_web, []),
        "both, apart": (parted.actions, []),
        "both, merged by aliases": (parted.actions, parted.aliases),
        "one name all along": (world.action_table, []),
    }
    return {name: clicks(world, *what, asked) for name, what in told.items()}


def main() -> None:
    """Print what each shop's slates are worth, and what merging gains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="made-up shops")
    seeds = parser.parse_args().seeds
    began = time.process_time()
    worlds = [one_world(seed) for seed in range(1, seeds + 1)]
    worth = {name: np.concatenate([one[name] for one in worlds]) for name in worlds[0]}
    rng = np.random.default_rng(0)
    table = Table(title=f"{len(worth['web only']):,} people, {seeds} made-up shops")
    for head in ("the shop sees", "clicks a slate of ten", "merging gains over it"):
        table.add_column(head)
    for name, values in worth.items():
        gain = paired_lift(worth["both, merged by aliases"], values, rng)
        said = f"{gain.estimate:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]"
        table.add_row(name, str(bootstrap_mean(values, rng)), said)
    console = Console(width=110)
    console.print(table)
    console.print(f"{time.process_time() - began:.0f} CPU seconds", highlight=False)


if __name__ == "__main__":
    main()
