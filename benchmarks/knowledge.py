"""What a graph of items adds: MovieLens 100K by genres and years, Last.fm by tags and triples.

    python -m benchmarks.knowledge [--data movielens lastfm] [--seeds 0 1 2] [--validate] [--quick]
        [--cold] [--trial '{"penalty": 100}' ...] [--freebase]

Of all pairs 20 % at random, drawn anew with each seed, are the test part; an eighth of the others
teaches the order. For the teaching part sources are fitted on what is left, for the test part on
all but the test part. Asked is every shopper with something there; all items are ranked but those
they have. The figures of shoppers are means over all seeds, intervals paired bootstraps. Artists
with one listener are left out, and so are tags that somebody gave to an artist outside the part
that is fitted on: they would say who listens.

``--cold`` hides 10 % of the items with all that was done with them, and ranks these alone, beside
a random order and their kinds (genre, commonest tag) by how much each is liked. ``--validate``
looks at the teaching part alone, or hides other items, and ``--trial`` at other settings there;
``--quick`` leaves the learnt order out.
``--freebase`` adds the triples that lie beside MovieLens, which lead to wrong films.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.timeless import Question, Ratings, interval, learnt_order
from habitue.candidates.als import AlsConfig
from habitue.candidates.content import ContentConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.item_graph import GraphOfItemsConfig
from habitue.candidates.item_knn import ItemKnnConfig
from habitue.candidates.knowledge import KnowledgeConfig
from habitue.candidates.popular import PopularConfig
from habitue.candidates.profile import ProfileConfig
from habitue.candidates.roster import SourceConfig, learner_of
from habitue.facts import NO_ROW, Catalogue, Triples
from tests.needs import data_folder

RATED = {"rate": 1.0}
EVEN = ProfileConfig(kind_weight=RATED, position_decay=1.0, half_life_days=1e9, max_actions=1000)
ALS: dict[str, dict[str, Any]] = {
    "movielens": {"factors": 32, "regularisation": 10.0, "alpha": 0.01},
    "lastfm": {"factors": 64, "regularisation": 10.0, "alpha": 0.01},
}
"""What was best of the factorisation alone on the teaching part: ``tried_knowledge.md``."""
HIDDEN = 0.1
KINDS = ("most liked kind", "most liked kind, an item")


def pipeline(name: str, trial: dict[str, Any]) -> dict[str, SourceConfig]:
    """The sources that are compared; of another setting than the chosen, it and ``als``."""
    tried = bool(trial)
    als = AlsConfig(kind_weight=RATED, half_life_days=1e9, **ALS[name])
    graph = GraphOfItemsConfig(attributes=False, **trial.pop("graph", {}))
    whole: dict[str, SourceConfig] = {
        "popular": PopularConfig(counts="buyers", kinds=("rate",)),
        "item_knn": ItemKnnConfig(kind_weight=RATED, profile=EVEN),
        "content": ContentConfig(profile=EVEN),
        "als": als,
        "knowledge": KnowledgeConfig(als=als, graph=graph, **trial),
    }
    return {one: whole[one] for one in ("als", "knowledge")} if tried else whole


class Told(Ratings):
    """Pairs, and what is told of the items: ``kinds`` are those each is counted under."""

    kinds: list[list[str]]

    def part(self, which: NDArray[np.int64]) -> TrainingFacts:
        """The facts that may be learnt from beside those pairs."""
        return self.facts(which)

    def _tell(self, triples: pl.DataFrame, title: list[str | None]) -> Catalogue:
        """A catalogue for ``content``: the titles, and all that is told as words."""
        words = triples.group_by("item").agg(
            description=pl.format("{}{}", "relation", pl.col("entity").str.replace_all(r"\W", ""))
            .sort().str.join(" ")
        )  # fmt: skip
        frame = pl.DataFrame({"item_row": np.arange(self.n_items, dtype=np.int32), "title": title})
        frame = frame.join(
            words.select(pl.col("item").cast(pl.Int32).alias("item_row"), "description"),
            on="item_row", how="left", maintain_order="left",
        )  # fmt: skip
        empty = [pl.lit(None, pl.String).alias(c) for c in ("brand", "product_type", "attributes")]
        return Catalogue(
            frame.with_columns(
                pl.col("item_row").cast(pl.String).alias("id"), *empty,
                pl.lit(None, pl.Int64).alias("price_micros"),
            )
        )  # fmt: skip


class MovieLens(Told):
    """Films: everything rated is liked; genres, the year and its decade are told."""

    def __init__(self, folder: str = "movielens_100k", *, freebase: bool = False) -> None:
        root = data_folder() / folder
        rated = pl.read_parquet(root / "ml-100k.inter.parquet")
        ids, item = np.unique(rated["item_id:token"].cast(pl.String), return_inverse=True)
        shopper = np.unique(rated["user_id:token"], return_inverse=True)[1]
        self.item, self.shopper = item.astype(np.int32), shopper.astype(np.int32)
        self.n_items, self.n_shoppers = len(ids), int(shopper.max()) + 1
        row = {one: n for n, one in enumerate(ids.tolist())}
        films = pl.read_parquet(root / "ml-100k.item.parquet")
        title: list[str | None] = [None] * len(ids)
        self.kinds = [[] for _ in ids]
        told: list[tuple[int, str, str]] = []
        for one, name, year, genres in films.iter_rows():
            if (n := row.get(str(one))) is None:
                continue
            title[n] = name
            self.kinds[n] = (genres or "").split()
            told += [(n, "genre", genre) for genre in self.kinds[n]]
            if year and str(year).isdigit():
                told += [(n, "year", str(year)), (n, "decade", f"{str(year)[:3]}0s")]
        if freebase:
            told += _freebase(root, row)
        frame = pl.DataFrame(told, schema=["item", "relation", "entity"], orient="row")
        self.catalogue = self._tell(frame, title)
        self.triples = triples_of(frame.with_columns(weight=pl.lit(1.0)))


def _freebase(root: Any, row: dict[str, int]) -> list[tuple[int, str, str]]:
    """The triples beside the films, by the links as they stand."""
    link = pl.read_parquet(root / "ml-100k.link.parquet")
    film = {entity: row.get(str(one)) for one, entity in link.iter_rows()}
    graph = pl.read_parquet(root / "ml-100k.kg.parquet")
    told = ((film.get(head), relation, tail) for head, relation, tail in graph.iter_rows())
    return [(n, relation, tail) for n, relation, tail in told if n is not None]


class LastFm(Told):
    """Artists: everything listened to is liked; tags and triples are told."""

    def __init__(self, *, freebase: bool = False) -> None:
        root = data_folder() / "lastfm_hetrec"
        pairs = pl.read_parquet(root / "user_artists.parquet")
        pairs = pairs.filter(pl.len().over("artistID") > 1)
        ids, item = np.unique(pairs["artistID"], return_inverse=True)
        who, shopper = np.unique(pairs["userID"], return_inverse=True)
        self.item, self.shopper = item.astype(np.int32), shopper.astype(np.int32)
        self.n_items, self.n_shoppers = len(ids), len(who)
        rows = pl.DataFrame({"artistID": ids, "item": np.arange(len(ids), dtype=np.int64)})
        entity = pl.read_parquet(root / "item_index2entity_id.parquet").join(rows, on="artistID")
        graph = pl.read_parquet(root / "kg.parquet").join(
            entity.select(head="entity", item="item"), on="head"
        )
        self._graph = graph.select(
            "item", "relation", entity=pl.format("e{}", "tail"), weight=pl.lit(1.0)
        )
        people = pl.DataFrame({"userID": who, "shopper": np.arange(len(who), dtype=np.int64)})
        self._tags = (
            pl.read_parquet(root / "user_taggedartists.parquet")
            .join(rows, on="artistID")
            .join(people, on="userID", how="left")
            .join(pl.read_parquet(root / "tags.parquet"), on="tagID")
            .select("item", "shopper", entity="tagValue")
        )
        names = pl.read_parquet(root / "artists.parquet").select("id", "name")
        known = rows.join(
            names, left_on="artistID", right_on="id", how="left", maintain_order="left"
        )
        self._title = known["name"].to_list()

    def part(self, which: NDArray[np.int64]) -> TrainingFacts:
        """Tags given by those who listen only where that is known."""
        key = self.item.astype(np.int64) * self.n_shoppers + self.shopper
        hidden = np.setdiff1d(key, key[which])
        given = pl.col("item") * self.n_shoppers + pl.col("shopper")
        tags = (
            self._tags.filter(~given.is_in(pl.Series(hidden).implode()).fill_null(False))
            .group_by("item", "entity").len("times")
            .select("item", "entity", relation=pl.lit("tag"), weight=pl.col("times").log1p())
        )  # fmt: skip
        first = tags.sort("item", "weight", "entity", descending=[False, True, False])
        commonest = first.unique("item", keep="first", maintain_order=True)
        self.kinds = [[] for _ in range(self.n_items)]
        for item, tag in commonest.select("item", "entity").iter_rows():
            self.kinds[item] = [tag]
        columns = ("item", "relation", "entity", "weight")
        told = pl.concat([tags.select(columns), self._graph.select(columns)])
        self.catalogue = self._tell(told, self._title)
        self.triples = triples_of(told)
        return self.facts(which)


def triples_of(told: pl.DataFrame) -> Triples:
    """Triples from item rows and names."""
    told = told.unique(["item", "relation", "entity"], maintain_order=True)
    relations, relation = np.unique(told["relation"].to_numpy(), return_inverse=True)
    entities, entity = np.unique(told["entity"].to_numpy(), return_inverse=True)
    n = told.height
    return Triples(
        told["item"].to_numpy().astype(np.int32), relation.astype(np.int32),
        entity.astype(np.int32), told["weight"].to_numpy().astype(np.float32),
        np.zeros(n, np.int64), tuple(relations.tolist()), tuple(entities.tolist()),
        np.full(len(entities), NO_ROW, np.int32),
    )  # fmt: skip


DATA: dict[str, Any] = {"movielens": MovieLens, "lastfm": LastFm}
Means = dict[str, list[NDArray[np.float64]]]


def known_items(
    name: str, data: Told, seeds: Sequence[int], trial: dict[str, Any], which: str
) -> None:
    """How well each source, and a learnt order of all, finds the items of the test part.

    ``which`` parts are asked: ``teach`` or ``test`` alone, or ``both``, for the learnt order.
    """
    ndcg, recall, spent = {}, {}, {}  # type: tuple[Means, Means, dict[str, float]]
    everyone = np.ones(data.n_shoppers, np.bool_)
    for seed in seeds:
        lot = np.random.RandomState(seed).permutation(len(data.item))
        test, rest = lot[: len(lot) // 5], lot[len(lot) // 5 :]
        teach, fit = rest[: len(rest) // 8], rest[len(rest) // 8 :]
        parts = [(fit, teach), (rest, test)][which == "test" : 1 if which == "teach" else 2]
        scores: dict[str, list[NDArray[np.float32]]] = {}
        questions = []
        for had, wanted in parts:
            question = Question(data, had, wanted, data.among(wanted, everyone))
            facts = data.part(had)
            for one, config in pipeline(name, dict(trial)).items():
                started = time.process_time()
                source = learner_of(config).fit(facts, np.random.default_rng(seed))
                spent[one] = time.process_time() - started
                scores.setdefault(one, []).append(question.scores(source))
            questions.append(question)
        found = {one: of_both[-1] for one, of_both in scores.items()}
        for one, score in found.items():
            ndcg.setdefault(one, []).append(questions[-1].ndcg(score))
            recall.setdefault(one, []).append(questions[-1].recall(score))
        if which == "both":
            both = {one: tuple(of_both) for one, of_both in scores.items()}
            without = {one: pair for one, pair in both.items() if one != "knowledge"}
            for label, told in (("learnt, all", both), ("learnt, without", without)):
                order = learnt_order(*questions, told, seed)
                ndcg.setdefault(label, []).append(questions[-1].ndcg(order))
                recall.setdefault(label, []).append(questions[-1].recall(order))
    part = "teaching part" if which == "teach" else "test part"
    title = f"{name}, {part}, seeds {', '.join(map(str, seeds))}"
    _show(title, ndcg, recall, spent)
    pairs = [("knowledge", "als"), ("learnt, all", "learnt, without")]
    for one, other in pairs[: 2 if which == "both" else 1]:
        for metric, of in (("Recall@20", recall), ("NDCG@10", ndcg)):
            gain = interval(np.concatenate(of[one]), np.concatenate(of[other]))
            print(f"{one} over {other}, {metric}: {gain}", flush=True)


def cold_items(name: str, data: Told, seeds: Sequence[int], trial: dict[str, Any]) -> None:
    """How well the items are found that nobody has acted on, among themselves."""
    ndcg, recall, spent = {}, {}, {}  # type: tuple[Means, Means, dict[str, float]]
    for seed in seeds:
        rng = np.random.RandomState(seed)
        hidden = np.zeros(data.n_items, np.bool_)
        hidden[rng.permutation(data.n_items)[: int(data.n_items * HIDDEN)]] = True
        had, wanted = np.flatnonzero(~hidden[data.item]), np.flatnonzero(hidden[data.item])
        question = Question(data, had, wanted, data.among(wanted, np.ones(data.n_shoppers, bool)))
        facts = data.part(had)
        n = len(question.right)
        found = {
            "random": rng.random((n, data.n_items)).astype(np.float32),
            **{of: np.tile(liked, (n, 1)) for of, liked in _liked_kinds(data, had).items()},
        }
        for one, config in pipeline(name, dict(trial)).items():
            if one not in ("content", "knowledge"):
                continue
            started = time.process_time()
            source = learner_of(config).fit(facts, np.random.default_rng(seed))
            spent[one] = time.process_time() - started
            found[one] = question.scores(source)
        for one, score in found.items():
            score[:, ~hidden] = -np.inf
            ndcg.setdefault(one, []).append(question.ndcg(score))
            recall.setdefault(one, []).append(question.recall(score))
    _show(
        f"{name}, hidden items among themselves, seeds {', '.join(map(str, seeds))}",
        ndcg,
        recall,
        spent,
    )
    mean = {one: float(np.concatenate(of).mean()) for one, of in recall.items()}
    print(
        f"knowledge: {mean['knowledge'] / mean['random']:.1f} times random (3 wanted), "
        f"{mean['knowledge'] / max(mean[of] for of in KINDS):.1f} times the most popular kind "
        "(1.5 wanted)",
        flush=True,
    )


def _liked_kinds(data: Told, had: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """How much the most liked of each item's kinds is liked, in all and by item: (n_items,)."""
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys(k for of in data.kinds for k in of))}
    item = np.repeat(np.arange(data.n_items), [len(of) for of in data.kinds])
    code = np.array([kinds[kind] for of in data.kinds for kind in of])
    liked = np.bincount(data.item[had], minlength=data.n_items)
    total = np.bincount(code, liked[item])
    shown = np.bincount(code, liked[item] > 0)
    out = {}
    for of, score in zip(KINDS, (total, total / np.maximum(shown, 1)), strict=True):
        best = np.zeros(data.n_items)
        np.maximum.at(best, item, score[code])
        out[of] = best.astype(np.float32)
    return out


