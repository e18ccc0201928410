"""The behaviour model beside every source, and all of them fused, leave-one-out.

    python -m benchmarks.behaviour [--data beauty|games] [--seeds N] [--alone] [--encoders]
        [--fuse-also NAME ...] [--blind N] [--peer PYTHON] [--keep FOLDER]

``--encoders`` compares the model with each of its encoders instead, ``--alone`` leaves the fusion
out, ``--fuse-also`` fuses sources that only stand beside it otherwise. With ``--blind N`` nothing
sees how neighbours are ordered: N items at a time share a moment and stand in random order, in
training and where it is asked, as the lines of one day do where nobody sorted them. ``--peer`` is
the Python of an environment with RecTools, whose SASRec is asked, too: it wants other libraries
than Habitué does, so ``peer_sasrec`` runs there, on the same core; ``--keep`` keeps what it
answered, so that a run broken off need not ask again. The protocol is that of ``leave_one_out``:
fitted on the training part, full catalogue, seen items excluded, ties at mean rank, nothing
refitted on the validation item. The fused order is learnt on the validation items (the sources have
not seen them) and asked for the test items. Intervals are paired bootstraps over shoppers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import fused
from benchmarks.beauty import BOUGHT, BUYS, CONFIG, FORGETTING, LINEAR, read_beauty
from benchmarks.leave_one_out import (
    BATCH,
    Fit,
    Scores,
    Shoppers,
    contexts,
    ease,
    item_knn,
    shoppers_of,
    training_facts,
)
from habitue.behaviour.config import BehaviourConfig, ListingConfig, LossConfig, ScheduleConfig
from habitue.candidates.additive import AdditiveConfig
from habitue.candidates.content import ContentConfig
from habitue.candidates.contract import Source
from habitue.candidates.roster import SourceConfig, learner_of, warm
from habitue.candidates.sequence import SequenceConfig
from habitue.candidates.two_tower import TwoTowerConfig
from habitue.candidates.two_tower_config import TowerScheduleConfig
from habitue.candidates.user_knn import UserKnnConfig
from habitue.facts import MS_PER_DAY, Catalogue
from habitue.metrics.ranks import hit_of_rank, mean_rank, ndcg_of_rank
from habitue.portraits import pick
from tests.needs import data_folder

BEAUTY = BehaviourConfig(
    kinds=("purchase",),
    unnamed=0.0,
    loss=LossConfig(negatives=1024),
    schedule=ScheduleConfig(
        epochs=20, averaging=0.998, first_validation=0.7, validate_every=3, validation_shoppers=3000
    ),
)
WIDE = BEAUTY.model_copy(  # chosen on the validation item: tried_behaviour.md
    update={"dim": 256, "loss": LossConfig(negatives=1024, temperature=0.08)}
)
TOWERS = TwoTowerConfig(  # chosen on the validation item: tried_two_tower.md
    kinds=BUYS, unnamed=0.0, schedule=TowerScheduleConfig(validation_share=0.02)
)
ALONE = ("wide", "two_tower", "additive")  # peers, not among what is fused


def blinded(data: Shoppers, asked: int, together: int) -> Shoppers:
    """The same, the order of so many neighbours at a time hidden, but for the last ``asked``."""
    order = np.random.default_rng(0).random(len(data.item))
    back = data.from_end - asked
    block = np.where(back >= 0, back // together, back)
    moved = np.lexsort((np.where(back >= 0, order, 0), -block, data.shopper))
    day = np.where(back >= 0, data.at_ms.max() - (block + asked) * MS_PER_DAY, data.at_ms.max())
    return replace(data, item=data.item[moved], at_ms=day)


class Fitted:
    """Sources fitted once on the training part, asked about any item held out."""

    def __init__(
        self, data: Shoppers, configs: dict[str, SourceConfig], seed: int, *, blind: int = 0
    ) -> None:
        """No source sees the order of so many neighbours at a time."""
        self.data, self.blind = data, blind
        self.sources: dict[str, Source] = {}
        self.seconds: dict[str, float] = {}
        facts = training_facts(blinded(data, 2, blind) if blind else data)
        for name, config in configs.items():
            started = time.process_time()
            self.sources[name] = learner_of(config).fit(facts, np.random.default_rng(seed))
            self.seconds[name] = time.process_time() - started

    def scores(self, name: str, asked: int) -> Scores:
        """The scores of one source of everything, when ``asked`` items are held out."""
        told = blinded(self.data, asked, self.blind) if self.blind else self.data
        everyone = contexts(replace(told, asked=asked))
        rows = np.arange(self.data.n_items, dtype=np.int32)
        model = self.sources[name]

        def scores(shoppers: slice) -> NDArray[np.float32]:
            context = pick(everyone, np.arange(shoppers.start, shoppers.stop))
            return model.score(context, np.broadcast_to(rows, (len(context), len(rows))))

        return scores


def batches(data: Shoppers) -> list[slice]:
    return [
        slice(first, min(first + BATCH, data.n_shoppers))
        for first in range(0, data.n_shoppers, BATCH)
    ]


def asked_of(data: Shoppers, asked: int) -> tuple[NDArray[np.int32], sp.csr_matrix]:
    """The item asked of each shopper, and what each had by then."""
    target = data.item[data.from_end == asked - 1]
    shopper, item, _ = data.upto(asked)
    ones = np.ones(len(item), np.float32)
    shape = (data.n_shoppers, data.n_items)
    return target, sp.csr_matrix((ones, (shopper, item)), shape=shape)


def ranks(data: Shoppers, scores: Scores, asked: int = 1) -> NDArray[np.float64]:
    """The rank of each shopper's item."""
    target, seen = asked_of(data, asked)
    found = []
    for shoppers in batches(data):
        score = np.array(scores(shoppers), np.float32)
        score[seen[shoppers].nonzero()] = -np.inf
        found.append(mean_rank(score, target[shoppers]))
    return np.concatenate(found)


