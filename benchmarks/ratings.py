"""MovieLens 100K, ratings foretold: the source ``factor`` beside the textbook's and Surprise's.

    python -m benchmarks.ratings [--tune]

Of the 100,000 ratings ``numpy.random.RandomState(42).permutation`` holds the first 20,000 out.
Every setting was chosen on a fifth of the other 80,000 (``--tune`` goes through them again;
``benchmarks/tried_ratings.md`` has what came of it). Intervals resample shoppers. Films come with
their genres and year. Surprise (scikit-surprise) runs beside where it is installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from habitue.candidates import TrainingFacts
from habitue.candidates.factor import FactorConfig, FactorLearner, FactorSource
from habitue.candidates.roster import warm
from habitue.evaluation.ratings import RatingConfig, RatingLearner, Ratings
from habitue.facts import ActionKind, ActionLog, Catalogue
from habitue.metrics import bootstrap_means, percentile_interval
from tests.needs import data_folder

LEVELS = (0.5, 0.8, 0.95)
TRIED: dict[str, tuple[Any, ...]] = {
    "method": ("als", "sgd"),
    "loss": ("squared",),
    "factors": (6, 16, 24),
    "rounds": (6, 15, 30),
    "implicit_pull": (0.5, 2.0),
    "item_pull": (1.0, 3.0, 10.0, 30.0),
    "shopper_pull": (3.0, 100.0),
    "taste": (0.0, 0.06, 0.15),
    "mood": (0.0, 0.2, 0.35),
    "mood_minutes": (5.0, 15.0, 25.0),
    "side_marks": (6, 16),
}
"""What was tried, one setting at a time from the defaults."""


@dataclass(frozen=True)
class Films:
    """All ratings as columns, and the films as a catalogue."""

    shopper: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float64]
    at_ms: NDArray[np.int64]
    catalogue: Catalogue

    @classmethod
    def read(cls) -> Films:
        """As RecBole keeps them."""
        folder = data_folder() / "movielens_100k"
        told = pl.read_parquet(folder / "ml-100k.inter.parquet")
        shopper, item, rating, at = (told[name].to_numpy() for name in told.columns)
        films = pl.read_parquet(folder / "ml-100k.item.parquet")
        films.columns = ["id", "title", "year", "genres"]
        rows = films["id"].cast(pl.Int32) - 1
        said = [
            msgspec.json.encode(dict.fromkeys(genres.split(" "), True) | _year(year)).decode()
            for genres, year in zip(films["genres"], films["year"], strict=True)
        ]
        catalogue = pl.DataFrame(
            {"item_row": rows, "id": films["id"], "title": films["title"], "attributes": said}
        )
        return cls(
            (shopper - 1).astype(np.int32),
            (item - 1).astype(np.int32),
            rating.astype(np.float64),
            at.astype(np.int64) * 1000,
            Catalogue(catalogue.sort("item_row")),
        )

    def facts(self, which: NDArray[np.int64]) -> TrainingFacts:
        """Some of the ratings as a log."""
        order = which[np.argsort(self.at_ms[which], kind="stable")]
        n, none = len(order), np.zeros(len(order), np.int64)
        log = ActionLog(
            np.arange(1, n + 1),
            self.at_ms[order],
            np.full(n, int(ActionKind.rate), np.uint8),
            self.shopper[order],
            self.item[order],
            np.full(n, -1, np.int32),
            np.ones(n, np.float32),
            none,
            none,
            self.rating[order].astype(np.float32),
            int(self.shopper.max()) + 1,
            int(self.item.max()) + 1,
        )
        return TrainingFacts(log, self.catalogue, int(self.at_ms.max()) + 1)


def _year(text: str) -> dict[str, int]:
    return {"year": int(text)} if text.isdigit() else {}


@dataclass(frozen=True)
class Told:
    """What was foretold of the ratings held out, and how long that took."""

    rating: NDArray[np.float64]
    fit_seconds: float
    told_seconds: float
    spread: NDArray[np.float64] | None = None
    source: FactorSource | None = None


def factor(
    films: Films, learnt: NDArray[np.int64], asked: NDArray[np.int64], **set_to: Any
) -> Told:
    """The source with these settings, asked about each rating as of its own moment."""
    facts = films.facts(learnt)
    began = time.process_time()
    source = FactorLearner(FactorConfig(**set_to)).fit(facts, np.random.default_rng(0))
    fitted = time.process_time()
    rating, spread = source.pairs(films.shopper[asked], films.item[asked], films.at_ms[asked])
    return Told(rating, fitted - began, time.process_time() - fitted, spread, source)


def textbook(films: Films, learnt: NDArray[np.int64], held: NDArray[np.int64], n: int) -> Told:
    """Biases and ``n`` factors, as ``habitue evaluate`` has them."""
    began = time.process_time()
    ratings = Ratings(films.shopper[learnt], films.item[learnt], films.rating[learnt])
    size = int(films.shopper.max()) + 1, int(films.item.max()) + 1
    model = RatingLearner(RatingConfig(factors=n)).fit(ratings, *size, np.random.default_rng(0))
    fitted = time.process_time()
    told = model.foretell(films.shopper[held], films.item[held])
    return Told(told, fitted - began, time.process_time() - fitted)


def surprise(
    films: Films, learnt: NDArray[np.int64], held: NDArray[np.int64], name: str, **set_to: Any
) -> Told:
    """A model of Surprise, on the same ratings."""
    library: Any = importlib.import_module("surprise")
    began = time.process_time()
    frame = pl.DataFrame(
        {"u": films.shopper[learnt], "i": films.item[learnt], "r": films.rating[learnt]}
    ).to_pandas()
    data = library.Dataset.load_from_df(frame, library.Reader(rating_scale=(1, 5)))
    model = getattr(library, name)(**set_to)
    model.fit(data.build_full_trainset())
    fitted = time.process_time()
    told = [
        model.predict(u, i).est
        for u, i in zip(films.shopper[held].tolist(), films.item[held].tolist(), strict=True)
    ]
    return Told(np.array(told), fitted - began, time.process_time() - fitted)


def tune(films: Films, learnt: NDArray[np.int64], out: Console) -> None:
    """Every setting that was tried, on a fifth of the training ratings."""
    order = np.random.RandomState(1).permutation(len(learnt))
    held, rest = learnt[order[: len(learnt) // 5]], learnt[order[len(learnt) // 5 :]]
    cases: list[dict[str, Any]] = [{}]
    cases += [{name: value} for name, values in TRIED.items() for value in values]
    for case in cases:
        told = factor(films, rest, held, held=0.0, **case)
        off = np.sqrt(np.mean((told.rating - films.rating[held]) ** 2))
        named = ", ".join(f"{name} {value}" for name, value in case.items()) or "defaults"
        out.print(f"| {named} | {off:.4f} | {told.fit_seconds:.1f} |")


def measure(films: Films, learnt: NDArray[np.int64], held: NDArray[np.int64], out: Console) -> None:
    """Everything on the ratings held out."""
    cases: dict[str, Callable[[], Told]] = {
        "factor": lambda: factor(films, learnt, held),
        "factor, moments not told (mood 0)": lambda: factor(films, learnt, held, mood=0.0),
        "factor, no catalogue (squared, taste 0)": lambda: factor(
            films, learnt, held, loss="squared", taste=0.0
        ),
        "factor, als": lambda: factor(films, learnt, held, method="als"),
        "factor, sgd": lambda: factor(films, learnt, held, method="sgd"),
        "factor, als alone (squared, taste 0, mood 0)": lambda: factor(
            films, learnt, held, method="als", loss="squared", taste=0.0, mood=0.0
        ),
        "textbook: biases": lambda: textbook(films, learnt, held, 0),
        "textbook: biases and 16 factors": lambda: textbook(films, learnt, held, 16),
    }
    if importlib.util.find_spec("surprise") is not None:
        cases |= {
            "Surprise SVD": lambda: surprise(films, learnt, held, "SVD", random_state=0),
            "Surprise SVD++": lambda: surprise(films, learnt, held, "SVDpp", random_state=0),
            "Surprise KNNBaseline": lambda: surprise(
                films, learnt, held, "KNNBaseline", verbose=False
            ),
        }
    table = Table("", "RMSE", "95 %", "MAE", "against factor, 95 %", "fit + foretell, CPU-s")
    rng, first, given = np.random.default_rng(0), None, films.rating[held]
    for name, ask in cases.items():
        told = ask()
        squared = (told.rating - given) ** 2
        first = squared if first is None else first
        both = np.column_stack([squared, first])
        means = np.sqrt(bootstrap_means(both, rng, n_resamples=2000, group=films.shopper[held]))
        off = percentile_interval(float(np.sqrt(squared.mean())), means[:, 0], 0.95)
        beside = means[:, 0] - means[:, 1]
        low, high = np.quantile(beside, [0.025, 0.975])
        table.add_row(
            name,
            f"{off.estimate:.4f}",
            f"[{off.low:.4f}, {off.high:.4f}]",
            f"{np.abs(told.rating - given).mean():.4f}",
            "" if name == "factor" else f"[{low:+.4f}, {high:+.4f}]",
            f"{told.fit_seconds:.1f} + {told.told_seconds:.1f}",
        )
        if name == "factor":
            cover(told, given, out)
    out.print(table)


def cover(told: Told, given: NDArray[np.float64], out: Console) -> None:
    """How many of the ratings held out lie within the intervals, and how wide these are."""
    source, spread = told.source, told.spread
    assert source is not None
    assert spread is not None
    for level in LEVELS:
        ends = np.quantile(source.errors, [(1 - level) / 2, (1 + level) / 2])
        low, high = (np.clip(told.rating + end * spread, *source.bounds) for end in ends)
        inside = np.mean((low <= given) & (given <= high))
        out.print(f"{level:.0%} intervals hold {inside:.1%}, {np.mean(high - low):.2f} wide")
    out.print(f"foretold by the training itself: RMSE {source.measured['rmse']:.4f}")


def main() -> None:
    """Run what is asked for."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--tune", action="store_true", help="on a part of the training ratings")
    options = told.parse_args()
    out = Console(width=160)
    films = Films.read()
    order = np.random.RandomState(42).permutation(len(films.rating))
    held, learnt = order[:20_000], order[20_000:]
    warm()
    factor(films, learnt[:500], held[:50], method="als")  # compiled before any time is taken
    factor(films, learnt[:500], held[:50], method="sgd")
    if options.tune:
        tune(films, learnt, out)
    else:
        measure(films, learnt, held, out)


if __name__ == "__main__":
    main()
