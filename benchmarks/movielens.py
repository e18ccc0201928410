"""MovieLens 100K, leave-one-out: Habitué's sources beside item-kNN, EASE and ALS, in one run.

    python -m benchmarks.movielens [--seeds 5] [--tune] [--quick]

Every rating counts as a wish, whatever its height. Ratings of one second have no order: they are
put in a seeded random one, and figures are means over the seeds. Peers are asked plain and with a
profile that forgets by position, as ours does. Every setting was chosen by the same protocol one,
two and three items earlier, without the test item; ``--tune`` goes through the grids again. The
network takes two CPU-minutes a seed; ``--quick`` leaves it out.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.leave_one_out import (
    Fit,
    Found,
    Scores,
    Shoppers,
    als,
    ease,
    evaluate,
    item_knn,
    shoppers_of,
    show,
    source,
)
from habitue.behaviour.config import BehaviourConfig, LossConfig, ScheduleConfig
from habitue.candidates.covisit import CovisitConfig
from habitue.candidates.linear import LinearConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import warm
from habitue.candidates.sequence import SequenceConfig
from habitue.facts import ActionKind
from tests.needs import data_folder

KINDS: Any = ("rate",)
FORGETS: dict[str, Any] = {"position_decay": 0.85, "power_decay": 0.5, "power_minutes": 3.0}


def profile(**forgets: float) -> ProfileConfig:
    """A profile of ratings alone."""
    settings: dict[str, Any] = {"half_life_days": 1e9, "max_actions": 1000} | forgets
    return ProfileConfig(kind_weight={"rate": 1.0}, **settings)


def linear(forgets: dict[str, float] | None = None, **settings: Any) -> LinearConfig:
    """The linear source on ratings."""
    return LinearConfig(
        kinds=KINDS,
        max_actions_per_shopper=1000,
        neighbours=1000,
        profile=profile(**(FORGETS if forgets is None else forgets)),
        **settings,
    )


PLAIN: dict[str, tuple[Any, dict[str, tuple[Any, ...]]]] = {
    "item-kNN": (item_knn, {"neighbours": (50, 200, 1700)}),
    "EASE": (ease, {"penalty": (100.0, 300.0, 500.0, 1000.0)}),
    "ALS": (
        als,
        {"factors": (32, 64), "regularization": (1.0, 10.0), "alpha": (1.0, 5.0)},
    ),
}
"""The peers and what is tried for them."""

FORGETTING = (0.9, 0.8, 0.7)
OURS: dict[str, tuple[Any, ...]] = {
    "penalty": (100.0, 200.0),
    "closeness": (0.9, 0.95, 0.98),
    "transitions": (0.2, 0.4),
    "past": (0.7, 0.8),
    "position_decay": (0.8, 0.85, 0.9),
}

CHOSEN: dict[str, dict[str, Any]] = {
    "item-kNN": {"neighbours": 200},
    "item-kNN, forgetting": {"neighbours": 1700, "forgetting": 0.7},
    "EASE": {"penalty": 100.0},
    "EASE, forgetting": {"penalty": 1000.0, "forgetting": 0.8},
    "ALS": {"factors": 64, "regularization": 10.0, "alpha": 1.0},
    "ALS, forgetting": {"factors": 32, "regularization": 10.0, "alpha": 5.0, "forgetting": 0.7},
}
LINEAR: dict[str, Any] = {
    "penalty": 200.0, "closeness": 0.9, "transitions": 0.2, "past": 0.7, "future": 0.9,
}  # fmt: skip
"""What was best a little earlier."""


SEQUENCE = SequenceConfig(
    behaviour=BehaviourConfig(
        kinds=KINDS, dim=64, length=200, content=False, unnamed=0.0, ties="drawn",
        loss=LossConfig(against="all", temperature=0.2),
        schedule=ScheduleConfig(
            epochs=30, averaging=0.99, first_validation=0.2, validate_every=2, patience=4
        ),
    ),
    validation_share=1.0,
)  # fmt: skip
"""Chosen one item earlier: ``tried_movielens.md``."""


FUSED: dict[str, float] = {"sequence": 2.0, "linear": 0.5, "als": 0.3}
"""Weights of standardised scores; chosen one item earlier, too."""


def once(fit: Fit) -> Fit:
    """The same, fitted once for each of the worlds."""
    known: dict[int, Scores] = {}

    def fitted(data: Shoppers) -> Scores:
        if id(data) not in known:
            known[id(data)] = fit(data)
        return known[id(data)]

    return fitted


def standardised_sum(parts: dict[str, Fit], weights: dict[str, float]) -> Fit:
    """What ``fuse = "zscore"`` is, over all items a shopper does not have."""

    def fit(data: Shoppers) -> Scores:
        fitted = {name: part(data) for name, part in parts.items()}
        shopper, item, _ = data.upto(data.asked)
        ones = np.ones(len(item), np.bool_)
        shape = (data.n_shoppers, data.n_items)
        seen = sp.csr_matrix((ones, (shopper, item)), shape=shape)

        def scores(shoppers: slice) -> NDArray[np.float32]:
            had = seen[shoppers].toarray()
            total = np.zeros(had.shape, np.float32)
            for name, score in fitted.items():
                told = np.ma.masked_array(score(shoppers), had)
                middle, spread = told.mean(axis=1), told.std(axis=1)
                total += weights[name] * np.asarray(
                    (told.data - middle.data[:, None]) / np.maximum(spread.data[:, None], 1e-9)
                )
            return total

        return scores

    return fit


def read_movielens(seed: int) -> Shoppers:
    """Every shopper's films in order of time, those of one second in a random order."""
    ratings = pl.read_parquet(data_folder() / "movielens_100k" / "ml-100k.inter.parquet")
    shopper = np.unique(ratings["user_id:token"].to_numpy(), return_inverse=True)[1]
    item = np.unique(ratings["item_id:token"].to_numpy(), return_inverse=True)[1]
    second = ratings["timestamp:float"].to_numpy()
    lot = np.random.default_rng(seed).random(len(ratings))
    order = np.lexsort((lot, second, shopper))
    return shoppers_of(
        item[order].astype(np.int32),
        np.bincount(shopper),
        second[order].astype(np.int64) * 1000,
        kind=ActionKind.rate,
    )