def fused_ranks(fitted: Fitted, names: list[str], seed: int) -> NDArray[np.float64]:
    """The ranks of the test items in the order learnt on the validation items."""
    data = fitted.data
    popularity = np.log1p(np.bincount(data.upto(2)[1], minlength=data.n_items))

    def found(asked: int) -> Iterator[fused.Candidates]:
        _, seen = asked_of(data, asked)
        had = np.asarray(seen.sum(axis=1)).ravel()

        def unseen(name: str) -> Scores:
            scores = fitted.scores(name, asked)

            def unseen_scores(shoppers: slice) -> NDArray[np.float32]:
                score = np.array(scores(shoppers), np.float32)
                score[seen[shoppers].nonzero()] = -np.inf
                return score

            return unseen_scores

        def beside(shoppers: slice, row: NDArray[np.intp], item: NDArray[np.intp]) -> fused.Columns:
            return [popularity[item], had[shoppers][row]]

        return fused.candidates([unseen(name) for name in names], batches(data), beside)

    ranker = fused.learn(found(2), asked_of(data, 2)[0], seed)
    return fused.fused_ranks(found(1), asked_of(data, 1)[0], ranker)


def beauty() -> tuple[Shoppers, dict[str, SourceConfig]]:
    """Amazon Beauty with its attributes as the words of titles."""
    folder = data_folder() / "amazon_beauty_s3rec"
    if not folder.exists():
        sys.exit(f"{folder} is not there: set HABITUE_DATA to the folder of the public data sets")
    data = read_beauty(folder / "Beauty.txt")
    lines = (folder / "Beauty.txt").read_text().splitlines()
    ids = np.unique(np.concatenate([np.array(line.split()[1:], np.int64) for line in lines]))
    told = json.loads((folder / "Beauty_item2attributes.json").read_text())
    titles = [" ".join(f"attribute{a}" for a in told.get(str(one), [])) for one in ids]
    frame = pl.DataFrame(
        {
            "item_row": np.arange(len(ids), dtype=np.int32),
            "id": [str(one) for one in ids],
            "title": titles,
            "description": pl.Series([None] * len(ids), dtype=pl.String),
            "brand": pl.Series([None] * len(ids), dtype=pl.String),
            "product_type": pl.Series([None] * len(ids), dtype=pl.String),
            "price_micros": pl.Series([None] * len(ids), dtype=pl.Int64),
            "attributes": pl.Series([None] * len(ids), dtype=pl.String),
        }
    )
    told_in = FORGETTING.model_copy(update={"position_decay": 0.7})
    return replace(data, catalogue=Catalogue(frame)), {
        "sequence": SequenceConfig(behaviour=BEAUTY, validation_share=0.02),
        "co-visitation": CONFIG,
        "linear": LINEAR.model_copy(update={"exact_items": 3000}),
        "user_knn": UserKnnConfig(
            kind_weight=BOUGHT, shoppers_per_item=20_000, profile=FORGETTING
        ),
        "content": ContentConfig(profile=told_in, neighbours=300),
        "wide": SequenceConfig(name="wide", behaviour=WIDE, validation_share=0.02),
        "two_tower": TOWERS,
        "additive": AdditiveConfig(kinds=BUYS),
    }  # fmt: skip