def _show(title: str, ndcg: Means, recall: Means, spent: dict[str, float]) -> None:
    table = Table(title=title)
    for column in ("", "Recall@20", "NDCG@10", "fit CPU-s"):
        table.add_column(column, justify="left" if not column else "right")
    for one in ndcg:
        figures = (np.concatenate(of[one]).mean() for of in (recall, ndcg))
        told = f"{spent[one]:.1f}" if one in spent else ""
        table.add_row(one, *(f"{figure:.4f}" for figure in figures), told)
    Console(width=100).print(table)


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validate", action="store_true", help="the teaching part alone")
    parser.add_argument("--quick", action="store_true", help="no learnt order")
    parser.add_argument("--cold", action="store_true", help="items nobody has acted on")
    parser.add_argument("--trial", nargs="*", default=["{}"], help="settings of knowledge, JSON")
    parser.add_argument("--freebase", action="store_true", help="with triples of wrong films")
    asked = parser.parse_args()
    for name in asked.data:
        if not data_folder().exists():
            sys.exit(f"{data_folder()} is not there: set HABITUE_DATA to the data sets")
        data = DATA[name](freebase=asked.freebase)
        for said in asked.trial:
            trial = msgspec.json.decode(said, type=dict[str, Any])
            if trial:
                print(f"with {said}")
            if asked.cold:
                first = 100 if asked.validate else 0
                cold_items(name, data, [first + seed for seed in asked.seeds], trial)
            else:
                which = "teach" if asked.validate else "test" if asked.quick else "both"
                known_items(name, data, asked.seeds, trial, which)


if __name__ == "__main__":
    main()