def peer(name: str, settings: dict[str, Any]) -> Fit:
    """A peer of these settings."""
    make: Fit = PLAIN[name.removesuffix(", forgetting")][0](**settings)
    return make


def settings_of(grid: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Every combination."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def earlier(data: Shoppers, n: int) -> Shoppers:
    """The same shoppers ``n`` items ago."""
    kept = data.from_end >= n
    return replace(
        data,
        item=data.item[kept],
        shopper=data.shopper[kept],
        at_ms=data.at_ms[kept],
        place=data.place[kept],
        from_end=data.from_end[kept] - n,
    )


def mean(worlds: list[Shoppers], fit: Fit) -> Found:
    """The means over the seeds; the peak is the last."""
    found = [evaluate(world, fit) for world in worlds]
    ndcg, recall, fitted, scored, _ = np.array(found, np.float64).mean(axis=0).tolist()
    return Found(ndcg, recall, fitted, scored, found[-1].peak_mb)


def tune(worlds: list[Shoppers], console: Console) -> None:
    """Print what is best a little earlier."""
    asked = [earlier(world, n) for world in worlds for n in (1, 2, 3)]
    for name, (make, grid) in PLAIN.items():
        for more, label in (({}, name), ({"forgetting": FORGETTING}, f"{name}, forgetting")):
            tried = {str(one): mean(asked, make(**one)).ndcg for one in settings_of(grid | more)}
            best = max(tried, key=lambda one: tried[one])
            console.print(f"{label}: {best}: {tried[best]:.4f}")
    tried = {}
    for one in settings_of(OURS):
        forgets = FORGETS | {"position_decay": one["position_decay"]}
        settings = {name: value for name, value in one.items() if name != "position_decay"}
        tried[str(one)] = mean(asked, source(linear(forgets, **settings))).ndcg
    for name in sorted(tried, key=lambda name: -tried[name])[:10]:
        console.print(f"linear: {name}: {tried[name]:.4f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="without the network")
    parser.add_argument("--tune", action="store_true", help="choose the settings anew")
    arguments = parser.parse_args()
    console = Console(width=160)
    warm()
    worlds = [read_movielens(seed) for seed in range(arguments.seeds)]
    if arguments.tune:
        tune(worlds, console)
        return
    rows: list[tuple[str, Fit]] = [
        ("Habitué linear", source(linear(**LINEAR))),
        (
            "Habitué linear as EASE",
            source(linear({"position_decay": 1.0}, penalty=CHOSEN["EASE"]["penalty"])),
        ),
        (
            "Habitué co-visitation",
            source(
                CovisitConfig(
                    kinds_from=KINDS, kinds_to=KINDS, neighbours=1000, profile=profile(**FORGETS)
                )
            ),
        ),
        *((name, peer(name, settings)) for name, settings in CHOSEN.items()),
    ]
    if not arguments.quick:
        sequence = once(source(SEQUENCE))
        parts = {
            "sequence": sequence,
            "linear": source(linear(**LINEAR)),
            "als": peer("ALS, forgetting", CHOSEN["ALS, forgetting"]),
        }
        fused = standardised_sum(parts, FUSED)
        rows = [("Habitué sequence", sequence), ("Habitué fused, beside it", fused), *rows]
    found = [(name, mean(worlds, fit)) for name, fit in rows]
    show(f"MovieLens 100K, leave-one-out, mean of {len(worlds)} seeds", found)
    best = max(one.ndcg for name, one in found if name in CHOSEN)
    for name, one in found:
        if name in ("Habitué fused, beside it", "Habitué sequence", "Habitué linear"):
            console.print(f"{name} is {one.ndcg / best - 1:+.1%} beside the best peer")


if __name__ == "__main__":
    main()