def games() -> tuple[Shoppers, dict[str, SourceConfig]]:
    """Amazon Video Games, of whose items nothing is told."""
    path = data_folder() / "amazon_video_games_sasrec" / "video_games.parquet"
    if not path.exists():
        sys.exit(f"{path} is not there: set HABITUE_DATA to the folder of the public data sets")
    acted = pl.read_parquet(path)
    acted = acted.filter(pl.len().over("user") >= 3)  # one to learn from, two that are asked for
    _, item = np.unique(acted["item"].to_numpy(), return_inverse=True)
    _, length = np.unique(acted["user"].to_numpy(), return_counts=True)
    place = np.arange(len(item)) - np.repeat(np.cumsum(length) - length, length)
    return shoppers_of(item.astype(np.int32), length, place * MS_PER_DAY), {
        "sequence": SequenceConfig(behaviour=BEAUTY, validation_share=0.02),
        "co-visitation": CONFIG,
        "linear": LINEAR.model_copy(update={"exact_items": 3000}),
        "user_knn": UserKnnConfig(
            kind_weight=BOUGHT, shoppers_per_item=20_000, profile=FORGETTING
        ),
    }  # fmt: skip


DATA: dict[str, Callable[[], tuple[Shoppers, dict[str, SourceConfig]]]] = {
    "beauty": beauty, "games": games
}  # fmt: skip
PEERS: dict[str, dict[str, Fit]] = {
    "beauty": {},  # they stand in ``benchmarks.beauty``
    "games": {
        "item-kNN": item_knn(1000),
        "item-kNN, forgetting": item_knn(1000, 0.5),
        "EASE": ease(500.0),
    },
}
ENCODERS: dict[str, dict[str, Any]] = {
    "transformer": {},
    "gru": {"encoder": "gru"},
    "lstm": {"encoder": "lstm"},
    "bidirectional": {"encoder": "bidirectional"},
    "encoder-decoder": {"encoder": "encoder-decoder", "listing": ListingConfig(ahead=10, slots=5)},
}
"""What sets each encoder apart from the model as it is: chosen in ``tried_encoders.md``."""


def encoders(config: SourceConfig) -> dict[str, SourceConfig]:
    """The source with each of its encoders."""
    assert isinstance(config, SequenceConfig)
    return {
        name: config.model_copy(update={"behaviour": config.behaviour.model_copy(update=change)})
        for name, change in ENCODERS.items()
    }


def interval(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """The gain of ``a`` over ``b`` with its 95 % interval, paired over shoppers."""
    return fused.interval(ndcg_of_rank(a, 10) - ndcg_of_rank(b, 10))


@dataclass(frozen=True)
class Elsewhere:
    """What a peer that runs in another environment foretold."""

    rank: NDArray[np.float64]  # (S,) of the test items, infinite beyond the first twenty
    validation: float
    cpu_seconds: float


def sasrec(python: str, data: Shoppers, found: Path) -> Elsewhere:
    """RecTools' SASRec, as many passes as served the validation items best.

    What it answered is written to ``found``, or read from there.
    """
    if not found.exists():
        script = Path(__file__).with_name("peer_sasrec.py")
        apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with tempfile.TemporaryDirectory(dir=found.parent) as folder:
            asked, answered = Path(folder) / "asked.npz", Path(folder) / "found.npz"
            length = np.bincount(data.shopper, minlength=data.n_shoppers)
            np.savez(asked, item=data.item, length=length)
            subprocess.run([python, str(script), str(asked), str(answered)], check=True, env=apart)
            answered.rename(found)
    with np.load(found) as told:
        return Elsewhere(told["rank"], float(told["validation"]), float(told["cpu_seconds"]))


def table(
    title: str,
    fitted: Fitted,
    peers: dict[str, Fit],
    elsewhere: dict[str, Elsewhere],
    seed: int,
    fused: list[str],
) -> None:
    """Print the figures of all that is fitted, of peers, and of the sources ``fused``."""
    data, console = fitted.data, Console(width=110)
    shown = Table(title=title)
    for name in ("", "validation NDCG@10", "NDCG@10", "Recall@10", "Recall@20", "fit CPU-s"):
        shown.add_column(name, justify="left" if not name else "right")
    rank = {name: ranks(data, fitted.scores(name, 1)) for name in fitted.sources}
    held = {name: _mean(ranks(data, fitted.scores(name, 2), 2)) for name in fitted.sources}
    spent = dict(fitted.seconds)
    for name, fit in peers.items():
        started = time.process_time()
        scores = fit(data)
        spent[name] = time.process_time() - started
        rank[name] = ranks(data, scores)
        del scores
    for name, one in elsewhere.items():
        rank[name], spent[name] = one.rank, one.cpu_seconds
        held[name] = f"{one.validation:.4f}"
    if fused:
        started = time.process_time()
        rank["fused"] = fused_ranks(fitted, fused, seed)
        spent["fused"] = time.process_time() - started
    for name, found in rank.items():
        shown.add_row(
            name, held.get(name, ""), _mean(found), f"{hit_of_rank(found, 10).mean():.4f}",
            f"{hit_of_rank(found, 20).mean():.4f}", f"{spent[name]:.1f}",
        )  # fmt: skip
    console.print(shown)
    best = "fused" if fused else next(iter(rank))
    for name, found in rank.items():
        if name != best:
            console.print(f"{best} over {name}: {interval(rank[best], found)}")


def main() -> None:
    """Print the table, one seed after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="beauty")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="without the fusion")
    parser.add_argument("--encoders", action="store_true", help="the model by its encoders")
    parser.add_argument("--only", nargs="+", default=[], help="rows whose names begin like this")
    parser.add_argument("--fuse-also", nargs="+", default=[], choices=ALONE, metavar="NAME")
    parser.add_argument("--blind", type=int, default=0, metavar="N", help="neighbours in no order")
    parser.add_argument("--peer", metavar="PYTHON", help="one that has RecTools")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of what the peer answered")
    told = parser.parse_args()
    warm()
    data, configs = DATA[told.data]()
    peers = {} if told.encoders else PEERS[told.data]
    if told.encoders:
        configs = encoders(configs["sequence"])
    if told.blind:
        configs = {name: _drawing(one) for name, one in configs.items()}
    if told.only:
        some = tuple(told.only)
        configs = {name: one for name, one in configs.items() if name.startswith(some)}
        peers = {name: one for name, one in peers.items() if name.startswith(some)}
    fused = [name for name in configs if name not in ALONE or name in told.fuse_also]
    if told.alone or told.encoders or told.only:
        fused = []
    elsewhere = {}
    if told.peer:
        with tempfile.TemporaryDirectory() as passing:
            folder = told.keep or Path(passing)
            folder.mkdir(parents=True, exist_ok=True)
            found = folder / f"{told.data}_rectools_sasrec.npz"
            elsewhere["RecTools SASRec"] = sasrec(told.peer, data, found)
    for seed in range(told.seeds):
        title = f"{told.data}, leave-one-out, seed {seed}"
        if told.blind:
            title += f", the order of {told.blind} neighbours at a time hidden"
        fitted = Fitted(data, configs, seed, blind=told.blind)
        table(title, fitted, peers, elsewhere, seed, fused)


def _drawing(config: SourceConfig) -> SourceConfig:
    """A network reads what shares a moment in another order each pass."""
    if not isinstance(config, SequenceConfig):
        return config
    behaviour = config.behaviour.model_copy(update={"ties": "drawn"})
    return config.model_copy(update={"behaviour": behaviour})


def _mean(rank: NDArray[np.float64]) -> str:
    return f"{ndcg_of_rank(rank, 10).mean():.4f}"


if __name__ == "__main__":
    main()
